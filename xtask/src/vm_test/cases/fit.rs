//! Red, mended by `infra prepare`, rebooted, green; taken back by `infra rollback`.

use anyhow::{Result, bail};

use super::World;
use crate::vm_test::machine::{BYSTANDER, GPU};

const UNITS: &str = "ls /sys/class/iommu; ls /sys/kernel/iommu_groups | wc -l";
/// Every file of /etc, with its content, owner and permissions; but for what a reboot itself writes.
const FILES: &str = "find /etc -xdev -type f ! -path '/etc/pve/*' ! -name zpool.cache ! -name adjtime \\
        -exec sha256sum {} + | sort -k 2
    find /etc -xdev ! -type d ! -path '/etc/pve/*' -printf '%p %m %U:%G %l\\n' | sort";

pub fn run(world: &World) -> Result<()> {
    world.expect("IOMMU units and groups before", UNITS, |said| said.trim() == "0")?;
    world.expect("command line", "cat /proc/cmdline", |said| said.contains("intel_iommu=off"))?;
    world.recorded("probe", "iommu-off")?;
    let before = world.preflight()?;
    before.must("iommu-off", "fail")?;

    world.stand_in()?;
    let files = world.ssh().run(FILES)?;
    let boot = world.ssh().boot_id()?;
    world.infra(&["prepare", "--dry-run", "--full"])?.exited(0)?;
    // It ends with 1 where a check still fails, and those that only Proxmox can pass may.
    let prepared = world.log.timed("prepare and reboot", || world.infra(&["prepare", "--yes", "--reboot"]))?;
    if !matches!(prepared.code, Some(0 | 1)) {
        bail!("infra prepare exited with {}", prepared.exit());
    }
    let new = world.ssh().boot_id()?;
    if new == boot {
        bail!("infra prepare --reboot ended, and the machine was not rebooted");
    }
    world.log.line(format!("boot {boot} is over, {new} has begun"));

    world.expect("IOMMU units and groups after", UNITS, |said| said.contains("dmar0") && !said.ends_with("\n0\n"))?;
    world.expect("command line", "cat /proc/cmdline", |said| {
        !said.contains("intel_iommu=off") && said.contains("iommu=pt")
    })?;
    let after = world.preflight()?;
    after.must("iommu-off", "pass")?;
    let broken: Vec<String> =
        after.failures().into_iter().filter(|failed| !before.failures().contains(failed)).collect();
    if !broken.is_empty() {
        bail!("what was mended broke {}", broken.join(", "));
    }
    bound(world)?;
    world.recorded("probe", "fit")?;
    world.infra(&["prepare", "--dry-run", "--detailed-exitcode"])?.exited(0)?;

    world.log.timed("rollback", || world.infra(&["rollback", "--yes"]))?.exited(0)?;
    let left = world.ssh().run(FILES)?;
    let differences: Vec<&str> = left.lines().filter(|line| !files.lines().any(|before| before == *line)).collect();
    if left != files {
        bail!("after the rollback /etc is not what it was: {}", differences.join("; "));
    }
    world.log.line(format!("machine: all {} files of /etc are what they were", files.lines().count() / 2));
    Ok(())
}

/// Both functions of the named card belong to `vfio-pci`, and a device that nobody named to whom it did.
fn bound(world: &World) -> Result<()> {
    let driver = |address: &str| format!("basename $(readlink /sys/bus/pci/devices/{address}/driver)");
    for function in [GPU.1.to_owned(), GPU.1.replace(".0", ".1")] {
        world.expect(&format!("driver of {function}"), &driver(&function), |said| said.trim() == "vfio-pci")?;
    }
    let what = format!("driver of {BYSTANDER}, which nobody named");
    world.expect(&what, &driver(BYSTANDER), |said| said.trim() != "vfio-pci")?;
    Ok(())
}
