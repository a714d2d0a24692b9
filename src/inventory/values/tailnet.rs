//! Values of the tailnet's section.

use std::str::FromStr;

use schemars::JsonSchema;
use serde::Deserialize;

use super::macros::text_value;
use crate::diag::Invalid;

text_value!(
    /// The name of a tailnet: `-` for the one of the key, or that of the organisation.
    TailnetName(String), "^(-|[A-Za-z0-9@._+-]+)$", |text| {
        let good = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"@._+-".contains(&b));
        if good { Ok(text.to_owned()) } else {
            Err(Invalid::new(format!("`{}` is not the name of a tailnet", text.escape_debug()))
                .hint("write `-`, or the organisation's name as the admin console shows it under General settings"))
        }
    }
);

text_value!(
    /// Somebody in a tailnet, as its policy names them: `tag:phone`, `group:staff`, `autogroup:member`, a login.
    Selector(String), r"^((tag|group|autogroup):[A-Za-z][A-Za-z0-9@._-]*|[^\s:]+@[^\s:]*)$", |text| {
        let name = |name: &str| name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"@._-".contains(&b));
        let good = match text.split_once(':') {
            Some(("tag" | "group" | "autogroup", rest)) => name(rest),
            Some(_) => false,
            None => text.len() > 1 && text.contains('@')
                && !text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '"' || c == '\\'),
        };
        if good { Ok(text.to_owned()) } else {
            Err(Invalid::new(format!("`{}` names nobody in a tailnet", text.escape_debug()))
                .hint("write `tag:NAME`, `group:NAME`, `autogroup:NAME`, or a login such as `ann@example.com`"))
        }
    }
);
