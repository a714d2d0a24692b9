//! A guest, and the shape that it shares with others.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::values::{
    Compression, CpuName, DatasetPath, DevicePath, Ip, KindName, LocalService, MountPath, Package, PublicKey,
    ServiceRef, SiteName, State, UserName, Viewer,
};
use super::{GuestFirewall, Internet, Route, ServiceEntry, TailnetAccess};
use crate::diag::Spanned;
use crate::model::{GpuName, HostName, Size, StorageName, Tag, Vmid};

/// Declares the keys that guests and profiles share once, with how an own value meets the profile's.
macro_rules! shape {
    ($($(#[$meta:meta])* $field:ident: $type:ty = $merge:ident),+ $(,)?) => {
        /// What guests and profiles share.
        #[derive(Debug, Clone, Default)]
        pub struct Shape {
            $(#[doc = concat!("The key `", stringify!($field), "`.")] pub $field: Option<$type>),+
        }

        /// One VM or container.
        #[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
        pub struct Guest {
            /// The profile that it starts from; what is given here overrides it.
            pub profile: Option<Spanned<String>>,
            /// The host that it is placed on.
            #[schemars(required)]
            pub host: Option<Spanned<HostName>>,
            /// Its number, unique in a cluster.
            #[schemars(required, example = 104)]
            pub vmid: Option<Spanned<Vmid>>,
            /// Its address, inside the host's subnet.
            #[schemars(required, example = &"10.0.0.123")]
            pub address: Option<Spanned<Ip>>,
            $($(#[$meta])* pub $field: Option<$type>),+
        }

        /// A reusable shape of guests.
        #[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
        #[schemars(title = "infra profile")]
        pub struct Profile {
            /// Another profile that this one starts from.
            pub extends: Option<Spanned<String>>,
            /// What it is for.
            pub description: Option<Spanned<String>>,
            $($(#[$meta])* pub $field: Option<$type>),+
        }

        impl Guest {
            /// What it shares with profiles.
            #[must_use]
            pub fn shape(&self) -> Shape {
                Shape { $($field: self.$field.clone()),+ }
            }
        }

        impl Profile {
            /// What it shares with guests.
            #[must_use]
            pub fn shape(&self) -> Shape {
                Shape { $($field: self.$field.clone()),+ }
            }
        }

        impl Shape {
            /// This shape on top of `base`.
            #[must_use]
            pub fn over(self, base: Self) -> Self {
                Self { $($field: merge::$merge(self.$field, base.$field)),+ }
            }
        }
    };
}

shape! {
    /// VM or container.
    kind: Spanned<KindName> = own,
    /// Virtual CPUs.
    #[schemars(range(min = 1, max = 8192))]
    cores: Spanned<u32> = own,
    /// Memory, a whole number of MiB.
    #[schemars(example = &"4GiB")]
    memory: Spanned<Size> = own,
    /// System disk or root file system, a whole number of GiB. It can grow, but not shrink.
    #[schemars(example = &"20GiB")]
    disk: Spanned<Size> = own,
    /// The storage of that disk; the host's `storage.guests` unless given.
    storage: Spanned<StorageName> = own,
    /// The image that it is made from, by its name under `images`.
    image: Spanned<String> = own,
    /// Public SSH keys that may log in. A guest's own are added to its profile's; if there are neither, those at the top count.
    ssh_keys: Vec<Spanned<PublicKey>> = both,
    /// Whether it shall run; `running` unless given.
    state: Spanned<State> = own,
    /// Whether it starts with its host; as `state` says unless given.
    onboot: Spanned<bool> = own,
    /// When it starts with its host.
    startup: Spanned<Startup> = startup,
    /// Whether Proxmox shall refuse to remove it; not unless given.
    protection: Spanned<bool> = own,
    /// Tags; a guest's own are added to its profile's.
    tags: Vec<Spanned<Tag>> = both,
    /// Notes that the web interface shows.
    notes: Spanned<String> = own,
    /// Its firewall.
    firewall: Spanned<GuestFirewall> = firewall,
    /// VM only: GPUs of its host, passed through whole.
    gpus: Vec<Spanned<GpuName>> = own,
    /// VM only: CPU model; `host` unless given.
    cpu: Spanned<CpuName> = own,
    /// VM only: whether the host may keep one copy of memory pages that this VM shares with others (KSM). A
    /// guest can find out what others hold in memory by that: `false` for guests that must not be watched,
    /// from Proxmox VE 9.1 on. The host decides unless given.
    ksm: Spanned<bool> = own,
    /// VM only: the user that cloud-init makes; `infra` unless given.
    user: Spanned<UserName> = own,
    /// VM only: packages that cloud-init installs; a guest's own are added to its profile's.
    packages: Vec<Spanned<Package>> = both,
    /// VM only: the guest agent.
    agent: Spanned<Agent> = agent,
    /// Container only: swap; none unless given.
    #[schemars(example = &"512MiB")]
    swap: Spanned<Size> = own,
    /// Container only: may run containers itself; systemd needs it too. It may unless said otherwise.
    nesting: Spanned<bool> = own,
    /// Container only: may use the kernel's keyring, which Docker needs; not unless given.
    keyctl: Spanned<bool> = own,
    /// Container only: limits beyond cores and memory.
    limits: Spanned<Limits> = limits,
    /// Container only: ZFS datasets that are mounted into it; a guest's own are added to its profile's.
    datasets: Vec<Spanned<Dataset>> = both,
    /// Container only: device nodes of the host; a guest's own are added to its profile's.
    devices: Vec<Spanned<Device>> = both,
    /// Services that run in it, by their folders in `templates/`. They decide which ports it may open to others. An
    /// entry that says more than the name of one that the profile lists adds to what is said there.
    services: Vec<Spanned<ServiceEntry>> = services,
    /// Services of other guests that it uses, as `guest/service` or `guest/service/port`: the firewall lets it through.
    #[schemars(example = &["plan-hq/litellm"])]
    uses: Vec<Spanned<ServiceRef>> = both,
    /// Its services that others may reach over the network, by `service` or `service/port`: networks, addresses,
    /// guests of this inventory, or `internet`.
    exposes: BTreeMap<Spanned<LocalService>, Vec<Spanned<Viewer>>> = map,
    /// Whether it may connect to the internet (not to the inventory's networks, nor to any other private one), or a
    /// list of where to; it may unless given.
    internet: Spanned<Internet> = own,
    /// Web sites that lead to its ports, through the reverse proxy of `ingress`.
    routes: BTreeMap<Spanned<SiteName>, Spanned<Route>> = map,
    /// Who may reach it over the tailnet, such as `tag:phone`. Not acted on yet.
    access: Vec<Spanned<TailnetAccess>> = both,
}

/// When a guest starts with its host.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct Startup {
    /// Lower ones first; they stop last.
    pub order: Option<Spanned<u32>>,
    /// Seconds until the next one starts.
    pub up: Option<Spanned<u32>>,
    /// Seconds that it may take to shut down.
    pub down: Option<Spanned<u32>>,
}

/// The QEMU guest agent.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct Agent {
    /// Whether the VM has one; it has unless said otherwise.
    pub enabled: Option<Spanned<bool>>,
    /// Seconds until its first answer; 300 unless given.
    #[schemars(range(min = 1, max = 3600))]
    pub wait: Option<Spanned<u32>>,
}

/// Limits of a container.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct Limits {
    /// CPU time in cores, with up to two digits after the dot; as many as `cores` unless given.
    #[schemars(range(min = 0.01, max = 8192.0), example = 1.5)]
    pub cpu: Option<Spanned<f64>>,
    /// Weight against other guests.
    #[schemars(range(min = 1, max = 10000))]
    pub cpu_units: Option<Spanned<u32>>,
}

/// A ZFS dataset in a container.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct Dataset {
    /// Below the host's `storage.datasets`, or the full name after a slash: `/tank/media`.
    #[schemars(required, example = &"proj-x")]
    pub name: Option<Spanned<DatasetPath>>,
    /// Where the container sees it.
    #[schemars(required, example = &"/workspace")]
    pub mount: Option<Spanned<MountPath>>,
    /// Most that it may use.
    #[schemars(example = &"20GiB")]
    pub quota: Option<Spanned<Size>>,
    /// Its record size, a power of two from 4KiB to 16MiB.
    #[schemars(example = &"128KiB")]
    pub recordsize: Option<Spanned<Size>>,
    /// Its compression.
    pub compression: Option<Spanned<Compression>>,
    /// Whether the container may only read it; it may write unless given.
    pub read_only: Option<Spanned<bool>>,
    /// Owner inside the container; 0 unless given.
    #[schemars(range(max = 65535))]
    pub uid: Option<Spanned<u32>>,
    /// Group inside the container; 0 unless given.
    #[schemars(range(max = 65535))]
    pub gid: Option<Spanned<u32>>,
}

/// A device node of the host in a container. A path alone will do.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[schemars(transform = super::schema::or_text)]
pub struct Device {
    /// Its path.
    #[schemars(required, example = &"/dev/net/tun")]
    pub path: Option<Spanned<DevicePath>>,
    /// Owner inside the container; 0 unless given.
    #[schemars(range(max = 65535))]
    pub uid: Option<Spanned<u32>>,
    /// Group inside the container; 0 unless given.
    #[schemars(range(max = 65535))]
    pub gid: Option<Spanned<u32>>,
    /// Permission bits in octal, such as `"0660"`; 0660 unless given.
    pub mode: Option<Spanned<String>>,
}

/// How an own value meets the one of the profile.
mod merge {
    use super::{Agent, BTreeMap, GuestFirewall, Limits, ServiceEntry, Spanned, Startup};

    /// The own value, else the profile's.
    pub(super) fn own<T>(own: Option<T>, base: Option<T>) -> Option<T> {
        own.or(base)
    }

    /// The profile's list and then the own one, each value once.
    pub(super) fn both<T>(own: Option<Vec<Spanned<T>>>, base: Option<Vec<Spanned<T>>>) -> Option<Vec<Spanned<T>>> {
        match (own, base) {
            (Some(own), Some(mut list)) => {
                list.extend(own);
                Some(list)
            }
            (own, base) => own.or(base),
        }
    }

    /// The profile's list and then the own one; what an own entry says of a service that the profile lists counts.
    pub(super) fn services(
        own: Option<Vec<Spanned<ServiceEntry>>>,
        base: Option<Vec<Spanned<ServiceEntry>>>,
    ) -> Option<Vec<Spanned<ServiceEntry>>> {
        let (own, mut list) = match (own, base) {
            (Some(own), Some(list)) => (own, list),
            (own, base) => return own.or(base),
        };
        for entry in own {
            let known = list.iter_mut().find(|there| there.name.is_some() && there.name == entry.name);
            match known.filter(|_| entry.says_more()) {
                Some(there) => {
                    *there = Spanned { value: entry.value.over(std::mem::take(&mut there.value)), span: entry.span }
                }
                None => list.push(entry),
            }
        }
        Some(list)
    }

    /// Both maps; the own one wins.
    pub(super) fn map<K: Ord, V>(own: Option<BTreeMap<K, V>>, base: Option<BTreeMap<K, V>>) -> Option<BTreeMap<K, V>> {
        match (own, base) {
            (Some(own), Some(mut map)) => {
                map.extend(own);
                Some(map)
            }
            (own, base) => own.or(base),
        }
    }

    fn block<T>(own: Option<Spanned<T>>, base: Option<Spanned<T>>, join: fn(T, T) -> T) -> Option<Spanned<T>> {
        match (own, base) {
            (Some(own), Some(base)) => Some(Spanned { value: join(own.value, base.value), span: own.span }),
            (own, base) => own.or(base),
        }
    }

    pub(super) fn startup(own: Option<Spanned<Startup>>, base: Option<Spanned<Startup>>) -> Option<Spanned<Startup>> {
        block(own, base, |own, base| Startup {
            order: own.order.or(base.order),
            up: own.up.or(base.up),
            down: own.down.or(base.down),
        })
    }

    pub(super) fn agent(own: Option<Spanned<Agent>>, base: Option<Spanned<Agent>>) -> Option<Spanned<Agent>> {
        block(own, base, |own, base| Agent { enabled: own.enabled.or(base.enabled), wait: own.wait.or(base.wait) })
    }

    pub(super) fn limits(own: Option<Spanned<Limits>>, base: Option<Spanned<Limits>>) -> Option<Spanned<Limits>> {
        block(own, base, |own, base| Limits { cpu: own.cpu.or(base.cpu), cpu_units: own.cpu_units.or(base.cpu_units) })
    }

    pub(super) fn firewall(
        own: Option<Spanned<GuestFirewall>>,
        base: Option<Spanned<GuestFirewall>>,
    ) -> Option<Spanned<GuestFirewall>> {
        block(own, base, |own, base| GuestFirewall {
            enabled: own.enabled.or(base.enabled),
            inbound: own.inbound.or(base.inbound),
            outbound: own.outbound.or(base.outbound),
            groups: both(own.groups, base.groups),
            // The first rule that matches decides: what a guest adds must be able to except.
            rules: both(base.rules, own.rules),
        })
    }
}
