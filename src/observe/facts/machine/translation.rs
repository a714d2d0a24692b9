//! Whether the host translates addresses of what it routes, and whether the firewall's bridges have a zone of their own.

use super::super::text;
use crate::diag::Invalid;
use crate::model::machine::Translation;
use crate::ports::Output;

/// Asks for both tables as they are now, and for what the network configuration will set at boot.
pub const COMMANDS: &[&[&str]] = &[
    &["iptables-save", "-t", "nat"],
    &["iptables-save", "-t", "raw"],
    &["grep", "-rhE", "MASQUERADE|SNAT|--zone", "/etc/network/interfaces", "/etc/network/interfaces.d"],
];

/// Reads them.
///
/// # Errors
/// When a table or a file could not be read.
pub fn read(outputs: &[Output]) -> Result<Translation, Invalid> {
    let [nat, raw, configured] = outputs else { return Err(Invalid::new("not asked for")) };
    let words = text::stderr(configured);
    if configured.code > 1 && words.lines().any(|line| !line.ends_with("No such file or directory")) {
        return Err(text::failed(configured, "grep"));
    }
    let nat = text::good(nat, "iptables-save")?;
    let raw = text::good(raw, "iptables-save")?;
    let configured = String::from_utf8_lossy(&configured.stdout);
    let lines = || configured.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let appended =
        |text: &str| text.lines().map(str::trim).filter(|line| line.starts_with("-A")).map(str::to_owned).collect();
    let nat: Vec<String> = appended(&nat);
    let raw: Vec<String> = appended(&raw);
    Ok(Translation {
        rules: nat.into_iter().filter(|rule| translates(rule)).collect(),
        zones: raw.into_iter().filter(|rule| zones(rule)).collect(),
        configured_rules: lines()
            .filter(|line| translates(line) && !line.contains(" -D "))
            .map(str::to_owned)
            .collect(),
        configured_zones: lines().filter(|line| zones(line) && !line.contains(" -D ")).map(str::to_owned).collect(),
    })
}

fn translates(rule: &str) -> bool {
    let words: Vec<&str> = rule.split_whitespace().collect();
    words.windows(2).any(|pair| matches!(pair, ["-j" | "--jump", "MASQUERADE" | "SNAT"]))
}

/// A zone for what comes in by the bridges that the firewall puts before guests (`fwbr104i0`).
fn zones(rule: &str) -> bool {
    let words: Vec<&str> = rule.split_whitespace().collect();
    let from =
        words.windows(2).any(|pair| matches!(pair, ["-i" | "--in-interface", bridge] if bridge.starts_with("fwbr")));
    from && words.windows(2).any(|pair| matches!(pair, ["--zone" | "--zone-orig", _]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::output;

    #[test]
    fn rules_are_told_from_chains_and_what_is_taken_down_from_what_is_set_up() {
        let nat = "*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -s 10.0.0.0/24 -o eno1 -j MASQUERADE\n-A PREROUTING -p tcp -j DNAT --to-destination 10.0.0.9\nCOMMIT\n";
        let raw = "*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -i fwbr+ -j CT --zone 1\nCOMMIT\n";
        let file = "\tpost-up iptables -t nat -A POSTROUTING -s '10.0.0.0/24' -o eno1 -j MASQUERADE\n\
                    \tpost-down iptables -t nat -D POSTROUTING -s '10.0.0.0/24' -o eno1 -j MASQUERADE\n\
                    #\tpost-up iptables -t raw -I PREROUTING -i fwbr+ -j CT --zone 1\n";
        let missing = "grep: /etc/network/interfaces.d: No such file or directory\n";
        let read = |nat: &str, raw: &str| read(&[output(0, nat, ""), output(0, raw, ""), output(2, file, missing)]);
        let seen = read(nat, raw).unwrap();
        assert_eq!((seen.rules.len(), seen.zones.len()), (1, 1));
        assert_eq!((seen.configured_rules.len(), seen.configured_zones.len()), (1, 0));
        assert_eq!(read("", "").unwrap().rules.len(), 0);
    }
}
