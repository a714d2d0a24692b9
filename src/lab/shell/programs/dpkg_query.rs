//! `dpkg-query -W -f FORMAT [PATTERN…]`: packages that are installed.

use super::find::fits;
use crate::lab::shell::call::Call;

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    let words: Vec<&str> = call.args.iter().map(String::as_str).collect();
    let (format, patterns) = match words[..] {
        ["-W", "-f", format, ref patterns @ ..] => (format, patterns),
        [w, ref patterns @ ..] if w.starts_with("-Wf=") => (&w[4..], patterns),
        _ => return call.unknown(&words.join(" ")),
    };
    let Some(node) = call.world.nodes.get(call.node) else { return 1 };
    let packages = node.machine.packages.clone();
    let (mut code, mut shown) = (0, Vec::new());
    for pattern in if patterns.is_empty() { &["*"][..] } else { patterns } {
        let found: Vec<_> = packages.iter().filter(|(name, _)| fits(pattern.as_bytes(), name.as_bytes())).collect();
        if found.is_empty() {
            call.warn(format!("dpkg-query: no packages found matching {pattern}"));
            code = 1;
        }
        shown.extend(found);
    }
    shown.sort();
    shown.dedup();
    for (name, version) in shown {
        let line = format
            .replace("${Package}", name)
            .replace("${Version}", version)
            .replace("${db:Status-Status}", "installed")
            .replace("${Status}", "install ok installed")
            .replace("\\t", "\t")
            .replace("\\n", "\n");
        if line.contains("${") {
            return call.unknown(format);
        }
        call.stdout.extend(line.into_bytes());
    }
    code
}
