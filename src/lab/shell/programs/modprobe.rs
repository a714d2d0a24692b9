//! `modprobe [-r] MODULE`: loads a module with what stands in `modprobe.d` now.

use crate::lab::shell::call::Call;
use crate::lab::world::machine::{has_module, load_module, module_name, unload_module};

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    let words: Vec<&str> = call.args.iter().map(String::as_str).collect();
    let version = call.world.version;
    let Some(node) = call.world.nodes.get_mut(call.node) else { return 1 };
    let kernel = node.kernel(version).to_owned();
    match words[..] {
        ["-r", module] => {
            unload_module(node, &module_name(module));
            0
        }
        [module] if !module.starts_with('-') => {
            if !has_module(&kernel, module) {
                call.warn(format!("modprobe: FATAL: Module {module} not found in directory /lib/modules/{kernel}"));
                return 1;
            }
            load_module(node, &module_name(module));
            0
        }
        _ => call.unknown(&words.join(" ")),
    }
}
