//! What a guard is on its host: a script, a service, a timer. Pure text.
//!
//! Real unit files, since what `systemd-run` makes is gone after a reboot. `OnActiveSec=` counts from when
//! the timer is started, at the latest by the next boot; `OnBootSec=` would be past already on a host that
//! has been up for a while, and elapse at once. The script is a list of plain commands without a loop: what
//! does not succeed (`/etc/pve` is mounted late, or without quorum) is tried again by systemd.

use std::fmt::Write as _;

use crate::model::guard::Guard;
use crate::ports::{quote, quote_all};

/// Where systemd looks for units of the administrator.
const UNITS: &str = "/etc/systemd/system";

/// The files of a guard: paths and contents, all for root alone.
pub(super) fn files(guard: &Guard) -> [(String, String); 3] {
    let (directory, unit) = (guard.directory(), guard.unit());
    [
        (format!("{directory}/revert"), revert(guard)),
        (format!("{UNITS}/{unit}.service"), service(guard)),
        (format!("{UNITS}/{unit}.timer"), timer(guard)),
    ]
}

/// The name under which the original of the `index`th file is kept.
pub(super) fn original(guard: &Guard, index: usize) -> String {
    format!("{}/{index}", guard.directory())
}

pub(super) fn service_name(guard: &Guard) -> String {
    format!("{}.service", guard.unit())
}

pub(super) fn timer_name(guard: &Guard) -> String {
    format!("{}.timer", guard.unit())
}

/// Whether a file is the cluster file system's, which fixes owners and bits itself.
fn in_cluster(path: &str) -> bool {
    path.starts_with("/etc/pve/")
}

/// The command that copies a file with all that it has.
pub(super) fn copy(from: &str, to: &str) -> Vec<String> {
    let keep = if in_cluster(from) || in_cluster(to) { None } else { Some("-p") };
    std::iter::once("cp").chain(keep).chain([from, to]).map(str::to_owned).collect()
}

fn revert(guard: &Guard) -> String {
    let here = |name: &str| format!("{}/{name}", guard.directory());
    let (armed, reverting) = (quote(&here("armed")), quote(&here("reverting")));
    let mut script = format!(
        "#!/bin/sh\n\
         # Written by infra: takes back a change to this host that nobody confirmed in time.\n\
         # Started by {timer}, and again until it succeeds.\n\
         mv -T {armed} {reverting} 2>/dev/null\n\
         test -e {reverting} || exit 0\n",
        timer = timer_name(guard),
    );
    let mut line = |argv: &[&str], or_again: bool| {
        let argv: Vec<String> = argv.iter().map(|word| (*word).to_owned()).collect();
        let written = writeln!(script, "{}{}", quote_all(&argv), if or_again { " || exit 1" } else { "" });
        written.expect("writing to a String does not fail");
    };
    if guard.files.iter().any(|file| in_cluster(&file.path)) {
        line(&["test", "-e", "/etc/pve/local"], true);
    }
    for (index, file) in guard.files.iter().enumerate() {
        let path = file.path.as_str();
        if file.present {
            let (kept, beside) = (original(guard, index), beside(path));
            let copied = copy(&kept, &beside);
            line(&copied.iter().map(String::as_str).collect::<Vec<_>>(), true);
            line(&["mv", "-T", &beside, path], true);
            line(&["cmp", "-s", &kept, path], true);
        } else {
            line(&["rm", "-f", path], true);
            line(&["test", "!", "-e", path], true);
        }
    }
    for command in &guard.then {
        line(&command.iter().map(String::as_str).collect::<Vec<_>>(), true);
    }
    // One rename tells that all of it is done: whoever is interrupted before begins again.
    line(&["mv", "-T", &here("reverting"), &here("reverted")], true);
    line(&["systemctl", "disable", &timer_name(guard)], false);
    script.push_str("exit 0\n");
    script
}

/// A name beside a file that nobody reads.
fn beside(path: &str) -> String {
    let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
    format!("{directory}/.{name}.infra-guard")
}

fn service(guard: &Guard) -> String {
    format!(
        "# Written by infra.\n\
         [Unit]\n\
         Description=Take back a change by infra that was not confirmed ({name})\n\
         After=pve-cluster.service\n\
         StartLimitIntervalSec=0\n\
         \n\
         [Service]\n\
         Type=oneshot\n\
         ExecStart=/bin/sh {directory}/revert\n\
         Restart=on-failure\n\
         RestartSec=5s\n\
         TimeoutStartSec=120s\n",
        name = guard.name,
        directory = guard.directory(),
    )
}

fn timer(guard: &Guard) -> String {
    format!(
        "# Written by infra.\n\
         [Unit]\n\
         Description=Take back a change by infra unless it is confirmed in time ({name})\n\
         \n\
         [Timer]\n\
         OnActiveSec={seconds}s\n\
         AccuracySec=1s\n\
         Unit={service}\n\
         \n\
         [Install]\n\
         WantedBy=timers.target\n",
        name = guard.name,
        seconds = guard.seconds,
        service = service_name(guard),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::guard::GuardedFile;

    fn guard() -> Guard {
        let file = |path: &str, present| GuardedFile { path: path.to_owned(), present };
        Guard {
            name: "firewall".to_owned(),
            files: vec![file("/etc/pve/firewall/cluster.fw", true), file("/etc/pve/nodes/hq/host.fw", false)],
            then: Vec::new(),
            seconds: 300,
        }
    }

    #[test]
    fn what_was_there_comes_back_and_what_was_not_goes() {
        let script = revert(&guard());
        let home = "/var/lib/infra/guard/firewall";
        let expected = format!(
            "mv -T {home}/armed {home}/reverting 2>/dev/null\n\
             test -e {home}/reverting || exit 0\n\
             test -e /etc/pve/local || exit 1\n\
             cp {home}/0 /etc/pve/firewall/.cluster.fw.infra-guard || exit 1\n\
             mv -T /etc/pve/firewall/.cluster.fw.infra-guard /etc/pve/firewall/cluster.fw || exit 1\n\
             cmp -s {home}/0 /etc/pve/firewall/cluster.fw || exit 1\n\
             rm -f /etc/pve/nodes/hq/host.fw || exit 1\n\
             test '!' -e /etc/pve/nodes/hq/host.fw || exit 1\n\
             mv -T {home}/reverting {home}/reverted || exit 1\n\
             systemctl disable infra-guard-firewall.timer\n\
             exit 0\n"
        );
        assert_eq!(script.lines().skip(3).map(|line| format!("{line}\n")).collect::<String>(), expected);
    }

    #[test]
    fn other_files_keep_their_bits_and_have_their_commands() {
        let file = GuardedFile { path: "/etc/network/interfaces".to_owned(), present: true };
        let then = vec![vec!["ifreload".to_owned(), "-a".to_owned()]];
        let script = revert(&Guard { name: "bridge".to_owned(), files: vec![file], then, seconds: 120 });
        assert!(
            script.contains("cp -p /var/lib/infra/guard/bridge/0 /etc/network/.interfaces.infra-guard || exit 1\n")
        );
        assert!(script.contains("ifreload -a || exit 1\nmv -T "), "{script}");
        assert!(!script.contains("/etc/pve"));
    }

    #[test]
    fn the_timer_counts_from_its_start_so_that_it_survives_a_reboot_and_does_not_fire_when_armed() {
        let [_, (_, service), (path, timer)] = files(&guard());
        assert_eq!(path, "/etc/systemd/system/infra-guard-firewall.timer");
        assert!(timer.contains("OnActiveSec=300s\n") && timer.contains("WantedBy=timers.target\n"));
        assert!(!timer.contains("OnBootSec"), "it would be past already, and elapse at once");
        assert!(service.contains("Restart=on-failure\n") && service.contains("StartLimitIntervalSec=0\n"));
    }
}
