//! `lsmod`: loaded modules.

use crate::lab::shell::call::Call;
use crate::lab::shell::kernel::modules;

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    if let Some(option) = call.args.first() {
        return call.unknown(option);
    }
    call.print("Module                  Size  Used by");
    for (name, size, users) in modules(call.world, call.node) {
        let line = format!("{name:<19} {size:>8}  {} {}", users.len(), users.join(","));
        call.print(line.trim_end());
    }
    0
}
