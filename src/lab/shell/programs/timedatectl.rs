//! `timedatectl show`: whether anything keeps the clock right.

use crate::lab::shell::call::Call;

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    if call.args != ["show"] {
        return call.unknown(&call.args.join(" "));
    }
    let Some(node) = call.world.nodes.get(call.node) else { return 1 };
    let word = |flag| if flag { "yes" } else { "no" };
    let around = &node.around;
    let zone = if node.system.timezone.is_empty() { "Etc/UTC" } else { node.system.timezone.as_str() };
    let text = format!(
        "Timezone={zone}\nLocalRTC=no\nCanNTP=yes\nNTP={}\nNTPSynchronized={}",
        word(!around.time_service_off),
        word(!around.time_unset && !around.time_service_off)
    );
    call.print(text);
    0
}
