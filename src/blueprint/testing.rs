//! A good inventory, and what is said about one with something laid over it.

use super::{Blueprint, resolve};
use crate::diag::Diagnostics;
use crate::inventory::{InventoryFiles, Layer, SourceFile, load};

const GOOD: &str = r#"
schema: 1
name: test
ssh_keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA me]
hosts:
  hq:
    address: 192.168.10.2
    api:
      token_id: infra@pve!laptop
      token: secret:hq-token
      fingerprint: 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF
    ssh: { user: root }
    storage: { guests: local-zfs, files: local, datasets: rpool/containers }
    network: { bridge: vmbr0, subnet: 10.0.0.0/24, gateway: 10.0.0.1 }
    gpus: { rtx4090: { id: "10de:2684", vram: 24GiB } }
images:
  ubuntu:
    url: https://cloud-images.ubuntu.com/releases/22.04/release-20250101/ubuntu-22.04-server-cloudimg-amd64.img
    sha256: "0000000000000000000000000000000000000000000000000000000000000000"
  debian: { template: debian-12-standard_12.12-1_amd64.tar.zst }
firewall:
  groups:
    project-ct: { rules: [{ action: drop, source: 10.0.0.0/24 }] }
guests:
  plan-hq:
    kind: vm
    host: hq
    vmid: 100
    address: 10.0.0.10
    cores: 8
    memory: 32GiB
    disk: 200GiB
    image: ubuntu
    gpus: [rtx4090]
  proj-x:
    kind: container
    host: hq
    vmid: 104
    address: 10.0.0.123
    cores: 2
    memory: 4GiB
    disk: 20GiB
    image: debian
    datasets: [{ name: proj-x, mount: /workspace, quota: 20GiB }]
"#;

/// What a further container needs, for flow blocks: `proj-y: { …, vmid: 105, address: 10.0.0.124 }`.
pub(crate) const CONTAINER: &str = "kind: container, host: hq, cores: 1, memory: 1GiB, disk: 8GiB, image: debian";

/// A second host for `hosts: { b: { … } }`, without its address.
pub(crate) const HOST: &str = "api: { token_id: infra@pve!laptop, token: secret:b, ca_file: ca.pem }, ssh: {}, \
     storage: { guests: local-zfs, files: local, datasets: rpool/containers }, \
     network: { bridge: vmbr0, subnet: 10.1.0.0/24, gateway: 10.1.0.1 }";

fn check(over: &str, profiles: &[(&str, &str)], services: &[(&str, &str)]) -> (Option<Blueprint>, Diagnostics) {
    let layer = |path: &str, text: &str| Layer { path: path.into(), files: vec![SourceFile::new(path, text)] };
    let mut files = InventoryFiles { layers: vec![layer("good.yaml", GOOD)], ..InventoryFiles::default() };
    if !over.is_empty() {
        files.layers.push(layer("over.yaml", over));
    }
    files.profiles = profiles.iter().map(|(name, text)| SourceFile::new(format!("{name}.yaml"), *text)).collect();
    let template = |(name, text): &(&str, &str)| match name.contains('/') {
        true => SourceFile::new(format!("templates/{name}"), *text),
        false => SourceFile::new(format!("templates/{name}/template.yaml"), *text),
    };
    files.templates = services.iter().map(template).collect();
    let loaded = load(&files);
    let mut diagnostics = loaded.diagnostics;
    let inventory = loaded.inventory.expect("the good inventory with something over it decodes");
    let (blueprint, more) = resolve(&inventory);
    diagnostics.extend(more);
    (blueprint, diagnostics)
}

/// The blueprint of the good inventory.
pub(crate) fn good() -> Blueprint {
    let (blueprint, diagnostics) = check("", &[], &[]);
    blueprint.unwrap_or_else(|| panic!("the good inventory is good: {diagnostics:#?}"))
}

/// The blueprint of the good inventory with something over it that is as good.
pub(crate) fn with(over: &str) -> Blueprint {
    let (blueprint, diagnostics) = check(over, &[], &[]);
    blueprint.unwrap_or_else(|| panic!("this is good as well: {diagnostics:#?}"))
}

/// As [`with`], with services by name, and files of theirs by `service/file`.
pub(crate) fn with_services(over: &str, services: &[(&str, &str)]) -> Blueprint {
    let (blueprint, diagnostics) = check(over, &[], services);
    blueprint.unwrap_or_else(|| panic!("this is good as well: {diagnostics:#?}"))
}

/// Codes of what is said about the good inventory with `over` laid over it.
pub(crate) fn codes(over: &str) -> Vec<&'static str> {
    codes_with_profiles(over, &[])
}

/// As [`codes`], with profiles by name.
pub(crate) fn codes_with_profiles(over: &str, profiles: &[(&str, &str)]) -> Vec<&'static str> {
    let (blueprint, diagnostics) = check(over, profiles, &[]);
    assert_eq!(blueprint.is_some(), !diagnostics.has_errors(), "{diagnostics:#?}");
    diagnostics.iter().map(|diagnostic| diagnostic.code).collect()
}

/// As [`codes`], with services by name, and files of theirs by `service/file`.
pub(crate) fn codes_with_services(over: &str, services: &[(&str, &str)]) -> Vec<&'static str> {
    check(over, &[], services).1.iter().map(|diagnostic| diagnostic.code).collect()
}

/// All that is said about it, summaries and hints.
pub(crate) fn said(over: &str) -> String {
    check(over, &[], &[]).1.iter().map(|d| format!("{} {}\n", d.summary, d.hints.join(" "))).collect()
}
