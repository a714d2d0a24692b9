//! Privileges and built-in roles by version.

use std::collections::{BTreeMap, BTreeSet};

use super::Version;

const COMMON: &[&str] = &[
    "Datastore.Allocate",
    "Datastore.AllocateSpace",
    "Datastore.AllocateTemplate",
    "Datastore.Audit",
    "Group.Allocate",
    "Mapping.Audit",
    "Mapping.Modify",
    "Mapping.Use",
    "Permissions.Modify",
    "Pool.Allocate",
    "Pool.Audit",
    "Realm.Allocate",
    "Realm.AllocateUser",
    "SDN.Allocate",
    "SDN.Audit",
    "SDN.Use",
    "Sys.AccessNetwork",
    "Sys.Audit",
    "Sys.Console",
    "Sys.Incoming",
    "Sys.Modify",
    "Sys.PowerMgmt",
    "Sys.Syslog",
    "User.Modify",
    "VM.Allocate",
    "VM.Audit",
    "VM.Backup",
    "VM.Clone",
    "VM.Config.CDROM",
    "VM.Config.CPU",
    "VM.Config.Cloudinit",
    "VM.Config.Disk",
    "VM.Config.HWType",
    "VM.Config.Memory",
    "VM.Config.Network",
    "VM.Config.Options",
    "VM.Console",
    "VM.Migrate",
    "VM.PowerMgmt",
    "VM.Snapshot",
    "VM.Snapshot.Rollback",
];

/// Since 9.0 `VM.Monitor` is gone and the guest agent has privileges of its own.
const SINCE_9: &[&str] = &[
    "VM.GuestAgent.Audit",
    "VM.GuestAgent.FileRead",
    "VM.GuestAgent.FileSystemMgmt",
    "VM.GuestAgent.FileWrite",
    "VM.GuestAgent.Unrestricted",
    "VM.Replicate",
];

/// Every privilege that this version knows.
#[must_use]
pub fn known_privileges(version: Version) -> Vec<&'static str> {
    let own: &[&str] = if version >= Version::V9_1 { SINCE_9 } else { &["VM.Monitor"] };
    COMMON.iter().chain(own).copied().collect()
}

/// Built-in roles with their privileges.
#[must_use]
pub fn built_in_roles(version: Version) -> BTreeMap<&'static str, BTreeSet<String>> {
    let all = known_privileges(version);
    let pick = |keep: &dyn Fn(&str) -> bool| all.iter().filter(|p| keep(p)).map(|p| (*p).to_owned()).collect();
    let audit = |p: &str| p.ends_with(".Audit");
    let admin = |p: &str| {
        !matches!(
            p,
            "Permissions.Modify"
                | "Mapping.Modify"
                | "Realm.Allocate"
                | "Sys.Modify"
                | "Sys.PowerMgmt"
                | "Sys.AccessNetwork"
                | "Sys.Incoming"
        )
    };
    BTreeMap::from([
        ("Administrator", pick(&|_| true)),
        ("NoAccess", BTreeSet::new()),
        ("PVEAdmin", pick(&admin)),
        ("PVEAuditor", pick(&audit)),
        ("PVEDatastoreAdmin", pick(&|p| p.starts_with("Datastore."))),
        ("PVEDatastoreUser", pick(&|p| matches!(p, "Datastore.AllocateSpace" | "Datastore.Audit"))),
        ("PVEMappingAdmin", pick(&|p| p.starts_with("Mapping."))),
        ("PVEMappingUser", pick(&|p| matches!(p, "Mapping.Use" | "Mapping.Audit"))),
        ("PVEPoolAdmin", pick(&|p| p.starts_with("Pool."))),
        ("PVEPoolUser", pick(&|p| p == "Pool.Audit")),
        ("PVESDNAdmin", pick(&|p| p.starts_with("SDN."))),
        ("PVESDNUser", pick(&|p| matches!(p, "SDN.Use" | "SDN.Audit"))),
        ("PVESysAdmin", pick(&|p| matches!(p, "Sys.Audit" | "Sys.Console" | "Sys.Syslog"))),
        ("PVETemplateUser", pick(&|p| matches!(p, "VM.Audit" | "VM.Clone"))),
        ("PVEUserAdmin", pick(&|p| matches!(p, "Group.Allocate" | "Realm.AllocateUser" | "User.Modify"))),
        ("PVEVMAdmin", pick(&|p| p.starts_with("VM."))),
        (
            "PVEVMUser",
            pick(&|p| {
                matches!(
                    p,
                    "VM.Audit"
                        | "VM.Backup"
                        | "VM.Config.CDROM"
                        | "VM.Config.Cloudinit"
                        | "VM.Console"
                        | "VM.GuestAgent.Audit"
                        | "VM.GuestAgent.FileRead"
                        | "VM.GuestAgent.FileSystemMgmt"
                        | "VM.GuestAgent.FileWrite"
                        | "VM.PowerMgmt"
                )
            }),
        ),
    ])
}
