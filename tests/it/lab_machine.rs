//! What a lab host prints about itself below Proxmox, as recordings of real hosts have it.

use infra::lab::shell::run_line;
use infra::lab::world::World;
use infra::lab::{Scenario, broken};

fn world(defects: &[&str]) -> World {
    let broken = defects.iter().map(|name| (*name).to_owned()).collect();
    let scenario = Scenario { broken, ..Scenario::example() };
    scenario.world(&scenario.sites[0], "s", jiff::Timestamp::from_second(1_795_254_000).unwrap()).unwrap()
}

/// Exit code, standard output, standard error.
fn run(world: &mut World, line: &str) -> (i32, String, String) {
    let output = run_line(world, "pve1", line, b"");
    (output.code, String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

fn said(world: &mut World, line: &str) -> String {
    let (code, stdout, stderr) = run(world, line);
    assert_eq!((code, stderr.as_str()), (0, ""), "{line}");
    stdout
}

#[test]
fn what_is_mounted_is_printed_as_util_linux_prints_it() {
    let expected = "{\n   \"filesystems\": [\n      {\n         \"target\": \"/\",\n         \"source\": \"/dev/mapper/pve-root\",\n         \"fstype\": \"ext4\",\n         \"options\": \"rw,relatime,errors=remount-ro\"\n      }\n   ]\n}\n";
    assert_eq!(said(&mut world(&["grub-efi"]), "findmnt -J -n /"), expected);
    assert_eq!(said(&mut world(&[]), "findmnt -no FSTYPE /"), "zfs\n");
    assert_eq!(run(&mut world(&[]), "findmnt -J /nosuch"), (1, String::new(), String::new()));
}

#[test]
fn a_host_tells_how_it_was_booted() {
    let mut zfs = world(&[]);
    let line = said(&mut zfs, "cat /proc/cmdline");
    let kernel = said(&mut zfs, "uname -r").trim().to_owned();
    assert_eq!(
        line,
        format!("initrd=\\EFI\\proxmox\\{kernel}\\initrd.img-{kernel} root=ZFS=rpool/ROOT/pve-1 boot=zfs\n")
    );
    assert!(said(&mut zfs, "efibootmgr -v").contains("systemd-bootx64.efi"));
    let mut grub = world(&["grub-bios"]);
    let line = said(&mut grub, "cat /proc/cmdline");
    assert_eq!(line, format!("BOOT_IMAGE=/boot/vmlinuz-{kernel} root=/dev/mapper/pve-root ro quiet\n"));
    assert_eq!(run(&mut grub, "efibootmgr").0, 2);
    assert_eq!(run(&mut grub, "ls /sys/firmware/efi").0, 2);
    let (code, _, stderr) = run(&mut grub, "proxmox-boot-tool status");
    assert!(code != 0 && stderr.contains("/etc/kernel/proxmox-boot-uuids does not exist"), "{stderr}");
}

/// With `intel_iommu=on` the kernel claims one whether there is one or not; without, it says nothing even where
/// one is active.
#[test]
fn dmesg_is_no_witness_of_an_iommu() {
    let mut active = world(&["intel"]);
    assert!(!said(&mut active, "dmesg").contains("IOMMU enabled"));
    assert_eq!(said(&mut active, "ls -A /sys/class/iommu"), "dmar0\n");
    assert_eq!(run(&mut active, "dmesg | grep -c 'Adding to iommu group'").0, 0);
}

#[test]
fn links_of_sysfs_lead_where_the_kernel_s_do() {
    let mut world = world(&[]);
    let device = "/sys/bus/pci/devices/0000:01:00.0";
    let target = said(&mut world, &format!("readlink {device}"));
    assert_eq!(target, "../../../devices/pci0000:00/0000:00:01.1/0000:01:00.0\n");
    assert_eq!(said(&mut world, &format!("readlink {device}/driver")), "../../../../bus/pci/drivers/vfio-pci\n");
    assert_eq!(said(&mut world, &format!("cat {device}/vendor")), "0x10de\n");
    let group = said(&mut world, &format!("readlink {device}/iommu_group"));
    let group = group.trim().rsplit('/').next().unwrap().to_owned();
    let members = said(&mut world, &format!("ls {device}/iommu_group/devices"));
    assert_eq!(members, "0000:01:00.0\n0000:01:00.1\n");
    let links = said(&mut world, "find /sys/kernel/iommu_groups -type l");
    assert!(links.contains(&format!("/sys/kernel/iommu_groups/{group}/devices/0000:01:00.1\n")), "{links}");
    let attributes =
        said(&mut world, "find -L /sys/bus/pci/devices -mindepth 2 -maxdepth 2 -name class -exec grep -H . '{}' +");
    assert!(attributes.contains(&format!("{device}/class:0x030000\n")), "{attributes}");
}

#[test]
fn the_kernel_and_the_api_agree_on_groups() {
    for defects in [&[][..], &["iommu-firmware"]] {
        let mut world = world(defects);
        let rows: serde_json::Value = serde_json::from_str(&said(
            &mut world,
            "pvesh get /nodes/pve1/hardware/pci --pci-class-blacklist '' --output-format json",
        ))
        .unwrap();
        for row in rows.as_array().unwrap() {
            let id = row["id"].as_str().unwrap();
            let link = run(&mut world, &format!("readlink /sys/bus/pci/devices/{id}/iommu_group")).1;
            let group = link.trim().rsplit('/').next().unwrap().parse().unwrap_or(-1);
            assert_eq!(row["iommugroup"], group, "{id}");
        }
    }
}

#[test]
fn a_module_that_is_gone_is_not_found() {
    let (code, _, stderr) = run(&mut world(&[]), "modinfo -F name vfio_virqfd");
    assert_eq!((code, stderr.as_str()), (1, "modinfo: ERROR: Module vfio_virqfd not found.\n"));
    assert_eq!(run(&mut world(&[]), "modprobe vfio_virqfd").0, 1);
}

#[test]
fn what_the_lab_does_not_know_it_refuses() {
    for line in ["dmesg -w", "find / -newer /x", "grep -P x /etc/hostname", "lspci", "systemctl mask ssh", "ip route"] {
        assert!(matches!(run(&mut world(&[]), line).0, 2 | 127), "{line}");
    }
}

#[test]
fn every_defect_has_a_name_that_says_where_it_is_from() {
    for defect in broken::all() {
        assert!(
            defect.name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'),
            "{}",
            defect.name
        );
    }
}
