//! The recording machine before the first exchange, as far as the exchanges do not make it themselves.
//!
//! Everything that is seeded here stands for something that was there without being recorded, or that the lab
//! cannot do by a call yet; the reason is at each.

use std::collections::{BTreeMap, BTreeSet};

use infra::lab::Scenario;
use infra::lab::hardware::graphics_card;
use infra::lab::world::{Access, Network, PciDevice, Storage, StorageKind, User, Volume, World};
use infra::model::Size;

/// Password of root@pam; the recordings have another in its place.
pub const PASSWORD: &str = "lab-password";

pub fn world(now: jiff::Timestamp) -> World {
    let mut scenario = Scenario::example();
    let host = &mut scenario.sites[0].hosts[0];
    host.cpus = 2;
    host.memory = Size::bytes(25_276_502_016);
    host.root = Size::bytes(270_553_174_016);
    host.pools = BTreeMap::from([("tank".to_owned(), Size::gib(200))]);
    host.datasets = BTreeMap::new();
    host.address = "192.0.2.1".into();
    host.pci = graphics_card("0000:01:00", ("10de", "2684"), "AD102 [GeForce RTX 4090]", 14);
    for (at, class, vendor, device, subsystem, group) in [
        ("0000:00:00.0", "060000", "8086", "0d57", ("8086", "0000"), 0),
        ("0000:00:1f.0", "060100", "8086", "7a84", ("8086", "0000"), 8),
        ("0000:02:00.0", "010802", "144d", "a80a", ("144d", "a801"), 15),
        ("0000:03:00.0", "020000", "8086", "15f3", ("8086", "0000"), 16),
    ] {
        let device = PciDevice {
            class: class.into(),
            vendor: vendor.into(),
            device: device.into(),
            subsystem_vendor: subsystem.0.into(),
            subsystem_device: subsystem.1.into(),
            iommu_group: group,
            ..PciDevice::default()
        };
        host.pci.insert(at.into(), device);
    }
    let cidr = Some("192.0.2.1/24".to_owned());
    let bridge = Network { kind: "bridge".into(), autostart: true, cidr, ..Network::default() };
    let port = Network { kind: "eth".into(), ..Network::default() };
    host.networks = BTreeMap::from([("eth0".to_owned(), port), ("vmbr0".to_owned(), bridge)]);
    let all: BTreeSet<String> = ["images", "rootdir", "iso", "vztmpl", "snippets", "import", "backup"]
        .iter()
        .map(|c| (*c).to_owned())
        .collect();
    let dir = |path: &str, content: &BTreeSet<String>| Storage {
        content: content.clone(),
        ..Storage::new(StorageKind::Dir { path: path.into(), size: None }, &[])
    };
    let mut zp = Storage::new(StorageKind::ZfsPool { pool: "tank/vm".into(), sparse: true }, &["images", "rootdir"]);
    zp.options.insert("mountpoint".into(), "/tank/vm".into());
    scenario.sites[0].storages = BTreeMap::from([
        ("local".to_owned(), dir("/var/lib/vz", &all)),
        ("data".to_owned(), dir("/var/lib/data", &all)),
        ("zp".to_owned(), zp),
    ]);
    for (url, size) in [("http://127.0.0.1:9099/x.iso", 5_242_880), ("http://127.0.0.1:9099/disk.qcow2", 196_624)] {
        scenario = scenario.knows(
            url,
            Size::bytes(size),
            "c036cbb7553a909f8b8877d4461924307f27ecb66cff928eeeafd569c3887e29",
            url.ends_with("qcow2").then(|| Size::gib(1)),
        );
    }
    let mut world = scenario.world(&scenario.sites[0], "unused", now).unwrap();
    if let Some(missing) = world.downloads.get("http://127.0.0.1:9099/x.iso").cloned() {
        let missing = infra::lab::world::Download { status: Some(404), ..missing };
        world.downloads.insert("http://127.0.0.1:9099/nope.iso".into(), missing);
    }
    // `qemu.cloudinit.dump.network` names the resolver of the machine.
    let resolver =
        infra::lab::world::File { content: b"nameserver 10.255.255.53\n".to_vec(), mode: 0o644, ..Default::default() };
    world.nodes.get_mut("pve1").unwrap().files.insert("/etc/resolv.conf".into(), resolver);
    let volumes = world.nodes.get_mut("pve1").unwrap().volumes.entry("data".into()).or_default();
    for (name, format, size) in [
        ("vztmpl/alpine-3.22-default_20250617_amd64.tar.gz", "tgz", 1_072_431),
        ("vztmpl/debian-13-standard_13.1-2_amd64.tar.zst", "tzst", 52_027_600),
    ] {
        let volume = Volume { format: format.into(), size, used: size, ..Volume::default() };
        volumes.insert(name.into(), volume);
    }
    world.appliances.clear();
    if let Some(node) = world.nodes.get_mut("pve1") {
        // Whoever serves the lab over TLS enters its certificate; nobody does here.
        node.fingerprint = vec!["AB"; 32].join(":");
    }
    let mut root = User { enabled: true, ..User::default() };
    root.set_password(PASSWORD);
    world.access = Access { users: BTreeMap::from([("root@pam".to_owned(), root)]), ..Access::default() };
    world
}
