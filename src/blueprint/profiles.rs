//! A guest's profiles, from the most general to the guest itself.

use crate::diag::{Diagnostic, Diagnostics, Spanned, did_you_mean};
use crate::inventory::parse::Broken;
use crate::inventory::{Guest, Inventory, Profile, Shape};
use crate::model::GuestName;

/// The guest on top of its profiles. What was wrong in a profile counts as wrong in the guest, too.
pub(super) fn shape(
    inventory: &Inventory,
    name: &Spanned<GuestName>,
    guest: &Spanned<Guest>,
    broken: &mut Broken,
    report: &mut Diagnostics,
) -> Shape {
    let mut chain: Vec<(&str, &Spanned<Profile>)> = Vec::new();
    let mut wanted = guest.profile.as_ref();
    while let Some(profile) = wanted {
        let Some((known, found)) = inventory.profiles.get_key_value(&profile.value) else {
            unknown(inventory, profile, report);
            every_key(guest, broken);
            break;
        };
        if chain.iter().any(|(seen, _)| seen == known) {
            let way: Vec<&str> = chain.iter().map(|(seen, _)| *seen).chain([known.as_str()]).collect();
            let cycle = Diagnostic::error("inventory.profile", "these profiles extend one another in a circle")
                .at(profile.span, way.join(" → "))
                .hint("remove one `extends`");
            if !report.iter().any(|known| known.primary == cycle.primary && known.code == cycle.code) {
                report.push(cycle.related(name.span, "reached from here"));
            }
            every_key(guest, broken);
            break;
        }
        chain.push((known, found));
        wanted = found.extends.as_ref();
    }
    let wrong: Vec<String> =
        chain.iter().flat_map(|(_, profile)| broken.keys_of(profile.span).map(str::to_owned)).collect();
    for key in wrong {
        broken.insert(guest.span, &key);
    }
    chain.into_iter().fold(guest.shape(), |shape, (_, profile)| shape.over(profile.shape()))
}

fn unknown(inventory: &Inventory, profile: &Spanned<String>, report: &mut Diagnostics) {
    if inventory.broken.name(&profile.value) {
        return;
    }
    let names = || inventory.profiles.keys().map(String::as_str);
    let list = names().collect::<Vec<_>>().join(", ");
    let hint = did_you_mean(&profile.value, names()).unwrap_or_else(|| match list.as_str() {
        "" => {
            "no profile was found: they are `profiles/*.yaml`, beside the inventory or in a directory above".to_owned()
        }
        list => format!("known are {list}"),
    });
    let problem = Diagnostic::error("inventory.profile", format!("there is no profile `{}`", profile.value))
        .at(profile.span, "")
        .hint(hint);
    if !report.iter().any(|known| *known == problem) {
        report.push(problem);
    }
}

/// Nobody knows what the missing profile would have given.
fn every_key(guest: &Spanned<Guest>, broken: &mut Broken) {
    for key in ["kind", "cores", "memory", "disk", "image"] {
        broken.insert(guest.span, key);
    }
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::{codes, codes_with_profiles};

    #[test]
    fn unknown_profiles_and_circles_are_said_once() {
        assert_eq!(codes("guests: { proj-x: { profile: nope } }"), ["inventory.profile"]);
        let circle = [("a", "extends: b\n"), ("b", "extends: a\n")];
        assert_eq!(codes_with_profiles("guests: { proj-x: { profile: a } }", &circle), ["inventory.profile"]);
    }

    #[test]
    fn what_is_wrong_in_a_profile_is_not_missing_in_the_guest() {
        let guest = "guests: { y: { profile: p, host: hq, vmid: 105, address: 10.0.0.124 } }";
        let profile = [("p", "kind: container\ncores: two\nmemory: 1GiB\ndisk: 8GiB\nimage: debian\n")];
        assert_eq!(codes_with_profiles(guest, &profile), ["inventory.type"]);
    }
}
