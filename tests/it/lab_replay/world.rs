//! The recording machine before the first exchange, as far as the exchanges do not make it themselves.
//!
//! Everything that is seeded here stands for something that was there without being recorded, or that the lab
//! cannot do by a call yet; the reason is at each.

use std::collections::BTreeMap;

use infra::lab::Scenario;
use infra::lab::hardware::graphics_card;
use infra::lab::world::{
    Access, DatasetKind, Network, PciDevice, Service, System, User, World, ZfsSupport, usual_services,
};
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
    host.pci.get_mut("0000:01:00.1").unwrap().device_name = Some("AD102 High Definition Audio Controller".into());
    for (at, class, vendor, device, subsystem, group, name) in [
        ("0000:00:00.0", "060000", "8086", "0d57", ("8086", "0000"), 0, ("", "")),
        ("0000:00:1f.0", "060100", "8086", "7a84", ("8086", "0000"), 8, ("Z690 Chipset LPC/eSPI Controller", "")),
        (
            "0000:02:00.0",
            "010802",
            "144d",
            "a80a",
            ("144d", "a801"),
            15,
            ("NVMe SSD Controller PM9A1/PM9A3/980PRO", "SSD 980 PRO"),
        ),
        ("0000:03:00.0", "020000", "8086", "15f3", ("8086", "0000"), 16, ("Ethernet Controller I225-V", "")),
    ] {
        let known = |name: &str| (!name.is_empty()).then(|| name.to_owned());
        let device = PciDevice {
            class: class.into(),
            vendor: vendor.into(),
            device: device.into(),
            subsystem_vendor: subsystem.0.into(),
            subsystem_device: subsystem.1.into(),
            iommu_group: group,
            device_name: known(name.0),
            subsystem_device_name: known(name.1),
            ..PciDevice::default()
        };
        host.pci.insert(at.into(), device);
    }
    let eth = Network { kind: "eth".into(), unlisted: true, ..Network::default() };
    host.networks = BTreeMap::from([("eth0".to_owned(), eth)]);
    host.cpu_model = "Intel(R) Xeon(R) Processor".into();
    // The calls make every storage but the `local` that PVE assumes.
    scenario.sites[0].storages = BTreeMap::new();
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
    for download in world.downloads.values_mut() {
        download.refused = true;
    }
    let node = world.nodes.get_mut("pve1").unwrap();
    node.fingerprint = "00:".repeat(31) + "00";
    node.zfs.support = ZfsSupport::NoTools;
    // The pool is a stand-in that takes nothing for itself.
    node.zfs.create("tank/vm", DatasetKind::Filesystem, BTreeMap::new(), false, 0).unwrap();
    for (name, used) in [("tank", 0), ("tank/vm", 4096)] {
        node.zfs.datasets.get_mut(name).unwrap().used = used;
    }
    node.system = System {
        cores: 2,
        mhz: "2599.998".into(),
        cpu_flags: CPU_FLAGS.into(),
        cpu_vendor: "GenuineIntel".into(),
        cpu_family: "6".into(),
        virtualisation: false,
        kernel_release: "6.18.44-fc-v669".into(),
        kernel_version: "#1 SMP PREEMPT_DYNAMIC @0".into(),
        legacy_bios: true,
        search: None,
        dns: vec!["10.255.255.53".into()],
        hosts: Some("127.0.0.1 localhost\n192.0.2.1 pve1.rig.test pve1\n".into()),
        services: services(),
        ..System::default()
    };
    node.machine.running.kernel.clone_from(&node.system.kernel_release);
    world.appliances.clear();
    if let Some(node) = world.nodes.get_mut("pve1") {
        // Its statistics begin in this minute (829).
        node.booted_ms = 1_795_253_880_000;
        // Whoever serves the lab over TLS enters its certificate; nobody does here.
        node.fingerprint = vec!["AB"; 32].join(":");
    }
    let mut root = User { enabled: true, ..User::default() };
    root.set_password(PASSWORD);
    world.access = Access { users: BTreeMap::from([("root@pam".to_owned(), root)]), ..Access::default() };
    world
}

/// What the processor of the recording machine can do.
const CPU_FLAGS: &str = "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 ss ht \
    syscall nx pdpe1gb rdtscp lm constant_tsc rep_good nopl xtopology nonstop_tsc cpuid tsc_known_freq pni \
    pclmulqdq ssse3 fma cx16 pcid sse4_1 sse4_2 x2apic movbe popcnt tsc_deadline_timer aes xsave avx f16c \
    rdrand hypervisor lahf_lm abm 3dnowprefetch cpuid_fault fsgsbase tsc_adjust bmi1 hle avx2 smep bmi2 erms \
    invpcid rtm avx512f avx512dq rdseed adx smap avx512ifma clflushopt clwb avx512cd sha_ni avx512bw avx512vl \
    xsaveopt xsavec xgetbv1 xsaves avx_vnni avx512_bf16 arat avx512vbmi umip avx512_vbmi2 gfni vaes \
    vpclmulqdq avx512_vnni avx512_bitalg avx512_vpopcntdq rdpid cldemote movdiri movdir64b fsrm serialize \
    tsxldtrk amx_bf16 avx512_fp16 amx_tile amx_int8 arch_capabilities";

/// What of PVE was installed on the recording machine, and what of it ran.
fn services() -> BTreeMap<String, Service> {
    let mut services = usual_services();
    services.retain(|name, _| {
        ["cron", "lxcfs", "pve-cluster", "pvedaemon", "pveproxy", "pvestatd", "qmeventd", "systemd-journald"]
            .contains(&name.as_str())
    });
    for (name, running, state) in [
        ("cron", false, "enabled"),
        ("lxcfs", false, "enabled"),
        ("pve-cluster", true, "disabled"),
        ("qmeventd", true, "disabled"),
    ] {
        let service = services.get_mut(name).unwrap();
        (service.running, service.unit_state) = (running, state.into());
    }
    services.insert("systemd-timesyncd".into(), Service::new("systemd-timesyncd.service", false, "masked"));
    services
}
