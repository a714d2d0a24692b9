//! `readlink [-f|-e]`: what a link points at, or the path that is left when all links were followed.

use crate::lab::shell::call::Call;
use crate::lab::shell::tree::{link_target, meta, resolve};

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    let args = call.args;
    let (options, paths): (Vec<&String>, Vec<&String>) = args.iter().partition(|arg| arg.starts_with('-'));
    let mode = match options.iter().map(|option| option.as_str()).collect::<Vec<_>>()[..] {
        [] | ["--"] => None,
        ["-f"] => Some('f'),
        ["-e"] => Some('e'),
        _ => return call.unknown(&args.join(" ")),
    };
    let mut code = 0;
    for path in paths {
        let shown = match mode {
            None => link_target(call.world, call.node, path),
            Some(mode) => {
                let end = resolve(call.world, call.node, path, true);
                (mode == 'f' || meta(call.world, call.node, &end).is_ok()).then_some(end)
            }
        };
        // what is no link is told by the exit code alone
        match shown {
            Some(target) => call.print(target),
            None => code = 1,
        }
    }
    code
}
