//! Base formats of `PVE::JSONSchema` (and one of `PVE::Firewall`), of which the description has no more than the name.
//!
//! Only rules that are the same from 8.4 to 9.2 and need nothing of the host are here; everything else
//! (CPU models, boot orders, firewall addresses, privileges) is the host's to judge. Where PVE's rule has
//! corners, ours is the wider one: what a host would take is never refused here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// What a format asks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    /// In words: "it must be …".
    pub means: &'static str,
    fits: fn(&str) -> bool,
    /// A list of such values, empty ones included.
    list: bool,
    /// An empty text will do, too.
    or_empty: bool,
}

impl Rule {
    pub fn fits(&self, value: &str) -> bool {
        if self.list {
            return split_list(value).all(self.fits);
        }
        (self.or_empty && matches!(value, "" | "0")) || (self.fits)(value)
    }
}

/// The rule of a format; `None` if it is not one that we know for sure.
pub(super) fn rule(format: &str) -> Option<Rule> {
    let (name, list, or_empty) = match (format.strip_suffix("-list"), format.strip_suffix("-opt")) {
        (Some(name), _) => (name, true, false),
        (None, Some(name)) => (name, false, true),
        (None, None) => (format, false, false),
    };
    let (means, fits): (&str, fn(&str) -> bool) = match name {
        "pve-vmid" => ("a guest's number of 3 to 9 digits", vmid),
        "pve-node" => ("a node's name", label),
        "pve-configid" => ("an id: a letter, then letters, digits, `_` or `-`", config_id),
        "pve-storage-id" => ("a storage's id", storage_id),
        "pve-bridge-id" => ("a bridge's name", bridge),
        "pve-tag" => ("a tag of letters, digits, `_`, `-`, `+` and `.`", tag),
        "dns-name" => ("a DNS name", dns_name),
        "mac-addr" => ("a unicast MAC address", mac),
        "ipv4" => ("an IPv4 address", |text| text.parse::<Ipv4Addr>().is_ok()),
        "ipv6" => ("an IPv6 address", |text| text.parse::<Ipv6Addr>().is_ok()),
        "ip" => ("an IP address", |text| text.parse::<IpAddr>().is_ok()),
        "address" => ("an IP address or a DNS name", |text| text.parse::<IpAddr>().is_ok() || dns_name(text)),
        "CIDR" => ("an address with its prefix length", |text| cidr(text).is_some()),
        "CIDRv4" => ("an IPv4 address with its prefix length", |text| matches!(cidr(text), Some(IpNet::V4(_)))),
        "CIDRv6" => ("an IPv6 address with its prefix length", |text| matches!(cidr(text), Some(IpNet::V6(_)))),
        "IPorCIDR" => ("an IP address or a network", |text| text.parse::<IpAddr>().is_ok() || cidr(text).is_some()),
        "IPorCIDRorAlias" => ("an IP address, a network or the name of an alias", |text| {
            let name = text.strip_prefix("dc/").or_else(|| text.strip_prefix("guest/")).unwrap_or(text);
            text.parse::<IpAddr>().is_ok() || cidr(text).is_some() || config_id(name)
        }),
        "pve-ipv4-config" => ("`dhcp`, `manual` or an IPv4 address with its prefix length", |text| {
            matches!(text, "dhcp" | "manual") || matches!(cidr(text), Some(IpNet::V4(_)))
        }),
        "pve-ipv6-config" => ("`auto`, `dhcp`, `manual` or an IPv6 address with its prefix length", |text| {
            matches!(text, "auto" | "dhcp" | "manual") || matches!(cidr(text), Some(IpNet::V6(_)))
        }),
        "disk-size" => ("a size such as `32G`", disk_size),
        "urlencoded" => ("percent-encoded", url_encoded),
        "pve-startup-order" => ("`order=N,up=N,down=N`", startup_order),
        _ => return None,
    };
    Some(Rule { means, fits, list, or_empty })
}

/// Splits a list as PVE does: at commas, semicolons, NULs and white space.
pub(super) fn split_list(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| matches!(c, ',' | ';' | '\0') || c.is_whitespace()).filter(|part| !part.is_empty())
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn vmid(text: &str) -> bool {
    (3..=9).contains(&text.len()) && digits(text) && !text.starts_with('0')
}

fn label(text: &str) -> bool {
    let inner = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    !text.is_empty() && inner && !text.starts_with('-') && !text.ends_with('-')
}

fn dns_name(text: &str) -> bool {
    text.split('.').all(label)
}

fn config_id(text: &str) -> bool {
    text.len() > 1
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
}

fn storage_id(text: &str) -> bool {
    text.len() > 1
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
}

fn bridge(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || "_-.".contains(c))
}

fn tag(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-+.".contains(&b))
}

fn mac(text: &str) -> bool {
    let octets: Vec<&str> = text.split(':').collect();
    let hex = |octet: &&str| octet.len() == 2 && octet.bytes().all(|b| b.is_ascii_hexdigit());
    octets.len() == 6 && octets.iter().all(hex) && u8::from_str_radix(octets[0], 16).is_ok_and(|first| first & 1 == 0)
}

/// PVE takes no network larger than a /8.
fn cidr(text: &str) -> Option<IpNet> {
    text.parse::<IpNet>().ok().filter(|net| net.prefix_len() > 7)
}

fn disk_size(text: &str) -> bool {
    let number = text.strip_suffix(['K', 'M', 'G', 'T']).unwrap_or(text);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    digits(whole) && digits(fraction)
}

fn url_encoded(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-%_.!~*'()".contains(&b))
}

fn startup_order(text: &str) -> bool {
    let part = |part: &str| {
        let value = ["order=", "up=", "down="].iter().find_map(|key| part.strip_prefix(key)).unwrap_or(part);
        digits(value)
    };
    !matches!(text, "" | "0") && text.split(',').filter(|p| !p.trim().is_empty()).all(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(format: &str, value: &str) -> Option<bool> {
        rule(format).map(|rule| rule.fits(value))
    }

    #[test]
    fn base_formats_take_what_proxmox_takes() {
        for (format, good, bad) in [
            ("pve-vmid", "100", "99"),
            ("dns-name", "a.b-c", "bad_name"),
            ("mac-addr", "bc:24:11:00:00:01", "bd:24:11:00:00:01"),
            ("pve-ipv4-config", "10.0.0.5/24", "10.0.0.5"),
            ("pve-configid", "ab", "a"),
            ("disk-size", "1.5G", "1X"),
            ("pve-startup-order", "order=1,up=5", "first"),
            ("IPorCIDR", "10.0.0.0/8", "nope"),
            ("address", "ns.example.com", "a_b"),
        ] {
            assert_eq!((fits(format, good), fits(format, bad)), (Some(true), Some(false)), "{format}");
        }
    }

    #[test]
    fn lists_and_optional_ones_are_of_the_same_rule() {
        assert_eq!(fits("pve-tag-list", "a;b,c d"), Some(true));
        assert_eq!(fits("pve-tag-list", ""), Some(true));
        assert_eq!(fits("pve-tag-list", "a;b*d"), Some(false));
        assert_eq!(fits("ip-opt", ""), Some(true));
        assert_eq!(fits("ip-opt", "x"), Some(false));
    }

    #[test]
    fn what_only_perl_knows_is_not_judged() {
        assert_eq!(fits("pve-vm-cpu-conf", "anything at all"), None);
        assert_eq!(fits("pve-fw-addr-spec", "+ghost"), None);
    }
}
