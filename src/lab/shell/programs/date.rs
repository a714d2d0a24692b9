//! `date +%s`: the world's time.

use crate::lab::shell::call::Call;

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    match call.args {
        [format] if format == "+%s" => {
            let now = call.world.now();
            call.print(now.to_string());
            0
        }
        [] => call.unknown("date without +%s"),
        [other, ..] => call.unknown(other),
    }
}
