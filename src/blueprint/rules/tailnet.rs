//! The tailnet is reached in one way, and what is said of it is of this inventory.

use crate::blueprint::draft::Draft;
use crate::diag::{Diagnostic, Diagnostics, did_you_mean};
use crate::inventory::ControlPlane;

const CODE: &str = "inventory.tailnet";

/// Whether `url` is a scheme that proves who answers, and a name or an address with no more than a port.
pub(super) fn api_url(url: &str) -> bool {
    let host = url.strip_prefix("https://").map(|rest| rest.trim_end_matches('/'));
    host.is_some_and(|host| !host.is_empty() && !host.contains(['/', '?', '#', '@']))
}

/// Reports Headscale without its URL, plain HTTP, two ways of trust, guests that are none, names that a tag or a group
/// cannot have or that are kept for guests, and groups of groups.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    let Some(tailnet) = &draft.inventory.document.tailnet else { return };
    let mut error = |summary: String, span, hint: &str| {
        report.push(Diagnostic::error(CODE, summary).at(span, "").hint(hint));
    };
    let headscale = tailnet.control.filter(|control| control.value == ControlPlane::Headscale);
    if let (Some(control), None) = (headscale, &tailnet.url) {
        error(
            "Headscale is nowhere without its URL".into(),
            control.span,
            "write `url: https://headscale.example.com`",
        );
    }
    if let Some(url) = &tailnet.url
        && !api_url(&url.value.0)
    {
        error(
            format!("`{}` is not where an API can be asked safely", url.value.0),
            url.span,
            "write `https://`, a name, and a port if it is not 443; the path comes with `control`",
        );
    }
    if let (Some(fingerprint), Some(file)) = (&tailnet.fingerprint, &tailnet.ca_file) {
        report.push(
            Diagnostic::error(CODE, "the tailnet's API is trusted in two ways")
                .at(file.span, "this")
                .related(fingerprint.span, "and this")
                .hint("keep one; without either, the CAs that this machine trusts decide"),
        );
    }
    for guest in tailnet.members.iter().flatten() {
        if draft.guest(&guest.value).is_none() && !draft.broken.name(guest.value.as_str()) {
            let known = draft.guests.iter().map(|guest| guest.name.as_str());
            let hint = did_you_mean(guest.value.as_str(), known);
            let problem = Diagnostic::error(CODE, format!("`{}` joins the tailnet and is no guest", guest.value));
            report.push(problem.at(guest.span, "").hint_maybe(hint));
        }
    }
    for who in tailnet.operators.iter().flatten() {
        let guests = ["*", "autogroup:tagged", "autogroup:danger-all"].contains(&who.value.0.as_str());
        if guests || who.value.0.starts_with("tag:infra-") {
            report.push(
                Diagnostic::error(CODE, format!("`{}` would let guests administer the hosts", who.value.0))
                    .at(who.span, "")
                    .hint("name people or their devices: `autogroup:admin`, `group:…`, a login, a tag of yours"),
            );
        }
    }
    let names = tailnet.tags.iter().flatten().map(|(name, _)| ("tag", name));
    for (kind, name) in names.chain(tailnet.groups.iter().flatten().map(|(name, _)| ("group", name))) {
        let bare = name.value.strip_prefix(&format!("{kind}:")).unwrap_or(&name.value);
        let letters = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || (kind == "group" && b"._@".contains(&b));
        if kind == "tag" && bare.starts_with("infra-") {
            report.push(
                Diagnostic::error(CODE, format!("`{}` is kept for guests", name.value.escape_debug()))
                    .cause("tags of guests are `tag:infra-INVENTORY-GUEST`, and `owners` may give them")
                    .at(name.span, "")
                    .hint("give the tag another name"),
            );
        }
        if !bare.starts_with(|c: char| c.is_ascii_alphabetic()) || !bare.bytes().all(letters) {
            report.push(
                Diagnostic::error(CODE, format!("`{}` cannot be the name of a {kind}", name.value.escape_debug()))
                    .at(name.span, "")
                    .hint("begin with a letter and go on with letters, digits and dashes"),
            );
        }
    }
    for who in tailnet.groups.iter().flatten().flat_map(|(_, members)| members) {
        if who.value.0.starts_with("tag:") || who.value.0.starts_with("group:") {
            report.push(
                Diagnostic::error(CODE, format!("`{}` cannot be in a group", who.value.0))
                    .at(who.span, "")
                    .hint("a group of a tailnet holds logins alone"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::{codes, with};

    #[test]
    fn tailnet() {
        assert_eq!(codes("tailnet: { key: secret:t, owners: [autogroup:admin], members: [proj-x] }"), [""; 0]);
        assert_eq!(codes("tailnet: {}"), ["inventory.required"]);
        for wrong in [
            "control: headscale",
            "url: http://x.example.com",
            "url: https://x.example.com/api",
            "members: [proj-y]",
            "tags: { 1phone: [] }",
            "groups: { staff: [tag:phone] }",
            "operators: ['autogroup:tagged']",
            "operators: ['tag:infra-test-proj-x']",
            "fingerprint: 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF, ca_file: a.pem",
        ] {
            assert_eq!(codes(&format!("tailnet: {{ key: secret:t, {wrong} }}")), ["inventory.tailnet"], "{wrong}");
        }
        for wrong in
            ["owners: [nobody]", "owners: ['tag:a b']", "name: 'a b'", "control: other", "ssh: { users: [Root!] }"]
        {
            assert_eq!(codes(&format!("tailnet: {{ key: secret:t, {wrong} }}")), ["inventory.value"], "{wrong}");
        }
    }

    #[test]
    fn a_guest_whose_name_begins_with_a_digit_joins_too() {
        let guest = format!(
            "guests: {{ 9lives: {{ {}, vmid: 109, address: 10.0.0.99 }} }}",
            crate::blueprint::testing::CONTAINER
        );
        assert_eq!(codes(&format!("tailnet: {{ key: secret:t, members: [9lives] }}\n{guest}")), [""; 0]);
    }

    #[test]
    fn tags_of_guests_are_kept_for_them() {
        assert_eq!(codes("tailnet: { key: secret:t, tags: { infra-test-proj-x: [] } }"), ["inventory.tailnet"]);
    }

    #[test]
    fn headscale_by_url_has_acls() {
        use crate::blueprint::{ControlPlane, PolicyStyle};
        let blueprint = with("tailnet: { control: headscale, url: 'https://head.example.com:8443/', key: secret:h }");
        let tailnet = blueprint.tailnet.unwrap();
        assert_eq!((tailnet.control, tailnet.style), (ControlPlane::Headscale, PolicyStyle::Acls));
        assert_eq!(tailnet.url, "https://head.example.com:8443");
    }
}
