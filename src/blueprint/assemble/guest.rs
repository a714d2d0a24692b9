//! Guests.

use std::collections::BTreeMap;

use super::deployments::deployments;
use super::firewall::firewall;
use crate::blueprint::draft::{Draft, DraftGuest};
use crate::blueprint::{
    Agent, Container, CpuModel, DatasetMount, DeviceNode, Guest, GuestShape, Limits, PowerState, Startup, Vm,
};
use crate::diag::{Span, Spanned};
use crate::inventory::{self, KindName, PublicKey, Shape, State};
use crate::model::{DatasetName, Interface, Size};

/// How long a first boot with cloud-init may take until the agent answers.
const AGENT_WAIT_S: u32 = 300;

pub(super) fn guest(draft: &Draft<'_>, own: &DraftGuest<'_>) -> Option<Guest> {
    let shape = &own.shape;
    let (host_name, host) = draft.host_of(own)?;
    let subnet = host.network.as_ref()?.subnet.as_ref()?.value.0;
    let power = match shape.state.map(|state| state.value) {
        Some(State::Stopped) => PowerState::Stopped,
        Some(State::Running) | None => PowerState::Running,
    };
    let startup = shape.startup.as_ref().map(|startup| Startup {
        order: startup.order.map(|order| order.value),
        up_s: startup.up.map(|seconds| seconds.value),
        down_s: startup.down.map(|seconds| seconds.value),
    });
    let keys = shape.ssh_keys.as_ref().or(draft.inventory.document.ssh_keys.as_ref());
    Some(Guest {
        name: own.name.value.clone(),
        host: host_name.value.clone(),
        vmid: own.own.vmid?.value,
        shape: match own.kind()? {
            KindName::Vm => GuestShape::Vm(vm(shape)),
            KindName::Container => GuestShape::Container(container(draft, own)?),
        },
        cores: shape.cores?.value,
        memory: shape.memory?.value,
        disk: shape.disk?.value,
        storage: match &shape.storage {
            Some(storage) => storage.value.clone(),
            None => host.storage.as_ref()?.guests.as_ref()?.value.clone(),
        },
        image: shape.image.as_ref()?.value.clone(),
        interface: Interface::in_network(own.own.address.as_ref()?.value.0, subnet)?,
        power,
        onboot: shape.onboot.map_or(power == PowerState::Running, |onboot| onboot.value),
        startup: startup.unwrap_or_default(),
        protection: shape.protection.is_some_and(|protection| protection.value),
        tags: shape.tags.iter().flatten().map(|tag| tag.value.clone()).collect(),
        notes: shape.notes.as_ref().map(|notes| notes.value.trim_end().to_owned()).unwrap_or_default(),
        ssh_keys: distinct(keys.into_iter().flatten().map(|PublicKeyLine { value, .. }| value.0.clone())),
        firewall: firewall(draft, shape.firewall.as_ref().map(|firewall| &firewall.value))?,
        services: own.listed().map(|service| service.value.clone()).collect(),
        deployments: deployments(draft, own),
        span: own.name.span,
        spans: spans(own),
    })
}

type PublicKeyLine = Spanned<PublicKey>;

fn distinct(items: impl Iterator<Item = String>) -> Vec<String> {
    let mut list = Vec::new();
    for item in items {
        if !list.contains(&item) {
            list.push(item);
        }
    }
    list
}

fn vm(shape: &Shape) -> Vm {
    let agent = shape.agent.as_ref().map(|agent| &agent.value);
    Vm {
        gpus: shape.gpus.iter().flatten().map(|gpu| gpu.value.clone()).collect(),
        cpu: CpuModel(shape.cpu.as_ref().map_or_else(|| "host".to_owned(), |cpu| cpu.value.0.clone())),
        ksm: shape.ksm.map(|ksm| ksm.value),
        user: shape.user.as_ref().map_or_else(|| "infra".to_owned(), |user| user.value.0.clone()),
        packages: distinct(shape.packages.iter().flatten().map(|package| package.value.0.clone())),
        agent: Agent {
            enabled: agent.and_then(|agent| agent.enabled).is_none_or(|enabled| enabled.value),
            wait_s: agent.and_then(|agent| agent.wait).map_or(AGENT_WAIT_S, |wait| wait.value),
        },
    }
}

fn container(draft: &Draft<'_>, own: &DraftGuest<'_>) -> Option<Container> {
    let shape = &own.shape;
    let limits = shape.limits.as_ref().map(|limits| Limits {
        cpu_centi: limits.cpu.map(|cpu| centi(cpu.value)),
        cpu_units: limits.cpu_units.map(|units| units.value),
    });
    Some(Container {
        swap: shape.swap.map_or(Size::bytes(0), |swap| swap.value),
        nesting: shape.nesting.is_none_or(|nesting| nesting.value),
        keyctl: shape.keyctl.is_some_and(|keyctl| keyctl.value),
        limits: limits.unwrap_or_default(),
        datasets: shape.datasets.iter().flatten().map(|dataset| mount(draft, own, dataset)).collect::<Option<_>>()?,
        devices: shape.devices.iter().flatten().map(|own| device(own)).collect::<Option<_>>()?,
    })
}

/// Cores as hundredths.
pub(in crate::blueprint) fn centi(cores: f64) -> u32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rule keeps it within 0.01 to 8192")]
    let centi = (cores * 100.0).round() as u32;
    centi
}

fn mount(draft: &Draft<'_>, guest: &DraftGuest<'_>, own: &Spanned<inventory::Dataset>) -> Option<DatasetMount> {
    let dataset = dataset_name(draft, guest, own)?;
    Some(DatasetMount {
        owner: owner(draft, guest, &dataset),
        mount: own.mount.as_ref()?.value.0.clone(),
        quota: own.quota.map(|quota| quota.value),
        recordsize: own.recordsize.map(|size| size.value),
        compression: own.compression.map(|compression| compression.as_str().to_owned()),
        read_only: own.read_only.is_some_and(|read_only| read_only.value),
        uid_gid: (own.uid.map_or(0, |uid| uid.value), own.gid.map_or(0, |gid| gid.value)),
        span: own.name.as_ref()?.span,
        dataset,
    })
}

/// The full name of a dataset.
pub(in crate::blueprint) fn dataset_name(
    draft: &Draft<'_>,
    guest: &DraftGuest<'_>,
    dataset: &inventory::Dataset,
) -> Option<DatasetName> {
    let name = &dataset.name.as_ref()?.value.0;
    match name.strip_prefix('/') {
        Some(full) => full.parse().ok(),
        None => {
            let (_, host) = draft.host_of(guest)?;
            host.storage.as_ref()?.datasets.as_ref()?.value.join(name).ok()
        }
    }
}

/// Whether an entry sets a property of the dataset.
pub(in crate::blueprint) fn has_properties(dataset: &inventory::Dataset) -> bool {
    dataset.quota.is_some()
        || dataset.recordsize.is_some()
        || dataset.compression.is_some()
        || dataset.uid.is_some()
        || dataset.gid.is_some()
}

/// Whether this guest's entry decides the dataset's properties: the first one by name that sets any,
/// else the first one that mounts it.
fn owner(draft: &Draft<'_>, guest: &DraftGuest<'_>, dataset: &DatasetName) -> bool {
    let host = draft.host_of(guest).map(|(name, _)| &name.value);
    let mut mounting = draft.guests.iter().flat_map(|other| {
        other.shape.datasets.iter().flatten().filter_map(move |entry| {
            let here = draft.host_of(other).map(|(name, _)| &name.value) == host;
            let same = here && dataset_name(draft, other, entry).as_ref() == Some(dataset);
            same.then_some((other.name, has_properties(entry)))
        })
    });
    let first = mounting.next();
    let decides = first.into_iter().chain(mounting).find(|(_, properties)| *properties).or(first);
    decides.is_some_and(|(name, _)| name == guest.name)
}

fn device(own: &inventory::Device) -> Option<DeviceNode> {
    Some(DeviceNode {
        path: own.path.as_ref()?.value.0.clone(),
        uid: own.uid.map_or(0, |uid| uid.value),
        gid: own.gid.map_or(0, |gid| gid.value),
        mode: match &own.mode {
            Some(mode) => file_mode(&mode.value)?,
            None => 0o660,
        },
    })
}

/// Permission bits from their octal text.
pub(in crate::blueprint) fn file_mode(text: &str) -> Option<u32> {
    let octal = (3..=4).contains(&text.len()) && text.bytes().all(|b| (b'0'..=b'7').contains(&b));
    if octal { u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777) } else { None }
}

fn spans(guest: &DraftGuest<'_>) -> BTreeMap<String, Span> {
    fn one<T>(value: &Option<Spanned<T>>) -> Option<Span> {
        value.as_ref().map(|value| value.span)
    }
    fn list<T>(value: &Option<Vec<Spanned<T>>>) -> Option<Span> {
        value.iter().flatten().next().map(|value| value.span)
    }
    let (own, shape) = (guest.own, &guest.shape);
    [
        ("host", one(&own.host)),
        ("vmid", one(&own.vmid)),
        ("address", one(&own.address)),
        ("profile", one(&own.profile)),
        ("kind", one(&shape.kind)),
        ("cores", one(&shape.cores)),
        ("memory", one(&shape.memory)),
        ("disk", one(&shape.disk)),
        ("storage", one(&shape.storage)),
        ("image", one(&shape.image)),
        ("state", one(&shape.state)),
        ("onboot", one(&shape.onboot)),
        ("startup", one(&shape.startup)),
        ("protection", one(&shape.protection)),
        ("notes", one(&shape.notes)),
        ("firewall", one(&shape.firewall)),
        ("cpu", one(&shape.cpu)),
        ("ksm", one(&shape.ksm)),
        ("user", one(&shape.user)),
        ("agent", one(&shape.agent)),
        ("swap", one(&shape.swap)),
        ("nesting", one(&shape.nesting)),
        ("keyctl", one(&shape.keyctl)),
        ("limits", one(&shape.limits)),
        ("ssh_keys", list(&shape.ssh_keys)),
        ("tags", list(&shape.tags)),
        ("gpus", list(&shape.gpus)),
        ("packages", list(&shape.packages)),
        ("datasets", list(&shape.datasets)),
        ("devices", list(&shape.devices)),
    ]
    .into_iter()
    .filter_map(|(path, span)| span.map(|span| (path.to_owned(), span)))
    .collect()
}
