//! The bodies in which files are uploaded.
//!
//! Owns the parts of `multipart/form-data` as pveproxy takes them apart: plain fields become parameters, the
//! one part with a file name must be called `filename`. Must not know what becomes of the file. The entry is
//! [`parts`].

use super::rules::Upload;

/// Fields and file of a body.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parts {
    /// Fields in order; the name of the file is one of them.
    pub fields: Vec<(String, String)>,
    /// The file, if the body holds one.
    pub upload: Option<Upload>,
}

/// The boundary in a `Content-Type`, if it is one of a form with files.
pub(super) fn boundary(content_type: &str) -> Option<&str> {
    let mut pieces = content_type.split([';', ',']).map(str::trim);
    if pieces.next()? != "multipart/form-data" {
        return None;
    }
    let named = pieces.find_map(|piece| piece.split_once('=').filter(|(name, _)| name.trim() == "boundary"));
    named.map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
}

/// Takes a body apart; nothing if it holds no file, or one under another name (9.2.11 ends such an upload with
/// `upload failed`).
pub(super) fn parts(body: &[u8], boundary: &str) -> Option<Parts> {
    let delimiter = format!("--{boundary}");
    let mut rest = &body[find(body, delimiter.as_bytes())? + delimiter.len()..];
    let mut parts = Parts::default();
    loop {
        if rest.starts_with(b"--") {
            break;
        }
        rest = &rest[find(rest, b"\n")? + 1..];
        let (head, after) = head(rest)?;
        let end = find(after, format!("\n{delimiter}").as_bytes())?;
        let content = after[..end].strip_suffix(b"\r").unwrap_or(&after[..end]);
        rest = &after[end + 1 + delimiter.len()..];
        let disposition = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.trim().eq_ignore_ascii_case("content-disposition").then_some(value.trim())
        })?;
        let name = attribute(disposition, "name")?;
        match attribute(disposition, "filename") {
            Some(file) if name == "filename" => {
                parts.fields.push((name.to_owned(), file.to_owned()));
                parts.upload = Some(Upload { bytes: content.to_vec() });
            }
            Some(_) => return None,
            None => parts.fields.push((name.to_owned(), String::from_utf8_lossy(content).into_owned())),
        }
    }
    parts.upload.is_some().then_some(parts)
}

/// The lines before the empty one, and what follows that.
fn head(text: &[u8]) -> Option<(String, &[u8])> {
    let mut at = 0;
    loop {
        let line = &text[at..at + find(&text[at..], b"\n")?];
        let next = at + line.len() + 1;
        if line.is_empty() || line == b"\r" {
            return Some((String::from_utf8_lossy(&text[..at]).into_owned(), &text[next..]));
        }
        at = next;
    }
}

fn attribute<'a>(disposition: &'a str, wanted: &str) -> Option<&'a str> {
    disposition.split([';', ',']).skip(1).find_map(|piece| {
        let (name, value) = piece.trim().split_once('=')?;
        (name.trim() == wanted).then(|| value.trim().trim_matches('"'))
    })
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = "--B\r\nContent-Disposition: form-data; name=\"content\"\r\n\r\niso\r\n--B\r\n\
        Content-Disposition: form-data; name=\"filename\"; filename=\"up.iso\"\r\n\
        Content-Type: application/octet-stream\r\n\r\nhel\r\n\nlo\r\n--B--\r\n";

    #[test]
    fn an_upload_is_fields_and_one_file() {
        let parts = parts(BODY.as_bytes(), "B").unwrap();
        let fields: Vec<String> = parts.fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(fields, ["content=iso", "filename=up.iso"]);
        assert_eq!(parts.upload.unwrap().bytes, b"hel\r\n\nlo");
    }

    #[test]
    fn a_body_without_a_file_under_the_right_name_is_none() {
        assert_eq!(parts(BODY.replace("name=\"filename\"", "name=\"file\"").as_bytes(), "B"), None);
        assert_eq!(parts(BODY.as_bytes(), "C"), None);
        for cut in 0..BODY.len() - 8 {
            assert_eq!(parts(&BODY.as_bytes()[..cut], "B"), None, "cut at {cut}");
        }
    }

    #[test]
    fn the_boundary_is_in_the_content_type() {
        assert_eq!(boundary("multipart/form-data; boundary=abc"), Some("abc"));
        assert_eq!(boundary("multipart/form-data"), None);
        assert_eq!(boundary("text/plain; boundary=abc"), None);
    }
}
