//! `pveversion`: the management package and the kernel.

use crate::lab::shell::call::Call;

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    if let Some(option) = call.args.first() {
        return call.unknown(option);
    }
    let version = call.world.version;
    let kernel = call.world.nodes.get(call.node).map(|node| node.kernel(version).to_owned()).unwrap_or_default();
    call.print(format!("pve-manager/{}/14a22df3 (running kernel: {kernel})", version.full()));
    0
}
