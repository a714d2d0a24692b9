//! Which properties ZFS knows, and what it makes of a value that is set.

/// Properties with a size that may be `none`.
const SIZES: [&str; 4] = ["quota", "refquota", "reservation", "refreservation"];

/// Properties with a closed list of values; those that are long are words of ours for a check below.
const CHOICES: [(&str, &str); 14] = [
    ("acltype", "off | nfsv4 | posix"),
    ("aclinherit", "discard | noallow | restricted | passthrough | passthrough-x"),
    ("atime", "on | off"),
    ("canmount", "on | off | noauto"),
    ("checksum", "on | off | fletcher2 | fletcher4 | sha256 | sha512 | skein | edonr | blake3"),
    ("devices", "on | off"),
    ("exec", "on | off"),
    ("logbias", "latency | throughput"),
    ("primarycache", "all | none | metadata"),
    ("readonly", "on | off"),
    ("relatime", "on | off"),
    ("secondarycache", "all | none | metadata"),
    ("setuid", "on | off"),
    ("sync", "standard | always | disabled"),
];

/// As ZFS 2.3 prints the choices of `compression`.
const COMPRESSION: &str = "on | off | lzjb | gzip | gzip-[1-9] | zle | lz4 | zstd | zstd-[1-19] | zstd-fast | zstd-fast-[1-10,20,30,40,50,60,70,80,90,100,500,1000]";

/// What can be looked at but not set.
pub(super) const READ_ONLY: [&str; 14] = [
    "available",
    "compressratio",
    "createtxg",
    "creation",
    "guid",
    "logicalused",
    "mounted",
    "name",
    "origin",
    "referenced",
    "type",
    "used",
    "userrefs",
    "written",
];

/// Whether a property is a user's own.
pub(super) fn is_user(name: &str) -> bool {
    name.contains(':')
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b":-._+".contains(&b))
        && !name.starts_with('-')
}

/// The long name of a property.
pub(super) fn full_name(name: &str) -> &str {
    match name {
        "avail" => "available",
        "refer" => "referenced",
        "compress" => "compression",
        "recsize" => "recordsize",
        "refratio" => "refcompressratio",
        name => name,
    }
}

/// Whether a property can be looked at.
pub(super) fn is_known(name: &str) -> bool {
    is_settable(name) || READ_ONLY.contains(&name)
}

/// Native properties that can be set.
pub(super) fn settable() -> Vec<&'static str> {
    let others = ["compression", "mountpoint", "recordsize", "volsize", "volblocksize", "xattr", "dnodesize"];
    SIZES.into_iter().chain(CHOICES.into_iter().map(|(name, _)| name)).chain(others).collect()
}

fn is_settable(name: &str) -> bool {
    is_user(name) || settable().contains(&name)
}

/// The value as it is kept, or what is wrong with it, without the `cannot …:` in front.
pub(super) fn normalise(name: &str, value: &str) -> Result<String, String> {
    if is_user(name) {
        return Ok(value.to_owned());
    }
    if READ_ONLY.contains(&name) {
        return Err(format!("'{name}' is readonly"));
    }
    if !is_settable(name) {
        return Err(format!("invalid property '{name}'"));
    }
    let bad_number = || format!("bad numeric value '{value}'");
    if SIZES.contains(&name) {
        return match value {
            "none" => Ok("0".to_owned()),
            value => size(value).map(|bytes| bytes.to_string()).ok_or_else(bad_number),
        };
    }
    if name == "volsize" {
        return size(value).map(|bytes| bytes.to_string()).ok_or_else(bad_number);
    }
    if name == "recordsize" {
        let bytes = size(value).ok_or_else(bad_number)?;
        return if bytes.is_power_of_two() && (512..=16 << 20).contains(&bytes) {
            Ok(bytes.to_string())
        } else {
            Err("'recordsize' must be power of 2 from 512B to 16M".to_owned())
        };
    }
    if name == "mountpoint" && !value.starts_with('/') && !["none", "legacy"].contains(&value) {
        return Err("'mountpoint' must be an absolute path, 'none', or 'legacy'".to_owned());
    }
    if name == "compression" && !is_compression(value) {
        return Err(format!("'compression' must be one of '{COMPRESSION}'"));
    }
    if let Some((_, choices)) = CHOICES.iter().find(|(choice, _)| *choice == name)
        && !choices.split(" | ").any(|choice| choice == value)
    {
        return Err(format!("'{name}' must be one of '{choices}'"));
    }
    Ok(value.to_owned())
}

fn is_compression(value: &str) -> bool {
    let level = |prefix: &str, most: u32| {
        value.strip_prefix(prefix).and_then(|n| n.parse::<u32>().ok()).is_some_and(|n| (1..=most).contains(&n))
    };
    let plain = ["on", "off", "lzjb", "gzip", "zle", "lz4", "zstd", "zstd-fast"];
    plain.contains(&value) || level("gzip-", 9) || level("zstd-", 19) || level("zstd-fast-", 10)
}

/// A size as ZFS reads it: `20G`, `20GB`, `20GiB`, `1.5g`, plain bytes.
pub(super) fn size(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = unit.to_ascii_uppercase();
    let shift = match unit.trim_end_matches('B').trim_end_matches('I') {
        "" if unit.is_empty() || unit == "B" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        "P" => 50,
        _ => return None,
    };
    match number.split_once('.') {
        None => number.parse::<u64>().ok()?.checked_mul(1 << shift),
        Some((whole, fraction)) => {
            let scale = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
            let digits: u128 = format!("{whole}{fraction}").parse().ok()?;
            u64::try_from((digits << shift) / scale).ok()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_binary_with_any_suffix() {
        for text in ["1610612736", "1.5G", "1.5g", "1536M", "1536MiB", "1.5GB"] {
            assert_eq!(size(text), Some(1_610_612_736), "{text}");
        }
        for text in ["banana", "", "G", "1X", "1.2.3G"] {
            assert_eq!(size(text), None, "{text}");
        }
    }

    #[test]
    fn values_that_zfs_refuses_are_refused_in_its_words() {
        assert_eq!(normalise("quota", "none").unwrap(), "0");
        assert_eq!(normalise("quota", "banana").unwrap_err(), "bad numeric value 'banana'");
        assert_eq!(normalise("nosuchprop", "1").unwrap_err(), "invalid property 'nosuchprop'");
        assert!(normalise("compression", "bogus").unwrap_err().starts_with("'compression' must be one of 'on | off"));
        assert_eq!(normalise("infra:owner", "a b").unwrap(), "a b");
    }
}
