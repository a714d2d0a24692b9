//! `sysctl -n KEY`, `-w KEY=VALUE`, `-p FILE`: settings of the kernel.

use crate::lab::shell::call::Call;
use crate::lab::shell::tree::read;

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    let words: Vec<&str> = call.args.iter().map(String::as_str).collect();
    match words[..] {
        ["-n", key] => match read(call.world, call.node, &path(key)) {
            Ok(value) => {
                call.stdout.extend(value);
                0
            }
            Err(_) => missing(call, key),
        },
        ["-w", setting] => set(call, setting),
        ["-p", file] => {
            let Ok(text) = read(call.world, call.node, file) else {
                return call.fail(255, format!("cannot open \"{file}\": No such file or directory"));
            };
            let text = String::from_utf8_lossy(&text).into_owned();
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', ';']));
            lines.fold(0, |code, line| set(call, line).max(code))
        }
        _ => call.unknown(&words.join(" ")),
    }
}

fn path(key: &str) -> String {
    format!("/proc/sys/{}", key.replace('.', "/"))
}

fn missing(call: &mut Call<'_>, key: &str) -> i32 {
    call.fail(1, format!("cannot stat {}: No such file or directory", path(key)))
}

fn set(call: &mut Call<'_>, setting: &str) -> i32 {
    let Some((key, value)) = setting.split_once('=') else { return call.unknown(setting) };
    let (key, value) = (key.trim().trim_start_matches('-').replace('/', "."), value.trim().to_owned());
    if read(call.world, call.node, &path(&key)).is_err() {
        return missing(call, &key);
    }
    call.print(format!("{key} = {value}"));
    if let Some(node) = call.world.nodes.get_mut(call.node) {
        node.machine.sysctls.insert(key, value);
    }
    0
}
