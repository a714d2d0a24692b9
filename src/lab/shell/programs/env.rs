//! `env NAME=VALUE… PROGRAM…`: a program in another environment, of which the lab's programs see nothing.

use crate::lab::shell::call::Call;

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    let all = call.args;
    let Some(at) = all.iter().position(|word| !word.contains('=')) else { return call.unknown(&all.join(" ")) };
    let (name, args) = (&all[at], &all[at + 1..]);
    if name.starts_with('-') {
        return call.unknown(name);
    }
    let Some(program) = super::program(name) else {
        return call.fail(127, format!("'{name}': No such file or directory"));
    };
    let (stdout, stderr) = (Vec::new(), Vec::new());
    let mut child = Call { world: call.world, node: call.node, name, args, stdin: call.stdin, stdout, stderr };
    let code = program(&mut child);
    let (stdout, stderr) = (std::mem::take(&mut child.stdout), std::mem::take(&mut child.stderr));
    call.stdout.extend(stdout);
    call.stderr.extend(stderr);
    code
}
