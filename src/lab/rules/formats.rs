//! PVE's text formats, as far as the lab's parameters use them.

/// What a format says when it does not fit.
pub fn ok(fits: bool, text: &str) -> Result<(), String> {
    if fits { Ok(()) } else { Err(text.to_owned()) }
}

/// Splits a list as PVE does: at commas, semicolons and white space.
pub fn split_list(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c == ',' || c == ';' || c == '\0' || c.is_whitespace()).filter(|part| !part.is_empty())
}

/// `pve-configid`: a letter and at least one more character.
#[must_use]
pub fn is_config_id(text: &str) -> bool {
    text.len() > 1
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// `pve-configid` as a format.
pub fn config_id(text: &str) -> Result<(), String> {
    if is_config_id(text) { Ok(()) } else { Err(format!("invalid configuration ID '{text}'")) }
}

/// A list of `pve-configid`.
pub fn config_ids(text: &str) -> Result<(), String> {
    split_list(text).try_for_each(config_id)
}

/// `dns-name`: labels of letters, digits and inner dashes.
pub fn dns_name(text: &str) -> Result<(), String> {
    let label = |l: &str| {
        (1..=63).contains(&l.len())
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !l.starts_with('-')
            && !l.ends_with('-')
    };
    ok(!text.is_empty() && text.split('.').all(label), "value does not look like a valid DNS name")
}

/// `pve-node`.
pub fn node(text: &str) -> Result<(), String> {
    ok(dns_name(text).is_ok() && !text.contains('.'), "value does not look like a valid node name")
}

/// `pve-storage-id`.
pub fn storage_id(text: &str) -> Result<(), String> {
    if text.chars().count() < 2 {
        return Err(format!("storage ID '{text}' cannot be shorter than 2 characters"));
    }
    let fits = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    if fits { Ok(()) } else { Err(format!("storage ID '{text}' contains illegal characters")) }
}

/// A list of `pve-node`.
pub fn nodes(text: &str) -> Result<(), String> {
    split_list(text).try_for_each(node)
}

/// A list of storages.
pub fn storage_ids(text: &str) -> Result<(), String> {
    split_list(text).try_for_each(storage_id)
}

/// A list of guests.
pub fn vmids(text: &str) -> Result<(), String> {
    split_list(text).try_for_each(|id| {
        let fits = id.len() > 2 && !id.starts_with('0') && id.bytes().all(|b| b.is_ascii_digit());
        ok(fits, "value does not look like a valid VM ID")
    })
}

/// `pve-poolid`: up to three levels.
pub fn pool_id(text: &str) -> Result<(), String> {
    let part = |p: &str| !p.is_empty() && p.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    let fits = text.split('/').count() <= 3 && text.split('/').all(part);
    if fits { Ok(()) } else { Err(format!("invalid pool ID '{text}'")) }
}

/// `pve-tag-list`.
pub fn tags(text: &str) -> Result<(), String> {
    let tag = |t: &str| {
        t.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
            && t.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-+.".contains(&b))
    };
    ok(split_list(text).all(tag), "invalid characters in tag")
}

/// `pve-storage-content`.
pub fn content(text: &str) -> Result<(), String> {
    let known = ["images", "rootdir", "vztmpl", "iso", "backup", "snippets", "import", "none"];
    if known.contains(&text) { Ok(()) } else { Err(format!("invalid content type '{text}'")) }
}

/// A list of `pve-storage-content`.
pub fn contents(text: &str) -> Result<(), String> {
    split_list(text).try_for_each(content)
}

/// Percent-encoded text.
pub fn url_encoded(text: &str) -> Result<(), String> {
    let fits = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.!~*'()%".contains(&b));
    ok(fits, "value is not a valid urlencoded string")
}

/// IPv4 or IPv6 address, or a network with prefix length.
#[must_use]
pub fn is_cidr(text: &str) -> bool {
    text.parse::<ipnet::IpNet>().is_ok() || text.parse::<std::net::IpAddr>().is_ok()
}

/// `IPorCIDR`.
pub fn ip_or_cidr(text: &str) -> Result<(), String> {
    ok(is_cidr(text), "value does not look like a valid IP address or CIDR network")
}

/// `IPorCIDRorAlias`.
pub fn cidr_or_alias(text: &str) -> Result<(), String> {
    let name = text.strip_prefix("dc/").or_else(|| text.strip_prefix("guest/")).unwrap_or(text);
    ok(is_cidr(text) || is_config_id(name), "value does not look like a valid IP address or CIDR network")
}

/// `K`, `M`, `G`, `T` sizes, with a `+` for growth.
#[must_use]
pub fn is_resize(text: &str) -> bool {
    let number = text.strip_prefix('+').unwrap_or(text);
    let number = number.strip_suffix(['K', 'M', 'G', 'T']).unwrap_or(number);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
    digits(whole) && digits(fraction)
}
