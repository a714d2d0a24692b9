//! Programs that we did not write judge the lab: proxmoxer, Ansible's `community.proxmox`, pve-exporter and a
//! program that polls as Terraform's providers do, all unchanged from PyPI.
//!
//! They run against a served lab of their own. What they claim to have done is held against what the API shows to
//! us. `cargo xtask test --install` puts them below `target/real-clients`; without them the suite says so.

mod ansible;
mod programs;
mod served;

use std::path::{Path, PathBuf};

/// Where the programs are, or why they are not.
pub fn environment() -> Result<PathBuf, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let venv = match std::env::var_os("INFRA_REAL_CLIENTS") {
        Some(named) => PathBuf::from(named),
        None => root.join("target/real-clients/venv"),
    };
    let wanted = std::fs::read_to_string(root.join("tests/it/real_clients/requirements.txt")).unwrap();
    match std::fs::read_to_string(venv.join("installed.txt")) {
        Ok(installed) if installed == wanted => Ok(venv),
        Ok(_) => {
            Err("other versions are installed: `cargo xtask test --install` brings those that are asked for".into())
        }
        Err(_) => Err("install them with `cargo xtask test --install` (Python 3.11 or newer, and PyPI)".into()),
    }
}
