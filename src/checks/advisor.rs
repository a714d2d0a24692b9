//! What could be passed through on a host, and what it would cost.
//!
//! Looks at every display and compute device, whether the inventory knows it or not. It is advice and no
//! check: nothing is refused for it. The entry is [`advise`].

use serde::{Deserialize, Serialize};

use super::gpus::{described, devices};
use super::iommu_group_shared::{Loss, taken_along};
use super::{NotRun, Subject, check};
use crate::model::machine::{PciBus, PciFunction};
use crate::model::{PciAddress, PciId};
use crate::resources::gpu_device::{Sought, seek};

/// A device that shows pictures or computes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct GpuAdvice {
    /// Where it is, without a function.
    pub address: PciAddress,
    /// What it is; in the words of the PCI ids where the API told them.
    pub name: String,
    /// Vendor and device.
    pub id: PciId,
    /// Vendor and device of its board.
    pub subsystem: Option<PciId>,
    /// What the inventory calls it, if it knows it.
    pub known_as: Option<String>,
    /// Whether it can be passed through.
    pub verdict: GpuVerdict,
    /// Why not, or what to know before.
    pub reasons: Vec<String>,
    /// Its other functions, which go with it: sound, USB.
    pub companions: Vec<String>,
    /// Its IOMMU group; `None` without an active IOMMU.
    pub group: Option<u32>,
    /// Others in its group that PVE would bind to `vfio-pci` with it.
    pub taken_along: Vec<String>,
    /// Whether the firmware showed its console here.
    pub boot_console: bool,
    /// Which driver has it.
    pub driver: Option<String>,
    /// Lines of the inventory for it, below `hosts.<name>`; empty where it is known there.
    pub inventory: String,
}

/// Whether a device can be passed through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GpuVerdict {
    /// Yes.
    Yes,
    /// Yes, with what the reasons say.
    WithCare,
    /// No, unless something changes.
    No,
    /// Nobody can tell yet.
    Unknown,
}

/// Looks at every display and compute device of a host, in the order of their places.
///
/// # Errors
/// When its bus is not known.
pub fn advise(subject: &Subject<'_>) -> Result<Vec<GpuAdvice>, NotRun> {
    let bus = check::all(&subject.machine().pci)?;
    let mut places: Vec<PciAddress> = bus
        .functions
        .iter()
        .filter(|(_, function)| function.is_gpu() && !function.virtual_function && !function.bridge)
        .map(|(address, _)| address.device())
        .collect();
    places.dedup();
    Ok(places.iter().filter_map(|place| about(subject, bus, place)).collect())
}

fn about(subject: &Subject<'_>, bus: &PciBus, place: &PciAddress) -> Option<GpuAdvice> {
    let (main, function) = bus.device(place).find(|(_, function)| function.is_gpu())?;
    let devices = devices(bus, subject);
    let named = devices.iter().find(|device| device.address == *main).and_then(|device| device.name.clone());
    let known_as = subject.host.gpus.iter().find_map(|(name, gpu)| match seek(gpu, &devices) {
        Sought::Found(device) if device.address.device() == *place => Some(name.to_string()),
        _ => None,
    });
    let (mut verdict, mut reasons) = (GpuVerdict::Yes, Vec::new());
    let boot_console = bus.device(place).any(|(_, function)| function.boot_vga == Some(true));
    if boot_console {
        (verdict, _) =
            (GpuVerdict::WithCare, reasons.push("the firmware's console is on it: the screen goes dark".into()));
    }
    if let Some(driver) = function.driver.as_deref().filter(|_| !function.is_free()) {
        verdict = GpuVerdict::WithCare;
        reasons.push(format!("`{driver}` of the host holds it"));
    }
    let (mut group, mut along) = (None, Vec::new());
    match check::all(&subject.machine().iommu) {
        Ok(iommu) if iommu.is_active() => {
            group = iommu.group_of(main);
            for (at, other, loss) in taken_along(place, bus, iommu) {
                along.push(described(at, other));
                match loss {
                    Loss::Vital => {
                        verdict = GpuVerdict::No;
                        reasons.push(format!("its group would tear {} from the host", described(at, other)));
                    }
                    Loss::Convenience if verdict != GpuVerdict::No => {
                        verdict = GpuVerdict::WithCare;
                        reasons.push(format!("the host loses {} with it", described(at, other)));
                    }
                    _ => {}
                }
            }
            if group.is_none() {
                verdict = GpuVerdict::No;
                reasons.push("it is in no IOMMU group".into());
            }
        }
        Ok(_) => {
            verdict = GpuVerdict::Unknown;
            reasons.push("no IOMMU is active: groups show once it is".into());
        }
        Err(NotRun::Blind(why) | NotRun::Skipped(why)) => {
            verdict = GpuVerdict::Unknown;
            reasons.push(why);
        }
    }
    if is_bmc(function) {
        verdict = GpuVerdict::No;
        reasons.push("it is the management controller's display: the remote console hangs on it".into());
    }
    let inventory = if known_as.is_some() { String::new() } else { lines(bus, main, function) };
    Some(GpuAdvice {
        address: place.clone(),
        name: named.unwrap_or_else(|| function.class_name().to_owned()),
        id: function.id,
        subsystem: function.subsystem,
        known_as,
        verdict,
        reasons,
        companions: bus.device(place).filter(|(at, _)| *at != main).map(|(at, other)| described(at, other)).collect(),
        group,
        taken_along: along,
        boot_console,
        driver: function.driver.clone(),
        inventory,
    })
}

/// Displays of management controllers: ASPEED, Matrox G200 and its servers' variants.
fn is_bmc(function: &PciFunction) -> bool {
    let matrox = [0x0522, 0x0530, 0x0532, 0x0533, 0x0534, 0x0536, 0x0538];
    function.id.vendor == 0x1a03 || (function.id.vendor == 0x102b && matrox.contains(&function.id.device))
}

/// What to write below `gpus:` for it; what tells it from others is in it only where others are there.
fn lines(bus: &PciBus, main: &PciAddress, function: &PciFunction) -> String {
    let twins = || bus.functions.iter().filter(|(at, other)| *at != main && other.id == function.id);
    let mut parts = vec![format!("id: \"{}\"", function.id)];
    if twins().any(|(_, twin)| twin.subsystem == function.subsystem) {
        parts.push(format!("address: \"{}\"", main.device()));
    } else if let Some(board) = function.subsystem.filter(|_| twins().next().is_some()) {
        parts.push(format!("subsystem: \"{board}\""));
    }
    format!("gpus:\n  NAME: {{ {} }}\n", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::super::testing::Scene;
    use super::*;
    use crate::model::observed::Fact;

    fn advice(scene: &Scene) -> Vec<GpuAdvice> {
        advise(&scene.subject()).unwrap()
    }

    #[test]
    fn every_display_is_judged_and_known_ones_are_called_by_their_name() {
        let all = advice(&Scene::sound());
        assert_eq!(all.iter().map(|gpu| gpu.address.to_string()).collect::<Vec<_>>(), ["0000:01:00", "0000:05:00"]);
        assert_eq!((all[0].verdict, all[0].known_as.as_deref()), (GpuVerdict::Yes, Some("rtx4090")));
        assert_eq!((all[0].companions.len(), all[0].group, all[0].inventory.as_str()), (1, Some(14), ""));
        assert_eq!(all[1].verdict, GpuVerdict::No, "the remote console hangs on it");
    }

    #[test]
    fn a_disk_in_its_group_is_named() {
        let mut scene = Scene::sound();
        scene.share_group("0000:02:00.0");
        let gpu = &advice(&scene)[0];
        assert_eq!(gpu.verdict, GpuVerdict::No);
        assert!(gpu.taken_along[0].contains("nvme0") && gpu.reasons[0].contains("tear"), "{gpu:?}");
    }

    #[test]
    fn twins_are_written_with_what_tells_them_apart() {
        let mut scene = Scene::sound();
        scene.add_twin();
        let all = advice(&scene);
        let lines: Vec<&str> = all.iter().map(|gpu| gpu.inventory.as_str()).collect();
        assert_eq!(lines[0], "gpus:\n  NAME: { id: \"10de:2684\", address: \"0000:01:00\" }\n");
        assert_eq!(lines[1], "gpus:\n  NAME: { id: \"10de:2684\", address: \"0000:04:00\" }\n");
    }

    #[test]
    fn without_an_iommu_nobody_can_tell_and_without_a_bus_nothing_is_said() {
        let mut scene = Scene::sound();
        scene.machine().iommu = Fact::complete(Default::default());
        assert_eq!(advice(&scene)[0].verdict, GpuVerdict::Unknown);
        scene.machine().pci = Fact::unavailable("`find` failed");
        assert!(advise(&scene.subject()).is_err());
    }
}
