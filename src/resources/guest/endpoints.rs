//! The endpoints of VMs and containers side by side.

use crate::model::observed::GuestKind;
use crate::proxmox::endpoints::{self as api, Endpoint};
use crate::resources::ip_set::SetEndpoints;

/// The endpoints of one kind of guest.
pub struct Endpoints {
    pub config: &'static Endpoint,
    pub config_set: &'static Endpoint,
    pub delete: &'static Endpoint,
    pub resize: &'static Endpoint,
    pub status: &'static Endpoint,
    pub start: &'static Endpoint,
    pub shutdown: &'static Endpoint,
    pub stop: &'static Endpoint,
    pub list: &'static Endpoint,
    pub options: &'static Endpoint,
    pub options_set: &'static Endpoint,
    pub rule_create: &'static Endpoint,
    pub rule_read: &'static Endpoint,
    pub rule_update: &'static Endpoint,
    pub rule_delete: &'static Endpoint,
    pub sets: SetEndpoints,
}

static QEMU: Endpoints = Endpoints {
    config: &api::QEMU_CONFIG,
    config_set: &api::QEMU_CONFIG_SET,
    delete: &api::QEMU_DELETE,
    resize: &api::QEMU_RESIZE,
    status: &api::QEMU_STATUS,
    start: &api::QEMU_START,
    shutdown: &api::QEMU_SHUTDOWN,
    stop: &api::QEMU_STOP,
    list: &api::NODE_QEMU,
    options: &api::QEMU_FIREWALL_OPTIONS,
    options_set: &api::QEMU_FIREWALL_OPTIONS_SET,
    rule_create: &api::QEMU_FIREWALL_RULE_CREATE,
    rule_read: &api::QEMU_FIREWALL_RULE,
    rule_update: &api::QEMU_FIREWALL_RULE_UPDATE,
    rule_delete: &api::QEMU_FIREWALL_RULE_DELETE,
    sets: SetEndpoints {
        list: &api::QEMU_IPSETS,
        create: &api::QEMU_IPSET_CREATE,
        delete: &api::QEMU_IPSET_DELETE,
        read: &api::QEMU_IPSET,
        add: &api::QEMU_IPSET_ENTRY_CREATE,
        remove: &api::QEMU_IPSET_ENTRY_DELETE,
    },
};

static LXC: Endpoints = Endpoints {
    config: &api::LXC_CONFIG,
    config_set: &api::LXC_CONFIG_SET,
    delete: &api::LXC_DELETE,
    resize: &api::LXC_RESIZE,
    status: &api::LXC_STATUS,
    start: &api::LXC_START,
    shutdown: &api::LXC_SHUTDOWN,
    stop: &api::LXC_STOP,
    list: &api::NODE_LXC,
    options: &api::LXC_FIREWALL_OPTIONS,
    options_set: &api::LXC_FIREWALL_OPTIONS_SET,
    rule_create: &api::LXC_FIREWALL_RULE_CREATE,
    rule_read: &api::LXC_FIREWALL_RULE,
    rule_update: &api::LXC_FIREWALL_RULE_UPDATE,
    rule_delete: &api::LXC_FIREWALL_RULE_DELETE,
    sets: SetEndpoints {
        list: &api::LXC_IPSETS,
        create: &api::LXC_IPSET_CREATE,
        delete: &api::LXC_IPSET_DELETE,
        read: &api::LXC_IPSET,
        add: &api::LXC_IPSET_ENTRY_CREATE,
        remove: &api::LXC_IPSET_ENTRY_DELETE,
    },
};

/// The endpoints of a kind of guest.
pub fn endpoints(kind: GuestKind) -> &'static Endpoints {
    match kind {
        GuestKind::Qemu => &QEMU,
        GuestKind::Lxc => &LXC,
    }
}
