//! `modinfo -F FIELD MODULE`: what the running kernel's module says of itself.

use crate::lab::shell::call::Call;
use crate::lab::world::machine::{has_module, module_name};

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    let words: Vec<&str> = call.args.iter().map(String::as_str).collect();
    let ["-F", "name", module] = words[..] else { return call.unknown(&words.join(" ")) };
    let version = call.world.version;
    let kernel = call.world.nodes.get(call.node).map(|node| node.kernel(version).to_owned()).unwrap_or_default();
    if has_module(&kernel, module) {
        call.print(module_name(module));
        return 0;
    }
    call.fail(1, format!("ERROR: Module {module} not found."))
}
