//! GPUs of a host as they are recorded: for the lock file, and to be held against it.

use super::gpus::devices;
use super::{NotRun, Subject, check};
use crate::blueprint::Gpu;
use crate::model::hardware_lock::{LockedGpu, LockedHost};
use crate::resources::gpu_device::{Sought, seek};

impl LockedHost {
    /// The host as it is now: every GPU of the inventory that is one device on its bus.
    ///
    /// # Errors
    /// When its bus or its IOMMU groups are not known: a record with holes would be taken for a change later.
    pub fn of(subject: &Subject<'_>) -> Result<Self, NotRun> {
        let machine = subject.machine();
        let bus = check::all(&machine.pci)?;
        check::all(&machine.iommu)?;
        let devices = devices(bus, subject);
        let locked = |gpu: &Gpu| {
            let Sought::Found(device) = seek(gpu, &devices) else { return None };
            Some(LockedGpu {
                id: device.id,
                subsystem: device.subsystem,
                address: device.address.device(),
                group: device.iommu_group,
                serial: bus.functions.get(&device.address).and_then(|function| function.serial.clone()),
            })
        };
        Ok(Self {
            kernel: machine.kernel.value().map(|kernel| kernel.release.clone()),
            proxmox: subject.here().release.value().map(|release| release.version.clone()),
            zfs: None,
            gpus: subject.host.gpus.iter().filter_map(|(name, gpu)| Some((name.clone(), locked(gpu)?))).collect(),
        })
    }
}
