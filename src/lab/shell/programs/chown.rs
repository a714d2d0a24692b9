//! `chown UID[:GID]`: numbers, `root`, or `caddy`.

use crate::lab::shell::call::Call;
use crate::lab::shell::edit::change;
use crate::lab::shell::tree::FileError;

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    let args = call.args;
    let Some((owner, files)) = args.split_first().filter(|(_, files)| !files.is_empty()) else {
        return call.fail(1, "missing operand");
    };
    if owner.starts_with('-') {
        return call.unknown(owner);
    }
    let number = |text: &str| match text {
        "root" => Some(0),
        // A package makes them, with the first number that is free.
        "caddy" => Some(999),
        text => text.parse().ok(),
    };
    let (user, group) = owner.split_once(':').unwrap_or((owner, ""));
    let (uid, gid) = (number(user), number(group));
    if (uid.is_none() && !user.is_empty()) || (gid.is_none() && !group.is_empty()) {
        return call.fail(1, format!("invalid user: '{owner}'"));
    }
    let mut code = 0;
    for file in files {
        let changed = change(call.world, call.node, file, |meta| {
            meta.uid = uid.unwrap_or(meta.uid);
            meta.gid = gid.unwrap_or(meta.gid);
        });
        match changed {
            Ok(()) => {}
            Err(FileError::NotFound) => code = call.fail(1, format!("cannot access '{file}': {}", FileError::NotFound)),
            Err(error) => code = call.fail(1, format!("changing ownership of '{file}': {error}")),
        }
    }
    code
}
