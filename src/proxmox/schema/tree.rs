//! Paths of the API and what can be called on them.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;

use super::Property;
use crate::ports::Method;

/// The API of one host as it describes itself.
#[derive(Debug, Clone, Default)]
pub struct ApiSchema {
    pub(super) root: Node,
}

/// One segment of paths.
#[derive(Debug, Clone, Default)]
pub(super) struct Node {
    pub literals: BTreeMap<String, Node>,
    /// The name in `{name}`, and what is below it.
    pub variable: Option<(String, Box<Node>)>,
    pub calls: BTreeMap<Method, Call>,
}

/// One verb on one path.
#[derive(Debug, Clone)]
pub struct Call {
    /// The path with `{node}` and the like.
    pub path: String,
    /// What it takes, what varies in the path included.
    pub parameters: Parameters,
    /// Whether an API token may call it at all.
    pub takes_tokens: bool,
}

/// What a call takes.
#[derive(Debug, Clone, Default)]
pub struct Parameters {
    /// By name; `net[n]` stands for `net0`, `net1`, …
    pub properties: BTreeMap<String, Property>,
    /// Whether it takes others, too; so it is where the description does not forbid it.
    pub others: bool,
}

/// Where a path leads.
#[derive(Debug, Clone)]
pub struct Route<'a> {
    /// What can be called there.
    pub calls: &'a BTreeMap<Method, Call>,
    /// What stands in the path for each `{name}`, decoded.
    pub variables: BTreeMap<&'a str, String>,
}

impl ApiSchema {
    /// Where `path`, below `/api2/json`, leads; `None` if nothing is there.
    #[must_use]
    pub fn route(&self, path: &str) -> Option<Route<'_>> {
        let decode = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
        let segments: Vec<String> = path.split('/').filter(|part| !part.is_empty()).map(decode).collect();
        let mut variables = BTreeMap::new();
        let node = self.root.find(&segments, &mut variables)?;
        (!node.calls.is_empty()).then_some(Route { calls: &node.calls, variables })
    }

    /// One call by its path with `{node}` and the like.
    #[must_use]
    pub fn call(&self, method: Method, template: &str) -> Option<&Call> {
        let mut node = &self.root;
        for part in template.split('/').filter(|part| !part.is_empty()) {
            node = match &node.variable {
                Some((name, below)) if part.strip_prefix('{').and_then(|p| p.strip_suffix('}')) == Some(name) => below,
                _ => node.literals.get(part)?,
            };
        }
        node.calls.get(&method)
    }

    /// Every call, ordered by path.
    pub fn calls(&self) -> impl Iterator<Item = (Method, &Call)> {
        let mut all = Vec::new();
        self.root.gather(&mut all);
        all.sort_by_key(|(method, call)| (call.path.as_str(), *method));
        all.into_iter()
    }
}

impl Node {
    fn find<'a>(&'a self, segments: &[String], variables: &mut BTreeMap<&'a str, String>) -> Option<&'a Self> {
        let Some((first, rest)) = segments.split_first() else { return Some(self) };
        if let Some(found) = self.literals.get(first).and_then(|node| node.find(rest, variables)) {
            return Some(found);
        }
        let (name, below) = self.variable.as_ref()?;
        // Volume ids (`local:iso/x.iso`) may stand unescaped at the end of a path.
        let is_end = below.literals.is_empty() && below.variable.is_none();
        let (value, rest) = if is_end { (segments.join("/"), &[][..]) } else { (first.clone(), rest) };
        let found = below.find(rest, variables)?;
        variables.insert(name, value);
        Some(found)
    }

    fn gather<'a>(&'a self, into: &mut Vec<(Method, &'a Call)>) {
        into.extend(self.calls.iter().map(|(method, call)| (*method, call)));
        let below = self.variable.as_ref().map(|(_, node)| &**node);
        self.literals.values().chain(below).for_each(|node| node.gather(into));
    }
}

impl Parameters {
    /// The property that a parameter of a request belongs to: `net0` belongs to `net[n]`.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&Property> {
        if let Some(property) = self.properties.get(name) {
            return Some(property);
        }
        let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
        let number = &name[stem.len()..];
        let plain = number == "0" || (!number.is_empty() && !number.starts_with('0'));
        if plain { self.properties.get(&format!("{stem}[n]")) } else { None }
    }

    /// Every name, for "did you mean".
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.properties.keys().map(String::as_str)
    }
}
