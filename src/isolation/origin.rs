//! What decided: a rule of a file, an option, or something that Proxmox does by itself.

use std::fmt;

use serde::Serialize;

use crate::model::observed::FirewallRule;

/// What decided about a packet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, schemars::JsonSchema)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Origin {
    /// A rule.
    Rule {
        /// The file that it stands in, such as `104.fw`.
        file: String,
        /// Its section: `RULES`, or `group project-ct`.
        section: String,
        /// Its place among the rules of the section, from 0 as Proxmox counts.
        position: usize,
        /// The rule as it is written there.
        text: String,
    },
    /// An option, set or left as it is by default.
    Option {
        /// The file that it stands in, or would.
        file: String,
        /// The option with its value.
        text: String,
        /// Whether nobody set it.
        default: bool,
    },
    /// What Proxmox does by itself.
    Proxmox {
        /// What that is.
        what: String,
    },
}

impl Origin {
    pub(super) fn proxmox(what: impl Into<String>) -> Self {
        Self::Proxmox { what: what.into() }
    }

    pub(super) fn option(file: &str, name: &str, set: Option<&str>, default: &str) -> Self {
        let value = set.unwrap_or(default);
        Self::Option { file: file.to_owned(), text: format!("{name}: {value}"), default: set.is_none() }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule { file, section, position, text } => write!(f, "{file} [{section}] {position}: {text}"),
            Self::Option { file, text, default } => {
                write!(f, "{file} [OPTIONS] {text}{}", if *default { " (default)" } else { "" })
            }
            Self::Proxmox { what } => f.write_str(what),
        }
    }
}

/// A rule as Proxmox writes it into a file.
pub(super) fn line(rule: &FirewallRule) -> String {
    let get = |name: &str| rule.0.get(name).map(String::as_str).filter(|value| !value.is_empty());
    let mut text = if get("enable") == Some("1") { String::new() } else { "|".to_owned() };
    text.push_str(&get("type").unwrap_or_default().to_ascii_uppercase());
    let action = get("action").unwrap_or_default();
    match get("macro") {
        Some(name) => text.push_str(&format!(" {name}({action})")),
        None => text.push_str(&format!(" {action}")),
    }
    let flags = [
        ("iface", "-i"),
        ("source", "-source"),
        ("dest", "-dest"),
        ("proto", "-p"),
        ("dport", "-dport"),
        ("sport", "-sport"),
        ("icmp-type", "-icmp-type"),
    ];
    for (name, flag) in flags {
        if let Some(value) = get(name) {
            text.push_str(&format!(" {flag} {value}"));
        }
    }
    if let Some(comment) = get("comment") {
        text.push_str(&format!(" # {comment}"));
    }
    text
}
