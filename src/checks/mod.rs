//! One file per preflight check: what is known to go wrong on hosts, judged from what was observed.
//!
//! Owns [`Check`]s and the list of them. Pure: a check looks at a [`Subject`] and says what it found, with
//! the evidence; it reads nothing itself, changes nothing, and never takes what is unknown for good. The
//! entry is [`judge`]. `docs/checks.md` is made of this list.

mod address_taken;
mod advisor;
mod amounts;
mod api_identity;
mod arc_limit;
mod boot_framebuffer;
mod boot_loader;
mod bridge_missing;
mod bridge_mtu;
mod bridge_vlan;
mod catalogue;
mod certificate_expiry;
mod check;
mod clock_kept;
mod clock_skew;
mod cluster_quorum;
mod command_line;
mod container_apparmor;
mod container_devices;
mod container_gpu_driver;
mod container_idmap;
mod container_keyctl;
mod container_nesting;
mod container_networkd;
mod container_overlay;
mod container_runc;
mod container_snapshots;
mod container_tun;
mod failed_units;
mod finding;
mod firmware_memory;
mod gate;
mod gpu_ambiguous;
mod gpu_ballooning;
mod gpu_cpu_model;
mod gpu_functions_left;
mod gpu_host_driver;
mod gpu_in_use;
mod gpu_local_resource;
mod gpu_lost;
mod gpu_machine_type;
mod gpu_mapping;
mod gpu_not_found;
mod gpu_ram_snapshot;
mod gpu_raw_address;
mod gpu_reset;
mod gpu_rom;
mod gpu_silent_fallback;
mod gpus;
mod guest_locked;
#[cfg(test)]
mod guest_scene;
mod hardware;
mod hardware_changed;
mod host_key;
mod host_os;
mod initramfs_stale;
mod initramfs_unfinished;
mod interrupt_remapping;
mod iommu_group_shared;
mod iommu_off;
mod kernel_newest;
mod lock_held;
#[cfg(test)]
mod machine_scene;
mod masquerade_zone;
mod memory_fit;
mod module_blocked;
mod only_console;
mod package_sources;
mod packages_unfinished;
mod pci_address_space;
mod pcie_link;
mod pending_configuration;
mod pool_health;
mod pool_scrub;
mod pool_space;
mod proxmox_version;
mod report;
mod revert_pending;
mod root_only_settings;
mod secure_boot;
mod standing;
mod storage_space;
mod storage_usable;
mod subject;
mod system_space;
#[cfg(test)]
mod testing;
mod token_privileges;
mod unfinished_run;
mod vfio_ids;
mod vfio_virqfd;
mod vmid_taken;

pub use advisor::{GpuAdvice, GpuVerdict, advise};
pub use catalogue::{catalogue, entry};
pub use check::{Area, Check, NotRun, Severity};
pub use finding::{Evidence, Finding, Fix, Mend, Verdict};
pub use gate::{Gate, gate};
pub use report::{Counts, HostReport, Judged, Preflight, judge, judge_by};
pub use subject::Subject;

/// Every check, in the order in which a person wants to hear of them: what lies deepest comes first.
pub const CHECKS: &[&Check] = &[
    &boot_loader::CHECK,
    &command_line::CHECK,
    &kernel_newest::CHECK,
    &initramfs_unfinished::CHECK,
    &initramfs_stale::CHECK,
    &module_blocked::CHECK,
    &vfio_virqfd::CHECK,
    &secure_boot::CHECK,
    &proxmox_version::CHECK,
    &host_os::CHECK,
    &package_sources::CHECK,
    &packages_unfinished::CHECK,
    &failed_units::CHECK,
    &memory_fit::CHECK,
    &arc_limit::CHECK,
    &system_space::CHECK,
    &pool_health::CHECK,
    &pool_space::CHECK,
    &pool_scrub::CHECK,
    &container_runc::CHECK,
    &container_overlay::CHECK,
    &container_gpu_driver::CHECK,
    &iommu_off::CHECK,
    &interrupt_remapping::CHECK,
    &gpu_not_found::CHECK,
    &gpu_ambiguous::CHECK,
    &hardware_changed::CHECK,
    &iommu_group_shared::CHECK,
    &firmware_memory::CHECK,
    &pci_address_space::CHECK,
    &gpu_lost::CHECK,
    &gpu_host_driver::CHECK,
    &boot_framebuffer::CHECK,
    &only_console::CHECK,
    &gpu_reset::CHECK,
    &pcie_link::CHECK,
    &gpu_in_use::CHECK,
    &gpu_mapping::CHECK,
    &gpu_functions_left::CHECK,
    &vfio_ids::CHECK,
    &revert_pending::CHECK,
    &gpu_machine_type::CHECK,
    &gpu_rom::CHECK,
    &gpu_cpu_model::CHECK,
    &gpu_ballooning::CHECK,
    &gpu_ram_snapshot::CHECK,
    &gpu_local_resource::CHECK,
    &gpu_raw_address::CHECK,
    &gpu_silent_fallback::CHECK,
    &container_nesting::CHECK,
    &container_keyctl::CHECK,
    &container_networkd::CHECK,
    &container_apparmor::CHECK,
    &container_devices::CHECK,
    &root_only_settings::CHECK,
    &container_snapshots::CHECK,
    &container_idmap::CHECK,
    &container_tun::CHECK,
    &storage_usable::CHECK,
    &storage_space::CHECK,
    &bridge_missing::CHECK,
    &bridge_vlan::CHECK,
    &bridge_mtu::CHECK,
    &masquerade_zone::CHECK,
    &address_taken::CHECK,
    &clock_skew::CHECK,
    &clock_kept::CHECK,
    &certificate_expiry::CHECK,
    &api_identity::CHECK,
    &host_key::CHECK,
    &token_privileges::CHECK,
    &cluster_quorum::CHECK,
    &vmid_taken::CHECK,
    &guest_locked::CHECK,
    &lock_held::CHECK,
    &pending_configuration::CHECK,
    &unfinished_run::CHECK,
];

/// The check of an id.
#[must_use]
pub fn find(id: &str) -> Option<&'static Check> {
    CHECKS.iter().copied().find(|check| check.id == id)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn folder_and_list_agree() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/checks");
        let shared = [
            "advisor",
            "amounts",
            "catalogue",
            "check",
            "finding",
            "gate",
            "gpus",
            "guest_scene",
            "hardware",
            "machine_scene",
            "mod",
            "report",
            "standing",
            "subject",
            "testing",
        ];
        let files: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .filter_map(|entry| entry.unwrap().file_name().to_str()?.strip_suffix(".rs").map(str::to_owned))
            .filter(|name| !shared.contains(&name.as_str()))
            .collect();
        let listed: BTreeSet<String> = CHECKS.iter().map(|check| check.id.replace('-', "_")).collect();
        assert_eq!(listed, files, "a check is one file of its id's name and one line of the list");
        assert_eq!(listed.len(), CHECKS.len(), "two checks have the same id");
    }

    #[test]
    fn every_check_says_what_it_is_about() {
        for check in CHECKS {
            let texts = [check.title, check.why, check.fix];
            assert!(texts.iter().all(|text| !text.trim().is_empty()), "{}", check.id);
            assert!(!check.title.ends_with('.') && check.why.trim_end().ends_with('.'), "{}", check.id);
            assert!(!check.sources.is_empty() && !check.needs.is_empty(), "{}", check.id);
        }
    }
}
