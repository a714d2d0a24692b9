//! What of a host's files becomes true only with the next boot, and which fact tells.
//!
//! Owns the reasons for a reboot; reboots nothing. Entry: [`pending`].

use super::kernel_command_line::is_unwanted;
use super::modprobe::VFIO_FILE;
use crate::blueprint::{Blueprint, Host};
use crate::model::observed::Observed;

/// Why the running system differs from what its files say, one sentence each without a period.
///
/// Only what was seen counts: of a host that could not be looked at nothing is said.
#[must_use]
pub fn pending(blueprint: &Blueprint, host: &Host, observed: &Observed) -> Vec<String> {
    let Some(there) = observed.hosts.get(&host.name) else { return Vec::new() };
    let machine = &there.machine;
    let mut reasons = Vec::new();
    if let Some(kernel) = machine.kernel.value() {
        let running = &kernel.command_line;
        let missing: Vec<&str> =
            host.system.kernel_parameters.iter().filter(|word| !running.contains(word)).map(String::as_str).collect();
        if !missing.is_empty() {
            reasons.push(format!("the running kernel was started without `{}` (`/proc/cmdline`)", missing.join(" ")));
        }
        let left: Vec<&str> =
            running.iter().filter(|word| is_unwanted(blueprint, host, word)).map(String::as_str).collect();
        if !left.is_empty() {
            reasons.push(format!("the running kernel was started with `{}` (`/proc/cmdline`)", left.join(" ")));
        }
    }
    if let (Some(config), Some(boot)) = (machine.config.value(), machine.boot.value())
        && let Some(file) = config.get(VFIO_FILE)
        && file.modified > boot.booted_at
    {
        reasons.push(format!("`{VFIO_FILE}` was changed after the host was booted"));
    }
    reasons
}
