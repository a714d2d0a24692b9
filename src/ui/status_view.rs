//! Hosts and guests as they are, one line each.

use schemars::JsonSchema;
use serde::Serialize;

use super::text::{columns, one_line, pad, wrap};
use super::{Role, Terminal};

/// What `infra status` answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Status {
    /// Version of this format.
    pub format: u32,
    /// Whose hosts and guests these are.
    pub inventory: String,
    /// Every host of the inventory, by name.
    pub hosts: Vec<HostLine>,
    /// Every guest of the inventory, by name.
    pub guests: Vec<GuestLine>,
}

/// A host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct HostLine {
    /// What the inventory calls it.
    pub name: String,
    /// Its node in Proxmox.
    pub node: String,
    /// `online`, `offline` or `unknown`.
    pub state: String,
    /// Version of Proxmox VE, if it could be read.
    pub version: Option<String>,
    /// How it is reached, as host and port.
    pub address: String,
    /// What is not as it should be, if anything.
    pub note: Option<String>,
}

/// A guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct GuestLine {
    /// Its name.
    pub name: String,
    /// `vm` or `ct`.
    pub kind: String,
    /// Its number.
    pub vmid: u32,
    /// The node that it is on, or is meant for.
    pub node: String,
    /// `running`, `stopped`, `absent`, `foreign` (the number is somebody else's) or `unknown`.
    pub state: String,
    /// Its address in the inventory.
    pub address: String,
    /// Its memory as it is, or as the inventory wants it where there is none yet.
    pub memory: String,
    /// Whether somebody changed what we applied.
    pub drift: bool,
    /// What is not as it should be, if anything.
    pub note: Option<String>,
}

impl Status {
    /// The version of this format.
    pub const FORMAT: u32 = 1;
}

/// Shows it as lines whose columns line up where the terminal is wide enough.
#[must_use]
pub fn status_text(status: &Status, terminal: &Terminal) -> String {
    let hosts = status.hosts.iter().map(|h| {
        let version = h.version.as_ref().map(|v| format!("PVE {v}")).unwrap_or_default();
        let cells =
            vec![h.name.clone(), "host".to_owned(), h.node.clone(), h.state.clone(), h.address.clone(), version];
        (cells, remark(false, h.note.as_deref()))
    });
    let guests = status.guests.iter().map(|g| {
        let kind = format!("{} {}", g.kind, g.vmid);
        let cells = vec![g.name.clone(), kind, g.node.clone(), g.state.clone(), g.address.clone(), g.memory.clone()];
        (cells, remark(g.drift, g.note.as_deref()))
    });
    table(&hosts.chain(guests).collect::<Vec<_>>(), 3, terminal)
}

fn remark(drift: bool, note: Option<&str>) -> String {
    let drift = drift.then_some("drift");
    drift.into_iter().chain(note).collect::<Vec<_>>().join(", ")
}

/// Rows of cells and a remark; the cell at `state` is coloured by what it says.
pub(super) fn table(rows: &[(Vec<String>, String)], state: usize, terminal: &Terminal) -> String {
    let count = rows.iter().map(|(cells, _)| cells.len()).max().unwrap_or(0);
    let width = |at: usize| rows.iter().filter_map(|(cells, _)| cells.get(at)).map(|c| columns(c)).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count).map(width).collect();
    let fits = widths.iter().sum::<usize>() + 2 * count <= terminal.width;
    let mut out = String::new();
    for (cells, remark) in rows {
        let mut line = String::new();
        for (at, cell) in cells.iter().enumerate() {
            if !fits && cell.is_empty() {
                continue;
            }
            let painted = if at == state { terminal.paint(state_role(cell), cell) } else { one_line(cell) };
            line.push_str(&pad(&painted, if fits { widths[at] } else { 0 }));
            line.push_str("  ");
        }
        if !remark.is_empty() {
            line.push_str(&terminal.paint(Role::Caution, format!("[{}]", one_line(remark))));
        }
        out.push_str(&wrap(line.trim_end(), terminal.width, 4));
    }
    out
}

fn state_role(state: &str) -> Role {
    match state {
        "running" | "online" | "converged" => Role::Good,
        "stopped" | "absent" => Role::Faint,
        "offline" | "foreign" | "failed" | "stuck" => Role::Bad,
        _ => Role::Caution,
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn sample() -> Status {
        let guest = |name: &str, kind: &str, vmid, state: &str, drift, note: Option<&str>| GuestLine {
            name: name.to_owned(),
            kind: kind.to_owned(),
            vmid,
            node: "pve1".to_owned(),
            state: state.to_owned(),
            address: format!("10.0.0.{}", vmid - 90),
            memory: "4GiB".to_owned(),
            drift,
            note: note.map(ToOwned::to_owned),
        };
        Status {
            format: Status::FORMAT,
            inventory: "vrooli".to_owned(),
            hosts: vec![HostLine {
                name: "hq".to_owned(),
                node: "pve1".to_owned(),
                state: "online".to_owned(),
                version: Some("9.2.11".to_owned()),
                address: "192.168.10.2:8006".to_owned(),
                note: None,
            }],
            guests: vec![
                guest("plan-hq", "vm", 100, "running", true, None),
                guest("proj-x", "ct", 104, "absent", false, None),
                guest("proj-y", "ct", 105, "foreign", false, Some("vmid 105 is `mail`, which is not ours")),
            ],
        }
    }

    #[test]
    fn one_line_for_each_host_and_guest() {
        assert_snapshot!(status_text(&sample(), &Terminal::plain().with_width(100)), @r"
        hq       host    pve1  online   192.168.10.2:8006  PVE 9.2.11
        plan-hq  vm 100  pve1  running  10.0.0.10          4GiB        [drift]
        proj-x   ct 104  pve1  absent   10.0.0.14          4GiB
        proj-y   ct 105  pve1  foreign  10.0.0.15          4GiB        [vmid 105 is `mail`, which is not
            ours]
        ");
    }

    #[test]
    fn forty_columns_stay_readable() {
        let text = status_text(&sample(), &Terminal::plain().with_width(40));
        assert!(text.lines().all(|line| columns(line) <= 40), "{text}");
        assert_snapshot!(text, @r"
        hq  host  pve1  online
            192.168.10.2:8006  PVE 9.2.11
        plan-hq  vm 100  pve1  running
            10.0.0.10  4GiB  [drift]
        proj-x  ct 104  pve1  absent  10.0.0.14
            4GiB
        proj-y  ct 105  pve1  foreign  10.0.0.15
            4GiB  [vmid 105 is `mail`, which is
            not ours]
        ");
    }
}
