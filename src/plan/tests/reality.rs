//! Plans that ask for more than a host has, or get in the way of what is there.

use super::*;
use crate::model::observed::StorageEntry;

const GIB: u64 = 1 << 30;

/// A host whose storage for guests is of a kind, with so much free of so much.
fn host_with(kind: &str, options: &[(&str, &str)], free_gib: u64, total_gib: u64) -> Observed {
    let mut observed = bare();
    let name: crate::model::StorageName = "local-zfs".parse().unwrap();
    let storage = value(&mut host(&mut observed).storages).get_mut(&name).unwrap();
    (storage.kind, storage.available, storage.total) = (kind.to_owned(), free_gib * GIB, total_gib * GIB);
    let options = options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let entry = StorageEntry { kind: kind.to_owned(), options };
    host(&mut observed).storage_entries = Fact::complete(BTreeMap::from([(name, entry)]));
    observed
}

fn notes(observed: &Observed) -> String {
    plan(&blueprint(|yaml| yaml), observed).notes.join("\n")
}

fn refusal(observed: &Observed) -> String {
    try_plan(&blueprint(|yaml| yaml), observed, |_| {}).unwrap_err()
}

#[test]
fn storage_space_of_thick_disks_is_refused_with_numbers_and_place() {
    let refused = refusal(&host_with("zfspool", &[("pool", "rpool/data")], 150, 900));
    assert!(refused.contains("plan.storage-space: storage `local-zfs` of `hq` has 150GiB free"), "{refused}");
    assert!(refused.contains("disks that take 200GiB at once"), "only the VM's; {refused}");
    assert!(refused.contains("pvesm set local-zfs --sparse 1"), "{refused}");
    // On LVM the container's disk is thick, too.
    let refused = refusal(&host_with("lvm", &[("vgname", "pve")], 150, 900));
    assert!(refused.contains("disks that take 220GiB at once"), "{refused}");
    let blueprint = blueprint(|yaml| yaml);
    let problems = build(&Request {
        blueprint: &blueprint,
        observed: &host_with("lvm", &[], 150, 900),
        memory: &Memory::new(),
        scope: &Scope::default(),
        allowed: &Default::default(),
        unfinished: &BTreeSet::new(),
    })
    .unwrap_err();
    let problem = problems.iter().find(|problem| problem.code == "plan.storage-space").unwrap();
    let vm = &blueprint.guests[&"plan-hq".parse().unwrap()];
    assert_eq!(problem.primary.as_ref().unwrap().span, vm.span_of("disk"));
    assert_eq!(problem.related.len(), 1, "the container's disk");
}

#[test]
fn storage_space_that_is_thin_is_a_note_and_enough_is_no_word() {
    for (kind, options) in [("zfspool", vec![("sparse", "1")]), ("lvmthin", vec![]), ("dir", vec![])] {
        let said = notes(&host_with(kind, &options, 150, 900));
        assert!(said.contains("has 150GiB free, and the disks of this plan may grow to 220GiB"), "{kind}: {said}");
        assert!(!notes(&host_with(kind, &options, 221, 900)).contains("free"), "{kind}");
    }
    assert!(!notes(&host_with("zfspool", &[("pool", "x")], 221, 900)).contains("free"));
    // Whether it is sparse is not known without SSH: then nothing is refused.
    let mut unknown = host_with("zfspool", &[], 150, 900);
    host(&mut unknown).storage_entries = Fact::unavailable("no SSH");
    assert!(notes(&unknown).contains("may grow to 220GiB"));
}

#[test]
fn storage_space_smaller_than_one_disk_is_refused_however_thin() {
    let refused = refusal(&host_with("lvmthin", &[], 90, 100));
    assert!(refused.contains("the disk of `plan-hq` is larger than all of storage `local-zfs` of `hq`"), "{refused}");
}

#[test]
fn storage_space_of_what_is_there_already_is_not_asked_for_again() {
    let blueprint = blueprint(|yaml| yaml);
    let mut observed = applied(&blueprint);
    let name: crate::model::StorageName = "local-zfs".parse().unwrap();
    value(&mut host(&mut observed).storages).get_mut(&name).unwrap().available = GIB;
    assert!(!plan(&blueprint, &observed).notes.join("\n").contains("free"));
    let larger = super::blueprint(|yaml| yaml.replace("disk: 20GiB", "disk: 30GiB"));
    let said = plan(&larger, &observed).notes.join("\n");
    assert!(said.contains("has 1GiB free, and the disks of this plan may grow to 10GiB"), "{said}");
}

/// A guest that is not of the inventory.
fn foreign(observed: &mut Observed, vmid: &str, status: Power, memory: Option<u64>) {
    let listing = GuestListing {
        kind: GuestKind::Qemu,
        node: "hq".parse().unwrap(),
        name: Some("theirs".into()),
        status,
        tags: Vec::new(),
        pool: None,
        lock: None,
        template: false,
        memory,
    };
    value(&mut site(observed).guests).insert(vmid.parse().unwrap(), listing);
}

fn host_memory(gib: u64) -> Observed {
    let mut observed = bare();
    *value(&mut site(&mut observed).node_memory) = BTreeMap::from([("hq".parse().unwrap(), gib * GIB)]);
    observed
}

#[test]
fn host_memory_that_is_promised_twice_is_noted_with_numbers() {
    assert!(!notes(&host_memory(36)).contains("memory"), "32 and 4 GiB fit into 36 exactly");
    let said = notes(&host_memory(35));
    assert!(said.contains("guests of `hq` may take 36GiB of memory, and it has 35GiB"), "{said}");
    assert!(said.contains("`plan-hq` 32GiB; `proj-x` 4GiB"), "{said}");
    // Somebody else's guest counts while it runs.
    let mut observed = host_memory(40);
    foreign(&mut observed, "900", Power::Stopped, Some(8 * GIB));
    assert!(!notes(&observed).contains("memory"));
    foreign(&mut observed, "900", Power::Running, Some(8 * GIB));
    let said = notes(&observed);
    assert!(said.contains("may take 44GiB of memory, and it has 40GiB"), "{said}");
    assert!(said.contains("900 (theirs) 8"), "{said}");
    // What is not known is not counted, and a host that nobody may audit is not judged.
    foreign(&mut observed, "900", Power::Running, None);
    assert!(!notes(&observed).contains("memory"));
    site(&mut observed).node_memory = Fact::unavailable("403");
    assert!(!notes(&observed).contains("memory"));
    // A plan that changes no guest says nothing of them.
    let blueprint = blueprint(|yaml| yaml);
    let mut done = applied(&blueprint);
    *value(&mut site(&mut done).node_memory) = BTreeMap::from([("hq".parse().unwrap(), GIB)]);
    assert!(plan(&blueprint, &done).notes.is_empty());
}

#[test]
fn host_memory_that_passthrough_pins_beyond_what_there_is_is_refused_at_its_place() {
    let refused = refusal(&host_memory(31));
    assert!(
        refused.contains(
            "plan.host-memory: VMs with passthrough take 32GiB of the memory of `hq` at once, and it has 31GiB"
        ),
        "{refused}"
    );
    let without = blueprint(|yaml| yaml.replace("    gpus: [rtx4090]\n", ""));
    assert!(plan(&without, &host_memory(31)).notes.join("\n").contains("may take 36GiB"), "only promised");
    let stopped = blueprint(|yaml| yaml.replace("    gpus: [rtx4090]\n", "    gpus: [rtx4090]\n    state: stopped\n"));
    assert!(try_plan(&stopped, &host_memory(31), |_| {}).is_ok(), "it takes nothing while it is off");
}

#[test]
fn guest_names_that_another_guest_has_are_noted() {
    let mut observed = bare();
    let listing = GuestListing {
        kind: GuestKind::Qemu,
        node: "hq".parse().unwrap(),
        name: Some("proj-x".into()),
        status: Power::Running,
        tags: Vec::new(),
        pool: None,
        lock: None,
        template: false,
        memory: None,
    };
    value(&mut site(&mut observed).guests).insert("200".parse().unwrap(), listing);
    assert!(notes(&observed).contains("200 on node hq is called `proj-x`, too"));
    assert!(!notes(&bare()).contains("called"));
}

#[test]
fn snapshots_in_the_way_of_a_larger_disk_are_noted() {
    let before = blueprint(|yaml| yaml);
    let mut observed = applied(&before);
    let larger = blueprint(|yaml| yaml.replace("disk: 20GiB", "disk: 30GiB"));
    assert!(!plan(&larger, &observed).notes.join("\n").contains("snapshots"));
    let config = site(&mut observed).configs.get_mut(&"104".parse().unwrap()).unwrap();
    value(config).current.insert("parent".into(), "before-upgrade".into());
    let said = plan(&larger, &observed).notes.join("\n");
    assert!(said.contains("ct.proj-x has snapshots, the last of them `before-upgrade`"), "{said}");
    assert!(said.contains("gives its disk the old size again"), "{said}");
    assert!(plan(&before, &observed).notes.is_empty());
}

/// Why the container is not planned while its configuration carries this lock and these tasks run.
fn locked(lock: &str, tasks: Fact<Vec<crate::model::Upid>>) -> String {
    let before = blueprint(|yaml| yaml);
    let mut observed = applied(&before);
    config(&mut observed, 104).current.insert("lock".into(), lock.into());
    site(&mut observed).tasks = tasks;
    assert!(plan(&before, &observed).gaps.is_empty(), "a lock is nobody's business where nothing changes");
    let larger = blueprint(|yaml| yaml.replace("memory: 4GiB", "memory: 6GiB"));
    let plan = plan(&larger, &observed);
    assert!(plan.steps.iter().all(|step| step.addr != addr("ct.proj-x")), "a locked guest is not touched");
    plan.gaps.iter().find(|gap| gap.addr == addr("ct.proj-x")).unwrap().why.clone()
}

#[test]
fn lock_that_nothing_holds_is_said_with_the_command_that_takes_it_off() {
    let why = locked("backup", Fact::complete(Vec::new()));
    assert!(why.contains("locked (backup)") && why.contains("one was cut off: on `hq`: `pct unlock 104`"), "{why}");
    let unseen = Fact::Partial { value: Vec::new(), why: "lacks Sys.Audit".to_owned() };
    let why = locked("snapshot", unseen);
    assert!(why.contains("not known (lacks Sys.Audit)") && why.contains("if there is none, on `hq`"), "{why}");
    let why = locked("mounted", Fact::complete(Vec::new()));
    assert!(why.contains("`pct unmount 104`") && !why.contains("unlock"), "{why}");
}

#[test]
fn lock_of_a_backup_of_several_guests_is_waited_for() {
    let task = |node: &str, id: &str| {
        let upid = format!("UPID:{node}:00000A9D:0002E02F:6B01699F:vzdump:{id}:root@pam:");
        Fact::complete(vec![upid.parse().unwrap()])
    };
    let why = locked("backup", task("hq", ""));
    assert!(why.contains("vzdump runs on hq") && !why.contains("unlock"), "{why}");
    for elsewhere in [task("a2", ""), task("hq", "200")] {
        assert!(locked("backup", elsewhere).contains("`pct unlock 104`"));
    }
    assert!(locked("snapshot", task("hq", "")).contains("`pct unlock 104`"), "a backup takes no such lock");
}
