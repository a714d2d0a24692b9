//! GPUs of guests: which card is there, which driver holds it, what NVIDIA's programs say of it.
//!
//! A VM has a card by `hostpciN`, a container by device nodes (`devN`). A VM's module is loaded at a boot, or by
//! `modprobe`, from what is installed; Secure Boot lets only signed ones in; a module of another version than the
//! libraries is a mismatch until the next boot. Facts: NVIDIA's README, libnvidia-container, Ubuntu's packages.

use super::docker::lxc::numbers;
use super::shell::{Call, Program};
use super::world::property::Properties;
use super::world::{Guest, GuestKind, PciDevice, World};

/// What NVIDIA's toolkit writes and reads.
const TOOLKIT_CONFIG: &str = "/etc/nvidia-container-runtime/config.toml";

/// A card that a guest has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// Its address on the host.
    pub host: String,
    /// Its address in the guest, as NVIDIA prints it.
    pub bus: String,
    /// Its name, such as `Tesla T4`.
    pub name: String,
    /// MiB of memory.
    pub memory_mib: u64,
    /// Watts at most.
    pub watts: u32,
}

/// Names and memory of cards by device id.
const CARDS: &[(&str, &str, u64, u32)] = &[
    ("1b06", "NVIDIA GeForce GTX 1080 Ti", 11_264, 250),
    ("1e04", "NVIDIA GeForce RTX 2080 Ti", 11_264, 250),
    ("1eb8", "Tesla T4", 15_360, 70),
    ("2204", "NVIDIA GeForce RTX 3090", 24_576, 350),
    ("2235", "NVIDIA A40", 46_068, 300),
    ("20b5", "NVIDIA A100 80GB PCIe", 81_920, 300),
    ("2684", "NVIDIA GeForce RTX 4090", 24_564, 450),
    ("26b9", "NVIDIA L40S", 46_068, 350),
    ("27b8", "NVIDIA L4", 23_034, 72),
    ("2b85", "NVIDIA GeForce RTX 5090", 32_607, 575),
];

/// NVIDIA's cards of a guest, in the order of its configuration.
#[must_use]
pub fn cards(world: &World, vmid: u32) -> Vec<Card> {
    let Some(guest) = world.guests.get(&vmid) else { return Vec::new() };
    let Some(node) = world.nodes.get(&guest.node) else { return Vec::new() };
    let mut found = Vec::new();
    let is_gpu = |device: &PciDevice| device.vendor == "10de" && device.class.starts_with("03");
    if guest.kind == GuestKind::Lxc {
        let given = device_nodes(guest).any(|path| path == "/dev/nvidia0");
        let of_host =
            node.pci.iter().filter(|(_, device)| is_gpu(device) && device.driver.as_deref() == Some("nvidia"));
        return of_host.filter(|_| given).enumerate().map(|(n, (at, device))| card(n, at, device)).collect();
    }
    for (_, value) in guest.config.iter().filter(|(key, _)| key.starts_with("hostpci")) {
        let properties = Properties::parse(value);
        let head = value.split(',').next().unwrap_or_default();
        let address = match properties.get("mapping") {
            Some(name) => world.mappings.get(name).and_then(|mapping| {
                let own = mapping.map.iter().map(|entry| Properties::parse(entry));
                own.filter(|entry| entry.get("node") == Some(guest.node.as_str()))
                    .find_map(|entry| entry.get("path").map(str::to_owned))
            }),
            None => Some(properties.get("host").unwrap_or(head).to_owned()),
        };
        let Some(address) = address else { continue };
        let full = if address.matches(':').count() == 1 { format!("0000:{address}") } else { address };
        let here = node.pci.iter().filter(|(at, device)| at.starts_with(&full) && is_gpu(device));
        found.extend(here.map(|(at, device)| (at.clone(), device.clone())));
    }
    found.iter().enumerate().map(|(n, (at, device))| card(n, at, device)).collect()
}

fn card(number: usize, host: &str, device: &PciDevice) -> Card {
    let known = CARDS.iter().find(|(id, ..)| *id == device.device);
    let (name, memory_mib, watts) = match known {
        Some((_, name, memory, watts)) => ((*name).to_owned(), *memory, *watts),
        None => (device.device_name.clone().unwrap_or_else(|| "NVIDIA Graphics Device".to_owned()), 16_384, 200),
    };
    Card { host: host.to_owned(), bus: format!("00000000:{:02X}:00.0", number + 1), name, memory_mib, watts }
}

fn device_nodes(guest: &Guest) -> impl Iterator<Item = &str> {
    let numbered =
        |key: &str| key.strip_prefix("dev").is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    guest.config.iter().filter(move |(key, _)| numbered(key)).map(|(_, value)| {
        let head = value.split(',').next().unwrap_or_default();
        head.strip_prefix("path=").unwrap_or(head)
    })
}

/// Whether a device node is in a guest.
#[must_use]
pub fn has_device(world: &World, vmid: u32, path: &str) -> bool {
    let Some(guest) = world.guests.get(&vmid) else { return false };
    match path {
        "/dev/kfd" | "/dev/dri" => {
            device_nodes(guest).any(|own| own.starts_with(path))
                || (guest.kind == GuestKind::Qemu && has_amd(world, guest))
        }
        path if path.starts_with("/dev/nvidia") => match guest.kind {
            GuestKind::Lxc => device_nodes(guest).any(|own| own == path),
            GuestKind::Qemu => !cards(world, vmid).is_empty() && loaded(world, vmid).is_some(),
        },
        _ => {
            ["/dev/null", "/dev/zero", "/dev/fuse", "/dev/net/tun"].contains(&path)
                || device_nodes(guest).any(|own| own == path)
        }
    }
}

fn has_amd(world: &World, guest: &Guest) -> bool {
    let Some(node) = world.nodes.get(&guest.node) else { return false };
    guest.config.iter().filter(|(key, _)| key.starts_with("hostpci")).any(|(_, value)| {
        let properties = Properties::parse(value);
        let paths = properties.get("mapping").and_then(|name| world.mappings.get(name));
        let paths = paths
            .iter()
            .flat_map(|mapping| mapping.map.iter())
            .filter_map(|entry| Properties::parse(entry).get("path").map(str::to_owned));
        paths.chain([value.split(',').next().unwrap_or_default().to_owned()]).any(|path| {
            node.pci.iter().any(|(at, device)| {
                device.vendor == "1002"
                    && device.class.starts_with("03")
                    && !path.is_empty()
                    && at.ends_with(path.trim_start_matches("0000:"))
                    || device.vendor == "1002"
                        && device.class.starts_with("03")
                        && at.starts_with(&path)
                        && path.contains(':')
            })
        })
    })
}

/// The version of a driver package: kernel module or libraries.
fn installed(guest: &Guest, parts: &[&str]) -> Option<String> {
    let packages = &guest.inside.packages;
    let own = packages.iter().filter(|(name, _)| parts.iter().any(|part| name.starts_with(part)));
    own.map(|(_, version)| plain(version))
        .filter(|version| version.contains('.'))
        .max_by_key(|version| numbers(version))
}

/// `570.158.01` of `570.158.01-0ubuntu0.24.04.1`.
fn plain(version: &str) -> String {
    let version = version.split_once(':').map_or(version, |(_, rest)| rest);
    version.split(['-', '~']).next().unwrap_or_default().to_owned()
}

const MODULES: [&str; 7] = [
    "linux-modules-nvidia-",
    "nvidia-dkms-",
    "nvidia-driver",
    "nvidia-headless-",
    "nvidia-kernel-dkms",
    "nvidia-open",
    "cuda-drivers",
];
const LIBRARIES: [&str; 7] = [
    "nvidia-utils-",
    "nvidia-driver",
    "nvidia-open",
    "cuda-drivers",
    "nvidia-smi",
    "libnvidia-compute-",
    "nvidia-headless-",
];
/// Packages whose modules are built here, which nobody signed.
const BUILT_HERE: [&str; 3] = ["nvidia-dkms-", "nvidia-kernel-dkms", "nvidia-open"];

/// The version of the libraries.
#[must_use]
pub fn libraries(guest: &Guest) -> Option<String> {
    installed(guest, &LIBRARIES)
}

/// Whether the VM's firmware starts signed systems only.
#[must_use]
pub fn secure_boot(guest: &Guest) -> bool {
    let keys = guest.config.get("efidisk0").is_some_and(|disk| Properties::parse(disk).is_on("pre-enrolled-keys"));
    guest.kind == GuestKind::Qemu && guest.config.get("bios").is_some_and(|bios| bios == "ovmf") && keys
}

/// The version of the module that is loaded, if one is.
#[must_use]
pub fn loaded(world: &World, vmid: u32) -> Option<String> {
    let guest = world.guests.get(&vmid)?;
    if guest.kind == GuestKind::Lxc {
        return host_driver(world, guest);
    }
    let boot = guest.run.as_ref()?.started_ms;
    let (version, since) = guest.inside.driver.loaded.as_ref()?;
    (*since == boot).then(|| version.clone())
}

/// The version of the module of a container's host.
fn host_driver(world: &World, guest: &Guest) -> Option<String> {
    let packages = &world.nodes.get(&guest.node)?.machine.packages;
    let own = packages.iter().filter(|(name, _)| MODULES.iter().any(|part| name.starts_with(part)));
    own.map(|(_, version)| plain(version)).find(|version| version.contains('.'))
}

/// Loads the module that is installed.
///
/// # Errors
/// What `modprobe` says.
pub fn load(world: &mut World, vmid: u32) -> Result<(), String> {
    let Some(guest) = world.guests.get(&vmid) else { return Ok(()) };
    if loaded(world, vmid).is_some() {
        return Ok(());
    }
    let kernel = kernel(guest);
    let Some(version) = installed(guest, &MODULES).filter(|_| !guest.inside.faults.contains("module-not-built")) else {
        return Err(format!("modprobe: FATAL: Module nvidia not found in directory /lib/modules/{kernel}"));
    };
    let built = guest.inside.packages.keys().any(|name| BUILT_HERE.iter().any(|part| name.starts_with(part)));
    let signed = guest.inside.packages.keys().any(|name| name.starts_with("linux-modules-nvidia-"));
    if secure_boot(guest) && built && !signed && !guest.inside.driver.key_enrolled {
        return Err("modprobe: ERROR: could not insert 'nvidia': Key was rejected by service".to_owned());
    }
    if cards(world, vmid).is_empty() || guest.inside.faults.contains("nouveau") {
        return Err("modprobe: ERROR: could not insert 'nvidia': No such device".to_owned());
    }
    let Some(guest) = world.guests.get_mut(&vmid) else { return Ok(()) };
    let boot = guest.run.as_ref().map_or(0, |run| run.started_ms);
    guest.inside.driver.loaded = Some((version, boot));
    Ok(())
}

/// The kernel that a guest runs.
#[must_use]
pub fn kernel(guest: &Guest) -> &'static str {
    match super::guest_packages::codename(guest) {
        "jammy" => "5.15.0-140-generic",
        "noble" => "6.8.0-60-generic",
        "trixie" => "6.12.38+deb13-amd64",
        _ => "6.1.0-37-amd64",
    }
}

/// Takes over a boot: what is installed is loaded, as udev does where a card is.
pub fn settle(world: &mut World, vmid: u32) {
    let Some(guest) = world.guests.get_mut(&vmid) else { return };
    let Some(boot) = guest.run.as_ref().map(|run| run.started_ms) else { return };
    if guest.kind == GuestKind::Lxc || guest.inside.units.booted_ms == boot {
        return;
    }
    // A kernel module that is blacklisted since the driver came does not hold the card after a boot.
    if installed(guest, &MODULES).is_some() {
        guest.inside.faults.remove("nouveau");
    }
    // One that cannot be loaded is told by whoever asks for it.
    let _ = load(world, vmid);
}

/// Why NVIDIA's programs do not see a card.
///
/// # Errors
/// What NVML says.
pub fn nvml(world: &World, vmid: u32) -> Result<(), &'static str> {
    let Some(guest) = world.guests.get(&vmid) else { return Err("driver not loaded") };
    let (Some(module), false) = (loaded(world, vmid), cards(world, vmid).is_empty()) else {
        return Err("driver not loaded");
    };
    match libraries(guest) {
        Some(own) if own != module || guest.inside.faults.contains("driver-mismatch") => {
            Err("driver/library version mismatch")
        }
        _ => Ok(()),
    }
}

/// Whether NVIDIA's toolkit is installed, so that the engine finds its hook.
#[must_use]
pub fn has_toolkit(guest: &Guest) -> bool {
    guest.inside.packages.contains_key("nvidia-container-toolkit") && !guest.inside.faults.contains("missing-toolkit")
}

/// Why containers do not get the card.
///
/// # Errors
/// What nvidia-container-cli says.
pub fn usable_in_containers(world: &World, vmid: u32) -> Result<(), String> {
    let Some(guest) = world.guests.get(&vmid) else { return Ok(()) };
    nvml(world, vmid).map_err(|why| format!("initialization error: nvml error: {why}"))?;
    let no_cgroups = guest.text(TOOLKIT_CONFIG).is_some_and(|text| {
        text.lines().any(|line| line.split('#').next().unwrap_or_default().replace(' ', "") == "no-cgroups=true")
    });
    if guest.kind == GuestKind::Lxc && guest.number("unprivileged", 0) == 1 && !no_cgroups {
        return Err("mount error: failed to add device rules: unable to find any existing device filters attached to the cgroup: bpf_prog_query(BPF_CGROUP_DEVICE) failed: operation not permitted".to_owned());
    }
    Ok(())
}

/// NVIDIA's programs, as far as they are installed.
#[must_use]
pub fn find(name: &str) -> Option<Program> {
    match name {
        "nvidia-ctk" => Some(ctk),
        "mokutil" => Some(mokutil),
        "modprobe" => Some(modprobe),
        _ => None,
    }
}

fn own(call: &Call<'_>) -> Option<u32> {
    super::guests::own(call.world, call.node)
}

fn modprobe(call: &mut Call<'_>) -> i32 {
    let Some(vmid) = own(call) else { return 1 };
    let words: Vec<&str> = call.args.iter().map(String::as_str).filter(|word| !["-q", "-v"].contains(word)).collect();
    match words[..] {
        [module] if module.starts_with("nvidia") => match load(call.world, vmid) {
            Ok(()) => 0,
            Err(why) => {
                call.warn(why);
                1
            }
        },
        ["-r", module] if module.starts_with("nvidia") => {
            let used = call.world.guests.get(&vmid).and_then(|guest| guest.docker.as_ref());
            if used.is_some_and(|docker| docker.containers.values().any(|one| one.has_gpu && one.since_ms().is_some()))
            {
                call.warn("modprobe: FATAL: Module nvidia is in use.");
                return 1;
            }
            if let Some(guest) = call.world.guests.get_mut(&vmid) {
                guest.inside.driver.loaded = None;
            }
            0
        }
        ["overlay" | "br_netfilter" | "nouveau" | "nvme" | "tun" | "wireguard"] => 0,
        _ => call.unknown(&words.join(" ")),
    }
}

fn mokutil(call: &mut Call<'_>) -> i32 {
    let Some(guest) = own(call).and_then(|vmid| call.world.guests.get(&vmid)).cloned() else { return 1 };
    let ["--sb-state"] = call.args.iter().map(String::as_str).collect::<Vec<_>>()[..] else {
        return call.unknown(&call.args.join(" "));
    };
    if guest.config.get("bios").is_none_or(|bios| bios != "ovmf") {
        call.warn("EFI variables are not supported on this system");
        return 1;
    }
    call.print(if secure_boot(&guest) { "SecureBoot enabled" } else { "SecureBoot disabled" });
    0
}

/// `nvidia-ctk`: writes the runtime into `daemon.json`; Docker has to be restarted to read it.
fn ctk(call: &mut Call<'_>) -> i32 {
    let Some(vmid) = own(call) else { return 1 };
    if !call.world.guests.get(&vmid).is_some_and(has_toolkit) {
        call.warn("sh: 1: nvidia-ctk: not found");
        return 127;
    }
    let words: Vec<&str> = call.args.iter().map(String::as_str).collect();
    match words[..] {
        ["--version"] => {
            call.print("NVIDIA Container Toolkit CLI version 1.17.8\ncommit: f202b80a9b9d0db00d9b1d73c0128c8962c55f4d");
            0
        }
        ["runtime", "configure", "--runtime=docker", ref rest @ ..] => {
            let default = rest.contains(&"--set-as-default") || rest.contains(&"--set-as-default=true");
            let text = call.world.guests.get(&vmid).and_then(|guest| guest.text(super::docker::daemon::CONFIG));
            let text = text.filter(|text| !text.trim().is_empty()).unwrap_or_else(|| "{}".to_owned());
            let Ok(mut config) = serde_json::from_str::<serde_json::Value>(&text) else {
                call.warn("time=\"\" level=error msg=\"unable to load config: unable to unmarshal config\"");
                return 1;
            };
            config["runtimes"]["nvidia"] = serde_json::json!({ "args": [], "path": "nvidia-container-runtime" });
            if default {
                config["default-runtime"] = "nvidia".into();
            }
            let now_ms = call.world.now_ms;
            if let Some(guest) = call.world.guests.get_mut(&vmid) {
                let text = serde_json::to_string_pretty(&config).unwrap_or_default();
                guest.put(super::docker::daemon::CONFIG, text);
                if let Some(file) = guest.files.get_mut(super::docker::daemon::CONFIG) {
                    file.modified_ms = now_ms;
                }
            }
            call.warn("level=info msg=\"Config file does not exist; using empty config\"\nlevel=info msg=\"Wrote updated config to /etc/docker/daemon.json\"\nlevel=info msg=\"It is recommended that docker daemon be restarted.\"");
            0
        }
        ["config", "--set", setting, "--in-place"] | ["config", "--in-place", "--set", setting] => {
            let (key, value) = setting.split_once('=').unwrap_or((setting, "true"));
            let key = key.rsplit('.').next().unwrap_or(key);
            if let Some(guest) = call.world.guests.get_mut(&vmid) {
                guest.put(TOOLKIT_CONFIG, format!("[nvidia-container-cli]\n{key} = {value}\n"));
            }
            0
        }
        _ => call.unknown(&words.join(" ")),
    }
}

/// `/proc/driver/nvidia/version`, while the module is loaded.
#[must_use]
pub fn proc_version(world: &World, vmid: u32) -> Option<String> {
    let module = loaded(world, vmid)?;
    Some(format!(
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  {module}  Release Build  (dvs-builder@U22)\nGCC version:  gcc version 13.3.0 (Ubuntu 13.3.0-6ubuntu2~24.04)\n"
    ))
}
