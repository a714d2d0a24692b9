//! What must hold between the entries of an inventory, one file per rule.
//!
//! Each file has the rule's docs, its `check`, and a test named after it. A rule looks at the draft
//! alone and reports under the code `inventory.<id>`; it says nothing about what is missing or was
//! refused before, so that one mistake is one message.

mod access_without_tailnet;
mod address_in_subnet;
mod address_unique;
mod dataset_mount;
mod dataset_parent;
mod dataset_properties;
mod dataset_shared;
mod device_unique;
mod dns_record;
mod dns_zone;
mod exposes_known;
mod firewall_group_known;
mod firewall_name;
mod firewall_rule;
mod flow_audience;
mod flow_reachable;
mod gateway_limits;
mod gpu_known;
mod gpu_unique;
mod host_address;
mod host_firewall;
mod host_known;
mod host_network;
mod host_system;
mod host_trust;
mod host_unique;
mod image_kind;
mod image_known;
mod image_pinned;
mod image_source;
mod ingress_guest;
mod ingress_tls;
mod internet_outside;
mod kind_keys;
mod memory_minimum;
mod model_context;
mod model_fallback;
mod model_memory;
mod model_names;
mod model_reachable;
mod model_runs;
mod name_collision;
mod number_range;
mod opnsense;
mod required;
mod root_needs_ssh;
mod route_auth;
mod route_ingress;
mod route_tailnet;
mod route_target;
mod route_unique;
mod route_zone;
mod secret_sources;
mod service_capacity;
mod service_dependency;
mod service_gpu;
mod service_known;
mod service_nesting;
mod service_port;
mod service_recipe;
mod service_settings;
mod service_template;
mod size_granularity;
mod ssh_jump;
mod ssh_keys_present;
mod startup_order;
mod tag_reserved;
mod tailnet;
mod tailnet_member;
mod timeout_order;
mod vmid_unique;

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

/// Every rule, in the order in which they are asked.
pub(super) const RULES: &[Rule] = &[
    Rule { id: "required", check: required::check },
    Rule { id: "number-range", check: number_range::check },
    Rule { id: "host-address", check: host_address::check },
    Rule { id: "host-network", check: host_network::check },
    Rule { id: "host-system", check: host_system::check },
    Rule { id: "host-trust", check: host_trust::check },
    Rule { id: "host-unique", check: host_unique::check },
    Rule { id: "ssh-jump", check: ssh_jump::check },
    Rule { id: "host-firewall", check: host_firewall::check },
    Rule { id: "host-known", check: host_known::check },
    Rule { id: "kind-keys", check: kind_keys::check },
    Rule { id: "vmid-unique", check: vmid_unique::check },
    Rule { id: "address-in-subnet", check: address_in_subnet::check },
    Rule { id: "address-unique", check: address_unique::check },
    Rule { id: "name-collision", check: name_collision::check },
    Rule { id: "size-granularity", check: size_granularity::check },
    Rule { id: "memory-minimum", check: memory_minimum::check },
    Rule { id: "gpu-known", check: gpu_known::check },
    Rule { id: "gpu-unique", check: gpu_unique::check },
    Rule { id: "image-known", check: image_known::check },
    Rule { id: "image-source", check: image_source::check },
    Rule { id: "image-pinned", check: image_pinned::check },
    Rule { id: "image-kind", check: image_kind::check },
    Rule { id: "firewall-group-known", check: firewall_group_known::check },
    Rule { id: "firewall-name", check: firewall_name::check },
    Rule { id: "firewall-rule", check: firewall_rule::check },
    Rule { id: "dataset-parent", check: dataset_parent::check },
    Rule { id: "dataset-mount", check: dataset_mount::check },
    Rule { id: "dataset-properties", check: dataset_properties::check },
    Rule { id: "dataset-shared", check: dataset_shared::check },
    Rule { id: "device-unique", check: device_unique::check },
    Rule { id: "root-needs-ssh", check: root_needs_ssh::check },
    Rule { id: "ssh-keys-present", check: ssh_keys_present::check },
    Rule { id: "startup-order", check: startup_order::check },
    Rule { id: "tag-reserved", check: tag_reserved::check },
    Rule { id: "service-template", check: service_template::check },
    Rule { id: "service-recipe", check: service_recipe::check },
    Rule { id: "service-settings", check: service_settings::check },
    Rule { id: "tailnet", check: tailnet::check },
    Rule { id: "tailnet-member", check: tailnet_member::check },
    Rule { id: "service-known", check: service_known::check },
    Rule { id: "exposes-known", check: exposes_known::check },
    Rule { id: "flow-audience", check: flow_audience::check },
    Rule { id: "flow-reachable", check: flow_reachable::check },
    Rule { id: "internet-outside", check: internet_outside::check },
    Rule { id: "route-unique", check: route_unique::check },
    Rule { id: "route-ingress", check: route_ingress::check },
    Rule { id: "ingress-guest", check: ingress_guest::check },
    Rule { id: "ingress-tls", check: ingress_tls::check },
    Rule { id: "route-target", check: route_target::check },
    Rule { id: "route-auth", check: route_auth::check },
    Rule { id: "route-tailnet", check: route_tailnet::check },
    Rule { id: "dns-zone", check: dns_zone::check },
    Rule { id: "dns-record", check: dns_record::check },
    Rule { id: "opnsense", check: opnsense::check },
    Rule { id: "route-zone", check: route_zone::check },
    Rule { id: "service-dependency", check: service_dependency::check },
    Rule { id: "service-gpu", check: service_gpu::check },
    Rule { id: "service-nesting", check: service_nesting::check },
    Rule { id: "service-capacity", check: service_capacity::check },
    Rule { id: "service-port", check: service_port::check },
    Rule { id: "model-runs", check: model_runs::check },
    Rule { id: "model-names", check: model_names::check },
    Rule { id: "model-context", check: model_context::check },
    Rule { id: "model-memory", check: model_memory::check },
    Rule { id: "model-fallback", check: model_fallback::check },
    Rule { id: "model-reachable", check: model_reachable::check },
    Rule { id: "timeout-order", check: timeout_order::check },
    Rule { id: "gateway-limits", check: gateway_limits::check },
    Rule { id: "secret-sources", check: secret_sources::check },
    Rule { id: "access-without-tailnet", check: access_without_tailnet::check },
];

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
