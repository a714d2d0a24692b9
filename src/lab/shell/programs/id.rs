//! `id`: we are root.

use crate::lab::shell::call::Call;

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    match call.args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => call.print("uid=0(root) gid=0(root) groups=0(root)"),
        ["-u" | "-g"] => call.print("0"),
        ["-un" | "-gn"] => call.print("root"),
        _ => return call.unknown(&call.args.join(" ")),
    }
    0
}
