//! Where the programs are, and what to do where they are not.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// `docker compose` 2: Debian 12 has none, so `cargo xtask test` takes the one of Debian 13 apart below `target/`.
pub(super) fn compose() -> Option<Command> {
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("target/docker-compose/usr/libexec/docker/cli-plugins/docker-compose");
    let named = std::env::var_os("INFRA_DOCKER_COMPOSE").map(PathBuf::from);
    if let Some(program) = named.into_iter().chain([own]).find(|program| program.is_file()) {
        return Some(Command::new(program));
    }
    let mut plugin = Command::new("docker");
    plugin.arg("compose");
    let two = |text: &str| text.trim().trim_start_matches('v').starts_with(['2', '3', '4', '5']);
    let version = Command::new("docker").args(["compose", "version", "--short"]).stdin(Stdio::null()).output();
    if version.is_ok_and(|output| output.status.success() && two(&String::from_utf8_lossy(&output.stdout))) {
        return Some(plugin);
    }
    println!("not run: `cargo xtask test --install`, or install docker compose 2.26 or newer");
    None
}

/// A program of Debian, or what to install.
pub(super) fn there(program: &str, package: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let there = command.status().is_ok();
    if !there {
        println!("not run: install {package}");
    }
    there
}

/// Python with TensorZero in it: made by `cargo xtask test`.
pub(super) fn tensorzero() -> Option<PathBuf> {
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/stack-real/venv/bin/python");
    let named = std::env::var_os("INFRA_TENSORZERO_PYTHON").map(PathBuf::from);
    let found = named.into_iter().chain([own]).find(|program| program.is_file());
    if found.is_none() {
        println!("not run: `cargo xtask test --install`, which takes Python 3.10 or newer and PyPI");
    }
    found
}

/// LiteLLM's proxy in the version that its template names: made by `cargo xtask test`.
pub(super) fn litellm() -> Option<PathBuf> {
    let home = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/stack-real/litellm");
    let Ok(installed) = std::fs::read_to_string(home.join("installed.txt")) else {
        println!("not run: `cargo xtask test --install`, which takes Python 3.10 or newer and PyPI (LiteLLM)");
        return None;
    };
    let template = infra::inventory::BUILT_IN.iter().find(|service| service.name == "litellm").unwrap().template;
    let version = installed.trim().trim_start_matches("litellm[proxy]==");
    assert!(template.contains(&format!("/litellm:v{version}-")), "LiteLLM {version} is not what the image has");
    Some(home.join("bin/litellm"))
}

/// What a program said, for a message.
pub(super) fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
