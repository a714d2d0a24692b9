//! Values that are one text.

use std::net::IpAddr;
use std::str::FromStr;

use camino::Utf8PathBuf;
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::Deserialize;

use super::macros::text_value;
use super::secret::is_secret_name;
use crate::diag::Invalid;

/// A copy of `text` if `good`, else the complaint that it is no `what`.
fn checked(text: &str, good: bool, what: &str, hint: &str) -> Result<String, Invalid> {
    if good {
        Ok(text.to_owned())
    } else {
        Err(Invalid::new(format!("`{}` is not {what}", text.escape_debug())).hint(hint))
    }
}

fn word(text: &str, extra: &[u8]) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || extra.contains(&b))
}

text_value!(
    /// A single address, without a prefix length.
    Ip(IpAddr), r"^[0-9A-Fa-f.:]+$", |text| text.parse().map_err(|_| {
        let invalid = Invalid::new(format!("`{}` is not an address", text.escape_debug()));
        match text.split_once('/') {
            Some((address, _)) if address.parse::<IpAddr>().is_ok() => {
                invalid.hint(format!("leave out the prefix length, which comes from the host's subnet: `{address}`"))
            }
            _ => invalid.hint("write four numbers from 0 to 255 with dots, such as `10.0.0.10`, or an IPv6 address"),
        }
    })
);

text_value!(
    /// A network with its prefix length, such as `10.0.0.0/24`.
    Subnet(IpNet), r"^[0-9A-Fa-f.:]+/[0-9]{1,3}$", |text| {
        let net: IpNet = text.parse().map_err(|_| {
            Invalid::new(format!("`{}` is not a network", text.escape_debug()))
                .hint("write address and prefix length, such as `10.0.0.0/24`")
        })?;
        if net.trunc() == net {
            Ok(net)
        } else {
            Err(Invalid::new(format!("`{net}` is an address inside a network, not a network"))
                .hint(format!("the network is `{}`", net.trunc())))
        }
    }
);

text_value!(
    /// From where somebody comes: a network, or a single address.
    Origin(IpNet), r"^[0-9A-Fa-f.:]+(/[0-9]{1,3})?$", |text| match text.parse::<IpAddr>() {
        Ok(address) => Ok(IpNet::from(address)),
        Err(_) => text.parse::<Subnet>().map(|subnet| subnet.0).map_err(|invalid| match text.contains('/') {
            true => invalid,
            false => Invalid::new(format!("`{}` is neither a network nor an address", text.escape_debug()))
                .hint("write `203.0.113.0/24` or `203.0.113.7`; names are not looked up by the firewall"),
        }),
    }
);

text_value!(
    /// The name of a secret, written as `secret:NAME`.
    SecretName(String), "^secret:[A-Za-z0-9_][A-Za-z0-9_.-]*$", |text| match text.strip_prefix("secret:") {
        Some(name) if is_secret_name(name) => Ok(name.to_owned()),
        Some(_) => Err(Invalid::new("this is not the name of a secret")
            .hint("write `secret:` and letters, digits, `.`, `-`, `_`, such as `secret:hq-token`")),
        None => Err(Invalid::new("this is a secret in clear text")
            .hint("write `secret:NAME` here, keep the value in a secret store, and replace it: it has been in a file")),
    }
);

text_value!(
    /// The id of an API token, such as `infra@pve!laptop`.
    TokenId(String), r"^[^\s:/@!=]+@[A-Za-z][A-Za-z0-9._-]+![A-Za-z][A-Za-z0-9._-]+$", |text| {
        if text.contains('=') {
            return Err(Invalid::new("this holds the secret beside the token's id")
                .hint("write only what stands before `=`; the secret belongs to `token: secret:NAME`"));
        }
        let name = |part: &str| part.len() > 1
            && part.starts_with(|c: char| c.is_ascii_alphabetic())
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        let good = text.split_once('!').is_some_and(|(user, token)| {
            name(token) && user.rsplit_once('@').is_some_and(|(user, realm)| {
                name(realm) && !user.is_empty() && !user.contains(|c: char| c.is_whitespace() || "/:@!".contains(c))
            })
        });
        checked(text, good, "the id of an API token", "write `user@realm!name`, such as `infra@pve!laptop`")
    }
);

text_value!(
    /// Where to download from: `https://…`.
    HttpsUrl(String), "^https?://[^ ]+$", |text| {
        let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let good = host.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
            && !text.contains(|c: char| c.is_whitespace() || c.is_control());
        checked(text, good, "a web address", "write it in full, such as `https://example.com/image.img`")
    }
);

text_value!(
    /// A SHA-256 as 64 hex digits.
    Sha256(String), "^[0-9A-Fa-f]{64}$", |text| {
        let good = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
        checked(text, good, "a SHA-256", "write 64 hex digits, as `sha256sum` prints them").map(|t| t.to_lowercase())
    }
);

text_value!(
    /// A path on the operator's machine; `~/` is their home.
    LocalPath(Utf8PathBuf), r"^[^\n]+$", |text| {
        if text.contains("PRIVATE KEY") {
            return Err(Invalid::new("this is a private key, not the path of one")
                .hint("keep it in a file that only you can read, and write the path of that file"));
        }
        let good = !text.is_empty() && !text.contains(char::is_control);
        checked(text, good, "a path", "write the path of a file").map(Utf8PathBuf::from)
    }
);

text_value!(
    /// A domain, such as `lan` or `example.com`.
    Domain(String), r"^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)*[a-z0-9-]+$", |text| {
        let label = |part: &str| word(part, b"-") && part.len() < 64 && !part.starts_with('-') && !part.ends_with('-');
        let good = text.len() < 254 && text.split('.').all(label);
        checked(text, good, "a domain", "write it in lower case without a final dot, such as `lan` or `example.com`")
    }
);

text_value!(
    /// A Unix user.
    UserName(String), "^[a-z_][a-z0-9_-]{0,31}$", |text| {
        let good = word(text, b"_-") && text.len() <= 32 && !text.starts_with(|c: char| c.is_ascii_digit() || c == '-');
        checked(text, good, "a user name", "use up to 32 lower-case letters, digits, `_`, `-`, such as `infra`")
    }
);

text_value!(
    /// A Debian package.
    Package(String), "^[a-z0-9][a-z0-9+.-]+$", |text| {
        let good = word(text, b"+.-") && text.len() > 1 && text.starts_with(|c: char| c.is_ascii_alphanumeric());
        checked(text, good, "the name of a package", "use the name that `apt` knows, such as `qemu-guest-agent`")
    }
);

text_value!(
    /// A QEMU CPU model, such as `host` or `x86-64-v3`.
    CpuName(String), "^[A-Za-z0-9][A-Za-z0-9_.-]*$", |text| {
        let good = text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        checked(text, good, "a CPU model", "write a model such as `host` or `x86-64-v3`")
    }
);

text_value!(
    /// A dataset below the host's `storage.datasets`, or a full name after a slash: `/tank/media`.
    DatasetPath(String), r"^/?[A-Za-z0-9_.:-]+(/[A-Za-z0-9_.:-]+)*$", |text| {
        let good = text.strip_prefix('/').unwrap_or(text).split('/').all(|part| {
            word(&part.to_ascii_lowercase(), b"-_.:") && part != "." && part != ".."
        });
        checked(text, good, "the name of a dataset",
            "write a name such as `proj-x` (below the host's `storage.datasets`), or the full name after a slash, such as `/tank/media`")
    }
);

text_value!(
    /// Where a container sees a dataset, such as `/workspace`.
    MountPath(String), r"^/[^,\s]+$", |text| {
        let good = text.starts_with('/') && text.len() > 1 && !text.ends_with('/')
            && text[1..].split('/').all(|part| !part.is_empty() && part != "." && part != "..")
            && !text.contains(|c: char| c == ',' || c.is_whitespace() || c.is_control());
        checked(text, good, "a place to mount at", "write an absolute path below `/` without `,` and spaces, such as `/workspace`")
    }
);

text_value!(
    /// A device node, such as `/dev/net/tun`.
    DevicePath(String), r"^/dev/[^,\s]+$", |text| {
        let good = text.len() > 5 && text.starts_with("/dev/") && !text.contains("..")
            && !text.contains(|c: char| c == ',' || c.is_whitespace() || c.is_control());
        checked(text, good, "a device node", "write a path below `/dev/`, such as `/dev/net/tun`")
    }
);

text_value!(
    /// The host name of a web site, such as `proj-x.example.com`.
    SiteName(String), r"^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z0-9-]+$", |text| {
        let label = |part: &str| word(part, b"-") && part.len() < 64 && !part.starts_with('-') && !part.ends_with('-');
        let good = text.len() < 254 && text.contains('.') && text.split('.').all(label);
        checked(text, good, "the name of a web site", "write a full name in lower case, such as `proj-x.example.com`")
    }
);
