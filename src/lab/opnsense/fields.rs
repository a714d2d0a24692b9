//! What a field of a host override may hold: the model's own checks, with its own words.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::state::Host;

/// The domain of an override: `Mask` of `Unbound.xml`.
fn domain(text: &str) -> bool {
    let label = |label: &str| {
        let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        !label.is_empty() && label.bytes().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    text.split('.').all(label)
}

/// PHP's `FILTER_VALIDATE_DOMAIN` without the flag for host names: lengths alone.
fn dns_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= 253 && text.split('.').all(|label| !label.is_empty() && label.len() <= 63)
}

/// Everything that is wrong with an override, by field.
pub(super) fn wrong(host: &Host) -> BTreeMap<&'static str, String> {
    let mut wrong = BTreeMap::new();
    let mut say = |field: &'static str, why: &str| {
        wrong.insert(field, why.to_owned());
    };
    if !matches!(host.enabled.as_str(), "0" | "1") {
        say("host.enabled", "Value should be a boolean (0,1).");
    }
    let hostname = host.hostname.as_str();
    let ip = hostname.parse::<IpAddr>().is_ok();
    if !hostname.is_empty() && hostname != "*" && (ip || !dns_name(hostname)) {
        say("host.hostname", "Please specify a valid IP address or hostname.");
    }
    if host.domain.is_empty() {
        say("host.domain", "A value is required.");
    } else if !domain(&host.domain) {
        say("host.domain", "A valid domain must be specified.");
    }
    match host.rr.as_str() {
        "A" | "AAAA" if host.server.is_empty() => say("host.server", "The field IP address is required."),
        "MX" if host.mx.is_empty() => say("host.mx", "The field MX Host is required."),
        "A" | "AAAA" | "MX" => {}
        _ => say("host.rr", "Option not in list."),
    }
    // A family is not asked for: an AAAA of 10.0.0.1 is saved.
    let net = host.server.split_once('/').map_or(host.server.as_str(), |(net, _)| net);
    if !net.is_empty() && net.parse::<Ipv4Addr>().is_err() && net.parse::<Ipv6Addr>().is_err() {
        say("host.server", "Please specify a valid network segment or IP address.");
    }
    if host.description.chars().count() > 255 || host.description.contains('\n') {
        say("host.description", "Description should be a string between 1 and 255 characters.");
    }
    wrong
}
