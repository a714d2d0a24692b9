//! Which VM has which PCI function.

use serde::{Deserialize, Serialize};

use crate::model::{PciAddress, Vmid};

/// A line of `/run/qemu-server/pci-id-reservations`: PVE notes here which VM has which function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PciReservation {
    /// The function.
    pub address: PciAddress,
    /// The VM.
    pub vmid: Vmid,
    /// How long it counts.
    pub holds: ReservationHolds,
}

/// How long a reservation counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReservationHolds {
    /// While the VM runs as this process.
    Process(u32),
    /// Until then, in seconds since the epoch: the VM is being started.
    Until(u64),
}
