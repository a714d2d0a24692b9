//! Programs that every image has as its family lists them: files, names.

use super::Place;
use crate::lab::docker::{network, registry_reach};
use crate::lab::rules::reach;
use crate::lab::shell::Call;

/// `cat FILE…` of what is mounted, `getent hosts|ahosts NAME`, `true`; none for any other.
pub(super) fn run(call: &mut Call<'_>, place: &Place) -> Option<i32> {
    let words: Vec<String> = call.args.to_vec();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match (call.name, &words[..]) {
        ("cat", paths) => {
            let mut code = 0;
            for path in paths {
                match place.file(call.world, path) {
                    Some(text) => call.stdout.extend(text.into_bytes()),
                    None => code = call.fail(1, format!("{path}: No such file or directory")),
                }
            }
            Some(code)
        }
        ("getent", ["hosts" | "ahosts" | "ahostsv4", name]) => Some(getent(call, place, name)),
        ("getent", _) => Some(1),
        _ => None,
    }
}

/// Docker's own name server knows neighbours; others it asks the guest's.
fn getent(call: &mut Call<'_>, place: &Place, name: &str) -> i32 {
    let guest = place.guest(call.world);
    if guest.is_some_and(|guest| guest.inside.faults.contains("container-dns")) {
        return 2;
    }
    if name == "localhost" {
        call.print("127.0.0.1       localhost");
        return 0;
    }
    if let Some(there) = network::neighbour(call.world, place, name) {
        let Some(address) = network::address_of(call.world, place, &there) else { return 2 };
        call.print(format!("{address:<15} {name}", address = address.to_string()));
        return 0;
    }
    let local = call.world.guests.iter().find(|(vmid, other)| other.name(**vmid) == name);
    if let Some(address) = local.and_then(|(_, other)| reach::address(other)) {
        // Names of guests are told by a name server only where somebody serves them; `/etc/hosts` is the guest's alone.
        let known = guest.and_then(|guest| guest.text("/etc/hosts")).is_some_and(|text| text.contains(name));
        if known {
            call.print(format!("{address:<15} {name}"));
            return 0;
        }
        return 2;
    }
    if name.contains('.') && network::is_outbound(call.world, place) && registry_reach(call.world, place.vmid) {
        call.print(format!("{:<15} {name}", "192.0.2.10"));
        return 0;
    }
    2
}
