//! `pvecm status`, `pvecm nodes`: of a host that is in no cluster.

use crate::lab::shell::call::Call;

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    if call.world.cluster.is_some() || !matches!(call.args.first().map(String::as_str), Some("status" | "nodes")) {
        return call.unknown(&call.args.join(" "));
    }
    call.warn("Error: Corosync config '/etc/pve/corosync.conf' does not exist - is this node part of a cluster?");
    2
}
