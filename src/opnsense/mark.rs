//! How an override of ours is told from anybody else's.

use sha2::{Digest, Sha256};

use crate::model::opnsense::Override;

/// The description of an override of ours.
#[must_use]
pub fn marked(owner: &str) -> String {
    format!("infra {owner}: change the inventory, not this")
}

/// The same as long as Unbound has not been told: its API has nothing that says so.
#[must_use]
pub fn waiting(owner: &str) -> String {
    format!("infra {owner}: not in force yet")
}

/// Whether `there` is of `owner`: by its description, or by its id, which outlives an edit of the description.
#[must_use]
pub fn is_ours(owner: &str, there: &Override) -> bool {
    there.description.starts_with(&format!("infra {owner}: ")) || there.uuid == uuid(owner, &there.name(), &there.kind)
}

/// The id of an override: the same for the same name, so that writing it again is no harm. `set` takes an id that does
/// not exist yet, if it has the form of a version 4 one (`Core/Type.php`).
#[must_use]
pub fn uuid(owner: &str, name: &str, kind: &str) -> String {
    let digest = Sha256::digest(format!("infra\0{owner}\0{name}\0{kind}"));
    let mut bytes: [u8; 16] = digest[..16].try_into().expect("a digest has 32 bytes");
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// `name` below `zone` (`@` is the zone itself) as the API wants it: the first label, and what follows.
#[must_use]
pub fn split(name: &str, zone: &str) -> (String, String) {
    match name.split_once('.') {
        _ if name == "@" => (String::new(), zone.to_owned()),
        Some((first, rest)) => (first.to_owned(), format!("{rest}.{zone}")),
        None => (name.to_owned(), zone.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_that_of_a_name_and_of_the_fourth_version() {
        let one = uuid("vrooli", "plan-hq.example.com", "A");
        assert_eq!(one, uuid("vrooli", "plan-hq.example.com", "A"));
        let others = [uuid("vrooli", "plan-hq.example.com", "AAAA"), uuid("other", "plan-hq.example.com", "A")];
        assert!(!others.contains(&one) && others[0] != others[1]);
        let parts: Vec<&str> = one.split('-').collect();
        assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        assert!(parts[2].starts_with('4') && parts[3].starts_with(['8', '9', 'a', 'b']), "{one}");
    }

    #[test]
    fn a_mark_is_of_one_inventory() {
        let there = |description: &str| Override { description: description.to_owned(), ..Override::default() };
        assert!(is_ours("lab", &there(&marked("lab"))) && is_ours("lab", &there(&waiting("lab"))));
        assert!(!is_ours("lab", &there(&marked("lab-2"))) && !is_ours("lab", &there("infra lab")));
        let bare = Override {
            uuid: uuid("lab", "a.example.com", "A"),
            hostname: "a".into(),
            domain: "Example.com".into(),
            kind: "A".into(),
            ..Override::default()
        };
        assert!(is_ours("lab", &bare), "an edit of the description is no disownment");
    }

    #[test]
    fn the_domain_is_what_follows_the_first_label() {
        assert_eq!(split("@", "example.com"), (String::new(), "example.com".into()));
        assert_eq!(split("nas", "example.com"), ("nas".into(), "example.com".into()));
        assert_eq!(split("*.apps", "example.com"), ("*".into(), "apps.example.com".into()));
    }
}
