//! Our own SSH door to the machine.

use camino::Utf8PathBuf;
use infra::adapters::{Ssh, SshSettings, SshTarget};
use infra::ports::{Batch, OnFailure, Output, Shell};

/// The door, if a machine is there; says so if none is.
pub fn door() -> Option<Ssh> {
    let port = std::env::var("INFRA_VM_PORT").ok().and_then(|port| port.parse().ok());
    let keys = std::env::var("INFRA_VM_KEYS").ok().map(Utf8PathBuf::from);
    let (Some(port), Some(keys)) = (port, keys) else {
        println!("not run: no machine; `cargo xtask vm-test` starts one");
        return None;
    };
    let target = SshTarget {
        host: "127.0.0.1".to_owned(),
        port,
        user: "root".to_owned(),
        host_key: Some(std::fs::read_to_string(keys.join("host.pub")).unwrap().trim().to_owned()),
        identities: vec![keys.join("client")],
        jump: None,
    };
    Some(Ssh::new(target, SshSettings::isolated()))
}

/// Runs what needs a runtime.
pub fn on_runtime<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(future)
}

/// Several commands in one round trip, whatever they exit with.
pub async fn all(door: &Ssh, commands: &[&[&str]]) -> Vec<Output> {
    let mut batch = Batch::new(u128::from(std::process::id()) + 0x1f0a, OnFailure::Continue);
    for argv in commands {
        batch.push(argv.iter().copied());
    }
    let output = door.run(&batch.command(std::time::Duration::from_secs(120))).await.unwrap();
    batch.read(&output).unwrap()
}

/// The same, and all of them must exit with 0; what they printed.
pub async fn good(door: &Ssh, commands: &[&[&str]]) -> Vec<String> {
    let outputs = all(door, commands).await;
    for (argv, output) in commands.iter().zip(&outputs) {
        assert_eq!(output.code, 0, "{argv:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    outputs.into_iter().map(|output| String::from_utf8(output.stdout).unwrap()).collect()
}
