//! Python programs that use the clients as people do.

use super::environment;
use super::served::Served;

/// Parts that fail because the lab has not got something yet: program, part, what is missing. One that passes has
/// to be taken out.
const WAITING: &[(&str, &str, &str)] = &[
    ("proxmoxer_client", "refusals_carry_status_text_and_errors", "a storage that is not there is a wrong parameter"),
    ("proxmoxer_client", "files_are_uploaded_and_deleted", "POST /nodes/{node}/storage/{storage}/upload"),
    ("proxmoxer_client", "a_checksum_is_held_against_an_upload", "POST /nodes/{node}/storage/{storage}/upload"),
    (
        "exporter",
        "a_scrape_has_the_values_of_the_api",
        "GET /cluster/backup-info/not-backed-up, /nodes/{node}/subscription",
    ),
];

/// Runs a program against a lab of its own; every part of it has to be fine, and so has what it claims.
async fn judged_by(program: &str) {
    let venv = match environment() {
        Ok(venv) => venv,
        Err(why) => return println!("not run: {why}"),
    };
    let served = Served::start(&venv).await;
    let path = format!("{}/tests/it/real_clients/programs/{program}.py", env!("CARGO_MANIFEST_DIR"));
    let ended = served.run("python", &[&path], &[]).await;
    let named = |word: &str| -> Vec<&str> { ended.output.lines().filter_map(|line| line.strip_prefix(word)).collect() };
    let waiting: Vec<&str> = WAITING.iter().filter(|(of, ..)| *of == program).map(|(_, part, _)| *part).collect();
    assert_eq!(named("FAILED "), waiting, "{program}:\n{}", ended.output);
    assert_eq!(ended.success, waiting.is_empty());
    for (_, part, why) in WAITING.iter().filter(|(of, ..)| *of == program) {
        println!("waiting: {program}: {part}: {why}");
    }
    let parts = named("ok ").len();
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
