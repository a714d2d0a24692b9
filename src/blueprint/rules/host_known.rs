//! Guests are placed on hosts that exist.

use crate::blueprint::draft::Draft;
use crate::diag::{Diagnostic, Diagnostics, did_you_mean};

/// Reports guests on unknown hosts.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    for guest in &draft.guests {
        let Some(host) = &guest.own.host else { continue };
        if draft.host(&host.value).is_none() && !draft.broken.name(host.as_str()) {
            let names = || draft.hosts().map(|(name, _)| name.as_str());
            let known = match names().collect::<Vec<_>>().as_slice() {
                [] => "describe it under `hosts:`; there is none yet".to_owned(),
                known => format!("known are {}", known.join(", ")),
            };
            let hint = did_you_mean(host.as_str(), names()).unwrap_or(known);
            report.push(
                Diagnostic::error(
                    "inventory.host-known",
                    format!("guest `{}` is placed on `{}`, which is no host", guest.name.value, host.value),
                )
                .at(host.span, "")
                .hint(hint),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::{codes, said};

    #[test]
    fn host_known() {
        assert_eq!(codes("guests: { proj-x: { host: hqq } }"), ["inventory.host-known"]);
        assert!(said("hosts: null").contains("describe it under `hosts:`; there is none yet"));
        assert!(said("guests: { proj-x: { host: hqq } }").contains("did you mean `hq`?"));
    }
}
