//! Option strings: `virtio=BC:24:…,bridge=vmbr0,firewall=1`.

use std::collections::{BTreeMap, BTreeSet};

/// A parsed option string. The first part may lack a name: it is the value of the default option.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// The part without a name, such as a volume id.
    pub head: Option<String>,
    /// Named parts.
    pub named: BTreeMap<String, String>,
}

impl Options {
    /// Reads an option string; any text is one.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut options = Self::default();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            match part.split_once('=') {
                Some((name, value)) => {
                    options.named.insert(name.to_owned(), value.to_owned());
                }
                None => options.head = Some(part.to_owned()),
            }
        }
        options
    }

    /// One named part.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.named.get(name).map(String::as_str)
    }

    /// Whether it has at least these named parts.
    #[must_use]
    pub fn has(&self, wanted: &BTreeMap<String, String>) -> bool {
        wanted.iter().all(|(name, value)| self.get(name) == Some(value))
    }

    /// A named part read as a boolean, as PVE reads it (`1`, `yes`, `on`, `true`).
    #[must_use]
    pub fn flag(&self, name: &str) -> Option<bool> {
        self.get(name).map(truthy)
    }
}

impl std::fmt::Display for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut comma = "";
        if let Some(head) = &self.head {
            f.write_str(head)?;
            comma = ",";
        }
        for (name, value) in &self.named {
            write!(f, "{comma}{name}={value}")?;
            comma = ",";
        }
        Ok(())
    }
}

/// The words of a list that PVE joins with `;`, `,` or spaces, in lower case.
#[must_use]
pub fn words(text: &str) -> BTreeSet<String> {
    text.split([';', ',', ' ']).filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

/// Whether PVE would take this text for true inside an option string.
#[must_use]
pub fn truthy(text: &str) -> bool {
    matches!(text.to_ascii_lowercase().as_str(), "1" | "yes" | "on" | "true")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_and_names_are_told_apart() {
        let disk = Options::parse("local-zfs:vm-100-disk-1,discard=on,size=4G");
        assert_eq!(disk.head.as_deref(), Some("local-zfs:vm-100-disk-1"));
        assert_eq!(disk.get("size"), Some("4G"));
        assert_eq!(disk.to_string(), "local-zfs:vm-100-disk-1,discard=on,size=4G");
        assert_eq!(Options::parse(""), Options::default());
    }
}
