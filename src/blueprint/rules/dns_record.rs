//! Records of a zone do not contradict one another.

use std::collections::BTreeSet;

use crate::blueprint::dns::below;
use crate::blueprint::draft::Draft;
use crate::diag::{Diagnostic, Diagnostics, did_you_mean};
use crate::inventory::RecordData;

const CODE: &str = "inventory.dns-record";

/// Reports another name for the zone itself, names of guests that are written by hand, names that stand for nothing,
/// and names too long for DNS.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    for (zone, block) in draft.zones() {
        let zone = zone.value.0.as_str();
        let with_guests = block.guests.is_none_or(|wanted| wanted.value);
        let guests: BTreeSet<&str> =
            draft.guests.iter().filter(|_| with_guests).map(|guest| guest.name.as_str()).collect();
        let mut known: BTreeSet<&str> = guests.clone();
        known.extend(block.records.iter().flatten().map(|(name, _)| name.value.0.as_str()));
        known.extend(draft.all_routes().filter_map(|(_, site, _)| below(&site.value.0, zone)));
        known.insert("@");
        for (name, data) in block.records.iter().flatten() {
            let own = name.value.0.as_str();
            if guests.contains(own) {
                report.push(
                    Diagnostic::error(CODE, format!("`{own}.{zone}` is the name of a guest"))
                        .at(name.span, "")
                        .hint("remove it: guests have their names anyway; or write `guests: false`"),
                );
            }
            if own.len() + zone.len() > 251 {
                report.push(Diagnostic::error(CODE, "this name is too long for DNS").at(name.span, ""));
            }
            let RecordData::Name(other) = &data.value else { continue };
            if own == "@" {
                report.push(
                    Diagnostic::error(CODE, format!("`{zone}` itself cannot stand for another name"))
                        .cause("what stands for another name can have nothing else, and a zone has SOA and NS")
                        .at(data.span, "")
                        .hint("write the address"),
                );
            } else if other.as_str() == own {
                report.push(Diagnostic::error(CODE, "this name stands for itself").at(data.span, ""));
            } else if !other.ends_with('.') && !known.contains(other.as_str()) {
                report.push(
                    Diagnostic::error(CODE, format!("there is no `{other}` in `{zone}`")).at(data.span, "").hint(
                        did_you_mean(other, known.iter().copied())
                            .unwrap_or_else(|| format!("a complete name ends in a dot: `{other}.`")),
                    ),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::codes;

    #[test]
    fn dns_record() {
        let own = "inventory.dns-record";
        let with = |records: &str| {
            codes(&format!("dns: {{ zones: {{ example.com: {{ guest: proj-x, records: {{ {records} }} }} }} }}"))
        };
        assert_eq!(with("nas: 10.2.0.5, files: nas, www: example.org., hq: plan-hq, \"*.apps\": nas"), [""; 0]);
        assert_eq!(with("\"@\": nas, nas: 10.2.0.5"), [own]);
        assert_eq!(with("plan-hq: 10.2.0.5"), [own]);
        assert_eq!(with("files: nass, nas: 10.2.0.5"), [own]);
        assert_eq!(with("nas: nas"), [own]);
    }
}
