//! One row of the API: where, what it takes, who may, what it does.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::world::{Caller, Guest, GuestKind, Version, World, known_privileges};
use super::{Param, Refusal, Values};
use crate::ports::Method;

/// One endpoint.
#[derive(Clone, Copy)]
pub struct Endpoint {
    /// The verb.
    pub method: Method,
    /// Path with `{name}` for what varies; those are parameters, too.
    pub path: &'static str,
    /// Parameters that are not in the path, in groups.
    pub params: &'static [&'static [Param]],
    /// Who may call it, before its parameters are looked at.
    pub access: Access,
    /// What carries it out.
    pub handler: Handler,
    /// Since when it exists.
    pub since: Version,
}

/// What carries a request out.
pub type Handler = fn(&mut Call<'_>) -> Result<Answer, Refusal>;

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

impl Endpoint {
    /// A row.
    pub const fn new(
        method: Method,
        path: &'static str,
        params: &'static [&'static [Param]],
        access: Access,
        handler: Handler,
    ) -> Self {
        Self { method, path, params, access, handler, since: Version::V8_4 }
    }

    /// The same row for versions from 9 on only.
    #[must_use]
    pub const fn since_9(self) -> Self {
        Self { since: Version::V9_1, ..self }
    }

    /// Every parameter that is not in the path.
    pub fn params(&self) -> impl Iterator<Item = &'static Param> + Clone + use<> {
        let groups = self.params;
        groups.iter().flat_map(|group| group.iter())
    }

    /// What varies in the path, if this is the path.
    #[must_use]
    pub fn matches(&self, segments: &[String]) -> Option<BTreeMap<&'static str, String>> {
        let template: Vec<&'static str> = self.path.split('/').filter(|s| !s.is_empty()).collect();
        // PVE takes volume ids (`local:iso/x.iso`), networks and nested pools unescaped at the end of a path.
        let open_ended = matches!(template.last(), Some(&"{volume}" | &"{poolid}" | &"{cidr}"));
        if template.len() != segments.len() && !(open_ended && segments.len() > template.len()) {
            return None;
        }
        let mut vars = BTreeMap::new();
        for (index, part) in template.iter().enumerate() {
            match part.strip_prefix('{').and_then(|p| p.strip_suffix('}')) {
                Some(name) if index + 1 == template.len() => vars.insert(name, segments[index..].join("/")),
                Some(name) => vars.insert(name, segments[index].clone()),
                None if *part == segments[index] => None,
                None => return None,
            };
        }
        Some(vars)
    }
}

/// Who may call an endpoint.
#[derive(Debug, Clone, Copy)]
pub enum Access {
    /// Everybody who is logged in; lists are filtered, changes checked by the handler.
    All,
    /// Who has all of these privileges at this path.
    Every(&'static str, &'static [&'static str]),
    /// Who has any of these privileges at this path.
    Any(&'static str, &'static [&'static str]),
    /// Everybody, even without a login.
    World,
    /// Whom this lets through.
    Check(Checker),
}

/// Decides by world, caller, what varies in the path, and parameters that have not been checked yet.
pub type Checker = fn(&World, &Caller, &BTreeMap<&'static str, String>, &Values) -> Result<(), Refusal>;

/// A request on its way.
#[derive(Debug)]
pub struct Call<'a> {
    /// The site.
    pub world: &'a mut World,
    /// Who asks.
    pub caller: &'a Caller,
    /// The node that was asked.
    pub local: String,
    /// What varies in the path.
    pub vars: BTreeMap<&'static str, String>,
    /// Checked parameters.
    pub values: Values,
}

/// What is answered with status 200.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// `data`.
    pub data: Value,
    /// Top-level `total`, where lists are cut.
    pub total: Option<usize>,
    /// Top-level `changes`: a staged configuration as a diff.
    pub changes: Option<String>,
}

impl From<Value> for Answer {
    fn from(data: Value) -> Self {
        Self { data, total: None, changes: None }
    }
}

impl From<String> for Answer {
    fn from(text: String) -> Self {
        Value::String(text).into()
    }
}

impl From<()> for Answer {
    fn from((): ()) -> Self {
        Value::Null.into()
    }
}

impl Call<'_> {
    /// What stands in the path for `{name}`.
    #[must_use]
    pub fn var(&self, name: &str) -> &str {
        self.vars.get(name).map(String::as_str).unwrap_or_default()
    }

    /// The node of the path.
    #[must_use]
    pub fn node(&self) -> String {
        self.var("node").to_owned()
    }

    /// The guest of the path.
    #[must_use]
    pub fn vmid(&self) -> u32 {
        self.var("vmid").parse().unwrap_or_default()
    }

    /// VM or container, by the path.
    #[must_use]
    pub fn kind(&self) -> GuestKind {
        if self.vars.contains_key("lxc") { GuestKind::Lxc } else { GuestKind::Qemu }
    }

    /// The guest of the path as it is.
    ///
    /// # Errors
    /// 500 with the missing file, also when the id belongs to the other kind.
    pub fn guest(&self, kind: GuestKind) -> Result<&Guest, Refusal> {
        let (node, vmid) = (self.node(), self.vmid());
        self.world.guest(kind, &node, vmid).ok_or_else(|| no_config(kind, &node, vmid))
    }

    /// Refuses a caller who has none of these privileges.
    ///
    /// # Errors
    /// 403 that names path and privileges.
    pub fn need(&self, path: &str, any_of: &[&str]) -> Result<(), Refusal> {
        need(self.world, self.caller, path, any_of)
    }

    /// Starts a worker on the node of the path.
    pub fn spawn(&mut self, kind: &str, id: &str, real_ms: i64, work: super::super::world::Work) -> Answer {
        let node = self.node();
        self.world.spawn(&node, kind, id, self.caller, real_ms, work).into()
    }
}

/// The missing configuration file of a guest.
#[must_use]
pub fn no_config(kind: GuestKind, node: &str, vmid: u32) -> Refusal {
    Refusal::failed(format!("Configuration file 'nodes/{node}/{}/{vmid}.conf' does not exist", kind.directory()))
}

/// Refuses a caller who has none of these privileges.
///
/// # Errors
/// 403 that names path and privileges.
pub fn need(world: &World, caller: &Caller, path: &str, any_of: &[&str]) -> Result<(), Refusal> {
    if world.may(caller, path, any_of) {
        Ok(())
    } else {
        Err(Refusal::denied(&format!("{path}, {}", any_of.join("|"))))
    }
}

impl Access {
    /// Refuses who may not.
    ///
    /// # Errors
    /// 403 that names path and privileges.
    pub fn check(
        self,
        world: &World,
        caller: &Caller,
        vars: &BTreeMap<&'static str, String>,
        values: &Values,
    ) -> Result<(), Refusal> {
        let fill = |template: &str| {
            template
                .split('/')
                .map(|part| match part.strip_prefix('{').and_then(|p| p.strip_suffix('}')) {
                    Some(name) => vars.get(name).cloned().unwrap_or_else(|| values.text(name).to_owned()),
                    None => part.to_owned(),
                })
                .collect::<Vec<_>>()
                .join("/")
        };
        // An id that fits no path leaves an empty one, on which nobody has anything (9.2.11).
        let blank = |path: &str| path.chars().any(|c| c.is_whitespace() || c.is_control());
        match self {
            Self::All | Self::World => Ok(()),
            Self::Check(check) => check(world, caller, vars, values),
            Self::Any(template, privileges) => {
                // A release checks for none that it does not know: `VM.Monitor` went when `VM.GuestAgent.*` came.
                let known = known_privileges(world.version);
                let privileges: Vec<&str> = privileges.iter().copied().filter(|p| known.contains(p)).collect();
                need(world, caller, &fill(template), &privileges)
            }
            Self::Every(template, privileges) if blank(&fill(template)) => {
                Err(Refusal::denied(&format!(", {}", privileges.join("|"))))
            }
            Self::Every(template, privileges) => {
                let path = fill(template);
                let has = world.privileges(caller, &path);
                if privileges.iter().all(|p| has.contains_key(*p)) {
                    Ok(())
                } else {
                    Err(Refusal::denied(&format!("{path}, {}", privileges.join("|"))))
                }
            }
        }
    }
}
