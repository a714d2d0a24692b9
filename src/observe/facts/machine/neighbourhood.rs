//! Who answers at the addresses that the inventory gives to guests.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::super::text;
use super::links::rows;
use crate::diag::Invalid;
use crate::model::machine::{Neighbour, Neighbourhood, Ping};
use crate::ports::Output;

/// Asks for all addresses at the same time, so that silence costs one second and not one each.
///
/// This is the one place where a command is a script: an argument vector cannot run programs beside one another.
/// It holds nothing but addresses.
#[must_use]
pub fn ping_command(addresses: &BTreeSet<IpAddr>) -> Vec<String> {
    let ping = |address: &IpAddr| {
        format!("ping -c 1 -W 1 -n -q {address} >/dev/null 2>&1 && echo \"{address} 0\" || echo \"{address} $?\" &\n")
    };
    let script = addresses.iter().map(ping).collect::<String>() + "wait";
    vec!["sh".to_owned(), "-c".to_owned(), script]
}

/// Asks who was found.
pub const COMMAND: &[&str] = &["ip", "-j", "neigh"];

/// Reads both.
///
/// # Errors
/// When the table of neighbours is not understood.
pub fn read(pinged: Option<&Output>, neighbours: &Output) -> Result<Neighbourhood, Invalid> {
    let mut found = Neighbourhood::default();
    let said = pinged.map(|output| String::from_utf8_lossy(&output.stdout)).unwrap_or_default();
    for line in said.lines() {
        let Some((address, code)) = line.split_once(' ') else { continue };
        let Ok(address) = address.parse() else { continue };
        // ping: 0 there, 1 no answer, 2 anything else; the shell: 127 no such program.
        let ping = match code {
            "0" => Ping::Answered,
            "1" => Ping::Silent,
            _ => Ping::Failed,
        };
        found.pinged.insert(address, ping);
    }
    found.neighbours = table(neighbours)?;
    Ok(found)
}

fn table(output: &Output) -> Result<BTreeMap<IpAddr, Neighbour>, Invalid> {
    let mut table = BTreeMap::new();
    for row in rows(output)? {
        let text = |key: &str| row.get(key).and_then(serde_json::Value::as_str);
        // Without a MAC nobody answered there.
        let (Some(address), Some(mac), Some(interface)) = (text("dst"), text("lladdr"), text("dev")) else { continue };
        let Ok(address) = address.parse() else { continue };
        let states = row.get("state").and_then(serde_json::Value::as_array);
        let fresh = states.into_iter().flatten().any(|state| state.as_str() == Some("REACHABLE"));
        let neighbour = Neighbour { mac: mac.to_ascii_lowercase(), interface: interface.to_owned(), fresh };
        table.insert(address, neighbour);
    }
    Ok(table)
}

/// Whether any address could be asked for at all.
pub fn problem(pinged: &Output) -> Option<Invalid> {
    (pinged.code != 0 && pinged.stdout.is_empty()).then(|| text::failed(pinged, "sh"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::output;

    #[test]
    fn the_script_asks_for_all_at_once() {
        let addresses = ["10.0.0.10", "fd00::5"].into_iter().map(|a| a.parse().unwrap()).collect();
        let [sh, c, script] = &ping_command(&addresses)[..] else { panic!() };
        assert_eq!((sh.as_str(), c.as_str()), ("sh", "-c"));
        assert_eq!(script.lines().filter(|line| line.starts_with("ping ") && line.ends_with(" &")).count(), 2);
        assert!(script.ends_with("wait"));
    }

    #[test]
    fn an_answer_silence_and_a_failure_are_three_things() {
        let table = r#"[{"dst":"10.0.0.11","dev":"vmbr0","lladdr":"BC:24:11:00:00:01","state":["REACHABLE"]},
            {"dst":"10.0.0.12","dev":"vmbr0","state":["FAILED"]},
            {"dst":"10.0.0.13","dev":"vmbr0","lladdr":"bc:24:11:00:00:03","state":["STALE"]}]"#;
        let pinged = output(0, "10.0.0.10 0\n10.0.0.11 1\n10.0.0.12 127\n", "");
        let found = read(Some(&pinged), &output(0, table, "")).unwrap();
        let of = |address: &str| found.pinged[&address.parse().unwrap()];
        assert_eq!((of("10.0.0.10"), of("10.0.0.11"), of("10.0.0.12")), (Ping::Answered, Ping::Silent, Ping::Failed));
        let quiet = &found.neighbours[&"10.0.0.11".parse().unwrap()];
        assert_eq!((quiet.mac.as_str(), quiet.fresh), ("bc:24:11:00:00:01", true));
        assert_eq!(found.neighbours.len(), 2);
        assert!(!found.neighbours[&"10.0.0.13".parse().unwrap()].fresh);
    }
}
