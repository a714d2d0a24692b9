//! Secrets that stand where they should not, made unreadable before anybody can show them.

/// What stands instead of a hidden byte.
const STAR: &str = "*";

/// Words of keys whose values are secrets.
const SECRET_KEYS: [&str; 5] = ["token", "password", "passphrase", "secret", "private_key"];

/// Replaces what looks like a secret by stars, byte for byte, so that places stay right.
///
/// Hidden are values of keys such as `token` or `password` unless they are a `secret:NAME`, every UUID
/// (the secret of a PVE API token is one), and private keys.
#[must_use]
pub fn mask(text: &str) -> String {
    let mut in_private_key = false;
    let mut masked = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let begins = line.contains("-----BEGIN") && line.contains("PRIVATE KEY");
        if in_private_key || begins {
            let from = if begins { line.find("-----BEGIN").unwrap_or(0) } else { indent(line) };
            let ends = line.contains("-----END");
            let to = match line.rfind("KEY-----") {
                Some(at) if ends => at + "KEY-----".len(),
                _ => line.trim_end().len(),
            };
            stars(&mut masked, line, from, to.max(from));
            in_private_key = !ends;
        } else {
            masked.push_str(&uuids(&values(line)));
        }
    }
    masked
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

fn stars(out: &mut String, line: &str, from: usize, to: usize) {
    out.push_str(&line[..from]);
    out.push_str(&STAR.repeat(to - from));
    out.push_str(&line[to..]);
}

/// Hides the values of secret keys in one line.
fn values(line: &str) -> String {
    let mut out = line.to_owned();
    let mut from = 0;
    while let Some(colon) = out[from..].find(':').map(|at| from + at) {
        from = colon + 1;
        let before = out[..colon].trim_end_matches(['"', '\'']);
        let key_start = before
            .rfind(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-'))
            .map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
        let key = before[key_start..].to_ascii_lowercase();
        let is_secret = SECRET_KEYS.iter().any(|word| key == *word || key.ends_with(&format!("_{word}")));
        let rest = &out[from..];
        let start = from + indent(rest);
        if !is_secret || !rest.starts_with([' ', '\t']) || before.contains('#') || start >= out.trim_end().len() {
            continue;
        }
        let value = &out[start..];
        let end = match value.chars().next() {
            Some(quote @ ('"' | '\'')) => value[1..].find(quote).map_or(value.trim_end().len(), |at| at + 2),
            _ => value.find([',', '}', ']']).unwrap_or(value.len()).min(value.find(" #").unwrap_or(value.len())),
        };
        let value = value[..end].trim_end();
        let harmless = value.trim_matches(['"', '\'']).starts_with("secret:")
            || value.starts_with(['{', '[', '&', '*'])
            || matches!(value, "" | "|" | ">" | "|-" | ">-" | "null" | "~");
        if !harmless {
            out.replace_range(start..start + value.len(), &STAR.repeat(value.len()));
        }
        from = start;
    }
    out
}

/// Hides everything that has the form of a UUID.
pub(super) fn uuids(line: &str) -> String {
    const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];
    const LEN: usize = 36;
    let bytes = line.as_bytes();
    let is_uuid = |at: usize| {
        let mut position = at;
        GROUPS.iter().enumerate().all(|(group, len)| {
            let dash = group == 0 || bytes.get(position - 1) == Some(&b'-');
            let hex = bytes.get(position..position + len).is_some_and(|part| part.iter().all(u8::is_ascii_hexdigit));
            position += len + 1;
            dash && hex
        })
    };
    let mut out = String::with_capacity(line.len());
    let mut at = 0;
    while at < line.len() {
        if is_uuid(at) {
            out.push_str(&STAR.repeat(LEN));
            at += LEN;
        } else {
            let step = line[at..].chars().next().map_or(1, char::len_utf8);
            out.push_str(&line[at..at + step]);
            at += step;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_vanish_and_places_stay() {
        for (text, expected) in [
            ("token: hunter2 # mine\n", "token: ******* # mine\n"),
            ("api: { token: \"hun,ter2\", port: 5 }", "api: { token: **********, port: 5 }"),
            ("api_token: abc", "api_token: ***"),
            ("token: secret:hq-token", "token: secret:hq-token"),
            ("token_id: \"infra@pve!laptop\"", "token_id: \"infra@pve!laptop\""),
            ("# the token: a word", "# the token: a word"),
            ("id=0a1b2c3d-1234-5678-9abc-0123456789ab;", "id=************************************;"),
            (
                "  - |\n    -----BEGIN OPENSSH PRIVATE KEY-----\n    abc\n    -----END OPENSSH PRIVATE KEY-----\nx: 1",
                "  - |\n    ***********************************\n    ***\n    *********************************\nx: 1",
            ),
            ("größe: 5\npassword: 'ö'", "größe: 5\npassword: ****"),
        ] {
            let masked = mask(text);
            assert_eq!(masked, expected);
            assert_eq!(masked.len(), text.len());
        }
    }
}
