//! `iptables-save -t TABLE`: what somebody loaded by hand; nothing else is in these tables of a node.

use crate::lab::shell::call::Call;

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    let ["-t", table @ ("nat" | "raw")] = &call.args.iter().map(String::as_str).collect::<Vec<_>>()[..] else {
        return call.unknown(&call.args.join(" "));
    };
    let table = (*table).to_owned();
    let rules = call.world.nodes.get(call.node).and_then(|node| node.loaded_rules.get(&table)).cloned();
    // A table that nobody used is not there, and nothing is printed of it.
    let Some(rules) = rules else { return 0 };
    call.print(format!("*{table}"));
    for rule in rules {
        call.print(rule);
    }
    call.print("COMMIT");
    0
}
