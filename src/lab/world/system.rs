//! The host itself: its processor, kernel, services and settings.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a node is beside its guests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct System {
    /// Cores of all sockets; half of the logical CPUs, if 0.
    pub cores: u32,
    /// Sockets.
    pub sockets: u32,
    /// Clock of a core in MHz, as `/proc/cpuinfo` prints it.
    pub mhz: String,
    /// Flags of a core.
    pub cpu_flags: String,
    /// `vendor_id` of a core.
    pub cpu_vendor: String,
    /// `cpu family` of a core.
    pub cpu_family: String,
    /// Whether it can run virtual machines by itself.
    pub virtualisation: bool,
    /// Release of the running kernel; that of the version, if empty.
    pub kernel_release: String,
    /// Version of the running kernel.
    pub kernel_version: String,
    /// Started by a BIOS and not by UEFI.
    pub legacy_bios: bool,
    /// Time zone.
    pub timezone: String,
    /// Search domain.
    pub search: Option<String>,
    /// Name servers.
    pub dns: Vec<String>,
    /// `/etc/hosts`, if it is not what the installer writes.
    pub hosts: Option<String>,
    /// What was set of the node's configuration.
    pub config: BTreeMap<String, String>,
    /// Services by name; what PVE asks for and is not here is not installed.
    pub services: BTreeMap<String, Service>,
}

/// A service as systemd knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// What it is, in words.
    pub description: String,
    /// Whether it runs.
    pub running: bool,
    /// `enabled`, `disabled`, `static`, `masked`.
    pub unit_state: String,
}

impl Service {
    /// A service.
    #[must_use]
    pub fn new(description: &str, running: bool, unit_state: &str) -> Self {
        Self { description: description.to_owned(), running, unit_state: unit_state.to_owned() }
    }
}

impl Default for System {
    fn default() -> Self {
        Self {
            cores: 0,
            sockets: 1,
            mhz: "4500.000".to_owned(),
            cpu_flags: "fpu vme de pse tsc msr pae svm vmx aes fma movbe f16c abm bmi1 avx avx2 bmi2".to_owned(),
            cpu_vendor: "AuthenticAMD".to_owned(),
            cpu_family: "25".to_owned(),
            virtualisation: true,
            kernel_release: String::new(),
            kernel_version: "#1 SMP PREEMPT_DYNAMIC PMX".to_owned(),
            legacy_bios: false,
            timezone: "Etc/UTC".to_owned(),
            search: Some("example.org".to_owned()),
            dns: vec!["192.168.1.1".to_owned()],
            hosts: None,
            config: BTreeMap::new(),
            services: usual_services(),
        }
    }
}

/// What runs on a host of its own that belongs to no cluster.
#[must_use]
pub fn usual_services() -> BTreeMap<String, Service> {
    let running: &[(&str, &str, &str)] = &[
        ("chrony", "chrony, an NTP client/server", "enabled"),
        ("cron", "Regular background program processing daemon", "enabled"),
        ("ksmtuned", "Kernel Samepage Merging (KSM) Tuning Daemon", "enabled"),
        ("lxcfs", "FUSE filesystem for LXC", "enabled"),
        ("postfix", "Postfix Mail Transport Agent (main/default instance)", "enabled"),
        ("proxmox-firewall", "Proxmox nftables firewall", "enabled"),
        ("pve-cluster", "The Proxmox VE cluster filesystem", "enabled"),
        ("pve-firewall", "Proxmox VE firewall", "enabled"),
        ("pve-ha-crm", "PVE Cluster HA Resource Manager Daemon", "enabled"),
        ("pve-ha-lrm", "PVE Local HA Resource Manager Daemon", "enabled"),
        ("pve-lxc-syscalld", "Proxmox VE LXC Syscall Daemon", "enabled"),
        ("pvedaemon", "PVE API Daemon", "enabled"),
        ("pvefw-logger", "Proxmox VE firewall logger", "static"),
        ("pveproxy", "PVE API Proxy Server", "enabled"),
        ("pvescheduler", "Proxmox VE scheduler", "enabled"),
        ("pvestatd", "PVE Status Daemon", "enabled"),
        ("qmeventd", "PVE Qemu Event Daemon", "enabled"),
        ("spiceproxy", "PVE SPICE Proxy Server", "enabled"),
        ("sshd", "OpenBSD Secure Shell server", "enabled"),
        ("systemd-journald", "Journal Service", "static"),
    ];
    let mut services: BTreeMap<String, Service> =
        running.iter().map(|(name, what, state)| ((*name).to_owned(), Service::new(what, true, state))).collect();
    services.insert("corosync".to_owned(), Service::new("Corosync Cluster Engine", false, "enabled"));
    services
}
