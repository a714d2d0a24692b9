//! Hosts are named by name or address alone.

use crate::blueprint::draft::Draft;
use crate::diag::{Diagnostic, Diagnostics, Spanned};

/// Reports addresses that are web addresses, carry a port, or are no names.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    for (_, host) in draft.hosts() {
        let jump = host.ssh.as_ref().and_then(|ssh| ssh.jump.as_ref());
        let given = [
            host.address.as_ref(),
            host.api.as_ref().and_then(|api| api.host.as_ref()),
            host.ssh.as_ref().and_then(|ssh| ssh.host.as_ref()),
            jump.and_then(|jump| jump.host.as_ref()),
        ];
        for address in given.into_iter().flatten() {
            if !is_host(&address.value) {
                report.push(problem(address));
            }
        }
    }
}

fn is_host(text: &str) -> bool {
    let label = |part: &str| {
        (1..64).contains(&part.len())
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    if text.parse::<std::net::IpAddr>().is_ok() {
        return true;
    }
    // Four numbers that are no address are not meant as a name.
    let numbers = text.split('.').all(|part| part.bytes().all(|b| b.is_ascii_digit()));
    text.len() < 254 && !numbers && text.strip_suffix('.').unwrap_or(text).split('.').all(label)
}

fn problem(address: &Spanned<String>) -> Diagnostic {
    let text = address.escape_debug();
    let hint = if address.contains("://") {
        "leave out `https://` and what follows the name".to_owned()
    } else if let Some((host, _)) = address.split_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()))
    {
        format!("write `{}` here; ports have keys of their own: `api.port` and `ssh.port`", host.escape_debug())
    } else {
        "write a name in DNS such as `pve1.example.com`, or an address such as `192.168.10.2`".to_owned()
    };
    Diagnostic::error("inventory.host-address", format!("`{text}` is neither a name nor an address"))
        .at(address.span, "")
        .hint(hint)
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::{codes, said};

    #[test]
    fn host_address() {
        for wrong in ["https://pve1:8006", "192.168.10.2:8006", "192.168.10.256", "pve 1", "-x"] {
            assert_eq!(codes(&format!("hosts: {{ hq: {{ address: \"{wrong}\" }} }}")), ["inventory.host-address"]);
        }
        for good in ["pve1", "pve1.example.com", "fd00::2"] {
            assert_eq!(codes(&format!("hosts: {{ hq: {{ address: \"{good}\" }} }}")), [""; 0]);
        }
        assert!(said("hosts: { hq: { address: \"10.0.0.2:8006\" } }").contains("write `10.0.0.2` here"));
    }
}
