//! Python programs that use the clients as people do.

use super::environment;
use super::served::Served;

/// Runs a program against a lab of its own; every part of it has to be fine, and so has what it claims.
async fn judged_by(program: &str) {
    let venv = match environment() {
        Ok(venv) => venv,
        Err(why) => return println!("not run: {why}"),
    };
    let served = Served::start(&venv).await;
    let path = format!("{}/tests/it/real_clients/programs/{program}.py", env!("CARGO_MANIFEST_DIR"));
    let ended = served.run("python", &[&path], &[]).await;
    assert!(ended.success, "{program}:\n{}", ended.output);
    let parts = ended.output.lines().filter(|line| line.starts_with("ok ")).count();
    let claims = served.hold_claims().await;
    println!("{program}: {parts} parts, {claims} claims held, {} requests", served.host().site.requests());
    assert!(parts > 0);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proxmoxer_finds_a_proxmox() {
    judged_by("proxmoxer_client").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn terraform_like_programs_find_a_proxmox() {
    judged_by("terraform_style").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pve_exporter_finds_a_proxmox() {
    judged_by("exporter").await;
}
