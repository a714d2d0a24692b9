//! An OPNsense is reached in one way, and its overrides can hold what its zones say.

use std::collections::BTreeSet;

use super::tailnet::api_url;
use crate::blueprint::dns::below;
use crate::blueprint::draft::Draft;
use crate::diag::{Diagnostic, Diagnostics, Span};
use crate::inventory::{RecordData, Zone};

const CODE: &str = "inventory.opnsense";

/// Reports plain HTTP, two ways of trust, keys that only a name server has, and names without an address of this zone.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    let Some(own) = draft.inventory.document.dns.as_ref().and_then(|dns| dns.opnsense.as_ref()) else { return };
    if let Some(url) = own.url.as_ref().filter(|url| !api_url(&url.value.0)) {
        report.push(
            Diagnostic::error(CODE, format!("`{}` is not where an API can be asked safely", url.value.0))
                .at(url.span, "")
                .hint("write `https://`, a name or an address, and a port if it is not 443"),
        );
    }
    if let (Some(fingerprint), Some(file)) = (&own.fingerprint, &own.ca_file) {
        report.push(
            Diagnostic::error(CODE, "the OPNsense is trusted in two ways")
                .at(file.span, "this")
                .related(fingerprint.span, "and this")
                .hint("keep one; without either, the CAs that this machine trusts decide"),
        );
    }
    for (name, zone) in draft.zones().filter(|(_, zone)| zone.guest.is_none() && !draft.broken.key(zone.span, "guest"))
    {
        records(&name.value.0, zone, report);
        let mut without = |span: Span, key: &str| {
            report.push(
                Diagnostic::error(CODE, format!("`{key}` means nothing for `{}`", name.value.0))
                    .cause("host overrides have nothing like it")
                    .at(span, "")
                    .hint("remove it, or name the `guest` that BIND runs in"),
            );
        };
        if let Some(email) = &zone.email {
            without(email.span, "email");
        }
        if let Some(ttl) = zone.ttl {
            without(ttl.span, "ttl");
        }
    }
}

fn records(zone: &str, block: &Zone, report: &mut Diagnostics) {
    let written = || block.records.iter().flatten();
    for (name, data) in written() {
        // `domain` of an override takes letters, digits and dashes (Unbound.xml), `hostname` more than that.
        if name.value.0.split_once('.').is_some_and(|(_, rest)| rest.contains('_')) {
            report.push(
                Diagnostic::error(CODE, format!("an OPNsense takes no override for `{}.{zone}`", name.value.0))
                    .cause("below its first label, a name has letters, digits and dashes there")
                    .at(name.span, ""),
            );
        }
        let RecordData::Name(mut other) = data.value.clone() else { continue };
        let mut seen = BTreeSet::from([name.value.0.clone()]);
        loop {
            let label = match other.strip_suffix('.') {
                Some(complete) => below(complete, zone).map(str::to_owned),
                None => Some(other.clone()),
            };
            let Some(label) = label else {
                report.push(
                    Diagnostic::error(CODE, format!("`{}.{zone}` leads out of its zone", name.value.0))
                        .cause("an override holds an address and no other name")
                        .at(data.span, "")
                        .hint("write the address, or serve the zone with BIND in a `guest`"),
                );
                break;
            };
            if !seen.insert(label.clone()) {
                report.push(
                    Diagnostic::error(CODE, format!("`{}.{zone}` stands for itself in the end", name.value.0))
                        .at(data.span, ""),
                );
                break;
            }
            match written().find(|(name, _)| name.value.0 == label).map(|(_, data)| &data.value) {
                Some(RecordData::Name(next)) => other.clone_from(next),
                Some(RecordData::Address(_)) | None => break,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::{codes, with};

    const OWN: &str = "inventory.opnsense";

    fn zone(block: &str) -> String {
        format!(
            "dns:\n  opnsense: {{ url: \"https://10.0.0.1\", key: secret:a, secret: secret:b }}\n  zones: {{ example.com: {{ {block} }} }}\n"
        )
    }

    #[test]
    fn opnsense() {
        assert_eq!(codes(&zone("records: { nas: 10.2.0.5, files: nas, www: files.example.com. }")), [""; 0]);
        assert_eq!(codes(&zone("guest: proj-x, ttl: 60, records: { www: example.org. }")), [""; 0], "that is BIND's");
        assert_eq!(codes(&zone("ttl: 60")), [OWN]);
        assert_eq!(codes(&zone("email: me@example.com")), [OWN]);
        assert_eq!(codes(&zone("records: { www: example.org. }")), [OWN]);
        assert_eq!(codes(&zone("records: { a: b, b: c, c: a }")), [OWN, OWN, OWN]);
        assert_eq!(codes(&zone("records: { a._tcp: 10.2.0.5 }")), [OWN]);
        assert_eq!(codes(&zone("records: { _tcp: 10.2.0.5 }")), [""; 0]);
        assert_eq!(codes(&zone("").replace("https://10.0.0.1", "https://10.0.0.1/api")), [OWN]);
        let pinned = format!("secret: secret:b, fingerprint: \"{}\", ca_file: ca.pem", ["AB"; 32].join(":"));
        assert_eq!(codes(&zone("").replace("secret: secret:b", &pinned)), [OWN]);
    }

    #[test]
    fn a_zone_is_kept_by_somebody() {
        assert_eq!(codes("dns: { zones: { example.com: {} } }"), ["inventory.required"]);
        let half = "dns: { opnsense: { url: \"https://10.0.0.1\" }, zones: { example.com: {} } }";
        assert_eq!(codes(half), ["inventory.required"], "one message for both parts of the key");
    }

    #[test]
    fn overrides_hold_addresses() {
        let blueprint = with(&format!(
            "{}ingress: {{ guest: plan-hq, from: [internet], tls: acme }}\nguests: {{ plan-hq: {{ routes: {{ chat.example.com: 3000 }} }} }}\n",
            zone("records: { nas: 10.2.0.5, files: nas, www: plan-hq, \"*.apps\": www }")
        ));
        let router = blueprint.dns.opnsense.as_ref().unwrap();
        let records: Vec<String> =
            router.zones["example.com"].iter().map(|(name, address)| format!("{name} {address}")).collect();
        assert_eq!(
            records,
            [
                "*.apps 10.0.0.10",
                "chat 10.0.0.10",
                "files 10.2.0.5",
                "nas 10.2.0.5",
                "plan-hq 10.0.0.10",
                "proj-x 10.0.0.123",
                "www 10.0.0.10"
            ]
        );
        assert!(blueprint.dns.zones.is_empty());
        assert_eq!(blueprint.host_names()["files.example.com"].to_string(), "10.2.0.5");
    }
}
