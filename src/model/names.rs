//! Names and numbers by which things are called, each with its own rules.
//!
//! The formats are those of the Proxmox VE API description (8.4, 9.1, 9.2) and of `zfs(8)`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::diag::Invalid;

/// Makes a string newtype that is checked once, at the border.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $pattern:literal, $rule:expr, $hint:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schemars(extend("pattern" = $pattern))]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = Invalid;

            fn from_str(text: &str) -> Result<Self, Invalid> {
                let rule: fn(&str) -> bool = $rule;
                if rule(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(Invalid::new(format!(concat!("`{}` is not a valid ", $what), text)).hint($hint))
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = Invalid;

            fn try_from(text: String) -> Result<Self, Invalid> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

fn dns_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// `pve-configid` and its kin: a letter, then at least one of letter, digit, `_`, `-`.
fn config_id(text: &str) -> bool {
    (2..=100).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

name!(
    /// The name of an inventory.
    EnvironmentName, "environment name", "^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$",
    |t| dns_label(t) && t.len() <= 32,
    "use up to 32 lower-case letters, digits and inner dashes, such as `vrooli`"
);
name!(
    /// What the inventory calls a host; its Proxmox node name may differ.
    HostName, "host name", "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", dns_label,
    "use lower-case letters, digits and inner dashes, such as `hq`"
);
name!(
    /// A Proxmox node.
    NodeName, "node name", "^[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$",
    |t| dns_label(&t.to_ascii_lowercase()),
    "use the name that `hostname` prints on the host, such as `pve1`"
);
name!(
    /// A VM or container; also its host name inside.
    GuestName, "guest name", "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", dns_label,
    "use lower-case letters, digits and inner dashes, such as `proj-x`"
);
name!(
    /// A service, by the name of its folder in `templates/`.
    ServiceName, "service name", "^[a-z0-9][a-z0-9-]*$", |t| dns_label(t) && !t.ends_with('-'),
    "use the name of a folder in `templates/`, such as `ollama`"
);
name!(
    /// A port of a service, as its `template.yaml` calls it.
    PortName, "port name", "^[a-z0-9][a-z0-9-]*$", |t| dns_label(t) && t.len() <= 32,
    "use the name of a port in the service's `template.yaml`, such as `api`"
);
name!(
    /// Something that a service's `template.yaml` names: a variable, a volume, a secret, an image.
    PartName, "name of a part of a service", "^[a-z][a-z0-9_]*$",
    |t| (1..=40).contains(&t.len())
        && t.starts_with(|c: char| c.is_ascii_lowercase())
        && t.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'),
    "use lower-case letters, digits and `_`, starting with a letter, such as `keep_alive`: templates write it as a name"
);
name!(
    /// A model, as people and gateways ask for it.
    ModelName, "name of a model", "^[A-Za-z0-9][A-Za-z0-9._:/-]*$",
    |t| (1..=96).contains(&t.len())
        && t.starts_with(|c: char| c.is_ascii_alphanumeric())
        && t.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:/-".contains(&b)),
    "use letters, digits, `.`, `_`, `:`, `/`, `-`, such as `qwen2.5-coder:7b`"
);
name!(
    /// A GPU of a host; also the name of its PCI mapping.
    GpuName, "GPU name", "^[a-z][a-z0-9_-]+$",
    |t| config_id(t) && !t.bytes().any(|b| b.is_ascii_uppercase()),
    "use a lower-case letter and then letters, digits, `-` or `_`, such as `rtx4090`"
);
name!(
    /// A PCI mapping of a cluster (`pve-configid`).
    MappingName, "mapping name", "^[A-Za-z][A-Za-z0-9_-]+$", config_id,
    "start with a letter; at least two characters of letters, digits, `-`, `_`"
);
name!(
    /// A storage (`pve-storage-id`).
    StorageName, "storage name", "^[A-Za-z][A-Za-z0-9._-]*[A-Za-z0-9]$",
    |t| (2..=100).contains(&t.len())
        && t.starts_with(|c: char| c.is_ascii_alphabetic())
        && t.ends_with(|c: char| c.is_ascii_alphanumeric())
        && t.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)),
    "use the name that `pvesm status` shows, such as `local-zfs`"
);
name!(
    /// A resource pool; `/` nests (at most three levels).
    PoolName, "pool name", "^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+){0,2}$",
    |t| t.split('/').count() <= 3
        && t.split('/').all(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))),
    "use letters, digits, `.`, `-`, `_`, such as `vrooli`"
);
name!(
    /// A firewall security group of the datacenter (2 to 18 characters).
    GroupName, "firewall group name", "^[A-Za-z][A-Za-z0-9_-]{1,17}$",
    |t| config_id(t) && t.len() <= 18,
    "use 2 to 18 letters, digits, `-`, `_`, starting with a letter, such as `project-ct`"
);
name!(
    /// A network bridge of a host.
    BridgeName, "bridge name", "^[A-Za-z][A-Za-z0-9_.]{1,14}$",
    |t| (2..=15).contains(&t.len())
        && t.starts_with(|c: char| c.is_ascii_alphabetic())
        && t.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.".contains(&b)),
    "use the interface's name, such as `vmbr0`"
);
name!(
    /// A guest tag; PVE lower-cases and sorts them.
    Tag, "tag", "^[a-z0-9_][a-z0-9_.+-]*$",
    |t| t.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && t.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-+.".contains(&b)),
    "use lower-case letters, digits, `_`, `-`, `+`, `.`"
);
name!(
    /// A ZFS dataset with its pool, such as `rpool/containers/proj-x`.
    DatasetName, "dataset name", "^[A-Za-z][A-Za-z0-9_.:-]*(/[A-Za-z0-9_.:-]+)*$",
    |t| t.len() < 256
        && t.starts_with(|c: char| c.is_ascii_alphabetic())
        && t.split('/').all(|p| !p.is_empty() && p != "." && p != ".."
            && p.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b))),
    "write the pool and the path below it, such as `rpool/containers`"
);

impl DatasetName {
    /// The dataset `part` below this one.
    ///
    /// # Errors
    /// When the joined name is no dataset name.
    pub fn join(&self, part: &str) -> Result<Self, Invalid> {
        format!("{self}/{part}").parse()
    }

    /// The pool that holds it.
    #[must_use]
    pub fn pool(&self) -> &str {
        self.0.split('/').next().unwrap_or_default()
    }

    /// Itself and what it is in, the pool first.
    #[must_use]
    pub fn ancestors(&self) -> Vec<Self> {
        let parts: Vec<&str> = self.0.split('/').collect();
        (1..=parts.len()).map(|n| Self(parts[..n].join("/"))).collect()
    }
}

/// A guest's number, 100 to 999,999,999 (`pve-vmid`), unique in a cluster over both kinds of guests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "u32", into = "u32")]
#[schemars(extend("minimum" = 100, "maximum" = 999_999_999))]
pub struct Vmid(u32);

impl Vmid {
    /// The number.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for Vmid {
    type Error = Invalid;

    fn try_from(number: u32) -> Result<Self, Invalid> {
        if (100..=999_999_999).contains(&number) {
            Ok(Self(number))
        } else {
            Err(Invalid::new(format!("{number} is not a valid vmid")).hint("allowed are 100 to 999999999"))
        }
    }
}

impl From<Vmid> for u32 {
    fn from(vmid: Vmid) -> Self {
        vmid.0
    }
}

impl FromStr for Vmid {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let number: u32 = text
            .parse()
            .map_err(|_| Invalid::new(format!("`{text}` is not a vmid")).hint("allowed are 100 to 999999999"))?;
        number.try_into()
    }
}

impl fmt::Display for Vmid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        assert!("proj-x".parse::<GuestName>().is_ok());
        for wrong in ["", "-x", "x-", "Proj", "a.b", "a_b"] {
            assert!(wrong.parse::<GuestName>().is_err(), "{wrong}");
        }
        assert!("local-zfs".parse::<StorageName>().is_ok());
        assert!("x".parse::<StorageName>().is_err());
        assert!("99".parse::<Vmid>().is_err());
        assert!("100".parse::<Vmid>().is_ok());
        assert!("a-group-name-too-long".parse::<GroupName>().is_err());
    }

    #[test]
    fn datasets_know_their_ancestors() {
        let dataset: DatasetName = "rpool/containers/proj-x".parse().unwrap();
        let names: Vec<String> = dataset.ancestors().iter().map(ToString::to_string).collect();
        assert_eq!(names, ["rpool", "rpool/containers", "rpool/containers/proj-x"]);
        assert_eq!(dataset.pool(), "rpool");
        assert!(dataset.join("..").is_err());
    }
}
