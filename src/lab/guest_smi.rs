//! `nvidia-smi` in guests: the card, its memory and how busy it is, from the models that containers hold.
//!
//! A service that loads a model keeps its MiB in its container's memory by [`HELD`], and until when it computes by
//! [`BUSY`]; both are gone with its process. Facts: `nvidia-smi --help-query-gpu`, `--help-query-compute-apps` (570).

use super::guest_gpu::{Card, cards, libraries, loaded, nvml};
use super::shell::{Call, Program};
use super::world::{Guest, World};

/// Key of a container's memory: MiB of the card that it holds.
pub const HELD: &str = "gpu_mib";
/// Key of a container's memory: until when it computes, in milliseconds.
pub const BUSY: &str = "gpu_busy_until_ms";
/// MiB that the driver itself holds.
const OWN_MIB: u64 = 1;

/// The program, if it is installed in this guest.
#[must_use]
pub fn find(name: &str) -> Option<Program> {
    (name == "nvidia-smi").then_some(smi as Program)
}

fn holders(guest: &Guest) -> impl Iterator<Item = (&String, u64)> {
    let containers = guest.docker.iter().flat_map(|docker| docker.containers.iter());
    containers
        .filter(|(_, one)| one.has_gpu && one.since_ms().is_some())
        .filter_map(|(name, one)| Some((name, one.memory_of.get(HELD)?.as_u64()?)))
}

/// Processes of no container that hold memory of the card: number, program, MiB.
fn strangers(guest: &Guest) -> Vec<(u32, &'static str, u64)> {
    if guest.inside.faults.contains("gpu-memory-taken") { vec![(999, "python3", 14_000)] } else { Vec::new() }
}

/// `ps -eo pid=,cgroup=`: the first process, those that hold memory of the card, and in which control group.
pub fn ps(call: &mut Call<'_>) -> i32 {
    if call.args != ["-eo", "pid=,cgroup="] {
        return call.unknown(&call.args.join(" "));
    }
    let Some(guest) = super::guests::own(call.world, call.node).and_then(|vmid| call.world.guests.get(&vmid)).cloned()
    else {
        return 1;
    };
    call.print("      1 0::/init.scope");
    for (n, (name, _)) in holders(&guest).enumerate() {
        let id = guest.docker.iter().find_map(|docker| docker.containers.get(name)).map_or("", |one| one.id.as_str());
        call.print(format!("{:>7} 0::/system.slice/docker-{id}.scope", 4200 + n));
    }
    for (pid, ..) in strangers(&guest) {
        call.print(format!("{pid:>7} 0::/user.slice/user-0.slice/session-1.scope"));
    }
    0
}

/// MiB of the guest's first card that are held.
#[must_use]
pub fn used_mib(guest: &Guest) -> u64 {
    let foreign: u64 = strangers(guest).iter().map(|(.., mib)| mib).sum();
    OWN_MIB + foreign + holders(guest).map(|(_, mib)| mib).sum::<u64>()
}

/// MiB of the guest's first card that are free.
#[must_use]
pub fn free_mib(world: &World, vmid: u32) -> u64 {
    let Some(guest) = world.guests.get(&vmid) else { return 0 };
    cards(world, vmid).first().map_or(0, |card| card.memory_mib.saturating_sub(used_mib(guest)))
}

fn is_busy(world: &World, guest: &Guest) -> bool {
    let containers = guest.docker.iter().flat_map(|docker| docker.containers.values());
    containers.filter(|one| one.has_gpu).any(|one| {
        one.memory_of.get(BUSY).and_then(serde_json::Value::as_i64).is_some_and(|until| until > world.now_ms)
    })
}

/// `nvidia-smi`, in the guest or in a container that was given the card.
pub fn smi(call: &mut Call<'_>) -> i32 {
    let Some(vmid) = super::guests::own(call.world, call.node) else { return 1 };
    let Some(guest) = call.world.guests.get(&vmid).cloned() else { return 1 };
    if libraries(&guest).is_none() {
        call.warn("sh: 1: nvidia-smi: not found");
        return 127;
    }
    match nvml(call.world, vmid) {
        Err("driver/library version mismatch") => {
            let version = libraries(&guest).unwrap_or_default();
            let short: Vec<&str> = version.split('.').take(2).collect();
            call.print(format!(
                "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: {}",
                short.join(".")
            ));
            return 18;
        }
        Err(_) if loaded(call.world, vmid).is_some() => {
            call.print("No devices were found");
            return 6;
        }
        Err(_) => {
            call.print("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest NVIDIA driver is installed and running.\n");
            return 9;
        }
        Ok(()) => {}
    }
    let cards = cards(call.world, vmid);
    let version = loaded(call.world, vmid).unwrap_or_default();
    let words: Vec<&str> = call.args.iter().map(String::as_str).filter(|word| !word.starts_with("--format=")).collect();
    let format = call.args.iter().find_map(|word| word.strip_prefix("--format=")).unwrap_or("csv");
    let (header, units) = (!format.contains("noheader"), !format.contains("nounits"));
    match words[..] {
        [] => {
            call.print(format!("| NVIDIA-SMI {version}    Driver Version: {version}    CUDA Version: 12.8 |"));
            let used = used_mib(&guest);
            cards.iter().for_each(|card| {
                call.print(format!("| {} {} | {used}MiB / {}MiB |", card.name, card.bus, card.memory_mib))
            });
            0
        }
        ["-L"] => {
            for (n, card) in cards.iter().enumerate() {
                call.print(format!("GPU {n}: {} (UUID: {})", card.name, uuid(card)));
            }
            0
        }
        [query] if query.starts_with("--query-gpu=") => {
            let fields: Vec<&str> = query.trim_start_matches("--query-gpu=").split(',').map(str::trim).collect();
            if header {
                call.print(fields.join(", "));
            }
            for (n, card) in cards.iter().enumerate() {
                let cells: Option<Vec<String>> =
                    fields.iter().map(|field| cell(call.world, &guest, card, n, field, &version, units)).collect();
                let Some(cells) = cells else {
                    let field =
                        fields.iter().find(|field| cell(call.world, &guest, card, n, field, &version, units).is_none());
                    call.print(format!(
                        "Field \"{}\" is not a valid field to query.\n",
                        field.copied().unwrap_or_default()
                    ));
                    return 2;
                };
                call.print(cells.join(", "));
            }
            0
        }
        [query] if query.starts_with("--query-compute-apps=") => {
            let fields: Vec<&str> =
                query.trim_start_matches("--query-compute-apps=").split(',').map(str::trim).collect();
            if header {
                call.print(fields.join(", "));
            }
            let card = cards.first().cloned();
            for (pid, program, mib) in strangers(&guest) {
                let cells = fields.iter().map(|field| match *field {
                    "pid" => pid.to_string(),
                    "process_name" | "name" => program.to_owned(),
                    "used_memory" | "used_gpu_memory" => with(mib, "MiB", units),
                    "gpu_uuid" => card.as_ref().map(uuid).unwrap_or_default(),
                    _ => "[N/A]".to_owned(),
                });
                let line = cells.collect::<Vec<_>>().join(", ");
                call.print(line);
            }
            for (n, (name, mib)) in holders(&guest).enumerate() {
                let program = if name.contains("ollama") { "/usr/bin/ollama" } else { "python3" };
                let cells = fields.iter().map(|field| match *field {
                    "pid" => (4200 + n).to_string(),
                    "process_name" | "name" => program.to_owned(),
                    "used_memory" | "used_gpu_memory" => with(mib, "MiB", units),
                    "gpu_uuid" => card.as_ref().map(uuid).unwrap_or_default(),
                    _ => "[N/A]".to_owned(),
                });
                let line = cells.collect::<Vec<_>>().join(", ");
                call.print(line);
            }
            0
        }
        _ => call.unknown(&words.join(" ")),
    }
}

fn with(number: u64, unit: &str, units: bool) -> String {
    if units { format!("{number} {unit}") } else { number.to_string() }
}

fn uuid(card: &Card) -> String {
    let hash = card.host.bytes().fold(0x9e37_79b9_u64, |hash, byte| hash.wrapping_mul(31) ^ u64::from(byte));
    format!("GPU-{:08x}-1f2e-4b6a-9c3d-{hash:012x}", hash as u32)
}

fn cell(
    world: &World,
    guest: &Guest,
    card: &Card,
    number: usize,
    field: &str,
    version: &str,
    units: bool,
) -> Option<String> {
    let used = if number == 0 { used_mib(guest) } else { OWN_MIB };
    let busy = number == 0 && is_busy(world, guest);
    Some(match field {
        "index" => number.to_string(),
        "count" => "1".to_owned(),
        "name" | "gpu_name" => card.name.clone(),
        "uuid" | "gpu_uuid" => uuid(card),
        "driver_version" => version.to_owned(),
        "pci.bus_id" | "gpu_bus_id" => card.bus.clone(),
        "memory.total" => with(card.memory_mib, "MiB", units),
        "memory.used" => with(used, "MiB", units),
        "memory.free" => with(card.memory_mib.saturating_sub(used), "MiB", units),
        "utilization.gpu" => with(if busy { 93 } else { 0 }, "%", units),
        "utilization.memory" => with(if busy { 61 } else { 0 }, "%", units),
        "temperature.gpu" => if busy { "67" } else { "41" }.to_owned(),
        "power.draw" => {
            let watts = if busy { card.watts * 9 / 10 } else { card.watts / 6 };
            if units { format!("{watts}.00 W") } else { format!("{watts}.00") }
        }
        "power.limit" => {
            if units {
                format!("{}.00 W", card.watts)
            } else {
                format!("{}.00", card.watts)
            }
        }
        "compute_mode" => "Default".to_owned(),
        "persistence_mode" => "Disabled".to_owned(),
        "pstate" => if busy { "P0" } else { "P8" }.to_owned(),
        "ecc.errors.uncorrected.volatile.total" | "fan.speed" | "mig.mode.current" => "[N/A]".to_owned(),
        _ => return None,
    })
}
