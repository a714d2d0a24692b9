//! Values of web sites and names.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::Deserialize;

use super::macros::text_value;
use super::text::{Domain, Origin};
use crate::diag::Invalid;

text_value!(
    /// An e-mail address.
    Email(String), r"^[A-Za-z0-9._+-]+@[A-Za-z0-9.-]+$", |text| {
        let mark = |b: u8| b.is_ascii_alphanumeric() || b"._+-".contains(&b);
        let good = text.split_once('@').is_some_and(|(name, domain)| {
            !name.is_empty() && name.len() <= 64 && name.bytes().all(mark) && !name.starts_with('.')
                && !name.ends_with('.') && !name.contains("..") && domain.contains('.')
                && domain.to_ascii_lowercase().parse::<Domain>().is_ok()
        });
        if good {
            Ok(text.to_owned())
        } else {
            Err(Invalid::new(format!("`{}` is not an e-mail address", text.escape_debug()))
                .hint("write it as `you@example.com`"))
        }
    }
);

text_value!(
    /// The name that somebody logs in with.
    LoginName(String), r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$", |text| {
        let good = text.len() <= 64 && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._@-".contains(&b));
        if good {
            Ok(text.to_owned())
        } else {
            Err(Invalid::new(format!("`{}` is not a name to log in with", text.escape_debug()))
                .hint("use up to 64 letters, digits, `.`, `_`, `-`, `@`; a colon cannot be in it"))
        }
    }
);

text_value!(
    /// A name below a zone: `@`, `*`, or labels.
    RecordName(String), r"^(@|(\*\.)?[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*|\*)$", |text| {
        let rest = text.strip_prefix("*.").unwrap_or(text);
        if text == "@" || text == "*" || labels(rest) {
            Ok(text.to_owned())
        } else {
            Err(Invalid::new(format!("`{}` is not a name below a zone", text.escape_debug()))
                .hint("write it in lower case without the zone and without a final dot, such as `nas`; `@` is the zone itself"))
        }
    }
);

fn labels(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() < 64
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b))
    };
    text.len() < 254 && text.split('.').all(label)
}

/// What a name stands for: an address, or another name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub enum RecordData {
    /// An address.
    Address(IpAddr),
    /// A name; one that ends in a dot is complete.
    Name(String),
}

impl TryFrom<String> for RecordData {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(address));
        }
        if text == "@" || labels(text.strip_suffix('.').unwrap_or(&text)) {
            return Ok(Self::Name(text));
        }
        Err(Invalid::new(format!("`{}` is neither an address nor a name", text.escape_debug()))
            .hint("write `10.2.0.5`, `nas` for a name of this zone, or a complete name with a final dot"))
    }
}

/// Who comes to a web site.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub enum VisitorName {
    /// Whoever is outside.
    Internet,
    /// A network or an address.
    Network(IpNet),
    /// Members of the tailnet, in the words of its policy.
    Tailnet(String),
}

impl TryFrom<String> for VisitorName {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        if text == "internet" {
            return Ok(Self::Internet);
        }
        let word =
            |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.@+".contains(&b));
        let selector = ["tag:", "group:", "autogroup:"].iter().find_map(|prefix| text.strip_prefix(prefix));
        if selector.is_some_and(word) || text.parse::<Email>().is_ok() {
            return Ok(Self::Tailnet(text));
        }
        text.parse::<Origin>().map(|origin| Self::Network(origin.0)).map_err(|invalid| {
            if text.contains('/') {
                return invalid;
            }
            Invalid::new(format!("`{}` is nobody who could come to a web site", text.escape_debug())).hint(
                "write a network, an address, `internet`, or a name of the tailnet's policy such as `tag:phone` or \
                 `group:staff`",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_means_something_to_a_configuration_is_a_name() {
        for hostile in ["a\"b", "a{b", "a}b", "a`b", "a b", "a\nb", "a;b", "{$HOME}", "a:b", "", "a\\b", "$TTL"] {
            assert!(hostile.parse::<LoginName>().is_err(), "{hostile:?}");
            assert!(hostile.parse::<RecordName>().is_err(), "{hostile:?}");
            assert!(format!("{hostile}@example.com").parse::<Email>().is_err(), "{hostile:?}");
            assert!(format!("me@{hostile}.com").parse::<Email>().is_err(), "{hostile:?}");
            assert!(RecordData::try_from(hostile.to_owned()).is_err(), "{hostile:?}");
        }
    }

    #[test]
    fn visitors_and_records_are_what_they_say() {
        let visitor = |text: &str| VisitorName::try_from(text.to_owned());
        assert_eq!(visitor("internet"), Ok(VisitorName::Internet));
        assert_eq!(visitor("tag:phone"), Ok(VisitorName::Tailnet("tag:phone".into())));
        assert_eq!(visitor("autogroup:member"), Ok(VisitorName::Tailnet("autogroup:member".into())));
        assert_eq!(visitor("me@example.com"), Ok(VisitorName::Tailnet("me@example.com".into())));
        assert_eq!(visitor("10.0.0.0/8"), Ok(VisitorName::Network("10.0.0.0/8".parse().unwrap())));
        for wrong in ["10.0.0.1/8", "everybody", "tag:", "tag:a b", "Internet"] {
            assert!(visitor(wrong).is_err(), "{wrong}");
        }
        let record = |text: &str| RecordData::try_from(text.to_owned());
        assert_eq!(record("10.0.0.1"), Ok(RecordData::Address([10, 0, 0, 1].into())));
        assert_eq!(record("nas.example.com."), Ok(RecordData::Name("nas.example.com.".into())));
        assert!(record("Nas").is_err() && record("a..b").is_err() && record(".").is_err());
        for good in ["@", "*", "*.apps", "nas", "_acme-challenge.x"] {
            assert!(good.parse::<RecordName>().is_ok(), "{good}");
        }
    }
}
