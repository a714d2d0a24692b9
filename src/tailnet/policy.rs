//! A policy read into types: groups, tags, rules and tests, each with its line.
//!
//! Owns what <https://tailscale.com/kb/1337/policy-syntax> says of these keys, old names included (`users` and `ports`
//! for `src` and `dst`). What it does not know (`app` of grants, `via`, postures) narrows a rule and never widens it,
//! so leaving it out errs towards "reachable".

use std::collections::BTreeMap;

use jsonc_parser::ast::{Array, Object, Value};
use jsonc_parser::common::Ranged;

use super::hujson::{Hujson, Malformed};

/// A policy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// Members by `group:name`.
    pub groups: BTreeMap<String, Vec<String>>,
    /// Addresses and networks by name.
    pub hosts: BTreeMap<String, String>,
    /// What is in a set, by `ipset:name`.
    pub ipsets: BTreeMap<String, Vec<String>>,
    /// Owners by `tag:name`.
    pub tag_owners: BTreeMap<String, Vec<String>>,
    /// `acls` and `grants` together; `None` where the policy has neither key, which lets everything through.
    pub rules: Option<Vec<Rule>>,
    /// `ssh`.
    pub ssh: Vec<SshRule>,
    /// `tests`.
    pub tests: Vec<TestCase>,
}

/// From which key a rule is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleKind {
    /// `acls`.
    Acl,
    /// `grants`.
    Grant,
}

/// One rule: whoever is in `src` may reach whatever is in `dst`. There is no rule that denies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// From which key.
    pub kind: RuleKind,
    /// Its line, from 1.
    pub line: usize,
    /// Its text.
    pub text: String,
    /// Who.
    pub src: Vec<String>,
    /// What, with the ports: selector and `*`, `22`, `80,443` or `8000-8100`, with a protocol before it in a grant.
    pub dst: Vec<(String, String)>,
    /// The protocol of an ACL.
    pub proto: Option<String>,
}

/// One rule of Tailscale SSH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshRule {
    /// Its line, from 1.
    pub line: usize,
    /// `accept` or `check`.
    pub action: String,
    /// Who.
    pub src: Vec<String>,
    /// Where to.
    pub dst: Vec<String>,
    /// As which users.
    pub users: Vec<String>,
}

/// One test that the control plane holds the policy against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestCase {
    /// Its line, from 1.
    pub line: usize,
    /// Who.
    pub src: String,
    /// What must be reachable.
    pub accept: Vec<String>,
    /// What must not.
    pub deny: Vec<String>,
}

impl Policy {
    /// Reads a policy.
    ///
    /// # Errors
    /// When it is no HuJSON, or an entry has not the shape that it should.
    pub fn read(text: &str) -> Result<Self, Malformed> {
        let file = Hujson::parse(text)?;
        let reader = Reader { file: &file };
        let mut rules: Option<Vec<Rule>> = None;
        for (key, kind) in [("acls", RuleKind::Acl), ("grants", RuleKind::Grant)] {
            if let Some(list) = reader.objects(key)? {
                let rules = rules.get_or_insert_default();
                for rule in list {
                    rules.push(reader.rule(kind, rule)?);
                }
            }
        }
        let mut ssh = Vec::new();
        for rule in reader.objects("ssh")?.unwrap_or_default() {
            ssh.push(SshRule {
                line: file.line(rule.start()),
                action: reader.text(rule, "action")?.unwrap_or_default(),
                src: reader.list(rule, &["src"])?,
                dst: reader.list(rule, &["dst"])?,
                users: reader.list(rule, &["users"])?,
            });
        }
        let mut tests = Vec::new();
        for test in reader.objects("tests")?.unwrap_or_default() {
            let src = reader.text(test, "src")?;
            tests.push(TestCase {
                line: file.line(test.start()),
                src: src.map_or_else(|| reader.text(test, "user"), |src| Ok(Some(src)))?.unwrap_or_default(),
                accept: reader.list(test, &["accept", "allow"])?,
                deny: reader.list(test, &["deny"])?,
            });
        }
        Ok(Self {
            groups: reader.lists("groups")?,
            hosts: reader.texts("hosts")?,
            ipsets: reader.lists("ipsets")?,
            tag_owners: reader.lists("tagOwners")?,
            rules,
            ssh,
            tests,
        })
    }
}

struct Reader<'r, 'a> {
    file: &'r Hujson<'a>,
}

impl<'r, 'a> Reader<'r, 'a> {
    fn wrong(&self, at: usize, why: impl Into<String>) -> Malformed {
        let before = &self.file.text[..at.min(self.file.text.len())];
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Malformed { line: self.file.line(at), column, why: why.into() }
    }

    /// The objects of a list of the root.
    fn objects(&self, key: &str) -> Result<Option<Vec<&'r Object<'a>>>, Malformed> {
        match self.file.get(key) {
            None | Some(Value::NullKeyword(_)) => Ok(None),
            Some(Value::Array(list)) => list
                .elements
                .iter()
                .map(|element| {
                    element.as_object().ok_or_else(|| self.wrong(element.start(), "an object is wanted here"))
                })
                .collect::<Result<_, _>>()
                .map(Some),
            Some(other) => Err(self.wrong(other.start(), format!("`{key}` is no list"))),
        }
    }

    fn pairs(&self, key: &str) -> Result<Vec<(&'r str, &'r Value<'a>)>, Malformed> {
        match self.file.get(key) {
            None | Some(Value::NullKeyword(_)) => Ok(Vec::new()),
            Some(Value::Object(object)) => {
                Ok(object.properties.iter().map(|property| (property.name.as_str(), &property.value)).collect())
            }
            Some(other) => Err(self.wrong(other.start(), format!("`{key}` is no object"))),
        }
    }

    fn lists(&self, key: &str) -> Result<BTreeMap<String, Vec<String>>, Malformed> {
        let pairs = self.pairs(key)?.into_iter();
        pairs
            .map(|(name, value)| match value {
                Value::Array(list) => Ok((name.to_owned(), self.words(list)?)),
                Value::NullKeyword(_) => Ok((name.to_owned(), Vec::new())),
                other => Err(self.wrong(other.start(), format!("`{name}` is no list"))),
            })
            .collect()
    }

    fn texts(&self, key: &str) -> Result<BTreeMap<String, String>, Malformed> {
        let pairs = self.pairs(key)?.into_iter();
        pairs
            .map(|(name, value)| match value {
                Value::StringLit(text) => Ok((name.to_owned(), text.value.to_string())),
                other => Err(self.wrong(other.start(), format!("`{name}` is no text"))),
            })
            .collect()
    }

    fn words(&self, list: &Array<'_>) -> Result<Vec<String>, Malformed> {
        let word = |value: &Value<'_>| match value {
            Value::StringLit(text) => Ok(text.value.to_string()),
            other => Err(self.wrong(other.start(), "a text is wanted here")),
        };
        list.elements.iter().map(word).collect()
    }

    fn field<'o>(object: &'o Object<'a>, name: &str) -> Option<&'o Value<'a>> {
        let named = object.properties.iter().find(|property| property.name.as_str().eq_ignore_ascii_case(name));
        named.map(|property| &property.value)
    }

    fn text(&self, object: &Object<'a>, name: &str) -> Result<Option<String>, Malformed> {
        match Self::field(object, name) {
            None | Some(Value::NullKeyword(_)) => Ok(None),
            Some(Value::StringLit(text)) => Ok(Some(text.value.to_string())),
            Some(other) => Err(self.wrong(other.start(), format!("`{name}` is no text"))),
        }
    }

    fn list(&self, object: &Object<'a>, names: &[&str]) -> Result<Vec<String>, Malformed> {
        match names.iter().find_map(|name| Self::field(object, name)) {
            None | Some(Value::NullKeyword(_)) => Ok(Vec::new()),
            Some(Value::Array(list)) => self.words(list),
            Some(other) => Err(self.wrong(other.start(), format!("`{}` is no list", names[0]))),
        }
    }

    fn rule(&self, kind: RuleKind, rule: &Object<'a>) -> Result<Rule, Malformed> {
        let src = self.list(rule, &["src", "users"])?;
        let dst = self.list(rule, &["dst", "ports"])?;
        let dst = match kind {
            RuleKind::Acl => dst
                .into_iter()
                .map(|dst| match dst.rsplit_once(':') {
                    Some((selector, ports)) => Ok((selector.trim_matches(['[', ']']).to_owned(), ports.to_owned())),
                    None => Err(self.wrong(rule.start(), format!("`{dst}` has no port"))),
                })
                .collect::<Result<_, _>>()?,
            RuleKind::Grant => {
                let ip = self.list(rule, &["ip"])?;
                dst.iter().flat_map(|dst| ip.iter().map(move |ip| (dst.clone(), ip.clone()))).collect()
            }
        };
        Ok(Rule {
            kind,
            line: self.file.line(rule.start()),
            text: self.file.source(rule).split_whitespace().collect::<Vec<_>>().join(" "),
            src,
            dst,
            proto: self.text(rule, "proto")?.filter(|proto| !proto.is_empty()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_with_their_lines_and_by_old_names_too() {
        let policy = Policy::read(
            "{\n\"ACLs\": [\n  {\"action\": \"accept\", \"users\": [\"group:a\"], \"ports\": [\"tag:b:22,80\"]},\n],\n\
             \"grants\": [{\"src\": [\"*\"], \"dst\": [\"tag:b\"], \"ip\": [\"tcp:443\", \"8000-8100\"]}],\n\
             \"tests\": [{\"user\": \"a@b\", \"allow\": [\"tag:b:22\"]}],\n}",
        )
        .unwrap();
        let rules = policy.rules.unwrap();
        assert_eq!((rules[0].line, rules[0].src[0].as_str()), (3, "group:a"));
        assert_eq!(rules[0].dst, [("tag:b".to_owned(), "22,80".to_owned())]);
        assert_eq!(rules[1].dst.len(), 2);
        assert_eq!((policy.tests[0].src.as_str(), policy.tests[0].accept.len()), ("a@b", 1));
    }

    #[test]
    fn a_policy_without_rules_is_told_from_one_with_an_empty_list() {
        assert_eq!(Policy::read("{}").unwrap().rules, None);
        assert_eq!(Policy::read("{\"grants\": []}").unwrap().rules, Some(Vec::new()));
    }

    #[test]
    fn what_has_not_the_shape_is_told_with_its_place() {
        let error = Policy::read("{\n\"groups\": {\"group:a\": \"x\"}}").unwrap_err();
        assert_eq!(error.line, 2);
        assert!(Policy::read("{\"acls\": [{\"dst\": [\"x\"]}]}").is_err());
    }
}
