//! The inventories of this repository, and inventories that were broken at random.

use camino::Utf8Path;
use infra::adapters::files::read_inventory;
use infra::blueprint::{Blueprint, GuestShape, ImageSource, resolve};
use infra::diag::Diagnostics;
use infra::inventory::{InventoryFiles, Layer, SourceFile, load};
use infra::model::Size;

fn repository() -> &'static Utf8Path {
    Utf8Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn vrooli() -> InventoryFiles {
    read_inventory(&[repository().join("inventories/vrooli")])
}

fn check(files: &InventoryFiles) -> (Option<Blueprint>, Diagnostics) {
    let loaded = load(files);
    let mut diagnostics = loaded.diagnostics;
    let blueprint = loaded.inventory.and_then(|inventory| {
        let (blueprint, more) = resolve(&inventory);
        diagnostics.extend(more);
        blueprint
    });
    (blueprint.filter(|_| !diagnostics.has_errors()), diagnostics)
}

#[test]
fn vrooli_is_the_reference_architecture() {
    let (blueprint, diagnostics) = check(&vrooli());
    assert!(diagnostics.is_empty(), "{diagnostics:#?}");
    let blueprint = blueprint.unwrap();
    let names: Vec<&str> = blueprint.guests.keys().map(|name| name.as_str()).collect();
    assert_eq!(names, ["ops-tools", "plan-hq", "proj-x", "proj-y", "vrooli-dev"]);
    let guest = |name: &str| &blueprint.guests[&name.parse().unwrap()];

    let hq = guest("plan-hq");
    assert_eq!((hq.vmid.get(), hq.cores, hq.memory, hq.disk), (100, 8, Size::gib(32), Size::gib(200)));
    let GuestShape::Vm(vm) = &hq.shape else { panic!("plan-hq is a VM") };
    assert_eq!(vm.gpus[0].as_str(), "rtx4090");
    assert!(matches!(&blueprint.images[&hq.image].source, ImageSource::Cloud { file, .. } if file.ends_with(".qcow2")));

    let project = guest("proj-x");
    assert_eq!((project.cores, project.memory, project.disk), (2, Size::gib(4), Size::gib(20)));
    let GuestShape::Container(container) = &project.shape else { panic!("proj-x is a container") };
    assert_eq!(container.datasets[0].dataset.as_str(), "rpool/containers/proj-x");
    assert_eq!(project.firewall.groups[0].as_str(), "project-ct");
    let group = blueprint.groups.values().next().unwrap();
    assert_eq!(group.rules[0].source[0].to_string(), "10.0.0.20/32", "a guest's name stands for its address");
    assert_eq!(guest("ops-tools").memory, Size::gib(2));
}

#[test]
fn an_overlay_changes_how_a_host_is_reached_and_nothing_else() {
    let over = |text: &str| {
        let mut files = vrooli();
        let file = SourceFile::new("away.yaml", text);
        files.layers.push(Layer { path: "away.yaml".into(), files: vec![file] });
        let (blueprint, diagnostics) = check(&files);
        assert!(diagnostics.is_empty(), "{diagnostics:#?}");
        blueprint.unwrap()
    };
    let before = over("hosts:\n  hq:\n    address: 192.168.10.2\n");
    let mut changed = over("hosts:\n  hq:\n    address: 127.0.0.1\n    api: { port: 18006 }\n");
    let (host, old) = (changed.hosts.values_mut().next().unwrap(), before.hosts.values().next().unwrap());
    assert_eq!((host.access.api.host.as_str(), host.access.api.port), ("127.0.0.1", 18006));
    assert_eq!(host.access.ssh.as_ref().unwrap().host, "127.0.0.1");
    host.access = old.access.clone();
    assert!(changed == before, "only the access may differ");
}

/// The example of the format's description, with the elided values filled in.
#[test]
fn the_example_of_the_format_resolves() {
    let text = r#"
schema: 1
name: vrooli
hosts:
  hq:
    address: 192.168.10.2
    api: { token_id: "infra@pve!laptop", token: secret:hq-token, fingerprint: "FP" }
    ssh: { user: root, host_key: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" }
    storage: { guests: local-zfs, files: local, datasets: rpool/containers }
    network: { bridge: vmbr0, subnet: 10.0.0.0/24, gateway: 10.0.0.1 }
    gpus: { rtx4090: { id: "10de:2684", vram: 24GiB } }
guests:
  plan-hq: { profile: plan-hq, host: hq, vmid: 100, address: 10.0.0.10, gpus: [rtx4090], services: [ollama, open-webui] }
  proj-x:
    profile: project
    host: hq
    vmid: 104
    address: 10.0.0.123
    datasets: [{ name: proj-x, mount: /workspace, quota: 20GiB }]
    uses: [plan-hq/ollama]
    routes: { proj-x.example.com: 8080 }
  ops-tools: { profile: ops, host: hq, vmid: 110, address: 10.0.0.20 }
"#
    .replace("FP", &vec!["AB"; 32].join(":"));
    let mut files = vrooli();
    files.layers[0].files.retain(|file| !file.path.ends_with("hosts.yaml") && !file.path.ends_with("guests.yaml"));
    files.layers[0].files.push(SourceFile::new("example.yaml", text));
    let (blueprint, diagnostics) = check(&files);
    assert!(blueprint.is_some(), "{diagnostics:#?}");
    let codes: Vec<&str> = diagnostics.iter().map(|diagnostic| diagnostic.code).collect();
    assert!(codes.contains(&"inventory.not-yet"), "{codes:?}");
}
