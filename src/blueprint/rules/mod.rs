//! What must hold between the entries of an inventory, one file per rule.
//!
//! Each file has the rule's docs, its `check`, and a test named after it. A rule looks at the draft
//! alone and reports under the code `inventory.<id>`; it says nothing about what is missing or was
//! refused before, so that one mistake is one message.

use super::draft::Draft;
use crate::diag::Diagnostics;

/// One rule.
pub(super) struct Rule {
    /// Its id: the file's name with dashes.
    #[cfg_attr(not(test), expect(dead_code, reason = "the codes carry it; the list is held against the folder"))]
    pub(super) id: &'static str,
    /// Reports what breaks it.
    pub(super) check: fn(&Draft<'_>, &mut Diagnostics),
}

/// Declares the modules and the list in one go.
macro_rules! rules {
    ($($module:ident => $id:literal),+ $(,)?) => {
        $(mod $module;)+

        /// Every rule, in the order in which they are asked.
        pub(super) const RULES: &[Rule] = &[$(Rule { id: $id, check: $module::check }),+];
    };
}

rules! {
    required => "required",
    number_range => "number-range",
    host_address => "host-address",
    host_network => "host-network",
    host_trust => "host-trust",
    host_unique => "host-unique",
    ssh_jump => "ssh-jump",
    host_known => "host-known",
    kind_keys => "kind-keys",
    vmid_unique => "vmid-unique",
    address_in_subnet => "address-in-subnet",
    address_unique => "address-unique",
    name_collision => "name-collision",
    size_granularity => "size-granularity",
    memory_minimum => "memory-minimum",
    gpu_known => "gpu-known",
    gpu_unique => "gpu-unique",
    image_known => "image-known",
    image_source => "image-source",
    image_pinned => "image-pinned",
    image_kind => "image-kind",
    firewall_group_known => "firewall-group-known",
    firewall_rule => "firewall-rule",
    dataset_parent => "dataset-parent",
    dataset_mount => "dataset-mount",
    dataset_properties => "dataset-properties",
    dataset_shared => "dataset-shared",
    device_unique => "device-unique",
    root_needs_ssh => "root-needs-ssh",
    ssh_keys_present => "ssh-keys-present",
    startup_order => "startup-order",
    tag_reserved => "tag-reserved",
    service_known => "service-known",
    route_unique => "route-unique",
    not_yet => "not-yet",
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn list_and_folder_agree() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/blueprint/rules");
        let files: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.file_name().unwrap() != "mod.rs")
            .inspect(|path| {
                let stem = path.file_stem().unwrap().to_str().unwrap();
                let text = std::fs::read_to_string(path).unwrap();
                assert!(text.contains(&format!("fn {stem}()")), "{stem} has no test of its name");
                assert!(text.contains(&format!("\"inventory.{}\"", stem.replace('_', "-"))), "{stem} has its code");
            })
            .map(|path| path.file_stem().unwrap().to_str().unwrap().replace('_', "-"))
            .collect();
        let listed: BTreeSet<String> = RULES.iter().map(|rule| rule.id.to_owned()).collect();
        assert_eq!(files, listed);
        assert_eq!(listed.len(), RULES.len());
    }
}
