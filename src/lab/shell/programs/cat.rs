//! `cat`: files, or standard input.

use crate::lab::shell::call::Call;
use crate::lab::shell::tree::read;

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    let args = call.args;
    let files: Vec<&String> = args.iter().filter(|arg| *arg != "--").collect();
    if let Some(option) = files.iter().find(|arg| arg.starts_with('-') && arg.len() > 1) {
        return call.unknown(option);
    }
    if files.is_empty() {
        let input = call.read_stdin();
        call.stdout.extend(input);
        return 0;
    }
    let mut code = 0;
    for file in files {
        match read(call.world, call.node, file) {
            _ if file == "-" => {
                let input = call.read_stdin();
                call.stdout.extend(input);
            }
            Ok(content) => call.stdout.extend(content),
            Err(error) => code = call.fail(1, format!("{file}: {error}")),
        }
    }
    code
}
