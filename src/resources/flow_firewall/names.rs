//! What aliases, sets and groups of ours are called.
//!
//! All begin with [`PREFIX`] and name inventory, guest and service, joined by `_`, which is in none of them. Proxmox
//! takes 2 to 64 characters for aliases and sets, 2 to 18 for groups (`pve-fw-*` of the API description).

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use crate::model::{EnvironmentName, GuestName, PortName, ServiceName};

/// What every name of ours begins with.
pub use crate::blueprint::OWN_PREFIX as PREFIX;
const LONGEST: usize = 64;
const LONGEST_GROUP: usize = 18;

/// The alias of a guest.
#[must_use]
pub fn alias(inventory: &EnvironmentName, guest: &GuestName) -> String {
    joined(&[inventory.as_str(), guest.as_str()])
}

/// The set of all guests.
pub(super) fn guests(inventory: &EnvironmentName) -> String {
    joined(&[inventory.as_str(), "guests"])
}

/// The set of networks that are no internet.
pub(super) fn inside(inventory: &EnvironmentName) -> String {
    joined(&[inventory.as_str(), "inside"])
}

/// The set of those who may use a port of a service.
pub(super) fn users(inventory: &EnvironmentName, guest: &GuestName, service: &ServiceName, port: &PortName) -> String {
    joined(&[inventory.as_str(), guest.as_str(), service.as_str(), port.as_str()])
}

/// The set of those who may ask a guest for names.
pub(super) fn askers(inventory: &EnvironmentName, guest: &GuestName) -> String {
    joined(&[inventory.as_str(), guest.as_str(), "names"])
}

/// The group that sets guests apart.
pub(super) fn apart(inventory: &EnvironmentName) -> String {
    group(inventory, "ew")
}

/// The group that lets out to the internet.
pub(super) fn outside(inventory: &EnvironmentName) -> String {
    group(inventory, "net")
}

/// The set of a guest's own addresses on its first interface: Proxmox itself knows it by this name.
#[must_use]
pub fn own_set_name() -> &'static str {
    "ipfilter-net0"
}

fn joined(parts: &[&str]) -> String {
    let whole = format!("{PREFIX}{}", parts.join("_"));
    if whole.len() <= LONGEST {
        return whole;
    }
    let digest = digest(&whole, 8);
    format!("{}_{digest}", &whole[..LONGEST - 9])
}

fn group(inventory: &EnvironmentName, what: &str) -> String {
    let whole = format!("{PREFIX}{inventory}_{what}");
    if whole.len() <= LONGEST_GROUP { whole } else { format!("{PREFIX}{}_{what}", digest(inventory.as_str(), 8)) }
}

fn digest(text: &str, digits: usize) -> String {
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(text.as_bytes()) {
        let _ = write!(hex, "{byte:02x}");
    }
    hex.truncate(digits);
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_long_as_proxmox_takes_and_never_the_same_for_two_things() {
        let long = |letter: &str, n: usize| letter.repeat(n);
        let env: EnvironmentName = long("e", 32).parse().unwrap();
        let (a, b): (GuestName, GuestName) =
            (long("g", 63).parse().unwrap(), format!("{}h", long("g", 62)).parse().unwrap());
        assert_eq!((alias(&env, &a).len(), alias(&env, &a) == alias(&env, &b)), (64, false));
        assert!(apart(&env).len() <= 18 && outside(&env).len() <= 18 && apart(&env) != outside(&env));
        let short: EnvironmentName = "vrooli".parse().unwrap();
        assert_eq!((apart(&short).as_str(), outside(&short).as_str()), ("infra_vrooli_ew", "infra_vrooli_net"));
        let name = |text: &str| -> GuestName { text.parse().unwrap() };
        let set =
            |guest: &str, service: &str| users(&short, &name(guest), &service.parse().unwrap(), &"p".parse().unwrap());
        assert_ne!(set("a-b", "c"), set("a", "b-c"));
        assert_ne!(guests(&short), alias(&short, &name("x")));
    }
}
