//! `sleep N`: the world's own time goes on, if nobody else moves it.

use crate::lab::rules::work;
use crate::lab::shell::call::Call;

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    let [seconds] = call.args else { return call.unknown(&call.args.join(" ")) };
    let Ok(seconds) = seconds.parse::<u32>() else {
        return call.fail(1, format!("invalid time interval '{seconds}'"));
    };
    call.world.now_ms += i64::from(seconds) * 1000;
    work::advance(call.world);
    0
}
