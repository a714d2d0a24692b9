//! A guest as it shall be: what all have, and what only a VM or only a container has.

use std::collections::{BTreeMap, BTreeSet};

use super::{Deployment, Firewall};
use crate::diag::Span;
use crate::model::{
    DatasetName, GpuName, GuestName, HostName, Inside, Interface, ServiceName, Size, StorageName, Tag, Vmid,
};

/// One VM or container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guest {
    /// Its name, also its host name.
    pub name: GuestName,
    /// Where it is placed.
    pub host: HostName,
    /// Its number.
    pub vmid: Vmid,
    /// VM or container, with what only that kind has.
    pub shape: GuestShape,
    /// Virtual CPUs.
    pub cores: u32,
    /// Memory; a whole number of MiB.
    pub memory: Size,
    /// System disk or root file system; a whole number of GiB.
    pub disk: Size,
    /// Where that disk is; the host's `storage.guests` unless given.
    pub storage: StorageName,
    /// The image: key of [`Blueprint::images`].
    pub image: String,
    /// Its address.
    pub interface: Interface,
    /// Whether it shall run.
    pub power: PowerState,
    /// Whether it starts with the host.
    pub onboot: bool,
    /// When it starts with the host.
    pub startup: Startup,
    /// Whether PVE shall refuse to remove it.
    pub protection: bool,
    /// Tags beside the ownership tag.
    pub tags: BTreeSet<Tag>,
    /// Notes above the ownership marker.
    pub notes: String,
    /// Public SSH keys of root (container) or of the cloud-init user (VM).
    pub ssh_keys: Vec<String>,
    /// Its firewall.
    pub firewall: Firewall,
    /// Services that run in it: keys of [`Blueprint::services`].
    pub services: Vec<ServiceName>,
    /// Those of them that run in containers, with what is different here.
    pub deployments: BTreeMap<ServiceName, Deployment>,
    /// Where the guest was declared.
    pub span: Span,
    /// Where single values were written, by the path of the inventory (`memory`, `datasets`), so that
    /// a problem found later points at its line.
    pub spans: BTreeMap<String, Span>,
}

impl Guest {
    /// How its host reaches into it.
    #[must_use]
    pub fn inside(&self) -> Inside {
        match self.shape {
            GuestShape::Vm(_) => Inside::Vm { vmid: self.vmid },
            GuestShape::Container(_) => Inside::Container { vmid: self.vmid },
        }
    }

    /// Where `path` was written, else where the guest was.
    #[must_use]
    pub fn span_of(&self, path: &str) -> Span {
        self.spans.get(path).copied().unwrap_or(self.span)
    }
}

/// What only one kind of guest has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GuestShape {
    /// A virtual machine.
    Vm(Vm),
    /// A container.
    Container(Container),
}

impl GuestShape {
    /// Datasets that are mounted into it, if it is a container.
    #[must_use]
    pub fn datasets(&self) -> Option<&[DatasetMount]> {
        match self {
            Self::Vm(_) => None,
            Self::Container(container) => Some(&container.datasets),
        }
    }
}

/// What only a VM has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vm {
    /// GPUs of its host, passed through whole.
    pub gpus: Vec<GpuName>,
    /// CPU model; `host` unless given.
    pub cpu: CpuModel,
    /// Whether the host may merge its memory pages with those of others; PVE's default is left alone unless given.
    pub ksm: Option<bool>,
    /// Cloud-init's first user.
    pub user: String,
    /// Packages that cloud-init installs beside the guest agent.
    pub packages: Vec<String>,
    /// The guest agent.
    pub agent: Agent,
}

/// A QEMU CPU model such as `host` or `x86-64-v3`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CpuModel(pub String);

/// The QEMU guest agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Agent {
    /// Whether the VM has one.
    pub enabled: bool,
    /// For how long the first answer is waited for, in seconds.
    pub wait_s: u32,
}

/// What only a container has. All of them are unprivileged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Swap; a whole number of MiB.
    pub swap: Size,
    /// May run containers itself.
    pub nesting: bool,
    /// May use the kernel's keyring, which Docker needs. PVE: root@pam only.
    pub keyctl: bool,
    /// Limits beyond cores and memory.
    pub limits: Limits,
    /// Datasets that are mounted into it. PVE: bind mounts are root@pam only.
    pub datasets: Vec<DatasetMount>,
    /// Device nodes that are passed into it. PVE: root@pam only.
    pub devices: Vec<DeviceNode>,
}

/// Limits of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// CPU time in hundredths of a core (PVE prints it as a fraction); `None` for no limit.
    pub cpu_centi: Option<u32>,
    /// Weight against other guests, 1 to 10,000; PVE's default unless given.
    pub cpu_units: Option<u32>,
}

/// A ZFS dataset and where a container sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatasetMount {
    /// Its full name.
    pub dataset: DatasetName,
    /// Where the container sees it, absolute.
    pub mount: String,
    /// Most that it may use.
    pub quota: Option<Size>,
    /// Its record size, a power of two from 512 bytes to 16 MiB.
    pub recordsize: Option<Size>,
    /// Its compression, such as `zstd`.
    pub compression: Option<String>,
    /// Whether the container may only read it.
    pub read_only: bool,
    /// Whether this mount decides the dataset's properties (several containers may share one).
    pub owner: bool,
    /// Owner inside the container, as uid and gid; shifted by 100,000 on the host.
    pub uid_gid: (u32, u32),
    /// Where it was declared.
    pub span: Span,
}

/// A device node of the host in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceNode {
    /// Its path, such as `/dev/net/tun`.
    pub path: String,
    /// Owner inside.
    pub uid: u32,
    /// Group inside.
    pub gid: u32,
    /// Permission bits, such as `0o666`.
    pub mode: u32,
}

/// Whether a guest shall run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PowerState {
    /// It shall.
    Running,
    /// It shall not.
    Stopped,
}

/// When a guest starts with its host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Startup {
    /// Lower ones first; they stop last.
    pub order: Option<u32>,
    /// Seconds until the next one starts.
    pub up_s: Option<u32>,
    /// Seconds that it may take to shut down.
    pub down_s: Option<u32>,
}
