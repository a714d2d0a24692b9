//! Work in a guest that outlasts a connection: a transient unit of its systemd does it, and we look how it goes.

use crate::model::step::Op;
use crate::resources::operations::{check, exec, output, within};

/// The operations that have `unit` do `script` in the guest and wait until it has ended, for at most so many seconds. A
/// unit of that name that is at it already is waited for.
pub(super) fn long_work(unit: &str, script: &str, limit_s: u32, otherwise: &str) -> Vec<Op> {
    let (ended, said) = (format!("/run/{unit}.ended"), format!("/run/{unit}.said"));
    let at_it = format!("systemctl is-active --quiet {unit}");
    let begun = format!("{at_it} && echo begun && exit 0; test -e {ended} && echo begun");
    let over = format!("{at_it} && tail -n 1 {said} && exit 0; echo ended");
    let well = format!("grep -qx done {ended} && echo done && exit 0; tail -n 24 {said}");
    let work = format!("rm -f {said}; {script}");
    let sh = |script: &str| ["sh".to_owned(), "-c".to_owned(), script.to_owned()];
    vec![
        exec(["rm", "-f", &ended]),
        exec(["systemd-run", &format!("--unit={unit}"), "--collect", "--quiet", "sh", "-c", &work]),
        check(output(sh(&begun), "begun"), "it did not begin"),
        within(limit_s, output(sh(&over), "ended"), format!("{otherwise}: it takes too long")),
        check(output(sh(&well), "done"), otherwise.to_owned()),
    ]
}

/// A script for [`long_work`]: `work`, and then whether it went well.
pub(super) fn told(unit: &str, work: &str) -> String {
    format!("{work} >/run/{unit}.said 2>&1 && echo done >/run/{unit}.ended && exit 0; echo failed >/run/{unit}.ended")
}
