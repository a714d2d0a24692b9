//! Names for containers that ask no name server of ours: the fallback where DNS is not.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;

/// Values of `extra_hosts` in a compose file. The colon is what every version takes; an IPv6 address needs no brackets,
/// since only the first colon separates.
#[must_use]
pub fn extra_hosts(names: &BTreeMap<String, IpAddr>) -> Vec<String> {
    names.iter().filter(|(name, _)| is_name(name)).map(|(name, address)| format!("{name}:{address}")).collect()
}

/// A block for `/etc/hosts`, between marks of its own so that it can be replaced.
#[must_use]
pub fn hosts_block(names: &BTreeMap<String, IpAddr>) -> String {
    let mut by_address: BTreeMap<IpAddr, Vec<&str>> = BTreeMap::new();
    for (name, address) in names.iter().filter(|(name, _)| is_name(name)) {
        by_address.entry(*address).or_default().push(name);
    }
    let mut out = String::from("# BEGIN infra\n");
    for (address, names) in by_address {
        let _ = writeln!(out, "{address} {}", names.join(" "));
    }
    out.push_str("# END infra\n");
    out
}

/// Whether it can be looked up at all, and ends nothing in either file.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_nothing_else() {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let names = BTreeMap::from([
            ("ollama.homehub.dk".to_owned(), address("10.2.0.190")),
            ("qdrant.homehub.dk".to_owned(), address("10.2.0.190")),
            ("six".to_owned(), address("fd00::5")),
            ("evil\n10.0.0.1 bank".to_owned(), address("10.0.0.2")),
            ("*.x".to_owned(), address("10.0.0.2")),
        ]);
        assert_eq!(
            extra_hosts(&names),
            ["ollama.homehub.dk:10.2.0.190", "qdrant.homehub.dk:10.2.0.190", "six:fd00::5"]
        );
        let block = "# BEGIN infra\n10.2.0.190 ollama.homehub.dk qdrant.homehub.dk\nfd00::5 six\n# END infra\n";
        assert_eq!(hosts_block(&names), block);
    }
}
