//! Names that mean a machine mean one machine.

use crate::blueprint::draft::Draft;
use crate::diag::{Diagnostic, Diagnostics};

/// Reports guests that are called like a host or its node: both would be found under one name.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    for guest in &draft.guests {
        for (name, host) in draft.hosts() {
            let node = host.node.as_ref().filter(|node| node.as_str().eq_ignore_ascii_case(guest.name.as_str()));
            let place = if name.as_str() == guest.name.as_str() { Some(name.span) } else { node.map(|node| node.span) };
            if let Some(place) = place {
                report.push(
                    Diagnostic::error(
                        "inventory.name-collision",
                        format!("a guest and a host are both called `{}`", guest.name.value),
                    )
                    .at(guest.name.span, "the guest")
                    .related(place, "the host")
                    .hint("rename the guest: its name is its host name on the same network"),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::codes;

    #[test]
    fn name_collision() {
        assert_eq!(codes("hosts: { hq: { node: proj-x } }"), ["inventory.name-collision"]);
        assert_eq!(codes("hosts: { hq: { node: Plan-HQ } }"), ["inventory.name-collision"]);
    }
}
