//! `mkdir [-p]`: below `/etc/pve` it is PVE's cluster-wide lock.

use crate::lab::shell::call::Call;
use crate::lab::shell::edit::make_directory;
use crate::lab::shell::tree::{FileKind, canonical, meta};

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    let args = call.args;
    let (options, paths): (Vec<&String>, Vec<&String>) = args.iter().partition(|arg| arg.starts_with('-'));
    if let Some(option) = options.iter().find(|option| !["-p", "--"].contains(&option.as_str())) {
        return call.unknown(option);
    }
    let parents = options.iter().any(|option| *option == "-p");
    let mut code = 0;
    for path in paths {
        let mut steps = vec![path.clone()];
        if parents {
            let full = canonical(call.node, path);
            let ends = full.char_indices().filter(|(index, c)| *c == '/' && *index > 0).map(|(index, _)| index);
            steps = ends.map(|end| full[..end].to_owned()).chain([full.clone()]).collect();
            steps.retain(|step| !meta(call.world, call.node, step).is_ok_and(|m| m.kind == FileKind::Directory));
        }
        for step in steps {
            if let Err(error) = make_directory(call.world, call.node, &step, 0o755) {
                code = call.fail(1, format!("cannot create directory '{path}': {error}"));
                break;
            }
        }
    }
    code
}
