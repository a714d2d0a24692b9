//! `ct`: an unprivileged container made from a template, with datasets and device nodes of its host.
//!
//! Bind mounts, device nodes and every feature but `nesting` are given to root@pam alone, which no API
//! token is (not even root@pam's own); they are set over SSH with `pct` (`pve-api.md`, 9.2.11).

use std::collections::{BTreeMap, BTreeSet};

use super::difference::Difference;
use super::guest::{Located, Planner, RootPart, Shape, address_options, common_settings, guest_addr};
use super::operations::options;
use super::setting::{Setting, settle};
use super::{Context, Finding, Removal, Resource, dataset, image};
use crate::blueprint::{Blueprint, Container, Guest, GuestShape, Host};
use crate::model::observed::GuestConfig;
use crate::model::step::{Expect, Matcher, Op, StepId};
use crate::model::{Addr, HostName, NodeName};
use crate::ports::Request;
use crate::proxmox::endpoints::LXC_CREATE;
use crate::proxmox::options::Options;

struct LinuxContainer<'a> {
    blueprint: &'a Blueprint,
    guest: &'a Guest,
    host: &'a Host,
    container: &'a Container,
}

pub fn desired(blueprint: &Blueprint) -> Vec<Box<dyn Resource + '_>> {
    blueprint
        .guests
        .values()
        .filter_map(|guest| match &guest.shape {
            GuestShape::Container(container) => {
                let host = blueprint.host_of(guest);
                Some(Box::new(LinuxContainer { blueprint, guest, host, container }) as Box<dyn Resource>)
            }
            GuestShape::Vm(_) => None,
        })
        .collect()
}

impl Resource for LinuxContainer<'_> {
    fn addr(&self) -> Addr {
        guest_addr(self.guest)
    }

    fn host(&self) -> &HostName {
        &self.guest.host
    }

    fn find(&self, context: &Context<'_>) -> Finding {
        Planner { context, guest: self.guest, shape: self }.find()
    }

    fn removal(&self, context: &Context<'_>) -> Option<Removal> {
        Planner { context, guest: self.guest, shape: self }.removal()
    }
}

/// Keys of one numbered family (`mp0`, `mp1`, …) by what identifies an entry.
struct Family {
    prefix: &'static str,
    /// Limit of PVE: `mp0` to `mp255`, `dev0` to `dev255`.
    limit: usize,
}

/// What the NIC begins with: its name in the container; PVE gives it a MAC.
const NIC: &str = "name=eth0";
const MOUNTS: Family = Family { prefix: "mp", limit: 256 };
const DEVICES: Family = Family { prefix: "dev", limit: 256 };

impl Family {
    fn keys<'c>(&self, config: &'c GuestConfig, coming: bool) -> Vec<(String, &'c str)> {
        let keys: BTreeSet<&String> = config.current.keys().chain(config.pending.keys()).collect();
        keys.into_iter()
            .filter(|key| key.strip_prefix(self.prefix).is_some_and(|n| n.parse::<usize>().is_ok()))
            .filter_map(|key| Some((key.clone(), if coming { config.coming(key) } else { config.active(key) }?)))
            .collect()
    }

    fn free(&self, taken: &BTreeSet<String>) -> Option<String> {
        (0..self.limit).map(|index| format!("{}{index}", self.prefix)).find(|key| !taken.contains(key))
    }
}

/// Bind mounts by the path that the container sees; volumes of a storage are not ours to manage.
fn bind_mount(text: &str) -> Option<(String, String)> {
    let parsed = Options::parse(text);
    let source = parsed.head.as_deref().filter(|head| head.starts_with('/'))?;
    let read_only = if parsed.flag("ro") == Some(true) { " (read-only)" } else { "" };
    Some((parsed.get("mp")?.to_owned(), format!("{source}{read_only}")))
}

/// Device nodes by their path.
fn device(text: &str) -> Option<(String, String)> {
    let mut parsed = Options::parse(text);
    let path = parsed.head.take().or_else(|| parsed.named.remove("path"))?;
    Some((path, parsed.to_string()))
}

impl LinuxContainer<'_> {
    fn mounts(&self) -> BTreeMap<String, (String, String)> {
        let entry = |mount: &crate::blueprint::DatasetMount| {
            let source = dataset::mountpoint(&mount.dataset);
            let (ro, shown) = if mount.read_only { (",ro=1", " (read-only)") } else { ("", "") };
            (mount.mount.clone(), (format!("{source}{shown}"), format!("{source},mp={}{ro}", mount.mount)))
        };
        self.container.datasets.iter().map(entry).collect()
    }

    fn devices(&self) -> BTreeMap<String, (String, String)> {
        let entry = |node: &crate::blueprint::DeviceNode| {
            let rest = format!("gid={},mode={:04o},uid={}", node.gid, node.mode, node.uid);
            (node.path.clone(), (rest.clone(), format!("{},{rest}", node.path)))
        };
        self.container.devices.iter().map(entry).collect()
    }

    fn features(&self) -> [Setting; 2] {
        let flag = |name: &str, on: bool| {
            let want = Some(i32::from(on).to_string());
            Setting::option("features", name, want, Some("0")).restart()
        };
        [flag("nesting", self.container.nesting), flag("keyctl", self.container.keyctl)]
    }
}

/// How a key is written.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Write {
    /// To this.
    Set(String),
    /// Away.
    Delete,
    /// A change of it that nobody wants and that waits for a restart is forgotten.
    Revert,
}

impl Write {
    fn to(value: Option<String>) -> Self {
        value.map_or(Self::Delete, Self::Set)
    }
}

/// What differs of mounts or of devices, each known by what it is in the container, not by its number.
fn family_part(
    family: &Family,
    path: &str,
    identify: fn(&str) -> Option<(String, String)>,
    wanted: &BTreeMap<String, (String, String)>,
    located: &Located,
    part: &mut RootPart,
) -> BTreeMap<String, Write> {
    let config = &located.config;
    let by_id = |keys: &[(String, &str)]| -> BTreeMap<String, (String, String)> {
        let entry = |(key, text): &(String, &str)| identify(text).map(|(id, value)| (id, (key.clone(), value)));
        keys.iter().filter_map(entry).collect()
    };
    let coming = family.keys(config, true);
    let mut after = by_id(&coming);
    // A guest that does not run has nothing active.
    let active = if located.running { by_id(&family.keys(config, false)) } else { after.clone() };
    part.desired.extend(wanted.iter().map(|(id, (value, _))| (format!("{path}.{id}"), value.clone())));
    let ids: BTreeSet<String> = active.keys().chain(after.keys()).chain(wanted.keys()).cloned().collect();
    for id in ids {
        let value = |of: &BTreeMap<String, (String, String)>| of.get(&id).map(|(_, value)| value.clone());
        let (is, will_be, want) = (value(&active), value(&after), wanted.get(&id).map(|(value, _)| value.clone()));
        if want == is && want == will_be {
            continue;
        }
        let (revoked, waits) = (want == is, want == will_be);
        // A new mount is hot-plugged; a device node, and everything that goes, waits for a restart.
        let cold = waits || is.is_some() || family.prefix == DEVICES.prefix;
        part.differences.push(Difference {
            path: format!("{path}.{id}"),
            from: if revoked { will_be } else { is },
            to: want,
            restart: located.running && !revoked && cold,
        });
    }

    let mut write = BTreeMap::new();
    // What is in effect as it should be and waits to be something else stays as it is.
    for (key, text) in family.keys(config, false).into_iter().filter(|(key, _)| config.pending.contains_key(key)) {
        let Some((id, value)) = identify(text) else { continue };
        let held = after.get(&id).is_some_and(|(other, there)| *other != key && *there == value);
        if !held
            && wanted.get(&id).is_some_and(|(want, _)| *want == value)
            && after.get(&id) != Some(&(key.clone(), value.clone()))
        {
            after.retain(|_, (other, _)| *other != key);
            after.insert(id, (key.clone(), value));
            write.insert(key, Write::Revert);
        }
    }
    let mut taken: BTreeSet<String> = coming.iter().map(|(key, _)| key.clone()).collect();
    taken.extend(family.keys(config, false).into_iter().map(|(key, _)| key));
    for (id, (value, text)) in wanted {
        match after.get(id) {
            Some((_, there)) if there == value => {}
            Some((key, _)) => {
                write.insert(key.clone(), Write::Set(text.clone()));
            }
            None => {
                if let Some(key) = family.free(&taken) {
                    taken.insert(key.clone());
                    write.insert(key, Write::Set(text.clone()));
                }
            }
        }
    }
    for (id, (key, _)) in &after {
        if !wanted.contains_key(id) {
            write.insert(key.clone(), Write::Delete);
        }
    }
    write
}

impl Shape for LinuxContainer<'_> {
    fn settings(&self) -> Vec<Setting> {
        let network = &self.host.network;
        let (ip, gateway) = address_options(network);
        let mut settings = common_settings(self.blueprint, self.guest, "hostname", NIC);
        let mib = |size: crate::model::Size| size.as_mib().unwrap_or_default();
        let limit = self.container.limits.cpu_centi.map(|centi| {
            let text = format!("{}.{:02}", centi / 100, centi % 100);
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        });
        settings.extend([
            Setting::live("cores", self.guest.cores, None),
            Setting::live("memory", mib(self.guest.memory), Some("512")),
            Setting::live("swap", mib(self.container.swap), Some("512")),
            Setting::live("cpulimit", "", Some("0")).maybe(limit),
            Setting::live("cpuunits", "", Some("100")).maybe(self.container.limits.cpu_units.map(|u| u.to_string())),
            Setting::option("net0", ip, Some(self.guest.interface.to_string()), None),
            Setting::option("net0", gateway, Some(network.gateway.to_string()), None),
        ]);
        settings
    }

    fn create(&self, node: &NodeName) -> Request {
        let network = &self.host.network;
        let (ip, gateway) = address_options(network);
        let mut net = format!(
            "{NIC},bridge={},firewall=1,{gateway}={},{ip}={}",
            network.bridge, network.gateway, self.guest.interface
        );
        if let Some(vlan) = network.vlan {
            net.push_str(&format!(",tag={vlan}"));
        }
        let image = &self.blueprint.images[&self.guest.image];
        let whole = self.settings().into_iter().filter(|setting| setting.option.is_none());
        let keys = self.guest.ssh_keys.join("\n");
        LXC_CREATE
            .at(&[node.as_str()])
            .set("vmid", self.guest.vmid)
            .set("ostemplate", image::volume(self.host, image))
            .set("pool", &self.blueprint.pool)
            .set("unprivileged", 1)
            .set_maybe("features", self.container.nesting.then_some("nesting=1"))
            .set("rootfs", format!("{}:{}", self.guest.storage, self.guest.disk.as_gib().unwrap_or_default()))
            .set("net0", net)
            .set_maybe("ssh-public-keys", Some(keys).filter(|keys| !keys.is_empty()))
            .set_all(whole.filter_map(|setting| Some((setting.key, setting.want?))))
            .request()
    }

    fn image_step(&self) -> StepId {
        StepId::new(&image::addr(&self.host.name, &self.guest.image), "download")
    }

    fn settings_need(&self) -> Vec<StepId> {
        Vec::new()
    }

    fn root_part(&self, located: &Located) -> RootPart {
        let mut part = RootPart::default();
        // What the create itself sets is there when this part is carried out.
        let created = if located.present {
            located.config.clone()
        } else {
            let nesting = self.container.nesting.then(|| ("features".to_owned(), "nesting=1".to_owned()));
            GuestConfig { current: nesting.into_iter().collect(), ..GuestConfig::default() }
        };
        let features = self.features();
        let settled = settle(&features, &created, located.running);
        part.desired.extend(features.iter().filter_map(|s| Some((s.path.clone(), s.desired()?))));
        part.differences.extend(settled.differences);
        let mut write: BTreeMap<String, Write> =
            settled.write.into_iter().map(|(key, value)| (key, Write::to(value))).collect();
        let (mounts, devices) = (self.mounts(), self.devices());
        write.extend(family_part(&MOUNTS, "mounts", bind_mount, &mounts, located, &mut part));
        write.extend(family_part(&DEVICES, "devices", device, &devices, located, &mut part));

        let vmid = self.guest.vmid.to_string();
        part.commands = pct_set(&vmid, &write);
        let before: BTreeMap<String, Write> =
            write.keys().map(|key| (key.clone(), Write::to(created.coming(key).map(str::to_owned)))).collect();
        part.undo = pct_set(&vmid, &before);
        part.expect = write
            .iter()
            .map(|(key, value)| match value {
                Write::Delete => Expect::new(key, Matcher::Absent),
                Write::Set(text) => options(key, Options::parse(text).named),
                Write::Revert => options(key, Options::parse(created.active(key).unwrap_or_default()).named),
            })
            .collect();
        part.needs = self
            .container
            .datasets
            .iter()
            .flat_map(|mount| {
                let addr = dataset::addr(&self.host.name, &mount.dataset);
                [StepId::new(&addr, "create"), StepId::new(&addr, "update")]
            })
            .collect();
        part
    }

    fn started(&self, _: &NodeName) -> Vec<Op> {
        Vec::new()
    }
}

/// `pct set` for all keys at once, as each call costs half a second; removals in a call of their own.
fn pct_set(vmid: &str, write: &BTreeMap<String, Write>) -> Vec<Vec<String>> {
    let command = |rest: Vec<String>| ["pct", "set", vmid].map(str::to_owned).into_iter().chain(rest).collect();
    let named = |what: &Write| -> Vec<&str> {
        write.iter().filter(|(_, write)| *write == what).map(|(key, _)| key.as_str()).collect()
    };
    let set: Vec<String> = write
        .iter()
        .filter_map(|(key, write)| match write {
            Write::Set(value) => Some([format!("--{key}"), value.clone()]),
            Write::Delete | Write::Revert => None,
        })
        .flatten()
        .collect();
    let mut commands = Vec::new();
    for (option, keys) in [("--revert", named(&Write::Revert)), ("--delete", named(&Write::Delete))] {
        if !keys.is_empty() {
            commands.push(command(vec![option.to_owned(), keys.join(",")]));
        }
    }
    if !set.is_empty() {
        // What is set goes before what is taken away: at no moment is there less than needed.
        commands.insert(usize::from(!named(&Write::Revert).is_empty()), command(set));
    }
    commands
}
