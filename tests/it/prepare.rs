//! `infra prepare` and `infra rollback` as a person runs them: on a host that GRUB boots and on one that systemd-boot does.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::desk::Desk;

const GPU: &str = r#"rtx4090: { id: "10de:2684", vram: 24GiB }"#;
const SYSTEM: &str = "kernel_parameters: [iommu=pt, nosmt], vfio: boot, modules: [nct6775], arc: 16GiB, \
                      sysctl: { vm.swappiness: 10 }";

fn desk() -> Desk {
    let desk = Desk::new();
    desk.edit("inventories/vrooli/hosts.yaml", GPU, &format!("{GPU}\n    system: {{ {SYSTEM} }}"));
    desk
}

/// Every file of the lab's node with its bytes, owner and permissions; what keeps originals aside.
fn files(desk: &Desk) -> BTreeMap<String, [Value; 4]> {
    // The world of a scenario has a folder of its own.
    let mut folders = vec![desk.path(".infra/lab")];
    let mut worlds = Vec::new();
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                folders.push(path);
            } else if name.starts_with("site-") && name.ends_with(".json") {
                worlds.push(path);
            }
        }
    }
    let [world] = &worlds[..] else { panic!("one world, not {worlds:?}") };
    let world: Value = serde_json::from_str(&std::fs::read_to_string(world).unwrap()).unwrap();
    let node = world["nodes"]["pve1"].as_object().unwrap();
    let files = node["files"].as_object().unwrap().iter();
    files
        .filter(|(path, _)| !path.starts_with("/var/lib/infra/"))
        .map(|(path, file)| (path.clone(), ["content", "mode", "uid", "gid"].map(|key| file[key].clone())))
        .collect()
}

/// Paths of the files that a plan says it changes.
fn planned(desk: &Desk, lab: &str) -> BTreeSet<String> {
    let plan: Value = serde_json::from_str(&desk.run(0, &["prepare", lab, "--dry-run", "--output", "json"])).unwrap();
    let fields = plan["changes"].as_array().unwrap().iter().flat_map(|change| change["fields"].as_array().unwrap());
    fields.filter_map(|field| field["path"].as_str()).filter(|path| path.starts_with('/')).map(str::to_owned).collect()
}

fn changed(before: &BTreeMap<String, [Value; 4]>, after: &BTreeMap<String, [Value; 4]>) -> BTreeSet<String> {
    before.keys().chain(after.keys()).filter(|path| before.get(*path) != after.get(*path)).cloned().collect()
}

fn changes_exactly_what_it_planned_and_takes_it_back(lab: &str, of_the_loader: &str, others: &str) {
    let desk = desk();
    let planned = planned(&desk, lab);
    let before = files(&desk);
    assert!(planned.contains(of_the_loader) && !planned.contains(others), "{planned:?}");
    let shown = desk.run(0, &["prepare", lab, "--yes", "--full"]);
    assert!(shown.contains("~ update   kernel_command_line.hq"), "{shown}");
    assert!(shown.contains("needs a reboot") && shown.contains("without `iommu=pt nosmt`"), "{shown}");
    let after = files(&desk);
    assert_eq!(changed(&before, &after), planned);

    let again = desk.run(0, &["prepare", lab, "--yes"]);
    assert!(again.starts_with("No changes."), "{again}");
    assert_eq!(files(&desk), after);

    let back = desk.run(0, &["rollback", lab, "--yes"]);
    assert!(back.contains("a last look found every file as it was before that run"), "{back}");
    assert_eq!(files(&desk), before);
    let nothing = desk.run(0, &["rollback", lab, "--yes"]);
    assert!(nothing.starts_with("Nothing to take back"), "{nothing}");
    // What was taken back is planned again, and nothing is called drift.
    let anew = desk.run(0, &["prepare", lab, "--dry-run"]);
    assert!(!anew.contains("drift"), "{anew}");
}

#[test]
fn a_grub_host_is_changed_exactly_as_planned_and_put_back_byte_for_byte() {
    changes_exactly_what_it_planned_and_takes_it_back(
        "--lab=broken/grub-efi",
        "/etc/default/grub.d/zz-infra.cfg",
        "/etc/kernel/cmdline",
    );
}

#[test]
fn a_systemd_boot_host_is_changed_exactly_as_planned_and_put_back_byte_for_byte() {
    changes_exactly_what_it_planned_and_takes_it_back(
        "--lab",
        "/etc/kernel/cmdline",
        "/etc/default/grub.d/zz-infra.cfg",
    );
}

#[test]
fn a_file_that_somebody_changed_since_is_not_put_back() {
    let desk = desk();
    desk.run(0, &["prepare", "--lab", "--yes"]);
    // The next run is somebody else's as well, as far as the first one knows.
    desk.edit("inventories/vrooli/hosts.yaml", "nosmt", "mitigations=off");
    let first: Value = serde_json::from_str(&desk.run(0, &["history", "--lab", "--output", "json"])).unwrap();
    let first = first[0]["run"].as_str().unwrap().to_owned();
    desk.run(0, &["prepare", "--lab", "--yes"]);
    let refused = desk.command(&["rollback", &first, "--lab", "--yes"]).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("rollback.changed-since") && said.contains("/etc/kernel/cmdline"), "{said}");
    // In the order in which they were done, both can be taken back.
    desk.run(0, &["rollback", "--lab", "--yes"]);
    desk.run(0, &["rollback", &first, "--lab", "--yes"]);
}

#[test]
fn only_runs_of_prepare_are_taken_back() {
    let desk = Desk::new();
    let refused = desk.command(&["rollback", "--lab", "--yes"]).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("rollback.no-run"), "{said}");
}

#[test]
fn a_host_that_needs_it_is_rebooted_and_runs_with_what_was_written() {
    let desk = desk();
    let said = desk.run(0, &["prepare", "--lab", "--yes", "--reboot"]);
    assert!(said.contains("Rebooted hq: ") && said.contains(" 0 fail"), "{said}");
    let again = desk.run(0, &["prepare", "--lab", "--yes"]);
    assert!(again.starts_with("No changes.") && !again.contains("needs a reboot"), "{again}");
    let history = desk.run(0, &["history", "--lab"]);
    assert!(history.contains("reboot") && history.contains("prepare"), "{history}");
}
