//! `reboot`: asks systemd to start the host anew; comes back at once.

use crate::lab::power;
use crate::lab::shell::call::Call;

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    if let Some(option) = call.args.first() {
        return call.unknown(option);
    }
    power::reboot(call.world, call.node);
    0
}
