//! `sha256sum`: of files, and of downloaded images by what is known of them.

use sha2::{Digest, Sha256};

use crate::lab::shell::call::Call;
use crate::lab::shell::tree::{known_sha256, read};
use crate::lab::world::conf::hex;

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    let args = call.args;
    let mut code = 0;
    for path in args.iter().filter(|arg| *arg != "--") {
        if path.starts_with('-') {
            return call.unknown(path);
        }
        let known = known_sha256(call.world, call.node, path);
        let digest = known.map_or_else(|| read(call.world, call.node, path).map(|c| hex(&Sha256::digest(c))), Ok);
        match digest {
            // a name with a backslash or a line break is escaped, and the line says so in front
            Ok(digest) if path.contains(['\\', '\n']) => {
                call.print(format!("\\{digest}  {}", path.replace('\\', "\\\\").replace('\n', "\\n")));
            }
            Ok(digest) => call.print(format!("{digest}  {path}")),
            Err(error) => code = call.fail(1, format!("{path}: {error}")),
        }
    }
    code
}
