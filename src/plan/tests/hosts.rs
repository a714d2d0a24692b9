//! Plans of hosts themselves against hosts in every state that matters, carried out on their files alone.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};

use crate::blueprint::Blueprint;
use crate::blueprint::testing::{good, with};
use crate::diag::Diagnostics;
use crate::event::{Event, RunState, What};
use crate::model::change::Action;
use crate::model::machine::{
    Arc, Boot, CommandLines, ConfigFile, ConfigFiles, GrubDefaults, GrubEntry, Kernel, Kernels, Loader, Machine,
    Memory, PciBus, PciFunction, Sign,
};
use crate::model::observed::{Dataset, Fact, Host, Observed, Site};
use crate::model::step::{Op, StepId, Undo};
use crate::plan::{Earlier, Plan, Request, Scope, build, take_back};
use crate::resources::host::reboot::pending;
use crate::resources::host::{FileState, file_writes};
use crate::resources::{Allowed, Part};

const GRUB: &str = "# kept\nGRUB_DEFAULT=0\nGRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"\nGRUB_CMDLINE_LINUX=\"\"\n";

fn file(content: &str) -> ConfigFile {
    ConfigFile { content: content.to_owned(), mode: 0o644, ..ConfigFile::default() }
}

fn system(what: &str) -> Blueprint {
    with(&format!("hosts: {{ hq: {{ system: {{ {what} }} }} }}"))
}

/// What GRUB's defaults come to, for files whose values are plain.
fn grub_words(config: &ConfigFiles) -> GrubDefaults {
    let mut defaults = GrubDefaults::default();
    let drop_ins = config.in_dir("/etc/default/grub.d", ".cfg").map(|(_, file)| file);
    for file in config.get("/etc/default/grub").into_iter().chain(drop_ins) {
        for line in file.content.lines() {
            let Some((name, value)) = line.split_once('=') else { continue };
            let words = value.trim_matches('"').split_whitespace();
            let words = words.filter(|word| !word.starts_with('$')).map(str::to_owned);
            match name {
                "GRUB_CMDLINE_LINUX" => defaults.linux.extend(words),
                "GRUB_CMDLINE_LINUX_DEFAULT" => defaults.linux_default.extend(words),
                _ => {}
            }
        }
    }
    defaults
}

/// A host with these files.
fn host(loader: Loader, files: &[(&str, &str)]) -> Observed {
    let config =
        ConfigFiles { files: files.iter().map(|(path, content)| ((*path).to_owned(), file(content))).collect() };
    let function = |address: &str, id: &str, driver: &str| {
        let driver = Some(driver.to_owned());
        (address.parse().unwrap(), PciFunction { driver, ..PciFunction::new(id.parse().unwrap(), 0x03_0000) })
    };
    let functions =
        [function("0000:01:00.0", "10de:2684", "somedrm-drv"), function("0000:01:00.1", "10de:22ba", "snd_hda_intel")];
    let machine = Machine {
        kernel: Fact::complete(Kernel {
            release: "6.17.9-1-pve".into(),
            command_line: vec!["quiet".into()],
            boot_id: "a".into(),
        }),
        boot: Fact::complete(Boot {
            loader: Some(loader),
            esps: if loader == Loader::SystemdBoot { vec!["AAAA-BBBB".into()] } else { Vec::new() },
            booted_at: 1000,
            ..Boot::default()
        }),
        kernels: Fact::complete(Kernels::default()),
        memory: Fact::complete(Memory {
            total: 64 << 30,
            arc: Some(Arc { size: 0, limit: 32 << 30, floor: 2 << 30, parameter: 0 }),
            ..Memory::default()
        }),
        sysctl: Fact::complete(BTreeMap::from([("vm.swappiness".to_owned(), "60".to_owned())])),
        wanted_packages: Fact::complete(BTreeSet::new()),
        config: Fact::complete(config),
        pci: Fact::complete(PciBus { functions: functions.into() }),
        ..Machine::default()
    };
    let here = Host {
        site: "hq".into(),
        datasets: Fact::complete(BTreeMap::from([
            ("rpool".parse().unwrap(), Dataset::default()),
            ("rpool/containers".parse().unwrap(), Dataset::default()),
        ])),
        machine,
        ..Host::default()
    };
    let mut observed = Observed::default();
    observed.hosts.insert("hq".parse().unwrap(), here);
    let site = Site { quorate: Fact::complete(true), ..Site::default() };
    observed.sites.insert("hq".into(), site);
    look(&mut observed);
    observed
}

fn pci(observed: &mut Observed) -> &mut PciBus {
    match &mut machine(observed).pci {
        Fact::Complete { value } => value,
        other => panic!("{other:?}"),
    }
}

fn machine(observed: &mut Observed) -> &mut Machine {
    &mut observed.hosts.get_mut(&"hq".parse().unwrap()).unwrap().machine
}

fn config(observed: &mut Observed) -> &mut ConfigFiles {
    match &mut machine(observed).config {
        Fact::Complete { value } => value,
        _ => panic!("the files are known"),
    }
}

/// Reads what hangs on the files again.
fn look(observed: &mut Observed) {
    let defaults = grub_words(config(observed));
    let kernel =
        config(observed).content("/etc/kernel/cmdline").map(|t| t.split_whitespace().map(Into::into).collect());
    let entry = GrubEntry {
        title: "Proxmox VE".into(),
        kernel: "/boot/vmlinuz-6.17.9-1-pve".into(),
        options: defaults.words().into_iter().map(Into::into).collect(),
    };
    machine(observed).command_lines =
        Fact::complete(CommandLines { grub: Some(defaults), kernel, grub_entries: Some(vec![entry]) });
}

fn request<'a>(
    blueprint: &'a Blueprint,
    observed: &'a Observed,
    scope: &'a Scope,
    unfinished: &'a BTreeSet<StepId>,
) -> Request<'a> {
    static NOTHING: Allowed =
        Allowed { destroy: BTreeSet::new(), replace: BTreeSet::new(), take_over: BTreeSet::new() };
    static MEMORY: crate::plan::Memory = BTreeMap::new();
    Request { blueprint, observed, memory: &MEMORY, scope, allowed: &NOTHING, unfinished }
}

fn hosts() -> Scope {
    Scope { part: Part::Hosts, ..Scope::default() }
}

fn try_plan(blueprint: &Blueprint, observed: &Observed) -> Result<Plan, Diagnostics> {
    build(&request(blueprint, observed, &hosts(), &BTreeSet::new()))
}

fn plan(blueprint: &Blueprint, observed: &Observed) -> Plan {
    try_plan(blueprint, observed).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

/// Does to the files what operations do, and nothing else; programs that were run are given back.
fn carry_out<'a>(ops: impl IntoIterator<Item = &'a Op>, observed: &mut Observed) -> Vec<String> {
    let mut ran = Vec::new();
    let mut kept: BTreeMap<String, ConfigFile> = BTreeMap::new();
    for op in ops {
        match op {
            Op::PutFile { path, content, mode } => {
                let put = ConfigFile {
                    content: content.text().expect("no secret").to_owned(),
                    mode: *mode,
                    ..ConfigFile::default()
                };
                config(observed).files.insert(path.clone(), put);
            }
            Op::Exec { argv } => match argv.iter().map(String::as_str).collect::<Vec<_>>()[..] {
                ["rm", "-f", path] => {
                    config(observed).files.remove(path);
                }
                ["cp", "-p", from, to] => {
                    let source = config(observed).files.get(from).or_else(|| kept.get(from)).cloned();
                    kept.insert(to.to_owned(), source.unwrap_or_else(|| panic!("nothing at {from}")));
                }
                ["mv", "-T", from, to] => {
                    let source = kept.remove(from).unwrap_or_else(|| panic!("nothing at {from}"));
                    config(observed).files.insert(to.to_owned(), source);
                }
                ["mkdir" | "chmod" | "chown", ..] => {}
                _ => ran.push(argv.join(" ")),
            },
            _ => {}
        }
    }
    look(observed);
    ran
}

fn apply(plan: &Plan, observed: &mut Observed) -> Vec<String> {
    carry_out(plan.steps.iter().flat_map(|step| &step.ops), observed)
}

fn contents(observed: &mut Observed) -> BTreeMap<String, String> {
    config(observed).files.iter().map(|(path, file)| (path.clone(), file.content.clone())).collect()
}

/// Plans, carries out and plans again: the second plan has no file to change, and taking it all back leaves every
/// file as it was. Gives what was run.
fn round_trip(blueprint: &Blueprint, observed: &mut Observed) -> Vec<String> {
    let before = contents(observed);
    let first = plan(blueprint, observed);
    // What is kept and what is put back again go through the same places.
    let undo = first.steps.iter().rev().filter_map(|step| match &step.undo {
        Undo::Ops { ops } => Some(ops),
        _ => None,
    });
    let all: Vec<Op> = first.steps.iter().flat_map(|step| step.ops.clone()).collect();
    let back: Vec<Op> = undo.flatten().cloned().collect();
    let ran = apply(&first, observed);
    let again = plan(blueprint, observed);
    let files: Vec<_> = again.steps.iter().flat_map(file_writes).collect();
    assert!(files.is_empty(), "{files:?}");
    let mut there = observed.clone();
    *config(&mut there) = ConfigFiles { files: before.iter().map(|(path, text)| (path.clone(), file(text))).collect() };
    carry_out(all.iter().chain(&back), &mut there);
    assert_eq!(contents(&mut there), before);
    ran
}

#[test]
fn grub_gets_a_drop_in_and_its_menu_anew() {
    let mut observed = host(Loader::Grub, &[("/etc/default/grub", GRUB)]);
    let blueprint = system("kernel_parameters: [iommu=pt]");
    let ran = round_trip(&blueprint, &mut observed);
    assert!(ran.contains(&"update-grub".to_owned()), "{ran:?}");
    let files = contents(&mut observed);
    assert_eq!(files["/etc/default/grub"], GRUB);
    assert!(
        files["/etc/default/grub.d/zz-infra.cfg"]
            .ends_with("\nGRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT iommu=pt\"\n"),
        "{files:?}"
    );
}

#[test]
fn what_contradicts_goes_from_grub_and_every_other_byte_stays() {
    let grub = "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet iommu=off  splash\"\r\n# end without a line break";
    let mut observed = host(Loader::Grub, &[("/etc/default/grub", grub)]);
    round_trip(&system("kernel_parameters: [iommu=pt]"), &mut observed);
    let after = &contents(&mut observed)["/etc/default/grub"];
    assert_eq!(after, "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet  splash\"\r\n# end without a line break");
}

#[test]
fn what_a_person_wrote_already_is_not_written_again() {
    let grub = GRUB.replace("quiet", "quiet iommu=pt");
    let mut observed = host(Loader::Grub, &[("/etc/default/grub", &grub)]);
    let blueprint = system("kernel_parameters: [iommu=pt]");
    round_trip(&blueprint, &mut observed);
    assert!(!contents(&mut observed).contains_key("/etc/default/grub.d/zz-infra.cfg"));
}

#[test]
fn what_is_not_declared_any_more_goes_from_the_drop_in() {
    let mut observed = host(Loader::Grub, &[("/etc/default/grub", GRUB)]);
    apply(&plan(&system("kernel_parameters: [iommu=pt, nosmt]"), &observed), &mut observed);
    apply(&plan(&system("kernel_parameters: [nosmt]"), &observed), &mut observed);
    let drop_in = contents(&mut observed)["/etc/default/grub.d/zz-infra.cfg"].clone();
    assert!(drop_in.contains(" nosmt\"") && !drop_in.contains("iommu=pt"), "{drop_in}");
    apply(&plan(&good(), &observed), &mut observed);
    assert!(!contents(&mut observed).contains_key("/etc/default/grub.d/zz-infra.cfg"));
}

#[test]
fn systemd_boot_gets_one_line_and_is_refreshed_by_proxmox_s_tool() {
    let line = "root=ZFS=rpool/ROOT/pve-1 boot=zfs intel_iommu=off\n";
    let mut observed = host(Loader::SystemdBoot, &[("/etc/kernel/cmdline", line), ("/etc/default/grub", GRUB)]);
    let ran = round_trip(&system("kernel_parameters: [iommu=pt]"), &mut observed);
    let files = contents(&mut observed);
    assert_eq!(files["/etc/kernel/cmdline"], "root=ZFS=rpool/ROOT/pve-1 boot=zfs iommu=pt\n");
    assert_eq!(files["/etc/default/grub"], GRUB, "nobody reads that here");
    assert!(ran.contains(&"proxmox-boot-tool refresh".to_owned()) && !ran.contains(&"update-grub".to_owned()));
}

#[test]
fn an_unknown_loader_is_refused_with_what_was_seen() {
    let mut observed = host(Loader::Grub, &[("/etc/default/grub", GRUB)]);
    let signs = vec![Sign { source: "efibootmgr -v".into(), text: "BootCurrent: 0007".into() }];
    machine(&mut observed).boot = Fact::complete(Boot { signs, ..Boot::default() });
    let problems = try_plan(&system("kernel_parameters: [iommu=pt]"), &observed).unwrap_err();
    let problem = problems.iter().next().unwrap();
    assert_eq!(problem.code, "prepare.loader");
    assert!(problem.causes.iter().any(|cause| cause.contains("BootCurrent: 0007")), "{problem:?}");
    // Nobody asked for a parameter: then it is only not known whether one is in the way.
    assert!(plan(&good(), &observed).gaps.iter().any(|gap| gap.addr.to_string() == "kernel_command_line.hq"));
}

#[test]
fn files_that_cannot_be_seen_are_not_written() {
    let mut observed = host(Loader::Grub, &[("/etc/default/grub", GRUB)]);
    machine(&mut observed).config = Fact::unavailable("Permission denied");
    let plan = plan(&system("kernel_parameters: [iommu=pt], modules: [nct6775]"), &observed);
    assert!(plan.steps.iter().all(|step| file_writes(step).is_empty()), "{:?}", plan.steps);
    assert!(plan.gaps.iter().any(|gap| gap.addr.to_string() == "modules.hq"));
}

#[test]
fn hosts_with_passed_gpus_load_vfio_and_no_virqfd() {
    let listed = "# mine\nvfio\nvfio_iommu_type1\nvfio_virqfd\nnct6775";
    let mut observed = host(
        Loader::Grub,
        &[
            ("/etc/default/grub", GRUB),
            ("/etc/modules", "vfio_virqfd\n"),
            ("/etc/modules-load.d/vfio.conf", listed),
            ("/etc/initramfs-tools/modules", "# x\nvfio_virqfd\n"),
        ],
    );
    let ran = round_trip(&good(), &mut observed);
    let files = contents(&mut observed);
    assert_eq!(files["/etc/modules"], "");
    assert_eq!(files["/etc/modules-load.d/vfio.conf"], "# mine\nvfio\nvfio_iommu_type1\nnct6775");
    assert_eq!(files["/etc/initramfs-tools/modules"], "# x\n");
    assert!(files["/etc/modules-load.d/infra.conf"].ends_with("\nvfio_pci\n"), "the rest is listed already");
    assert_eq!(ran.iter().filter(|line| *line == "update-initramfs -u -k all").count(), 1, "{ran:?}");
}

#[test]
fn a_link_among_the_lists_is_left_to_its_target() {
    let mut observed = host(
        Loader::Grub,
        &[
            ("/etc/default/grub", GRUB),
            ("/etc/modules", "vfio_virqfd\n"),
            ("/etc/modules-load.d/modules.conf", "vfio_virqfd\n"),
        ],
    );
    config(&mut observed).files.get_mut("/etc/modules-load.d/modules.conf").unwrap().link = Some("../modules".into());
    let plan = plan(&good(), &observed);
    let written: Vec<String> = plan.steps.iter().flat_map(file_writes).map(|write| write.path).collect();
    assert!(written.contains(&"/etc/modules".to_owned()), "{written:?}");
    assert!(!written.contains(&"/etc/modules-load.d/modules.conf".to_owned()), "{written:?}");
}

#[test]
fn binding_at_boot_names_every_function_of_the_card() {
    let mut observed = host(Loader::Grub, &[("/etc/default/grub", GRUB)]);
    let ran = round_trip(&system("vfio: boot"), &mut observed);
    let text = contents(&mut observed)["/etc/modprobe.d/infra-vfio.conf"].clone();
    assert!(text.contains("options vfio-pci ids=10de:22ba,10de:2684\n"), "{text}");
    assert!(text.contains("softdep nouveau pre: vfio-pci\n") && text.contains("softdep snd_hda_intel pre: vfio-pci\n"));
    assert!(text.contains("softdep somedrm_drv pre: vfio-pci\n"), "whoever holds it now comes later: {text}");
    for function in pci(&mut observed).functions.values_mut() {
        function.driver = Some("vfio-pci".to_owned());
    }
    assert_eq!(plan(&system("vfio: boot"), &observed).changes, [], "who held it before stays said");
    assert!(ran.contains(&"update-initramfs -u -k all".to_owned()));
    // Nobody asks for it any more.
    apply(&plan(&good(), &observed), &mut observed);
    assert!(!contents(&mut observed).contains_key("/etc/modprobe.d/infra-vfio.conf"));
}

#[test]
fn ids_that_somebody_else_binds_stay_bound() {
    let theirs = "options vfio-pci ids=1b21:2142 disable_vga=1\n";
    let mut observed = host(Loader::Grub, &[("/etc/default/grub", GRUB), ("/etc/modprobe.d/vfio.conf", theirs)]);
    round_trip(&system("vfio: boot, arc: 16GiB"), &mut observed);
    let files = contents(&mut observed);
    assert_eq!(
        files["/etc/modprobe.d/vfio.conf"],
        "options vfio-pci ids=1b21:2142,10de:22ba,10de:2684 disable_vga=1\n"
    );
    assert!(!files["/etc/modprobe.d/infra-vfio.conf"].contains("ids="));
}

#[test]
fn a_twin_that_the_host_keeps_is_not_taken_from_it() {
    let mut observed = host(Loader::Grub, &[("/etc/default/grub", GRUB)]);
    let functions = &mut pci(&mut observed).functions;
    let twin = functions[&"0000:01:00.1".parse().unwrap()].clone();
    functions.insert("0000:05:00.1".parse().unwrap(), twin);
    let problems = try_plan(&system("vfio: boot"), &observed).unwrap_err();
    let problem = problems.iter().next().unwrap();
    assert_eq!(problem.code, "prepare.twin");
    assert!(problem.summary.contains("0000:05:00.1"), "{}", problem.summary);
}

#[test]
fn the_limit_of_the_cache_is_set_where_it_was_set_before_and_at_once() {
    let theirs = "# by the installer\noptions zfs zfs_arc_max=6710886400\n";
    let mut observed = host(Loader::Grub, &[("/etc/default/grub", GRUB), ("/etc/modprobe.d/zfs.conf", theirs)]);
    let blueprint = system("arc: 16GiB");
    let planned = plan(&blueprint, &observed);
    let limit = planned.changes.iter().find(|change| change.addr.to_string() == "arc_limit.hq").unwrap();
    assert_eq!(limit.action, Action::Update);
    let ran = round_trip(&blueprint, &mut observed);
    assert!(ran.contains(&"sh -c echo 17179869184 > /sys/module/zfs/parameters/zfs_arc_max".to_owned()), "{ran:?}");
    let files = contents(&mut observed);
    assert_eq!(files["/etc/modprobe.d/zfs.conf"], "# by the installer\noptions zfs zfs_arc_max=17179869184\n");
    assert!(!files.contains_key("/etc/modprobe.d/infra-zfs.conf"));
}

#[test]
fn settings_and_packages_are_brought_about_and_read_back() {
    let mut observed = host(Loader::Grub, &[("/etc/default/grub", GRUB)]);
    let ran = round_trip(&system("sysctl: { vm.swappiness: 10 }, packages: [lm-sensors]"), &mut observed);
    assert!(contents(&mut observed)["/etc/sysctl.d/99-zz-infra.conf"].ends_with("\nvm.swappiness = 10\n"));
    assert!(ran.contains(&"sysctl -p /etc/sysctl.d/99-zz-infra.conf".to_owned()), "{ran:?}");
    let install = ran.iter().find(|line| line.contains("apt-get install")).unwrap();
    assert!(install.contains("--no-remove") && install.ends_with("lm-sensors"), "{install}");
}

#[test]
fn a_run_that_ended_before_the_refresh_is_gone_on_with() {
    let mut observed = host(Loader::Grub, &[("/etc/default/grub", GRUB)]);
    let blueprint = system("kernel_parameters: [iommu=pt], vfio: boot");
    apply(&plan(&blueprint, &observed), &mut observed);
    let unfinished =
        BTreeSet::from([StepId("kernel_command_line.hq/write".into()), StepId("modprobe.hq/write".into())]);
    let scope = hosts();
    let again = build(&request(&blueprint, &observed, &scope, &unfinished)).unwrap();
    let ran = apply(&again, &mut observed.clone());
    assert!(
        ran.contains(&"update-grub".to_owned()) && ran.contains(&"update-initramfs -u -k all".to_owned()),
        "{ran:?}"
    );
}

/// The state of a run in which every step of a plan was done.
fn done(plan: &Plan) -> RunState {
    let mut state = RunState::default();
    for step in &plan.steps {
        for what in [
            What::StepStarted { step: step.id.clone() },
            What::StepFinished { step: step.id.clone(), outcome: crate::event::Outcome::Done },
        ] {
            state.apply(&Event { at: jiff::Timestamp::UNIX_EPOCH, what });
        }
    }
    state
}

#[test]
fn a_run_is_taken_back_byte_for_byte_and_only_once() {
    let grub = GRUB.replace("quiet", "quiet iommu=off");
    let mut observed = host(Loader::Grub, &[("/etc/default/grub", &grub), ("/etc/modules", "a\r\nvfio_virqfd")]);
    let before = contents(&mut observed);
    let blueprint = system("kernel_parameters: [iommu=pt], vfio: boot, sysctl: { vm.swappiness: 10 }");
    let first = plan(&blueprint, &observed);
    let kept = observed.clone();
    apply(&first, &mut observed);
    let state = done(&first);
    let (earlier, scope) = (Earlier { plan: &first, state: &state }, hosts());
    let nothing = BTreeSet::new();
    let back = take_back(&request(&blueprint, &observed, &scope, &nothing), &earlier).unwrap();
    // The copies that the first run kept are on the host still.
    let keep: Vec<Op> =
        first.steps.iter().filter(|step| step.id.0.ends_with("/keep")).flat_map(|s| s.ops.clone()).collect();
    let mut there = kept;
    let ops: Vec<Op> =
        keep.into_iter().chain(first.steps.iter().chain(&back.steps).flat_map(|step| step.ops.clone())).collect();
    let ran = carry_out(&ops, &mut there);
    assert_eq!(contents(&mut there), before);
    assert_eq!(ran.iter().filter(|line| *line == "update-grub").count(), 2, "{ran:?}");
    assert_eq!(ran.iter().filter(|line| *line == "update-initramfs -u -k all").count(), 2, "{ran:?}");
    let again = take_back(&request(&blueprint, &there, &scope, &nothing), &earlier).unwrap();
    assert!(again.steps.is_empty(), "{:?}", again.steps);
}

#[test]
fn a_file_that_somebody_changed_since_is_not_put_back() {
    let mut observed = host(Loader::Grub, &[("/etc/default/grub", GRUB)]);
    let blueprint = system("kernel_parameters: [iommu=pt]");
    let first = plan(&blueprint, &observed);
    apply(&first, &mut observed);
    let state = done(&first);
    config(&mut observed).files.get_mut("/etc/default/grub.d/zz-infra.cfg").unwrap().content.push_str("# mine\n");
    let scope = hosts();
    let nothing = BTreeSet::new();
    let refused =
        take_back(&request(&blueprint, &observed, &scope, &nothing), &Earlier { plan: &first, state: &state });
    assert_eq!(refused.unwrap_err().iter().next().unwrap().code, "rollback.changed-since");
}

#[test]
fn a_reboot_is_due_for_what_the_running_kernel_lacks() {
    let mut observed = host(Loader::Grub, &[("/etc/default/grub", GRUB)]);
    let blueprint = system("kernel_parameters: [iommu=pt], vfio: boot");
    apply(&plan(&blueprint, &observed), &mut observed);
    let hq = &blueprint.hosts[&"hq".parse().unwrap()];
    let reasons = pending(&blueprint, hq, &observed);
    assert!(reasons[0].contains("without `iommu=pt`"), "{reasons:?}");
    config(&mut observed).files.get_mut("/etc/modprobe.d/infra-vfio.conf").unwrap().modified = 2000;
    assert!(pending(&blueprint, hq, &observed)[1].contains("after the host was booted"));
    let Fact::Complete { value: kernel } = &mut machine(&mut observed).kernel else { panic!() };
    kernel.command_line = vec!["quiet".into(), "iommu=pt".into(), "intel_iommu=off".into()];
    let Fact::Complete { value: boot } = &mut machine(&mut observed).boot else { panic!() };
    boot.booted_at = 3000;
    let reasons = pending(&blueprint, hq, &observed);
    assert_eq!(reasons.len(), 1, "{reasons:?}");
    assert!(reasons[0].contains("with `intel_iommu=off`"), "{reasons:?}");
    assert!(pending(&blueprint, hq, &Observed::default()).is_empty());
}

#[test]
fn every_file_that_is_written_can_be_put_back() {
    let observed = host(Loader::Grub, &[("/etc/default/grub", GRUB), ("/etc/modules", "vfio_virqfd\n")]);
    let plan =
        plan(&system("kernel_parameters: [iommu=pt], vfio: boot, arc: 1GiB, sysctl: { vm.swappiness: 1 }"), &observed);
    let put: BTreeSet<String> = plan
        .steps
        .iter()
        .flat_map(|step| &step.ops)
        .filter_map(|op| if let Op::PutFile { path, .. } = op { Some(path.clone()) } else { None })
        .collect();
    let writes: Vec<_> = plan.steps.iter().flat_map(file_writes).collect();
    assert_eq!(writes.iter().map(|write| write.path.clone()).collect::<BTreeSet<_>>(), put);
    let digest = Sha256::digest("vfio_virqfd\n").iter().map(|byte| format!("{byte:02x}")).collect();
    let modules = writes.iter().find(|write| write.path == "/etc/modules").unwrap();
    assert_eq!(modules.before, FileState::Content(digest));
}
