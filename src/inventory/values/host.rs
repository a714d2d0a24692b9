//! Values of a host's own system.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};

use super::macros::text_value;
use crate::diag::Invalid;

text_value!(
    /// A parameter of the kernel's command line, such as `iommu=pt`.
    KernelParameter(String), r#"^[A-Za-z0-9_.-]+(=[^\s"'\\$`#;&|<>()]*)?$"#, |text| {
        let (name, value) = text.split_once('=').map_or((text, ""), |(name, value)| (name, value));
        let good = !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
            && value.chars().all(|c| c.is_ascii_graphic() && !"\"'\\$`#;&|<>()".contains(c));
        if good {
            return Ok(text.to_owned());
        }
        let hint = if text.contains(char::is_whitespace) {
            "write one parameter per entry, such as `[iommu=pt, quiet]`; values with spaces in them are not supported"
        } else {
            "write a name, or a name and a value without quotes and shell characters, such as `iommu=pt`"
        };
        Err(Invalid::new(format!("`{}` is not a parameter of the kernel", text.escape_debug())).hint(hint))
    }
);

text_value!(
    /// A kernel module, such as `nct6775`.
    ModuleName(String), "^[A-Za-z0-9_][A-Za-z0-9_-]*$", |text| {
        let good = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
        if good {
            Ok(text.to_owned())
        } else {
            Err(Invalid::new(format!("`{}` is not the name of a kernel module", text.escape_debug()))
                .hint("use the name that `lsmod` shows, without options"))
        }
    }
);

text_value!(
    /// A setting of the kernel, such as `vm.swappiness`.
    SysctlKey(String), r"^[A-Za-z0-9_-]+([./][A-Za-z0-9_:@-]+)+$", |text| {
        let part = |part: &str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-:@".contains(&b))
        };
        if text.split(['.', '/']).count() > 1 && text.split(['.', '/']).all(part) {
            Ok(text.to_owned())
        } else {
            Err(Invalid::new(format!("`{}` is not a setting of the kernel", text.escape_debug()))
                .hint("write it as `sysctl -a` prints it, such as `vm.swappiness`"))
        }
    }
);

/// The value of a kernel setting: a number or a text on one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SysctlValue(pub String);

impl<'de> Deserialize<'de> for SysctlValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Value;

        impl Visitor<'_> for Value {
            type Value = SysctlValue;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, or a text on one line")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<SysctlValue, E> {
                Ok(SysctlValue(number.to_string()))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<SysctlValue, E> {
                let words: Vec<&str> = text.split_whitespace().collect();
                if words.is_empty() || text.contains(char::is_control) {
                    return Err(E::custom("this is not the value of a kernel setting: write it on one line"));
                }
                Ok(SysctlValue(words.join(" ")))
            }
        }

        deserializer.deserialize_any(Value)
    }
}

impl JsonSchema for SysctlValue {
    fn schema_name() -> Cow<'static, str> {
        "SysctlValue".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The value of a kernel setting: a number, or a text on one line",
            "anyOf": [{ "type": "integer", "minimum": 0 }, { "type": "string", "pattern": r"^[^\n]*\S[^\n]*$" }],
            "examples": [10, "0 2147483647"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_would_read_otherwise_is_no_parameter() {
        for good in ["quiet", "iommu=pt", "console=ttyS0,115200", "pcie_acs_override=downstream,multifunction", "a.b=1"]
        {
            assert!(good.parse::<KernelParameter>().is_ok(), "{good}");
        }
        for wrong in ["", "a b", "a=\"b\"", "a=$b", "a=`b`", "=x", "a=b;c", "a\\", "a=#", "a='", "a=\u{e9}"] {
            assert!(wrong.parse::<KernelParameter>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_sysctl_key_has_at_least_two_parts() {
        assert!("vm.swappiness".parse::<SysctlKey>().is_ok());
        assert!("net/ipv4/conf/eth0.5/forwarding".parse::<SysctlKey>().is_ok());
        for wrong in ["swappiness", "vm.", "vm..x", "../x.y", "vm.a b"] {
            assert!(wrong.parse::<SysctlKey>().is_err(), "{wrong}");
        }
    }
}
