//! The recording machine before the first exchange, as far as the exchanges do not make it themselves.
//!
//! Everything that is seeded here stands for something that was there without being recorded, or that the lab
//! cannot do by a call yet; the reason is at each.

use std::collections::{BTreeMap, BTreeSet};

use infra::lab::Scenario;
use infra::lab::hardware::graphics_card;
use infra::lab::world::{Acl, Grantee, Network, PciDevice, Storage, StorageKind, Token, User, Volume, World};
use infra::model::Size;

/// Password of root@pam; the recordings have another in its place.
pub const PASSWORD: &str = "lab-password";
/// Secret of the tokens that are seeded.
pub const SECRET: &str = "s";

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
    let bridge = Network { kind: "bridge".into(), autostart: true, ..Network::default() };
    host.networks = BTreeMap::from([("vmbr0".to_owned(), bridge)]);
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
    let mut world = scenario.world(&scenario.sites[0], SECRET, now).unwrap();
    if let Some(missing) = world.downloads.get("http://127.0.0.1:9099/x.iso").cloned() {
        let missing = infra::lab::world::Download { status: Some(404), ..missing };
        world.downloads.insert("http://127.0.0.1:9099/nope.iso".into(), missing);
    }
    let volumes = world.nodes.get_mut("pve1").unwrap().volumes.entry("data".into()).or_default();
    for (name, format, size) in [
        ("vztmpl/alpine-3.22-default_20250617_amd64.tar.gz", "tgz", 1_072_431),
        ("vztmpl/debian-13-standard_13.1-2_amd64.tar.zst", "tzst", 52_027_600),
    ] {
        let volume = Volume { format: format.into(), size, used: size, ..Volume::default() };
        volumes.insert(name.into(), volume);
    }
    world.appliances.clear();
    let token = |privsep| Token::new(SECRET, privsep);
    let user = |tokens: &[(&str, bool)]| User {
        enabled: true,
        comment: None,
        tokens: tokens.iter().map(|(name, sep)| ((*name).to_owned(), token(*sep))).collect(),
    };
    let users = &mut world.access.users;
    users.insert("root@pam".into(), user(&[("infra", false)]));
    users.insert("infra@pve".into(), user(&[("tok", false), ("cli", false), ("sep", true)]));
    users.insert("nobody@pve".into(), user(&[("tok", false), ("none", false)]));
    users.insert("dev@pve".into(), user(&[("ci", false)]));
    let infra = "VM.Allocate,VM.Audit,VM.Config.CDROM,VM.Config.CPU,VM.Config.Cloudinit,VM.Config.Disk,VM.Config.HWType,\
                 VM.Config.Memory,VM.Config.Network,VM.Config.Options,VM.PowerMgmt,VM.Snapshot,VM.Clone,\
                 Datastore.Allocate,Datastore.AllocateSpace,Datastore.AllocateTemplate,Datastore.Audit,Sys.Audit,\
                 Sys.Modify,SDN.Use,SDN.Audit,Pool.Allocate,Pool.Audit,Mapping.Audit,Mapping.Modify,Mapping.Use";
    let privileges = |text: &str| text.split(',').map(|p| p.trim().to_owned()).collect();
    world.access.roles.insert("Infra".into(), privileges(infra));
    world.access.roles.insert("Dev".into(), privileges("VM.Audit,VM.Allocate,VM.Config.CPU"));
    let acl = |path: &str, grantee, role: &str| Acl { path: path.into(), grantee, role: role.into(), propagate: true };
    world.access.acls = vec![
        acl("/", Grantee::User("infra@pve".into()), "Infra"),
        acl("/vms/100", Grantee::Token("infra@pve!sep".into()), "PVEAuditor"),
        acl("/vms", Grantee::User("dev@pve".into()), "Dev"),
    ];
    world
}
