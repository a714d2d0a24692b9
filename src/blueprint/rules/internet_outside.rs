//! What a guest may reach outside is outside.

use crate::blueprint::draft::Draft;
use crate::diag::{Diagnostic, Diagnostics};
use crate::inventory::{Destination, Internet};

/// Reports destinations of `internet` that hold guests of this inventory, or mean everybody; lists without any; and
/// a policy of the firewall that lets out what `internet` does not.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    const CODE: &str = "inventory.internet-outside";
    let mut found: Vec<Diagnostic> = Vec::new();
    for guest in &draft.guests {
        let Some(internet) = &guest.shape.internet else { continue };
        let Internet::Only(list) = &internet.value else { continue };
        if list.is_empty() {
            let problem =
                Diagnostic::error(CODE, format!("guest `{}` may reach nothing of `internet`", guest.name.value));
            found.push(problem.at(internet.span, "").hint("write `internet: false` if that is meant"));
        }
        for one in list {
            let Some(to) = &one.to else {
                if !draft.broken.key(one.span, "to") {
                    let problem = Diagnostic::error(CODE, "this destination has no `to`");
                    found.push(problem.at(one.span, "").hint("name a network, an address, or `internet`"));
                }
                continue;
            };
            let Destination::Net(network) = to.value else { continue };
            if network.prefix_len() == 0 {
                let problem = Diagnostic::error(CODE, format!("`{network}` means guests and hosts, too"));
                found.push(problem.at(to.span, "").hint("write `internet` for every public address"));
                continue;
            }
            let inside = draft.guests.iter().find(|other| {
                other.name != guest.name && other.own.address.as_ref().is_some_and(|a| network.contains(&a.value.0))
            });
            if let Some(other) = inside {
                let problem = Diagnostic::error(CODE, format!("guest `{}` is in `{network}`", other.name.value));
                found.push(
                    problem
                        .cause("`internet` is for what is outside of this inventory")
                        .at(to.span, "")
                        .related(other.name.span, "this guest")
                        .hint(format!("write `uses: [{}/…]` for a service of it", other.name.value)),
                );
            }
        }
    }
    for problem in found {
        // A profile's list is looked at once per guest.
        if !report.iter().any(|said| *said == problem) {
            report.push(problem);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::codes;

    #[test]
    fn internet_outside() {
        let own = ["inventory.internet-outside"];
        for wrong in ["[]", "[10.0.0.0/24]", "[0.0.0.0/0]", "[{ ports: 443 }]"] {
            assert_eq!(codes(&format!("guests: {{ proj-x: {{ internet: {wrong} }} }}")), own, "{wrong}");
        }
        assert_eq!(codes("guests: { proj-x: { internet: [192.168.20.5, internet] } }"), [""; 0]);
    }
}
