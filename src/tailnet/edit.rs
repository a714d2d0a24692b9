//! Our section put into a policy, found in it and taken out, and not one byte else.
//!
//! Between `/* >>> infra NAME DIGEST … */` and `/* <<< infra NAME */` stands what is ours, once under every key that
//! the policy has already, and once at its beginning for the keys that it has not. It stands *first* in its list or
//! object: after it, commas of others need no change, as HuJSON takes one at the end.

use jsonc_parser::ast::{Object, Value};
use jsonc_parser::common::Ranged;

use super::hujson::{Hujson, Malformed, plain};
use super::section::{Block, Section, is_object_key};

/// Why a policy cannot be edited.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// It cannot be read.
    #[error("the policy is no HuJSON: {0}")]
    Malformed(#[from] Malformed),
    /// A mark without its other end.
    #[error("line {line}: the mark of `{owner}` has no other end")]
    Unpaired {
        /// Where, from 1.
        line: usize,
        /// Whose.
        owner: String,
    },
    /// A key stands only in the section of another inventory.
    #[error("`{key}` stands only between the marks of `{owner}`")]
    Foreign {
        /// Which.
        key: String,
        /// Whose.
        owner: String,
    },
    /// A key holds something else than it should.
    #[error("line {line}: `{key}` is no {wanted}")]
    Shape {
        /// Which.
        key: String,
        /// Where, from 1.
        line: usize,
        /// `list` or `object`.
        wanted: &'static str,
    },
}

/// Our section as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What is in it now.
    pub section: Section,
    /// The digest of what we wrote, from its marks.
    pub written: String,
    /// Whether it is what we wrote.
    pub untouched: bool,
}

/// From one mark's first byte to the other's last.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Marked {
    start: usize,
    inner: std::ops::Range<usize>,
    end: usize,
    digest: String,
}

fn opening(owner: &str) -> String {
    format!(">>> infra {owner} ")
}

fn closing(owner: &str) -> String {
    format!("<<< infra {owner} ")
}

/// Block comments of a text with their places; what looks like one within a string is none.
fn comments(text: &str) -> Vec<(usize, usize)> {
    let bytes = text.as_bytes();
    let (mut at, mut found) = (0, Vec::new());
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                at += 1;
                while at < bytes.len() && bytes[at] != b'"' {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                at += 1;
            }
            b'/' if bytes.get(at + 1) == Some(&b'/') => {
                while at < bytes.len() && bytes[at] != b'\n' {
                    at += 1;
                }
            }
            b'/' if bytes.get(at + 1) == Some(&b'*') => {
                let end = text[at + 2..].find("*/").map_or(bytes.len(), |length| at + 2 + length + 2);
                found.push((at, end));
                at = end;
            }
            _ => at += 1,
        }
    }
    found
}

fn marked(policy: &Hujson<'_>, owner: &str) -> Result<Vec<Marked>, EditError> {
    let (opens, closes) = (opening(owner), closing(owner));
    let mut blocks = Vec::new();
    let mut open: Option<(usize, usize, String)> = None;
    let unpaired = |at: usize| EditError::Unpaired { line: policy.line(at), owner: owner.to_owned() };
    for (start, end) in comments(policy.text) {
        let body = policy.text[start + 2..end].trim_end_matches("*/").trim_start();
        if let Some(rest) = body.strip_prefix(opens.as_str()) {
            if let Some((start, ..)) = open {
                return Err(unpaired(start));
            }
            let digest = rest.split_whitespace().next().unwrap_or_default();
            open = Some((start, end, digest.trim_end_matches(':').to_owned()));
        } else if body.starts_with(closes.as_str()) {
            let (from, inner, digest) = open.take().ok_or_else(|| unpaired(start))?;
            blocks.push(Marked { start: from, inner: inner..start, end, digest });
        }
    }
    match open {
        Some((start, ..)) => Err(unpaired(start)),
        None => Ok(blocks),
    }
}

/// Between whose marks `at` stands, if it does.
fn foreign(policy: &Hujson<'_>, at: usize) -> Option<String> {
    let owners = comments(policy.text).into_iter().filter_map(|(start, end)| {
        policy.text[start + 2..end].trim_start().strip_prefix(">>> infra ")?.split_whitespace().next()
    });
    let within =
        |owner: &str| marked(policy, owner).is_ok_and(|marks| marks.iter().any(|mark| mark.inner.contains(&at)));
    owners.into_iter().find(|owner| within(owner)).map(str::to_owned)
}

/// Our section of a policy, if it has one.
///
/// # Errors
/// When the policy cannot be read.
pub fn find(text: &str, owner: &str) -> Result<Option<Found>, EditError> {
    let policy = Hujson::parse(text)?;
    let marks = marked(&policy, owner)?;
    let Some(first) = marks.first() else { return Ok(None) };
    let mut section = Section::default();
    for mark in &marks {
        let within = |range: &dyn Ranged| mark.inner.start <= range.start() && range.end() <= mark.inner.end;
        for property in &policy.root.properties {
            let key = property.name.as_str();
            let whole = within(property);
            let entries: Vec<String> = match &property.value {
                Value::Object(object) => members(object, |member| whole || within(member)),
                Value::Array(list) => list.elements.iter().filter(|e| whole || within(*e)).map(plain).collect(),
                other if whole => vec![plain(other)],
                _ => Vec::new(),
            };
            if whole || !entries.is_empty() {
                section.blocks.push(Block { key: key.to_owned(), entries });
            }
        }
    }
    let untouched = marks.iter().all(|mark| mark.digest == first.digest) && section.digest() == first.digest;
    Ok(Some(Found { written: first.digest.clone(), section, untouched }))
}

fn members(object: &Object<'_>, ours: impl Fn(&dyn Ranged) -> bool) -> Vec<String> {
    let ours = object.properties.iter().filter(|property| ours(*property));
    ours.map(|property| {
        let name = serde_json::Value::String(property.name.as_str().to_owned());
        format!("{name}:{}", plain(&property.value))
    })
    .collect()
}

/// The policy without our section: byte for byte what it was before [`edit`], and without marks unchanged.
///
/// # Errors
/// When the policy cannot be read.
pub fn remove(text: &str, owner: &str) -> Result<String, EditError> {
    let policy = Hujson::parse(text)?;
    let mut out = String::with_capacity(text.len());
    let mut copied = 0;
    for mark in marked(&policy, owner)? {
        // Only the line break that we put there ourselves, right behind the bracket or behind the section of another
        // inventory that has come in between, is ours.
        let before = text[copied..mark.start].trim_end_matches([' ', '\t']);
        let bracket = |before: &str| before.ends_with(['{', '[']) || ends_with_closing(before);
        let ours = before.strip_suffix('\n').filter(|before| bracket(before));
        out.push_str(ours.unwrap_or(&text[copied..mark.start]));
        copied = mark.end;
    }
    out.push_str(&text[copied..]);
    Ok(out)
}

/// Whether the last thing in `text` is the closing mark of some inventory.
fn ends_with_closing(text: &str) -> bool {
    let last = text.strip_suffix("*/").and_then(|text| text.rsplit_once("/*"));
    last.is_some_and(|(_, comment)| comment.trim_start().starts_with("<<< infra "))
}

/// The policy with `section` as our section, whatever stood between our marks before.
///
/// # Errors
/// When the policy cannot be read, or a key does not hold what it should.
pub fn edit(text: &str, owner: &str, section: &Section) -> Result<String, EditError> {
    let base = remove(text, owner)?;
    if section.blocks.is_empty() {
        return Ok(base);
    }
    let policy = Hujson::parse(&base)?;
    let unit = if base.contains("\n  ") && !base.contains("\n\t") { "  " } else { "\t" };
    let open = format!("/* {}{}: kept by infra, edits in here are not */", opening(owner), section.digest());
    let close = format!("/* {}*/", closing(owner));
    let mut inserts: Vec<(usize, String)> = Vec::new();
    let mut missing = Vec::new();
    for block in &section.blocks {
        let Some(value) = policy.get(&block.key) else {
            missing.push(block);
            continue;
        };
        if let Some(owner) = foreign(&policy, value.start()) {
            return Err(EditError::Foreign { key: block.key.clone(), owner });
        }
        let at = match value {
            Value::Object(object) if block.is_object() => object.start() + 1,
            Value::Array(list) if !block.is_object() => list.start() + 1,
            other => {
                let wanted = if is_object_key(&block.key) { "object" } else { "list" };
                return Err(EditError::Shape { key: block.key.clone(), line: policy.line(other.start()), wanted });
            }
        };
        let indent = unit.repeat(2);
        let mut lines = format!("\n{indent}{open}\n");
        for entry in &block.entries {
            lines.push_str(&format!("{indent}{entry},\n"));
        }
        inserts.push((at, format!("{lines}{indent}{close}")));
    }
    if !missing.is_empty() {
        let mut lines = format!("\n{unit}{open}\n");
        for block in missing {
            let (left, right) = if block.is_object() { ('{', '}') } else { ('[', ']') };
            lines.push_str(&format!("{unit}\"{}\": {left}\n", block.key));
            for entry in &block.entries {
                lines.push_str(&format!("{unit}{unit}{entry},\n"));
            }
            lines.push_str(&format!("{unit}{right},\n"));
        }
        inserts.push((policy.root.start() + 1, format!("{lines}{unit}{close}")));
    }
    inserts.sort_by_key(|(at, _)| *at);
    let mut out = String::with_capacity(base.len() + 1024);
    let mut copied = 0;
    for (at, text) in inserts {
        out.push_str(&base[copied..at]);
        out.push_str(&text);
        copied = at;
    }
    out.push_str(&base[copied..]);
    Ok(out)
}

/// The policy without the rule that lets everything through, if that is the only rule that it has: what every tailnet
/// begins with. `None` if it says anything else about who may reach what.
#[must_use]
pub fn without_default(text: &str) -> Option<String> {
    let policy = Hujson::parse(text).ok()?;
    let rules = |key: &str| match policy.get(key) {
        Some(Value::Array(list)) => list.elements.iter().map(|rule| (plain(rule), rule.range())).collect(),
        _ => Vec::new(),
    };
    let mut all: Vec<(String, jsonc_parser::common::Range)> = rules("grants");
    all.extend(rules("acls"));
    let [(rule, range)] = all.as_slice() else { return None };
    let known = [
        r#"{"src":["*"],"dst":["*"],"ip":["*"]}"#,
        r#"{"action":"accept","src":["*"],"dst":["*:*"]}"#,
        r#"{"action":"accept","users":["*"],"ports":["*:*"]}"#,
    ];
    if !known.contains(&rule.as_str()) {
        return None;
    }
    let rest = &text[range.end..];
    let comma = rest.len() - rest.trim_start().len();
    let end = if rest[comma..].starts_with(',') { range.end + comma + 1 } else { range.end };
    Some(format!("{}{}", &text[..range.start], &text[end..]))
}

/// Whether a policy says more than the one that every tailnet begins with, so that somebody has surely written it:
/// groups, owners of tags, hosts, tests and the like, or other rules for terminals than people's own devices. Without
/// any of that nobody can tell but the control plane.
#[must_use]
pub fn was_written(text: &str) -> bool {
    let Ok(policy) = Hujson::parse(text) else { return true };
    let begun_with = ["grants", "acls", "ssh", "nodeAttrs"];
    let own = r#"{"action":"check","src":["autogroup:member"],"dst":["autogroup:self"],"users":["autogroup:nonroot","root"]}"#;
    let terminals = |value: &Value<'_>| match value {
        Value::Array(list) => {
            list.elements.iter().any(|rule| plain(rule).replace("autogroup:members", "autogroup:member") != own)
        }
        _ => true,
    };
    policy.root.properties.iter().any(|property| {
        let key = property.name.as_str();
        let empty = matches!(plain(&property.value).as_str(), "{}" | "[]" | "null");
        match key.eq_ignore_ascii_case("ssh") {
            true => !empty && terminals(&property.value),
            false => !empty && !begun_with.iter().any(|known| key.eq_ignore_ascii_case(known)),
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn block(key: &str, entries: &[&str]) -> Block {
        Block { key: key.to_owned(), entries: entries.iter().map(|e| (*e).to_owned()).collect() }
    }

    fn section() -> Section {
        Section {
            blocks: vec![
                block("tagOwners", &[r#""tag:plan-hq": ["autogroup:admin"]"#]),
                block("grants", &[r#"{"src": ["tag:phone"], "dst": ["tag:plan-hq"], "ip": ["tcp:22"]}"#]),
            ],
        }
    }

    const POLICY: &str = "// ours\n{\n\t// owners\n\t\"tagOwners\": { // here\n\t\t\"tag:a\": [], // a\n\t},\n\t\"acls\": [{\"action\": \"accept\"}] /* end */\n}\n// bye";

    #[test]
    fn a_section_is_put_in_found_changed_and_taken_out_byte_for_byte() {
        let with = edit(POLICY, "vrooli", &section()).unwrap();
        let found = find(&with, "vrooli").unwrap().unwrap();
        assert!(found.untouched, "{with}");
        assert_eq!(found.written, section().digest());
        assert_eq!(remove(&with, "vrooli").unwrap(), POLICY);
        let mut other = section();
        other.blocks.push(block("tests", &[r#"{"src": "tag:a", "deny": ["tag:plan-hq:22"]}"#]));
        let changed = edit(&with, "vrooli", &other).unwrap();
        assert_eq!(changed, edit(POLICY, "vrooli", &other).unwrap());
        assert_eq!(remove(&changed, "vrooli").unwrap(), POLICY);
        assert_eq!(edit(&changed, "vrooli", &Section::default()).unwrap(), POLICY);
        assert_eq!(edit(&with, "vrooli", &section()).unwrap(), with);
    }

    #[test]
    fn an_edit_between_the_marks_shows_and_one_of_the_layout_does_not() {
        let with = edit(POLICY, "vrooli", &section()).unwrap();
        let edited = with.replace("tcp:22", "*");
        assert!(!find(&edited, "vrooli").unwrap().unwrap().untouched);
        let laid_out = with.replace("[\"tag:phone\"]", "[ \"tag:phone\", ] // hello\n");
        assert!(find(&laid_out, "vrooli").unwrap().unwrap().untouched, "{laid_out}");
        let outside = with.replace("\"tag:a\": []", "\"tag:b\": []");
        assert!(find(&outside, "vrooli").unwrap().unwrap().untouched);
        let added = with.replace("\t\t/* <<<", "\t\t\"tag:c\": [],\n\t\t/* <<<");
        assert!(!find(&added, "vrooli").unwrap().unwrap().untouched);
    }

    #[test]
    fn sections_of_two_inventories_stand_beside_one_another() {
        let policy = POLICY.replace("acls", "grants");
        let one = edit(&policy, "vrooli", &section()).unwrap();
        let both = edit(&one, "vrooli-test", &section()).unwrap();
        assert!(find(&both, "vrooli").unwrap().unwrap().untouched);
        assert_eq!(remove(&both, "vrooli-test").unwrap(), one);
        assert_eq!(remove(&remove(&both, "vrooli").unwrap(), "vrooli-test").unwrap(), policy);
    }

    #[test]
    fn a_key_that_another_inventory_brought_is_not_shared() {
        let one = edit("{}", "vrooli", &section()).unwrap();
        let error = edit(&one, "other", &section()).unwrap_err();
        assert_eq!(error, EditError::Foreign { key: "tagOwners".into(), owner: "vrooli".into() });
    }

    #[test]
    fn a_mark_in_a_string_is_none_and_one_without_its_end_is_told() {
        let text = "{\"a\": \"/* >>> infra x 12 */\"}";
        assert_eq!(find(text, "x").unwrap(), None);
        assert_eq!(remove(text, "x").unwrap(), text);
        let error = find("{\n/* >>> infra x 12: */\n}", "x").unwrap_err();
        assert!(error.to_string().starts_with("line 2"), "{error}");
    }

    #[test]
    fn only_the_rule_that_every_tailnet_begins_with_is_the_default() {
        let default =
            "{\n  // all\n  \"grants\": [\n    {\"src\": [\"*\"], \"dst\": [\"*\"], \"ip\": [\"*\"]},\n  ],\n}";
        assert_eq!(without_default(default).unwrap(), "{\n  // all\n  \"grants\": [\n    \n  ],\n}");
        assert_eq!(without_default(&default.replace("\"ip\": [\"*\"]", "\"ip\": [\"22\"]")), None);
        assert_eq!(without_default("{}"), None);
    }

    #[test]
    fn a_policy_with_names_of_its_own_was_written_by_somebody() {
        let default = r#"{"grants": [{"src": ["*"], "dst": ["*"], "ip": ["*"]}], "groups": {}, // none
            "ssh": [{"action": "check", "src": ["autogroup:member"], "dst": ["autogroup:self"], "users": ["autogroup:nonroot", "root"]}],
            "nodeAttrs": [{"target": ["autogroup:member"], "attr": ["funnel"]}]}"#;
        assert!(!was_written(default));
        for more in [
            r#""groups": {"group:a": []},"#,
            r#""tagowners": {"tag:a": []},"#,
            r#""tests": [{"src": "tag:a"}],"#,
            r#""ssh": [{"action": "accept", "src": ["tag:a"], "dst": ["tag:b"], "users": ["root"]}],"#,
        ] {
            assert!(was_written(&format!("{{{more} \"grants\": []}}")), "{more}");
        }
    }

    /// A policy as people write them: comments, commas and white space anywhere.
    fn policies() -> impl Strategy<Value = String> {
        let gap = prop_oneof![
            Just(""),
            Just(" "),
            Just("\n\t"),
            Just("\r\n  "),
            Just(" // \"tag:x\": [ } ]\n"),
            Just("/* >>> not ours */"),
            Just("/* é , */\n"),
        ];
        let key = prop_oneof![Just("groups"), Just("tagowners"), Just("Grants"), Just("ssh"), Just("tests"), Just("x")];
        let value = prop_oneof![
            Just(r#""a/*b*/c\"//""#.to_owned()),
            Just("1".to_owned()),
            Just("[]".to_owned()),
            Just(r#"{"k":["v"]}"#.to_owned()),
        ];
        let entry = (gap.clone(), value, gap.clone(), any::<bool>());
        let property = (key, prop::collection::vec(entry, 0..4), gap.clone(), gap.clone());
        (prop::collection::vec(property, 0..5), gap.clone(), gap, any::<bool>()).prop_map(
            |(properties, before, after, comma)| {
                let mut seen = std::collections::BTreeSet::new();
                let kept: Vec<_> = properties.into_iter().filter(|p| seen.insert(p.0.to_lowercase())).collect();
                let count = kept.len();
                let mut text = format!("{before}{{");
                for (index, (key, entries, left, right)) in kept.into_iter().enumerate() {
                    let (open, close) = if is_object_key(key) { ('{', '}') } else { ('[', ']') };
                    text.push_str(&format!("{left}\"{key}\":{right}{open}"));
                    let last = entries.len();
                    for (number, (gap, value, behind, trailing)) in entries.into_iter().enumerate() {
                        let name = if open == '{' { format!("\"n{number}\":") } else { String::new() };
                        let end = if number + 1 < last || trailing { "," } else { "" };
                        text.push_str(&format!("{gap}{name}{value}{behind}{end}"));
                    }
                    text.push(close);
                    if index + 1 < count || comma {
                        text.push(',');
                    }
                }
                text.push_str(&format!("{after}}}{before}"));
                text
            },
        )
    }

    fn sections() -> impl Strategy<Value = Section> {
        let names = prop::collection::vec(0..99_u8, 1..4);
        let one = (prop_oneof![Just("groups"), Just("tagOwners"), Just("grants"), Just("tests"), Just("ssh")], names);
        prop::collection::vec(one, 0..5).prop_map(|blocks| {
            let mut seen = std::collections::BTreeSet::new();
            let blocks = blocks.into_iter().filter(|(key, _)| seen.insert(*key)).map(|(key, names)| {
                let entry =
                    |n: &u8| if is_object_key(key) { format!("\"ours{n}\": []") } else { format!("{{\"n\": {n}}}") };
                Block { key: key.to_owned(), entries: names.iter().map(entry).collect() }
            });
            Section { blocks: blocks.collect() }
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

        #[test]
        fn whatever_is_outside_our_section_stays_byte_for_byte(
            policy in policies(), one in sections(), two in sections(), foreign in sections(),
        ) {
            prop_assume!(Hujson::parse(&policy).is_ok());
            let inserted = edit(&policy, "lab", &one).unwrap();
            prop_assert_eq!(remove(&inserted, "lab").unwrap(), policy.clone());
            let found = find(&inserted, "lab").unwrap();
            prop_assert_eq!(found.is_some(), !one.blocks.is_empty());
            if let Some(found) = found {
                prop_assert!(found.untouched, "{}", inserted);
                prop_assert_eq!(found.section.digest(), one.digest());
            }
            let updated = edit(&inserted, "lab", &two).unwrap();
            prop_assert_eq!(remove(&updated, "lab").unwrap(), policy.clone());
            let shared = match edit(&updated, "other", &foreign) {
                Err(EditError::Foreign { .. }) => return Ok(()),
                shared => shared.unwrap(),
            };
            prop_assert_eq!(remove(&shared, "other").unwrap(), updated);
            let alone = remove(&shared, "lab").unwrap();
            prop_assert_eq!(remove(&alone, "other").unwrap(), policy);
        }
    }
}
