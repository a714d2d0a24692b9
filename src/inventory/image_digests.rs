//! `image_digests` of a file, with other digests in it: comments, order and everything else stay as they are.
//!
//! Edits the text by the places that decoding gave; what comes out is decoded again before anybody gets it, so that a
//! form that was not thought of is said and not broken. Must not read or write files.

use std::collections::BTreeMap;

use super::values::Digest;
use super::{InventoryFiles, Layer, SourceFile, load};
use crate::diag::{Invalid, Span, Spanned};

/// What a file begins with that holds nothing but digests.
const HEAD: &str =
    "# What container images are made of: `infra images lock` asks their registries and writes it here.\n";

/// An entry of `image_digests` as it stands in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedImage {
    /// `repository:tag`.
    pub name: String,
    /// What was locked.
    pub digest: Digest,
    /// Where the name stands.
    pub key: Span,
    /// Where the digest stands.
    pub value: Span,
}

impl LockedImage {
    /// The entry that was decoded.
    #[must_use]
    pub fn of(name: &Spanned<String>, digest: &Spanned<Digest>) -> Self {
        Self { name: name.value.clone(), digest: digest.value.clone(), key: name.span, value: digest.span }
    }
}

/// The text of a file with `wanted` in its `image_digests`; `locked` are the entries that stand in this file now.
///
/// # Errors
/// When the section has a form that cannot be edited, with what to write by hand.
pub fn with_image_digests(
    text: &str,
    locked: &[LockedImage],
    wanted: &BTreeMap<String, Digest>,
) -> Result<String, Invalid> {
    let mut edits: Vec<(usize, usize, String)> = Vec::new();
    for entry in locked {
        let Some(digest) = wanted.get(&entry.name).filter(|digest| **digest != entry.digest) else { continue };
        let (start, end) = (entry.value.start as usize, entry.value.end as usize);
        let there =
            text.get(start..end).filter(|there| there.contains(&entry.digest.0)).ok_or_else(|| by_hand(wanted))?;
        edits.push((start, end, there.replace(&entry.digest.0, &digest.0)));
    }
    let fresh: Vec<(&String, &Digest)> =
        wanted.iter().filter(|(name, _)| !locked.iter().any(|entry| entry.name == **name)).collect();
    if !fresh.is_empty() {
        edits.push(added(text, locked, &fresh).ok_or_else(|| by_hand(wanted))?);
    }
    edits.sort_by_key(|(start, ..)| std::cmp::Reverse(*start));
    let mut edited = text.to_owned();
    for (start, end, new) in edits {
        edited.replace_range(start..end, &new);
    }
    if holds(&edited, wanted) { Ok(edited) } else { Err(by_hand(wanted)) }
}

/// The edit that puts new entries in.
fn added(text: &str, locked: &[LockedImage], fresh: &[(&String, &Digest)]) -> Option<(usize, usize, String)> {
    let lines = |indent: &str| -> String {
        fresh.iter().map(|(name, digest)| format!("{indent}{name}: {}\n", digest.0)).collect()
    };
    let line_end = |at: usize| text[at..].find('\n').map_or(text.len(), |found| at + found + 1);
    let after = |at: usize, new: String| match text[..at].ends_with('\n') || at == 0 {
        true => (at, at, new),
        false => (at, at, format!("\n{new}")),
    };
    if let Some(last) = locked.iter().max_by_key(|entry| entry.value.end) {
        let (key, end) = (last.key.start as usize, last.value.end as usize);
        let indent = text.get(text.get(..key)?.rfind('\n').map_or(0, |at| at + 1)..key)?;
        if indent.chars().all(|c| c == ' ') {
            return Some(after(line_end(end), lines(indent)));
        }
        let entries: String = fresh.iter().map(|(name, digest)| format!(", \"{name}\": {}", digest.0)).collect();
        return Some((end, end, entries));
    }
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        if let Some(rest) = line.strip_prefix("image_digests:") {
            let said = rest.split(" #").next().unwrap_or_default().trim();
            return match said {
                "" => Some(after(start + line.len(), lines("  "))),
                "{}" | "null" | "~" => {
                    let (from, end) = (start + "image_digests:".len(), start + line.len());
                    let comment = rest.split_once(said).map_or("", |(_, after)| after.trim_end());
                    Some((from, end, format!("{comment}\n{}", lines("  "))))
                }
                _ => None,
            };
        }
        start += line.len();
    }
    let section = format!("image_digests:\n{}", lines("  "));
    let new = match text.trim().is_empty() {
        true => format!("{HEAD}{section}"),
        false => format!("{}\n{section}", if text.ends_with('\n') { "" } else { "\n" }),
    };
    Some((text.len(), text.len(), new))
}

/// Whether a file says what it shall, once it is read.
fn holds(text: &str, wanted: &BTreeMap<String, Digest>) -> bool {
    let files = vec![SourceFile::new("digests.yaml", text)];
    let layer = Layer { path: "digests.yaml".into(), files };
    let loaded = load(&InventoryFiles { layers: vec![layer], ..InventoryFiles::default() });
    let there = loaded.inventory.map(|inventory| inventory.document.image_digests.unwrap_or_default());
    there.is_some_and(|there| {
        wanted.iter().all(|(name, digest)| there.iter().any(|(key, own)| key.value == *name && own.value == *digest))
    })
}

fn by_hand(wanted: &BTreeMap<String, Digest>) -> Invalid {
    let lines: Vec<String> = wanted.iter().map(|(name, digest)| format!("  {name}: {}", digest.0)).collect();
    Invalid::new("`image_digests` has a form that is not edited")
        .hint(format!("write it yourself:\nimage_digests:\n{}", lines.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(of: char) -> Digest {
        format!("sha256:{}", of.to_string().repeat(64)).parse().unwrap()
    }

    fn edited(text: &str, wanted: &[(&str, char)]) -> Result<String, Invalid> {
        let files = vec![SourceFile::new("a.yaml", text)];
        let layer = Layer { path: "a.yaml".into(), files };
        let loaded = load(&InventoryFiles { layers: vec![layer], ..InventoryFiles::default() });
        let document = loaded.inventory.map(|inventory| inventory.document).unwrap_or_default();
        let locked: Vec<LockedImage> =
            document.image_digests.iter().flatten().map(|(name, own)| LockedImage::of(name, own)).collect();
        let wanted = wanted.iter().map(|(name, of)| ((*name).to_owned(), digest(*of))).collect();
        with_image_digests(text, &locked, &wanted)
    }

    #[test]
    fn comments_and_order_stay() {
        let text = format!(
            "name: x # mine\nimage_digests:\n  # the fast one\n  b/b:1: {} # why\n\n  a/a:1: \"{}\"\nguests: {{}}\n",
            digest('1').0,
            digest('2').0
        );
        let new = edited(&text, &[("a/a:1", '3'), ("b/b:1", '1'), ("reg.example:5000/c/c:1", '4')]).unwrap();
        let want = text
            .replace(&digest('2').0, &digest('3').0)
            .replace("\nguests", &format!("\n  reg.example:5000/c/c:1: {}\nguests", digest('4').0));
        assert_eq!(new, want);
        assert_eq!(edited(&text, &[("b/b:1", '1')]).unwrap(), text, "what is there is not written again");
    }

    #[test]
    fn a_section_is_made_where_there_is_none() {
        let line = format!("  a/a:1: {}\n", digest('1').0);
        let wanted = [("a/a:1", '1')];
        assert_eq!(edited("", &wanted).unwrap(), format!("{HEAD}image_digests:\n{line}"));
        assert_eq!(edited("name: x", &wanted).unwrap(), format!("name: x\n\nimage_digests:\n{line}"));
        assert_eq!(edited("name: x\n", &wanted).unwrap(), format!("name: x\n\nimage_digests:\n{line}"));
        for empty in ["", " {}", " null # none yet"] {
            let text = format!("image_digests:{empty}\nname: x\n");
            let new = edited(&text, &wanted).unwrap();
            assert!(new.starts_with("image_digests:") && new.ends_with(&format!("\n{line}name: x\n")), "{new}");
            assert_eq!(new.contains("# none yet"), empty.contains("none yet"), "{new}");
        }
    }

    #[test]
    fn one_line_stays_one_line() {
        let text = format!("image_digests: {{ a/a:1: {} }} # all\nname: x\n", digest('1').0);
        let new = edited(&text, &[("a/a:1", '2'), ("b/b:1", '3')]).unwrap();
        assert_eq!(
            new,
            format!("image_digests: {{ a/a:1: {}, \"b/b:1\": {} }} # all\nname: x\n", digest('2').0, digest('3').0)
        );
    }

    #[test]
    fn what_cannot_be_edited_is_said() {
        let odd = edited("image_digests: [a]\n", &[("b/b:1", '2')]).unwrap_err();
        assert!(odd.hint.unwrap().contains("  b/b:1: sha256:2222"));
    }
}
