//! A host's own firewall.

use super::text;
use crate::diag::Invalid;
use crate::model::entrance::HostFirewall;
use crate::ports::Output;
use crate::proxmox::firewall_file;

/// Prints PVE's own file for the host that it is run on.
pub const COMMAND: [&str; 2] = ["cat", "/etc/pve/local/host.fw"];

/// Reads it; a host that never had a rule has no such file.
///
/// # Errors
/// When the file cannot be read.
pub fn read(output: &Output) -> Result<HostFirewall, Invalid> {
    Ok(text::file(output)?.map(|text| firewall_file::read_host(&text)).unwrap_or_default())
}
