//! `dmesg`: what the kernel printed since the boot.

use crate::lab::shell::call::Call;
use crate::lab::shell::kernel::messages;

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    if let Some(option) = call.args.first() {
        return call.unknown(option);
    }
    for line in messages(call.world, call.node) {
        call.print(line);
    }
    0
}
