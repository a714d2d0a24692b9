//! Firewalls of guests.

use super::text;
use crate::diag::Invalid;
use crate::model::Vmid;
use crate::model::observed::GuestFirewall;
use crate::ports::Output;
use crate::proxmox::firewall_file;

/// Prints PVE's own file for a guest.
#[must_use]
pub fn command(vmid: Vmid) -> [String; 2] {
    ["cat".to_owned(), format!("/etc/pve/firewall/{vmid}.fw")]
}

/// Reads it; a guest that never had a rule has none.
///
/// # Errors
/// When the file cannot be read.
pub fn read(output: &Output) -> Result<Option<GuestFirewall>, Invalid> {
    Ok(text::file(output)?.map(|text| firewall_file::read_guest(&text)))
}
