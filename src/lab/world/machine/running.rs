//! What runs since the last boot, and the boot that makes it so.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::boot::numbers;
use super::{Image, Loader, Modprobe, module_name, module_of, native_driver};
use crate::lab::world::{Node, PciDevice};

/// What runs since the last boot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Running {
    /// Release of the kernel.
    pub kernel: String,
    /// `/proc/cmdline`.
    pub command_line: String,
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
    /// Whether the IOMMU translates.
    pub iommu: bool,
    /// Whether interrupts of devices are remapped.
    pub interrupt_remapping: bool,
    /// Loaded modules, with the parameters that were given.
    pub modules: BTreeMap<String, BTreeMap<String, String>>,
    /// Names of `modules-load.d` for which there is no module.
    pub missing_modules: BTreeSet<String>,
    /// What the kernel printed about drivers, without time.
    pub messages: Vec<String>,
}

impl Running {
    /// The last value of a parameter of the command line; empty for one without a value.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        parameter(&self.command_line, name)
    }
}

fn parameter<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    line.split_whitespace().rev().find_map(|word| match word.split_once('=') {
        Some((key, value)) => (key == name).then_some(value),
        None => (word == name).then_some(""),
    })
}

/// Modules that every host has loaded, in the order in which they came.
const USUAL: &[&str] = &[
    "sunrpc",
    "bridge",
    "stp",
    "llc",
    "nf_tables",
    "nfnetlink",
    "bonding",
    "tls",
    "softdog",
    "kvm",
    "irqbypass",
    "zfs",
    "spl",
    "vhost_net",
    "vhost",
    "vhost_iotlb",
    "tap",
    "efi_pstore",
    "dmi_sysfs",
    "ip_tables",
    "x_tables",
    "autofs4",
    "btrfs",
    "dm_thin_pool",
];

/// Boots a host: from what its loader and its image were given to what runs.
///
/// A host without a kernel in its menu does not come up; the caller sees it by its kernel having stayed.
pub fn boot(node: &mut Node, now_ms: i64) {
    let Some(kernel) = node.machine.boot.given.kernel().cloned() else { return };
    node.booted_ms = now_ms;
    let machine = &mut node.machine;
    machine.boot.given.next = None;
    let command_line =
        started_with(&kernel, machine.boot.loader, machine.boot.by_tool, &machine.boot.given.command_line);
    let image = machine.boot.images.get(&kernel).cloned().unwrap_or_default();
    let iommu = translates(&machine.firmware, &node.system.cpu_vendor, &kernel, &command_line);
    let remapping = machine.firmware.has_iommu
        && machine.firmware.iommu
        && machine.firmware.interrupt_remapping
        && parameter(&command_line, "intremap") != Some("off")
        && !command_line.split_whitespace().any(|word| word == "nointremap");
    let mut running = Running {
        kernel,
        boot_id: boot_id(&node.address, now_ms, &machine.running.boot_id),
        iommu,
        interrupt_remapping: remapping,
        command_line,
        ..Running::default()
    };
    load(node, &mut running, &image);
    node.machine.running = running;
}

/// What `/proc/cmdline` shows: the loader puts in front where kernel or image are.
fn started_with(kernel: &str, loader: Loader, by_tool: bool, given: &str) -> String {
    match loader {
        Loader::SystemdBoot => format!("initrd=\\EFI\\proxmox\\{kernel}\\initrd.img-{kernel} {given}"),
        Loader::Grub if by_tool => format!("BOOT_IMAGE=/vmlinuz-{kernel} {given}"),
        Loader::Grub => format!("BOOT_IMAGE=/boot/vmlinuz-{kernel} {given}"),
    }
}

/// Whether the kernel switches the IOMMU on: Proxmox's kernels do so by themselves for AMD, and since 6.8 for
/// Intel (pve-docs, qm-pci-passthrough.adoc).
fn translates(firmware: &super::Firmware, vendor: &str, kernel: &str, line: &str) -> bool {
    let off = |name| parameter(line, name).is_some_and(|value| value.split(',').any(|word| word == "off"));
    let on = |name| parameter(line, name).is_some_and(|value| value.split(',').any(|word| word == "on"));
    if !firmware.has_iommu || !firmware.iommu || off("iommu") {
        return false;
    }
    if vendor == "GenuineIntel" {
        !off("intel_iommu") && (on("intel_iommu") || numbers(kernel) >= vec![6, 8])
    } else {
        !off("amd_iommu")
    }
}

fn boot_id(address: &str, now_ms: i64, before: &str) -> String {
    let digest = Sha256::digest(format!("{address} {now_ms} {before}"));
    let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
}

/// Modules and who takes which device.
fn load(node: &mut Node, running: &mut Running, image: &Image) {
    let mut early = Modprobe::read(&image.modprobe);
    early.command_line(&running.command_line);
    let in_image = names(&image.modules);
    let mut late = Modprobe::read(&modprobe_files(node));
    late.command_line(&running.command_line);
    let mut asked = in_image.clone();
    for text in load_files(node) {
        asked.extend(names(&text));
    }
    running.missing_modules = asked.iter().filter(|name| !has_module(&running.kernel, name)).cloned().collect();
    asked.retain(|name| !running.missing_modules.contains(name) && !early.never.contains(name));

    let ids = early.vfio_ids();
    let native: BTreeSet<String> =
        node.pci.values().filter_map(|device| native_of(device).map(|driver| module_of(&driver).to_owned())).collect();
    let pulled = early.before.iter().any(|(module, before)| native.contains(module) && before.contains("vfio_pci"));
    let vfio = (pulled || asked.contains("vfio_pci")) && !early.never.contains("vfio_pci");
    let mut messages = Vec::new();
    for (address, device) in &mut node.pci {
        let own = native_of(device);
        let module = own.as_deref().map(module_of).unwrap_or_default().to_owned();
        let barred = early.blacklist.contains(&module) || early.never.contains(&module);
        let first = in_image.contains("vfio_pci")
            || early.before.get(&module).is_some_and(|before| before.contains("vfio_pci"))
            || barred && vfio;
        if vfio && ids.contains(&device.id()) && first {
            if running.iommu {
                device.driver = Some("vfio-pci".to_owned());
                continue;
            }
            messages.push(format!("vfio-pci {address}: probe with driver vfio-pci failed with error -22"));
        }
        device.driver = own.filter(|_| !barred);
    }
    let mut modules: BTreeSet<String> = USUAL.iter().map(|name| (*name).to_owned()).collect();
    let kvm = if node.system.cpu_vendor == "GenuineIntel" { "kvm_intel" } else { "kvm_amd" };
    modules.insert(kvm.to_owned());
    modules.extend(asked);
    if vfio {
        modules.insert("vfio_pci".to_owned());
        messages.insert(0, "VFIO - User Level meta-driver version: 0.3".to_owned());
        messages
            .extend(ids.iter().map(|id| format!("vfio_pci: add [{id}[ffffffff:ffffffff]] class 0x000000/00000000")));
    }
    modules.extend(node.pci.values().filter_map(|device| device.driver.as_deref()).map(module_of).map(str::to_owned));
    if modules.contains("vfio_pci") {
        modules.extend(["vfio", "vfio_iommu_type1", "vfio_pci_core", "iommufd"].map(str::to_owned));
    }
    modules.retain(|name| !name.is_empty());
    running.modules = modules
        .into_iter()
        .map(|name| {
            let settings = if early.options.contains_key(&name) { &early } else { &late };
            let values = settings.options.get(&name).cloned().unwrap_or_default().into_iter().collect();
            (name, values)
        })
        .collect();
    running.messages = messages;
}

/// Loads a module with what stands in `modprobe.d` now; one that is loaded stays as it is.
pub fn load_module(node: &mut Node, name: &str) {
    let config = Modprobe::read(&modprobe_files(node));
    if config.never.contains(name) {
        return;
    }
    let mut wanted = vec![name.to_owned()];
    wanted.extend(config.before.get(name).into_iter().flatten().cloned());
    if wanted.iter().any(|module| module == "vfio_pci") {
        wanted.extend(["vfio", "vfio_iommu_type1", "vfio_pci_core", "iommufd"].map(str::to_owned));
    }
    for module in wanted {
        let values = config.options.get(&module).cloned().unwrap_or_default().into_iter().collect();
        node.machine.running.modules.entry(module).or_insert(values);
    }
}

/// Takes a module away; its devices have no driver then.
pub fn unload_module(node: &mut Node, name: &str) {
    node.machine.running.modules.remove(name);
    for device in node.pci.values_mut() {
        if device.driver.as_deref().is_some_and(|driver| module_of(driver) == name) {
            device.driver = None;
        }
    }
}

/// Whether a kernel has a module. All that the lab knows to be missing is what is missing on real hosts.
#[must_use]
pub fn has_module(kernel: &str, name: &str) -> bool {
    match module_name(name).as_str() {
        // since 6.2 a part of vfio itself
        "vfio_virqfd" => numbers(kernel) < vec![6, 2],
        "nvidia" | "nvidia_uvm" | "nvidia_drm" | "vendor_reset" => false,
        name => !name.starts_with("nosuch"),
    }
}

fn native_of(device: &PciDevice) -> Option<String> {
    device.native_driver.clone().or_else(|| native_driver(device).map(str::to_owned))
}

/// Names of modules in a file of `modules-load.d`, of `/etc/modules` or of the initramfs.
fn names(text: &str) -> BTreeSet<String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', ';']));
    lines.filter_map(|line| line.split_whitespace().next()).map(module_name).collect()
}

/// `/etc/modprobe.d` as it is now.
pub(super) fn modprobe_files(node: &Node) -> BTreeMap<String, String> {
    below(node, "/etc/modprobe.d/")
}

fn below(node: &Node, directory: &str) -> BTreeMap<String, String> {
    let files = node.files.iter().filter(|(path, _)| {
        path.strip_prefix(directory).is_some_and(|name| name.ends_with(".conf") && !name.contains('/'))
    });
    files.map(|(path, file)| (path.clone(), String::from_utf8_lossy(&file.content).into_owned())).collect()
}

/// What names modules that are loaded at boot.
fn load_files(node: &Node) -> Vec<String> {
    let modules = node.files.get("/etc/modules").map(|file| String::from_utf8_lossy(&file.content).into_owned());
    below(node, "/etc/modules-load.d/").into_values().chain(modules).collect()
}
