//! Trap: the kernel prints "DMAR: IOMMU enabled" for a parameter, without any hardware.

use anyhow::Result;

use super::World;

pub fn run(world: &World) -> Result<()> {
    world.expect("what the kernel says", "dmesg | grep -i 'DMAR: IOMMU' || echo nothing", |_| true)?;
    world.expect("IOMMU units", "ls /sys/class/iommu", |said| said.trim().is_empty())?;
    world.preflight()?.must("iommu-off", "fail")
}
