//! Names of firewall groups are not those that follow from flows.

use crate::blueprint::OWN_PREFIX;
use crate::blueprint::draft::Draft;
use crate::diag::{Diagnostic, Diagnostics};

/// Reports groups whose names begin as those do that are made from flows: two lists of rules of one name would take
/// turns, and the one that loses sets guests apart. Proxmox keeps names in lower case.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    for (name, _) in draft.groups() {
        if name.as_str().to_ascii_lowercase().starts_with(OWN_PREFIX) {
            report.push(
                Diagnostic::error(
                    "inventory.firewall-name",
                    format!("the firewall group `{}` is not yours to name", name.value),
                )
                .cause(format!("names that begin with `{OWN_PREFIX}` are given to what follows from flows"))
                .at(name.span, "")
                .hint("give it another name, here and where guests use it"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::codes;

    #[test]
    fn firewall_name() {
        let with =
            |name: &str| codes(&format!("firewall: {{ groups: {{ {name}: {{ rules: [{{ action: drop }}] }} }} }}"));
        assert_eq!(with("infra_test_ew"), ["inventory.firewall-name"]);
        assert_eq!(with("infra_x"), ["inventory.firewall-name"]);
        assert_eq!(with("infrared"), [""; 0]);
    }
}
