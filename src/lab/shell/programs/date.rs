//! `date +%s`: the world's time, as the host's clock has it.

use crate::lab::shell::call::Call;

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    match call.args {
        [format] if format == "+%s" => {
            let now = call.world.now();
            call.print(now.to_string());
            0
        }
        [utc, format] if utc == "-u" && format == "+%s.%N" => {
            let ahead = call.world.nodes.get(call.node).map_or(0, |node| node.around.clock_ahead_ms);
            let now_ms = call.world.now_ms + ahead;
            call.print(format!("{}.{:03}000000", now_ms.div_euclid(1000), now_ms.rem_euclid(1000)));
            0
        }
        [] => call.unknown("date without +%s"),
        [other, ..] => call.unknown(other),
    }
}
