//! `ping -c 1 -W 1 -n -q ADDRESS`: who answers on the host's networks.

use super::ip::beside;
use crate::lab::rules::guest_addresses;
use crate::lab::shell::call::Call;
use crate::lab::world::Network;

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    let address = match call.args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["-c", "1", "-W", "1", "-n", "-q", address] => address,
        _ => return call.unknown(&call.args.join(" ")),
    };
    let Some(node) = call.world.nodes.get(call.node) else { return 2 };
    let own = |network: &Network| network.cidr.as_deref().and_then(|cidr| cidr.split('/').next()) == Some(address);
    let guest = || {
        let mut running = call.world.guests.values().filter(|guest| guest.node == call.node && guest.run.is_some());
        running.any(|guest| guest_addresses(guest, 0).iter().any(|own| own.split('/').next() == Some(address)))
    };
    let answers = match node.around.strangers.get(address) {
        Some(stranger) => !stranger.silent && !stranger.gone,
        None => node.networks.values().any(own) || (beside(node, address).is_some() && guest()),
    };
    let received = u8::from(answers);
    let line = format!("\n--- {address} ping statistics ---\n1 packets transmitted, {received} received");
    call.print(line);
    i32::from(!answers)
}
