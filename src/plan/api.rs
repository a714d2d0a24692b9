//! The plan held against what its hosts say of their own APIs.
//!
//! Every request of every step, to do and to look, and every `pct set` and `qm set` (which take the same
//! parameters) is checked in the words of the very host that will get it. What a host would refuse for
//! its form refuses the plan, with the line that it comes from. A host without a description refuses
//! nothing: the plan says what was not checked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Plan;
use crate::blueprint::Blueprint;
use crate::diag::{Diagnostic, Diagnostics, did_you_mean};
use crate::model::step::{Op, Step, Undo};
use crate::model::{Addr, HostName};
use crate::ports::{Method, Request};
use crate::proxmox::ApiSchema;
use crate::proxmox::schema::{Fault, Problem};
use crate::resources::place_of;
use crate::{opnsense, tailnet};

/// What is known of a host's API.
#[derive(Debug, Clone)]
pub enum Described {
    /// This.
    As {
        /// The host's version, for messages.
        version: String,
        /// What it takes.
        schema: Arc<ApiSchema>,
    },
    /// Nothing.
    Not {
        /// Why not.
        why: String,
    },
}

/// What came of holding a plan against its hosts' descriptions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApiCheck {
    /// What the hosts would refuse.
    pub problems: Diagnostics,
    /// What was not checked, and what of taking steps back would be refused.
    pub notes: Vec<String>,
    /// How many requests were checked.
    pub checked: usize,
}

/// Holds every request of a plan against the description of the host that gets it.
#[must_use]
pub fn hold_against_api(plan: &Plan, blueprint: &Blueprint, hosts: &BTreeMap<HostName, Described>) -> ApiCheck {
    let mut found: BTreeMap<(Addr, HostName, String), Found> = BTreeMap::new();
    let mut order = Vec::new();
    let mut unchecked: BTreeMap<&HostName, usize> = BTreeMap::new();
    let mut check = ApiCheck::default();
    for step in &plan.steps {
        let sent = sent(step, blueprint);
        for (request, by, undo) in &sent {
            let host = receiver(blueprint, step, request);
            let (version, schema) = match hosts.get(host) {
                Some(Described::As { version, schema }) => (version, schema),
                _ => {
                    *unchecked.entry(host).or_default() += 1;
                    continue;
                }
            };
            check.checked += 1;
            for problem in schema.check(request).problems {
                if *by != By::Token && problem.fault == Fault::NotForTokens {
                    continue;
                }
                if *undo {
                    let what = format!("{}: {problem}", by.of(request));
                    check.notes.push(format!("taking {} back may be refused by {host}: {what}", step.id));
                    continue;
                }
                let key = (step.addr.clone(), host.clone(), format!("{}: {problem}", request.method));
                let known = found.entry(key.clone()).or_insert_with(|| {
                    order.push(key);
                    Found { problem, version: version.clone(), call: by.of(request), steps: BTreeSet::new() }
                });
                known.steps.insert(format!("{} ({})", step.id, step.title));
            }
        }
    }
    for key in order {
        let (addr, host, _) = &key;
        check.problems.push(found[&key].diagnostic(blueprint, addr, host));
    }
    for (host, count) in unchecked {
        let why = match hosts.get(host) {
            Some(Described::Not { why }) => why.as_str(),
            _ => "it was not asked for one",
        };
        check.notes.push(format!(
            "{count} requests to {host} were not held against its own API description, as there is none: {why}"
        ));
    }
    check.notes.sort();
    check.notes.dedup();
    check
}

/// Who sends a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Token,
    /// `pct` or `qm`, as root.
    Command(&'static str),
}

impl By {
    /// The call in a person's words.
    fn of(self, request: &Request) -> String {
        match self {
            Self::Token => format!("{} {}", request.method, request.path),
            Self::Command(program) => {
                format!("{program} set {}", request.path.rsplit('/').nth(1).unwrap_or_default())
            }
        }
    }
}

/// Everything that a step sends, with whether it is to take it back.
fn sent(step: &Step, blueprint: &Blueprint) -> Vec<(Request, By, bool)> {
    let node = blueprint.hosts.get(&step.host).map_or("", |host| host.node.as_str());
    let own = step.requests().map(|request| (request.clone(), By::Token, false));
    let back = step.undo_requests().map(|request| (request.clone(), By::Token, true));
    let undo = if let Undo::Ops { ops } = &step.undo { ops.as_slice() } else { &[] };
    let commands = step.ops.iter().map(|op| (op, false)).chain(undo.iter().map(|op| (op, true)));
    let commands = commands.filter_map(|(op, undo)| {
        let (Op::Exec { argv }, None) = (op, step.inside) else { return None };
        let (program, request) = as_request(argv, node)?;
        Some((request, By::Command(program), undo))
    });
    // What is for somebody else is in no description of a host.
    let elsewhere = |request: &Request| tailnet::requests::is_ours(request) || opnsense::requests::is_ours(request);
    own.chain(back).chain(commands).filter(|(request, ..)| !elsewhere(request)).collect()
}

/// `pct set 104 --mp0 …` as the call that it makes.
fn as_request(argv: &[String], node: &str) -> Option<(&'static str, Request)> {
    let [program, verb, vmid, options @ ..] = argv else { return None };
    let (program, kind) = match program.as_str() {
        "pct" => ("pct", "lxc"),
        "qm" => ("qm", "qemu"),
        _ => return None,
    };
    if verb != "set" || !options.len().is_multiple_of(2) {
        return None;
    }
    let params = options.chunks(2).map(|pair| (pair[0].trim_start_matches('-').to_owned(), pair[1].clone())).collect();
    Some((program, Request { method: Method::Put, path: format!("/nodes/{node}/{kind}/{vmid}/config"), params }))
}

/// The host whose API judges a request: that of the node in its path, where calls are handed on to.
fn receiver<'a>(blueprint: &'a Blueprint, step: &'a Step, request: &Request) -> &'a HostName {
    let node = request.path.strip_prefix("/nodes/").and_then(|rest| rest.split('/').next());
    let site = blueprint.hosts.get(&step.host).map(|host| host.site.as_str());
    let mut hosts = blueprint.hosts.values();
    let on_node = hosts.find(|host| Some(host.site.as_str()) == site && Some(host.node.as_str()) == node);
    on_node.map_or(&step.host, |host| &host.name)
}

/// One problem, wherever in the plan it occurs.
struct Found {
    problem: Problem,
    version: String,
    call: String,
    steps: BTreeSet<String>,
}

impl Found {
    fn diagnostic(&self, blueprint: &Blueprint, addr: &Addr, host: &HostName) -> Diagnostic {
        let Problem { parameter, at, value, fault } = &self.problem;
        let it = format!("`{host}` (Proxmox VE {})", self.version);
        let summary = match fault {
            Fault::UnknownPath | Fault::UnknownMethod { .. } => format!("{it} has no `{}`", self.call),
            Fault::NotForTokens => format!("{it} lets no API token call `{}`", self.call),
            Fault::Unknown { .. } => format!("{it} does not know `{at}`"),
            Fault::Missing | Fault::Required { .. } => format!("{it} asks for `{at}`"),
            _ => format!("{it} does not take `{}` for `{at}`", shown(value.as_deref().unwrap_or_default())),
        };
        let steps: Vec<&str> = self.steps.iter().map(String::as_str).collect();
        let place = place_of(blueprint, addr, parameter.as_deref());
        let label = match place {
            Some((_, Some(_))) => format!("this becomes `{at}`"),
            _ => String::new(),
        };
        let mut problem = Diagnostic::error("plan.api-refuses", summary)
            .at_maybe(place.map(|(span, _)| span), label)
            .cause(format!("its own API description says of `{}`: {fault}", self.call))
            .cause(format!("needed to: {}", steps.join(", ")));
        if let Fault::Unknown { known } = fault {
            let key = at.rsplit('.').next().unwrap_or(at);
            problem = problem.hint_maybe(did_you_mean(key, known.iter().map(String::as_str)));
        }
        if matches!(fault, Fault::Unknown { .. } | Fault::UnknownPath | Fault::UnknownMethod { .. }) {
            let what = place.and_then(|(_, key)| key).map_or("what asks for it".to_owned(), |key| format!("`{key}`"));
            problem = problem.hint(format!("leave {what} out, or update the host to a version that has it"));
        }
        problem
    }
}

/// A value short enough for a line.
fn shown(value: &str) -> String {
    const MOST: usize = 60;
    let line = value.lines().next().unwrap_or_default();
    if line.chars().count() <= MOST && line.len() == value.len() {
        return line.to_owned();
    }
    format!("{}…", line.chars().take(MOST).collect::<String>())
}
