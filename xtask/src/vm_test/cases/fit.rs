//! IOMMU off, then on; the named card bound to `vfio-pci` and nothing else.

use anyhow::{Result, bail};

use super::World;
use crate::vm_test::image::BOOT;
use crate::vm_test::machine::{BYSTANDER, GPU};

const UNITS: &str = "ls /sys/class/iommu; ls /sys/kernel/iommu_groups | wc -l";

pub fn run(world: &World) -> Result<()> {
    world.expect("IOMMU units and groups before", UNITS, |said| said.trim() == "0")?;
    world.expect("command line", "cat /proc/cmdline", |said| said.contains("intel_iommu=off"))?;

    world.ssh().run("sed -i 's/ intel_iommu=off//' /etc/default/grub && update-grub")?;
    let over = world.ssh().boot_id()?;
    world.ssh().run("systemctl reboot --no-block")?;
    let new = world.log.timed("reboot", || world.ssh().wait(Some(&over), BOOT))?;
    world.log.line(format!("boot {over} is over, {new} has begun"));

    world.expect("IOMMU units and groups after", UNITS, |said| said.trim() != "0")?;
    let address = GPU.1;
    world.ssh().run(&format!(
        "modprobe vfio-pci; cd /sys/bus/pci/devices/{address}; echo vfio-pci >driver_override
         test ! -e driver || echo {address} >driver/unbind; echo {address} >/sys/bus/pci/drivers_probe"
    ))?;
    bound(world)
}

fn bound(world: &World) -> Result<()> {
    let driver = |address: &str| format!("basename $(readlink /sys/bus/pci/devices/{address}/driver)");
    world.expect(&format!("driver of {}", GPU.1), &driver(GPU.1), |said| said.trim() == "vfio-pci")?;
    let other = world.ssh().run(&driver(BYSTANDER))?;
    if other.trim() == "vfio-pci" {
        bail!("{BYSTANDER} was not named and is bound to vfio-pci");
    }
    world.log.line(format!("machine: driver of {BYSTANDER}, which nobody named: {}", other.trim()));
    Ok(())
}
