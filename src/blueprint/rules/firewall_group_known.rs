//! Firewall groups that guests use are described.

use crate::blueprint::draft::Draft;
use crate::diag::{Diagnostic, Diagnostics, did_you_mean};

/// Reports unknown groups.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    let names = || draft.groups().map(|(name, _)| name.as_str());
    let used =
        draft.guests.iter().filter_map(|guest| guest.shape.firewall.as_ref()).flat_map(|f| f.groups.iter().flatten());
    for group in used {
        if names().any(|name| name == group.as_str())
            || draft.broken.name(group.as_str())
            || draft.broken.name("groups")
        {
            continue;
        }
        let problem = Diagnostic::error(
            "inventory.firewall-group-known",
            format!("there is no firewall group `{}`", group.value),
        )
        .at(group.span, "")
        .hint(
            did_you_mean(group.as_str(), names()).unwrap_or_else(|| "describe it under `firewall.groups`".to_owned()),
        );
        if !report.iter().any(|said| *said == problem) {
            report.push(problem);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::codes;

    #[test]
    fn firewall_group_known() {
        assert_eq!(codes("guests: { proj-x: { firewall: { groups: [project-ct] } } }"), [""; 0]);
        assert_eq!(
            codes("guests: { proj-x: { firewall: { groups: [projectct] } } }"),
            ["inventory.firewall-group-known"]
        );
    }
}
