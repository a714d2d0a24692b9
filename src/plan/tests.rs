//! Plans of a small inventory against hosts in every state that matters.

mod hosts;
mod reality;
mod scene;

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::blueprint::{Blueprint, resolve};
use crate::inventory::{InventoryFiles, Layer, SourceFile, load};
use crate::model::change::{Action, FieldValue, Risk, Via};
use crate::model::guard::GuardAct;
use crate::model::observed::{
    ClusterFirewall, Dataset, Fact, File, FirewallAlias, FirewallRule, GuestConfig, GuestFirewall, GuestKind,
    GuestListing, Host, IpSetEntry, Observed, PciDevice, PciMapping, Power, Site, Storage, Volume,
};
use crate::model::step::{Op, StepId};
use crate::model::{Addr, Vmid};
use crate::ports::Method;
use crate::proxmox::options::Options;
use crate::resources::{Allowed, Ways};
use scene::*;

#[test]
fn bare_host_gets_everything_in_an_order_that_works() {
    let blueprint = blueprint(|text| text);
    let plan = plan(&blueprint, &bare());
    assert!(plan.changes.iter().all(|change| change.action == Action::Create));
    let kinds: BTreeSet<_> = plan.changes.iter().map(|change| change.addr.kind).collect();
    assert_eq!(
        kinds.len(),
        crate::resources::KINDS.len() - 5,
        "every kind takes part but routes and zones, which need their programs there, and a tailnet's policy and \
         devices and names in an OPNsense, which it has not"
    );
    let at = |id: &str| plan.steps.iter().position(|step| step.id.0 == id).unwrap_or_else(|| panic!("no step {id}"));
    assert!(at("guest_firewall.plan-hq/set") < at("vm.plan-hq/start"), "no guest runs before its firewall is set");
    assert!(at("pci_mapping.hq:rtx4090/create") < at("vm.plan-hq/create"));
    assert!(at("dataset.hq:rpool/containers/create") < at("dataset.hq:rpool/containers/proj-x/create"));
    assert!(at("dataset.hq:rpool/containers/proj-x/create") < at("ct.proj-x/root"));
    assert!(at("ct.proj-x/root") < at("ct.proj-x/start"));
    let via = |of: &str| plan.changes.iter().find(|change| change.addr == addr(of)).unwrap().via;
    assert_eq!((via("vm.plan-hq"), via("ct.proj-x")), (Via::Api, Via::ApiAndSsh));
    assert_eq!(via("dataset.hq:rpool/containers/proj-x"), Via::Ssh);
}

#[test]
fn what_is_as_it_should_be_is_not_touched() {
    let blueprint = blueprint(|text| text);
    let plan = plan(&blueprint, &applied(&blueprint));
    assert_eq!(plan.changes, [], "nothing differs");
    assert_eq!(plan.steps, []);
}

#[test]
fn memory_of_one_guest_is_one_change() {
    let before = blueprint(|text| text);
    let observed = applied(&before);
    let container = blueprint(|text| text.replace("memory: 4GiB", "memory: 6GiB"));
    let plan_ct = plan(&container, &observed);
    assert_eq!(changes(&plan_ct), [("ct.proj-x".to_owned(), Action::Update)]);
    assert_eq!(plan_ct.changes[0].fields[0].from, FieldValue::Text("4096 MiB".into()));
    let vm = blueprint(|text| text.replace("memory: 32GiB", "memory: 48GiB"));
    let plan_vm = plan(&vm, &observed);
    assert_eq!(changes(&plan_vm), [("vm.plan-hq".to_owned(), Action::Restart)]);
    assert_eq!(plan_vm.changes[0].risk, Risk::Downtime);
    assert!(plan_vm.changes[0].reason.contains("memory"), "{}", plan_vm.changes[0].reason);
}

#[test]
fn drift_is_told_from_intent() {
    let blueprint = blueprint(|text| text);
    let mut observed = applied(&blueprint);
    let memory = plan(&blueprint, &observed).memory;
    config(&mut observed, 104).current.insert("memory".into(), "6144".into());
    let plan = try_plan(&blueprint, &observed, |asked| asked.memory.clone_from(&memory)).unwrap();
    assert_eq!(plan.summary().drift, 1);
    let field = &plan.changes[0].fields[0];
    assert_eq!((field.path.as_str(), field.drift), ("memory", true));
    assert_eq!((field.from.to_string(), field.to.to_string()), ("6144 MiB".into(), "4096 MiB".into()));
}

#[test]
fn foreign_vmid_is_refused_and_named() {
    let blueprint = blueprint(|text| text);
    let mut observed = applied(&blueprint);
    value(&mut site(&mut observed).guests).get_mut(&104.try_into().unwrap()).unwrap().tags.clear();
    config(&mut observed, 104).current.remove("description");
    let refused = try_plan(&blueprint, &observed, |_| {}).unwrap_err();
    assert!(refused.contains("plan.foreign-vmid: vmid 104 is taken: a container, `proj-x`"), "{refused}");
    assert!(refused.contains("give it the tag `infra-test`"), "{refused}");
}

#[test]
fn number_of_another_guest_of_ours_is_not_taken_over() {
    let observed = applied(&blueprint(|text| text));
    let renamed = blueprint(|text| text.replace("  proj-x:", "  proj-z:"));
    let refused = try_plan(&renamed, &observed, |_| {}).unwrap_err();
    assert!(refused.contains("plan.vmid-of-another: vmid 104 belongs to `test/ct.proj-x`"), "{refused}");
}

#[test]
fn target_takes_what_it_needs_with_it() {
    let blueprint = blueprint(|text| text);
    let plan = try_plan(&blueprint, &bare(), |asked| {
        asked.scope.targets.insert(addr("ct.proj-x"));
    })
    .unwrap();
    let kinds: Vec<String> = plan.changes.iter().map(|change| change.addr.to_string()).collect();
    for needed in
        ["pool.hq:test", "image.hq:debian", "dataset.hq:rpool/containers/proj-x", "firewall_group.hq:project-ct"]
    {
        assert!(kinds.iter().any(|kind| kind == needed), "{needed}: {kinds:?}");
    }
    // Its name for an address belongs to the set of all guests, from which this one is set apart.
    let other = |kind: &String| kind.contains("plan-hq") && !kind.starts_with("firewall_");
    assert!(!kinds.iter().any(other), "{kinds:?}");
}

#[test]
fn missing_storage_bridge_and_quorum_are_known_before() {
    let blueprint = blueprint(|text| text);
    let mut observed = bare();
    value(&mut host(&mut observed).storages).get_mut(&"local-zfs".parse().unwrap()).unwrap().content.clear();
    assert!(try_plan(&blueprint, &observed, |_| {}).unwrap_err().contains("plan.storage-content"));
    let mut observed = bare();
    value(&mut host(&mut observed).bridges).clear();
    assert!(try_plan(&blueprint, &observed, |_| {}).unwrap_err().contains("plan.no-such-bridge"));
    let mut observed = bare();
    site(&mut observed).quorate = Fact::complete(false);
    let problems = try_plan(&blueprint, &observed, |_| {}).unwrap_err();
    assert!(problems.contains("plan.no-quorum") && problems.contains("cluster not ready - no quorum?"), "{problems}");
}

#[test]
fn saved_plan_is_what_would_be_done_now_or_refused() {
    let before = blueprint(|text| text);
    let observed = applied(&before);
    let wanted = blueprint(|text| text.replace("quota: 20GiB", "quota: 30GiB"));
    let mut saved = plan(&wanted, &observed);
    if let Op::Exec { argv } = &mut saved.steps[0].ops[0] {
        argv.push("rpool/somebody-else".into());
    }
    let moved = stale(&saved, &plan(&wanted, &observed));
    assert!(moved[0].what.contains("done differently"), "{moved:?}");
}

#[test]
fn losing_the_tag_is_drift_and_not_disownment() {
    let blueprint = blueprint(|text| text);
    let mut observed = applied(&blueprint);
    value(&mut site(&mut observed).guests).get_mut(&104.try_into().unwrap()).unwrap().tags.clear();
    config(&mut observed, 104).current.remove("tags");
    assert_eq!(changes(&plan(&blueprint, &observed)), [("ct.proj-x".to_owned(), Action::Update)]);
}

#[test]
fn from_a_partial_observation_nothing_is_created_or_removed() {
    let blueprint = blueprint(|text| text);
    let mut observed = bare();
    let guests = Fact::Partial { value: BTreeMap::new(), why: "node pve2 does not answer".into() };
    site(&mut observed).guests = guests;
    let plan = plan(&blueprint, &observed);
    assert!(!plan.changes.iter().any(|c| c.addr == addr("ct.proj-x") || c.addr == addr("vm.plan-hq")));
    assert!(plan.gaps.iter().any(|gap| gap.addr == addr("ct.proj-x") && gap.why.contains("pve2")), "{:?}", plan.gaps);
}

#[test]
fn guest_is_not_made_while_what_it_needs_is_unknown() {
    let blueprint = blueprint(|text| text);
    let mut observed = bare();
    host(&mut observed).datasets = Fact::unavailable("no SSH");
    let plan = plan(&blueprint, &observed);
    let gap = plan.gaps.iter().find(|gap| gap.addr == addr("ct.proj-x")).unwrap();
    assert!(gap.why.contains("dataset."), "{}", gap.why);
    assert!(plan.changes.iter().any(|change| change.addr == addr("vm.plan-hq")), "the rest still plans");
}

#[test]
fn orphan_is_reported_and_left_alone() {
    let with = blueprint(|text| text);
    let observed = applied(&with);
    let without = blueprint(|text| text.split("  proj-x:").next().unwrap().to_owned());
    let plan = plan(&without, &observed);
    assert_eq!(
        plan.orphans.iter().map(|o| o.addr.to_string()).collect::<Vec<_>>(),
        [
            "ct.proj-x",
            "firewall_alias.hq:infra_test_proj-x",
            "firewall_group.hq:project-ct",
            "dataset.hq:rpool/containers",
            "dataset.hq:rpool/containers/proj-x"
        ]
    );
    assert_eq!(changes(&plan), [("firewall_ipset.hq:infra_test_guests".to_owned(), Action::Update)]);
    let run = |allow: &[&str]| {
        teardown(&Request {
            blueprint: &without,
            observed: &observed,
            memory: &Memory::new(),
            scope: &Scope { targets: [addr("ct.proj-x")].into(), ..Scope::default() },
            allowed: &Allowed { destroy: allow.iter().map(|a| addr(a)).collect(), ..Allowed::default() },
            unfinished: &BTreeSet::new(),
        })
        .map_err(said)
    };
    assert!(run(&[]).unwrap_err().contains("--allow-destroy ct.proj-x"));
    assert_eq!(changes(&run(&["ct.proj-x"]).unwrap()), [("ct.proj-x".to_owned(), Action::Destroy)]);
}

#[test]
fn renumbered_card_is_mapped_anew() {
    let blueprint = blueprint(|text| text);
    let mut observed = applied(&blueprint);
    for device in value(&mut host(&mut observed).pci) {
        device.address = device.address.to_string().replace("01:00", "02:00").parse().unwrap();
        device.iommu_group = Some(17);
    }
    let plan = plan(&blueprint, &observed);
    assert_eq!(changes(&plan), [("pci_mapping.hq:rtx4090".to_owned(), Action::Update)]);
    assert!(plan.changes[0].fields[0].to.to_string().contains("iommugroup=17"));
}

#[test]
fn gpu_that_is_not_there_or_twice_or_without_iommu_is_refused() {
    let blueprint = blueprint(|text| text);
    let refusal = |edit: fn(&mut Vec<PciDevice>)| {
        let mut observed = bare();
        edit(value(&mut host(&mut observed).pci));
        try_plan(&blueprint, &observed, |_| {}).unwrap_err()
    };
    assert!(refusal(|devices| devices.clear()).contains("plan.gpu-not-found"));
    assert!(refusal(|devices| devices[0].iommu_group = None).contains("plan.no-iommu"));
    let twice = refusal(|devices| {
        let mut twin = devices[0].clone();
        twin.address = "0000:41:00.0".parse().unwrap();
        devices.push(twin);
    });
    assert!(twice.contains("plan.gpu-ambiguous") && twice.contains("0000:41:00.0"), "{twice}");
}

#[test]
fn mount_point_change_never_recreates_a_container() {
    let observed = applied(&blueprint(|text| text));
    let moved = blueprint(|text| text.replace("mount: /workspace", "mount: /work"));
    let plan = plan(&moved, &observed);
    assert_eq!(changes(&plan), [("ct.proj-x".to_owned(), Action::Restart)]);
    let commands: Vec<String> = plan
        .steps
        .iter()
        .flat_map(|step| &step.ops)
        .filter_map(|op| if let Op::Exec { argv } = op { Some(argv.join(" ")) } else { None })
        .collect();
    assert_eq!(
        commands,
        ["pct set 104 --mp1 /rpool/containers/proj-x,mp=/work", "pct set 104 --delete mp0"],
        "the new mount gets a key of its own, since the old one is still in use"
    );
}

#[test]
fn disk_grows_in_place_and_never_shrinks() {
    let observed = applied(&blueprint(|text| text));
    let grown = plan(&blueprint(|text| text.replace("disk: 20GiB", "disk: 40GiB")), &observed);
    assert_eq!(changes(&grown), [("ct.proj-x".to_owned(), Action::Update)]);
    let shrunk = try_plan(&blueprint(|text| text.replace("disk: 20GiB", "disk: 10GiB")), &observed, |_| {});
    assert!(shrunk.unwrap_err().contains("plan.disk-shrink"));
}

#[test]
fn replacement_is_refused_unless_allowed_by_name() {
    let moved = blueprint(|text| text.replace("    disk: 20GiB", "    disk: 20GiB\n    storage: tank"));
    let observed = applied(&blueprint(|text| text));
    let refused = try_plan(&moved, &observed, |_| {}).unwrap_err();
    assert!(refused.contains("--allow-replace ct.proj-x"), "{refused}");
    let allowed = try_plan(&moved, &observed, |asked| {
        asked.allowed.replace.insert(addr("ct.proj-x"));
    })
    .unwrap();
    assert_eq!(allowed.changes[0].action, Action::Replace);
    assert_eq!(allowed.changes[0].risk, Risk::DataLoss);
    let at = |id: &str| allowed.steps.iter().position(|step| step.id.0 == id).unwrap();
    assert!(at("ct.proj-x/create") < at("guest_firewall.proj-x/set"), "its firewall file goes with the old guest");
    assert!(at("guest_firewall.proj-x/set") < at("ct.proj-x/start"));
}

#[test]
fn taking_over_an_object_is_no_licence_to_replace_or_destroy_it() {
    let moved = blueprint(|text| text.replace("    disk: 20GiB", "    disk: 20GiB\n    storage: tank"));
    let goal = blueprint(|text| text);
    let observed = applied(&goal);
    let ct = || [addr("ct.proj-x")].into();
    let planned = |allowed: Allowed| try_plan(&moved, &observed, |asked| asked.allowed = allowed.clone());
    assert!(planned(Allowed { take_over: ct(), ..Allowed::default() }).unwrap_err().contains("plan.needs-replacement"));
    assert!(planned(Allowed { replace: ct(), ..Allowed::default() }).is_ok());
    assert!(planned(Allowed { destroy: ct(), ..Allowed::default() }).is_ok(), "whose data may go may be made anew");
    for allowed in [Allowed { take_over: ct(), ..Allowed::default() }, Allowed { replace: ct(), ..Allowed::default() }]
    {
        let refused = teardown(&Request {
            blueprint: &goal,
            observed: &observed,
            memory: &Memory::new(),
            scope: &Scope { targets: ct(), ..Scope::default() },
            allowed: &allowed,
            unfinished: &BTreeSet::new(),
        });
        assert!(refused.map_err(said).unwrap_err().contains("plan.destroy-not-allowed"));
    }
    let named = |text: &str| BTreeSet::from([addr(text)]);
    let all = Allowed {
        destroy: named("firewall_group.hq:project-ct"),
        replace: named("dataset.hq:rpool/x"),
        take_over: named("ct.proj-x"),
    };
    let flags: Vec<&str> = all.pointless().map(|(flag, _)| flag).collect();
    assert_eq!(flags, ["--allow-destroy", "--allow-replace", "--take-over"]);
    let fine = Allowed {
        destroy: named("dataset.hq:rpool/x"),
        replace: named("vm.plan-hq"),
        take_over: named("tailnet_policy.test"),
    };
    assert_eq!(fine.pointless().count(), 0);
}

#[test]
fn what_a_foreign_firewall_names_is_not_removed() {
    let goal = blueprint(|text| text);
    let mut observed = applied(&goal);
    let group = addr("firewall_group.hq:project-ct");
    let own = GuestFirewall {
        rules: vec![FirewallRule(
            [("type", "group"), ("action", "project-ct")].map(|(k, v)| (k.into(), v.into())).into(),
        )],
        ..GuestFirewall::default()
    };
    let run = |observed: &Observed, targets: &[&Addr]| {
        let destroy = ["vm.plan-hq", "ct.proj-x", "dataset.hq:rpool/containers/proj-x"].map(addr).into();
        teardown(&Request {
            blueprint: &goal,
            observed,
            memory: &Memory::new(),
            scope: &Scope { targets: targets.iter().map(|addr| (*addr).clone()).collect(), ..Scope::default() },
            allowed: &Allowed { destroy, ..Allowed::default() },
            unfinished: &BTreeSet::new(),
        })
        .map_err(said)
    };
    // That of our own guest goes with the guest.
    value(&mut site(&mut observed).firewall_files).insert("/etc/pve/firewall/104.fw".to_owned(), own.clone());
    let whole = run(&observed, &[]).unwrap();
    assert!(whole.changes.iter().any(|change| change.addr == group) && whole.gaps.is_empty(), "{:#?}", whole.gaps);
    let alone = run(&observed, &[&group]).unwrap_err();
    assert!(alone.contains("plan.firewall-in-use") && alone.contains("the firewall of guest 104"), "{alone}");
    // That of a stranger stays, and so does the group.
    let stranger = GuestListing { tags: Vec::new(), ..site_guest(&observed) };
    value(&mut site(&mut observed).guests).insert(900.try_into().unwrap(), stranger);
    value(&mut site(&mut observed).firewall_files).insert("/etc/pve/firewall/900.fw".to_owned(), own);
    let whole = run(&observed, &[]).unwrap();
    assert!(whole.changes.iter().all(|change| change.addr != group));
    assert!(whole.gaps.iter().any(|gap| gap.addr == group && gap.why.contains("guest 900")), "{:#?}", whole.gaps);
    site(&mut observed).firewall_files = Fact::unavailable("no SSH");
    assert!(run(&observed, &[&group]).unwrap_err().contains("plan.firewall-use-unknown"));
}

fn site_guest(observed: &Observed) -> GuestListing {
    observed.sites["hq"].guests.value().unwrap().values().next().unwrap().clone()
}

/// How a step begins and ends.
fn is_guarded(plan: &Plan, id: &str) -> bool {
    let step = plan.steps.iter().find(|step| step.id.0 == id).unwrap_or_else(|| panic!("{id}: {:#?}", plan.steps));
    let undo = if let crate::model::step::Undo::Ops { ops } = &step.undo { ops } else { panic!("{:?}", step.undo) };
    let guarded =
        |ops: &[Op]| matches!(ops, [Op::Guard { act: GuardAct::Arm, .. }, .., Op::Guard { act: GuardAct::Disarm, .. }]);
    assert_eq!(guarded(&step.ops), guarded(undo), "done and undone alike");
    guarded(&step.ops)
}

#[test]
fn the_firewall_of_a_guest_that_we_come_through_is_changed_under_guard() {
    let goal = blueprint(|text| text);
    let mut observed = applied(&goal);
    for firewall in value(&mut site(&mut observed).guest_firewalls).values_mut() {
        firewall.rules.pop();
    }
    let (through, other) = ("guest_firewall.proj-x/set", "guest_firewall.plan-hq/set");
    assert!(!is_guarded(&plan(&goal, &observed), through));
    // A VPN, a jump or a router that translates addresses: the host sees us come from the guest.
    host(&mut observed).entrance.operator = Fact::complete("10.0.0.123".parse().unwrap());
    let planned = plan(&goal, &observed);
    assert!(is_guarded(&planned, through) && !is_guarded(&planned, other));
    assert!(planned.notes.iter().any(|note| note.contains("proj-x is changed under guard")), "{:?}", planned.notes);
    // A plan that did without it is refused.
    let mut without = planned;
    for step in &mut without.steps {
        step.ops.retain(|op| !matches!(op, Op::Guard { .. }));
    }
    assert!(said(lint_ways(&without, &goal, &observed)).contains(through));
    // The gateway of the guests is one of them, and so is the machine in between.
    host(&mut observed).entrance.operator = Fact::default();
    let mut routed = goal.clone();
    routed.hosts.values_mut().for_each(|host| host.network.gateway = "10.0.0.123".parse().unwrap());
    assert!(Ways::of(&routed, &observed).why(&"proj-x".parse().unwrap()).is_some());
    let mut jumped = goal.clone();
    for host in jumped.hosts.values_mut() {
        let ssh = host.access.ssh.as_mut().unwrap();
        ssh.jump = Some(Box::new(crate::blueprint::SshAccess { host: "10.0.0.10".into(), ..ssh.clone() }));
    }
    assert!(Ways::of(&jumped, &observed).why(&"plan-hq".parse().unwrap()).is_some());
    assert_eq!(Ways::of(&goal, &observed), Ways::default());
}

#[test]
fn a_group_that_a_host_names_is_changed_under_guard() {
    let goal = blueprint(|text| text);
    let observed = applied(&goal);
    let changed =
        blueprint(|text| text.replace("action: drop, source: 10.0.0.0/24", "action: drop, source: 10.0.0.0/25"));
    let group = "firewall_group.hq:project-ct/update";
    assert!(!is_guarded(&plan(&changed, &observed), group), "guests alone name it");
    let rule = [("type", "group"), ("action", "project-ct")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let naming = GuestFirewall { rules: vec![FirewallRule(rule.clone().into())], ..GuestFirewall::default() };
    let mut by_host = observed.clone();
    value(&mut site(&mut by_host).firewall_files).insert("/etc/pve/nodes/hq/host.fw".to_owned(), naming);
    assert!(is_guarded(&plan(&changed, &by_host), group));
    let mut by_all = observed.clone();
    value(&mut site(&mut by_all).firewall).rules.push(FirewallRule(rule.into()));
    assert!(is_guarded(&plan(&changed, &by_all), group));
    let mut unknown = observed;
    site(&mut unknown).firewall_files = Fact::unavailable("not read");
    assert!(is_guarded(&plan(&changed, &unknown), group), "what is not known may be");
}

#[test]
fn what_waits_for_a_restart_is_not_done() {
    let blueprint = blueprint(|text| text);
    let mut observed = applied(&blueprint);
    let config = config(&mut observed, 100);
    config.current.insert("cores".into(), "4".into());
    config.pending.insert("cores".into(), Some("8".into()));
    let plan = plan(&blueprint, &observed);
    assert_eq!(changes(&plan), [("vm.plan-hq".to_owned(), Action::Restart)]);
    let steps: Vec<&str> = plan.steps.iter().map(|step| step.id.0.as_str()).collect();
    assert_eq!(steps, ["vm.plan-hq/shutdown", "vm.plan-hq/start"], "it is set already, and only restarted");
}

#[test]
fn torso_of_our_own_interrupted_create_is_cleared_and_a_strangers_is_not() {
    let blueprint = blueprint(|text| text);
    let mut observed = applied(&blueprint);
    let listing = value(&mut site(&mut observed).guests).get_mut(&100.try_into().unwrap()).unwrap();
    listing.tags.clear();
    listing.status = Power::Stopped;
    *config(&mut observed, 100) =
        GuestConfig { current: BTreeMap::from([("lock".into(), "create".into())]), ..GuestConfig::default() };
    let refused = try_plan(&blueprint, &observed, |_| {}).unwrap_err();
    assert!(refused.contains("nothing tells that it was ours"), "{refused}");
    let plan = try_plan(&blueprint, &observed, |asked| {
        asked.unfinished.insert(StepId("vm.plan-hq/create".into()));
    })
    .unwrap();
    assert_eq!(plan.changes[0].action, Action::Create);
    let create = plan.steps.iter().find(|step| step.id.0 == "vm.plan-hq/create").unwrap();
    assert!(matches!(&create.ops[0], Op::Exec { argv } if argv[..2] == ["qm", "unlock"]));
}

#[test]
fn guest_with_a_running_task_is_waited_for() {
    let blueprint = blueprint(|text| text);
    let mut observed = bare();
    let upid = "UPID:hq:00000A9D:0002E02F:6B01699F:qmcreate:100:infra@pve!tok:";
    value(&mut site(&mut observed).tasks).push(upid.parse().unwrap());
    let plan = plan(&blueprint, &observed);
    assert!(plan.gaps.iter().any(|gap| gap.addr == addr("vm.plan-hq") && gap.why.contains("qmcreate")));
}

#[test]
fn dataset_of_somebody_else_is_refused_and_quota_never_cuts_off_data() {
    let blueprint_now = blueprint(|text| text);
    let mut observed = applied(&blueprint_now);
    let name = "rpool/containers/proj-x".parse().unwrap();
    value(&mut host(&mut observed).datasets).get_mut(&name).unwrap().used = 15 << 30;
    let smaller = blueprint(|text| text.replace("quota: 20GiB", "quota: 10GiB"));
    assert!(try_plan(&smaller, &observed, |_| {}).unwrap_err().contains("plan.quota-below-use"));
    value(&mut host(&mut observed).datasets).get_mut(&name).unwrap().owner = None;
    assert!(try_plan(&blueprint_now, &observed, |_| {}).unwrap_err().contains("plan.foreign-dataset"));
}

#[test]
fn guest_that_moved_is_changed_where_it_is() {
    let before = blueprint(|text| text);
    let mut observed = applied(&before);
    value(&mut site(&mut observed).guests).get_mut(&104.try_into().unwrap()).unwrap().node = "pve2".parse().unwrap();
    let plan = plan(&blueprint(|text| text.replace("memory: 4GiB", "memory: 6GiB")), &observed);
    let Op::Call { request, .. } = &plan.steps[0].ops[0] else { panic!("a call") };
    assert_eq!(request.path, "/nodes/pve2/lxc/104/config");
    assert!(
        plan.notes.iter().any(|note| note.contains("is on node pve2") && note.contains("pct migrate 104")),
        "{:?}",
        plan.notes
    );
}

#[test]
fn teardown_needs_every_data_holder_named() {
    let blueprint = blueprint(|text| text);
    let observed = applied(&blueprint);
    let holders = ["vm.plan-hq", "ct.proj-x", "dataset.hq:rpool/containers/proj-x"];
    let run = |named: &[&str]| {
        let allow: BTreeSet<Addr> = named.iter().map(|n| addr(n)).collect();
        teardown(&Request {
            blueprint: &blueprint,
            observed: &observed,
            memory: &Memory::new(),
            scope: &Scope::default(),
            allowed: &Allowed { destroy: allow, ..Allowed::default() },
            unfinished: &BTreeSet::new(),
        })
        .map_err(said)
    };
    let refused = run(&[]).unwrap_err();
    assert!(holders.iter().all(|holder| refused.contains(&format!("--allow-destroy {holder}"))), "{refused}");
    let plan = run(&holders).unwrap();
    let at = |id: &str| plan.steps.iter().position(|step| step.id.0.starts_with(id)).unwrap_or_else(|| panic!("{id}"));
    assert!(at("ct.proj-x/") < at("dataset.hq:rpool/containers/proj-x/"));
    assert!(at("dataset.hq:rpool/containers/proj-x/") < at("dataset.hq:rpool/containers/destroy"));
    assert!(at("vm.plan-hq/") < at("pci_mapping.hq:rtx4090/"));
    assert!(!plan.steps.iter().any(|step| step.id.0.starts_with("image.")), "images stay");
}

#[test]
fn saved_plan_is_stale_when_what_it_changes_moved() {
    let before = blueprint(|text| text);
    let mut observed = applied(&before);
    let wanted = blueprint(|text| text.replace("memory: 4GiB", "memory: 6GiB"));
    let saved = plan(&wanted, &observed);
    assert_eq!(stale(&saved, &plan(&wanted, &observed)), []);
    config(&mut observed, 104).current.insert("cores".into(), "4".into());
    let moved = stale(&saved, &plan(&wanted, &observed));
    assert_eq!(moved.len(), 1);
    assert!(moved[0].what.contains("cores is 4"), "{}", moved[0].what);
}

#[test]
fn saved_plan_reads_back() {
    let plan = plan(&blueprint(|text| text), &bare());
    let text = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
}

#[test]
fn rewritten_option_strings_keep_what_is_not_ours() {
    let before = blueprint(|text| text);
    let mut observed = applied(&before);
    let net = "virtio=BC:24:11:00:00:01,bridge=vmbr9,firewall=1,rate=5";
    config(&mut observed, 100).current.insert("net0".into(), net.into());
    let plan = plan(&before, &observed);
    let Op::Call { request, .. } = &plan.steps[0].ops[0] else { panic!("a call") };
    let written = Options::parse(&request.params.iter().find(|(n, _)| n == "net0").unwrap().1);
    assert_eq!(written.get("virtio"), Some("BC:24:11:00:00:01"));
    assert_eq!((written.get("bridge"), written.get("rate")), (Some("vmbr0"), Some("5")));
}
