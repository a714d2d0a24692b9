//! Guests' files in the cluster file system: complete, whatever our token may see.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::super::text;
use crate::diag::Invalid;
use crate::model::machine::{GuestFile, GuestFiles};
use crate::model::observed::{Fact, GuestKind};
use crate::model::{NodeName, Vmid};
use crate::ports::Output;

/// Lines that a check concludes something from. Passwords, keys and notes stay on the host.
const WANTED: &str = "^(\\[|lock:|name:|hostname:|net[0-9]+:|ipconfig[0-9]+:|hostpci[0-9]+:|vmstate:|snapstate:|features:|\
                      unprivileged:|dev[0-9]+:|lxc\\.(apparmor\\.|cgroup2?\\.devices|mount\\.entry|idmap))";

/// Asks for them. `.vmlist` knows every guest, `grep` what stands in their files.
pub const COMMANDS: &[&[&str]] = &[
    &["cat", "/etc/pve/.vmlist"],
    &["find", "/etc/pve/nodes", "-name", "*.conf", "-exec", "grep", "-HE", WANTED, "{}", "+"],
    &["cat", "/etc/pve/ha/resources.cfg"],
];

/// Reads them: partial where a file could not be read, or vanished while it was.
pub fn read(outputs: &[Output]) -> Fact<GuestFiles> {
    let [list, lines, resources] = outputs else { return Fact::unavailable("not asked for") };
    let mut missing = Vec::new();
    let guests = text::good(list, "cat").and_then(|text| listed(&text));
    let mut guests = match guests {
        Ok(guests) => guests,
        Err(invalid) => return Fact::unavailable(invalid.problem),
    };
    // `grep` finds nothing in a file of which nothing is wanted: `find` then ends with 1 and says nothing.
    let said = text::stderr(lines);
    if lines.code > 1 || !said.trim().is_empty() {
        missing.push(text::failed(lines, "find").problem);
    }
    fill(&mut guests, &String::from_utf8_lossy(&lines.stdout));
    let highly_available = match text::file(resources) {
        Ok(text) => resources_of(&text.unwrap_or_default()),
        Err(invalid) => {
            missing.push(invalid.problem);
            BTreeSet::new()
        }
    };
    let value = GuestFiles { guests, highly_available };
    if missing.is_empty() { Fact::complete(value) } else { Fact::Partial { value, why: missing.join("; ") } }
}

/// Reads `.vmlist`.
fn listed(text: &str) -> Result<BTreeMap<Vmid, GuestFile>, Invalid> {
    let strange = || Invalid::new("/etc/pve/.vmlist is no list of guests");
    let list: Value = serde_json::from_str(text).map_err(|_| strange())?;
    let mut guests = BTreeMap::new();
    for (vmid, row) in list.get("ids").and_then(Value::as_object).ok_or_else(strange)? {
        let kind = match row.get("type").and_then(Value::as_str) {
            Some("qemu") => GuestKind::Qemu,
            Some("lxc") => GuestKind::Lxc,
            _ => return Err(strange()),
        };
        let node: NodeName = row.get("node").and_then(Value::as_str).ok_or_else(strange)?.parse()?;
        let file = GuestFile { kind, node, lines: Vec::new(), pending: Vec::new(), snapshots: BTreeMap::new() };
        guests.insert(vmid.parse()?, file);
    }
    Ok(guests)
}

/// Where the lines that follow belong.
enum Section {
    Now,
    Pending,
    Snapshot(String),
    Other,
}

/// Sorts lines `/etc/pve/nodes/NODE/KIND/VMID.conf:LINE` into the guests that are listed.
fn fill(guests: &mut BTreeMap<Vmid, GuestFile>, text: &str) {
    let mut at: Option<&str> = None;
    let mut section = Section::Now;
    for line in text.lines() {
        let Some(cut) = line.find(".conf:") else { continue };
        let (path, line) = (&line[..cut], &line[cut + ".conf:".len()..]);
        if at != Some(path) {
            (at, section) = (Some(path), Section::Now);
        }
        let parts: Vec<&str> = path.trim_start_matches("/etc/pve/nodes/").split('/').collect();
        let [node, folder, vmid] = parts[..] else { continue };
        let kind = match folder {
            "qemu-server" => GuestKind::Qemu,
            "lxc" => GuestKind::Lxc,
            _ => continue,
        };
        let Some(guest) = vmid.parse().ok().and_then(|vmid| guests.get_mut(&vmid)) else { continue };
        if guest.kind != kind || guest.node.as_str() != node {
            continue;
        }
        if let Some(name) = line.strip_prefix('[') {
            let name = name.split(']').next().unwrap_or_default();
            section = match name.to_ascii_lowercase().as_str() {
                "pending" | "pve:pending" => Section::Pending,
                // `[special:cloudinit]`, and what later releases may add.
                special if special.contains(':') => Section::Other,
                _ => Section::Snapshot(name.to_owned()),
            };
            if let Section::Snapshot(name) = &section {
                guest.snapshots.entry(name.clone()).or_default();
            }
            continue;
        }
        let Some((key, value)) = line.split_once(':') else { continue };
        let entry = (key.trim().to_owned(), value.trim().to_owned());
        match &section {
            Section::Now => guest.lines.push(entry),
            Section::Pending => guest.pending.push(entry),
            Section::Snapshot(name) => guest.snapshots.entry(name.clone()).or_default().push(entry),
            Section::Other => {}
        }
    }
}

/// Reads `vm: 100` and `ct: 104` of the file of high availability.
fn resources_of(text: &str) -> BTreeSet<Vmid> {
    let line = |line: &str| {
        let (kind, vmid) = line.split_once(':')?;
        if matches!(kind, "vm" | "ct") { vmid.trim().parse().ok() } else { None }
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::output;

    const LIST: &str = r#"{"version": 4, "ids": {
        "100": { "node": "hq", "type": "qemu", "version": 3 },
        "104": { "node": "hq", "type": "lxc", "version": 4 },
        "900": { "node": "other", "type": "qemu", "version": 1 }}}"#;
    const LINES: &str = "/etc/pve/nodes/hq/lxc/104.conf:features: nesting=1\n\
        /etc/pve/nodes/hq/lxc/104.conf:lxc.apparmor.profile: unconfined\n\
        /etc/pve/nodes/hq/qemu-server/100.conf:name: gpu\n\
        /etc/pve/nodes/hq/qemu-server/100.conf:hostpci0: mapping=x,pcie=1\n\
        /etc/pve/nodes/hq/qemu-server/100.conf:[PENDING]\n\
        /etc/pve/nodes/hq/qemu-server/100.conf:hostpci0: mapping=y\n\
        /etc/pve/nodes/hq/qemu-server/100.conf:[special:cloudinit]\n\
        /etc/pve/nodes/hq/qemu-server/100.conf:name: no\n\
        /etc/pve/nodes/hq/qemu-server/100.conf:[before]\n\
        /etc/pve/nodes/hq/qemu-server/100.conf:vmstate: local-zfs:vm-100-state-before\n";

    fn missing() -> Output {
        output(1, "", "cat: /etc/pve/ha/resources.cfg: No such file or directory\n")
    }

    fn vmid(number: u32) -> Vmid {
        number.try_into().unwrap()
    }

    #[test]
    fn sections_are_told_apart_and_every_guest_is_known() {
        let Fact::Complete { value } = read(&[output(0, LIST, ""), output(1, LINES, ""), missing()]) else { panic!() };
        assert_eq!(value.guests.len(), 3);
        let vm = &value.guests[&vmid(100)];
        assert_eq!((vm.get("hostpci0"), vm.name()), (Some("mapping=x,pcie=1"), Some("gpu")));
        assert_eq!(vm.pending, [("hostpci0".to_owned(), "mapping=y".to_owned())]);
        assert_eq!(vm.snapshots["before"].len(), 1);
        assert_eq!(value.guests[&vmid(104)].get("lxc.apparmor.profile"), Some("unconfined"));
        assert!(value.guests[&vmid(900)].lines.is_empty());
    }

    #[test]
    fn a_file_that_vanished_makes_it_partial_and_no_list_makes_it_nothing() {
        let gone = output(1, LINES, "grep: /etc/pve/nodes/hq/lxc/105.conf: No such file or directory\n");
        assert!(matches!(read(&[output(0, LIST, ""), gone, missing()]), Fact::Partial { .. }));
        let denied = output(1, "", "cat: /etc/pve/.vmlist: Permission denied\n");
        assert!(read(&[denied, output(0, LINES, ""), missing()]).value().is_none());
        assert!(read(&[output(0, "{\"ids\":[]}", ""), output(0, LINES, ""), missing()]).value().is_none());
    }

    #[test]
    fn high_availability_names_its_guests() {
        let ha = output(0, "vm: 100\n\tstate started\n\nct: 104\n\nservice: x\n", "");
        let Fact::Complete { value } = read(&[output(0, LIST, ""), output(0, LINES, ""), ha]) else { panic!() };
        assert_eq!(value.highly_available, BTreeSet::from([vmid(100), vmid(104)]));
    }
}
