//! Who reaches whom, and why: the matrix, one question, and the graph of flows.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use super::status_view::table;
use super::text::wrap;
use super::{Role, Terminal, plural};
use crate::blueprint::{Blueprint, Flow, FlowOrigin};
use crate::diag::Diagnostics;
use crate::isolation::{Answer, Leg, Matrix, Network, Over, PortSet, Side, Skipped, Tailnet};
use crate::model::Transport;

/// What `infra graph --matrix` answers.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "infra graph --matrix")]
pub struct MatrixDocument {
    /// Version of this format.
    pub format: u32,
    /// Whose network it is.
    pub inventory: String,
    /// Everything that is open.
    pub openings: Vec<OpeningDocument>,
    /// How many pairs are closed altogether, over every network.
    pub closed: usize,
    /// How many contradictions there are: what no flow declares, and flows that do not get through.
    pub contradictions: usize,
    /// Rules that are written and not in force.
    pub skipped: Vec<Skipped>,
    /// What the answer does not cover.
    pub gaps: Vec<String>,
}

/// What is open from one to another.
#[derive(Debug, Serialize, JsonSchema)]
pub struct OpeningDocument {
    /// Over which network.
    pub over: Over,
    /// Who opens the connection.
    #[schemars(with = "String")]
    pub from: Side,
    /// Who is connected to.
    #[schemars(with = "String")]
    pub to: Side,
    /// How.
    pub transport: Transport,
    /// Which ports.
    #[schemars(with = "String")]
    pub ports: PortSet,
    /// What declares some of it.
    pub flows: Vec<String>,
    /// Ports that no flow declares.
    #[schemars(with = "String")]
    pub undeclared: PortSet,
}

impl MatrixDocument {
    /// The version of this format.
    pub const FORMAT: u32 = 1;

    /// Of a matrix, and of what is open over the tailnet.
    #[must_use]
    pub fn new(
        blueprint: &Blueprint,
        (network, tailnet): (&Network, Option<&Tailnet>),
        matrix: &Matrix,
        skipped: Vec<Skipped>,
        problems: &Diagnostics,
    ) -> Self {
        let by = |flows: &BTreeSet<usize>| {
            let mut flows: Vec<String> = flows.iter().map(|index| why(&blueprint.flows[*index])).collect();
            flows.dedup();
            flows
        };
        let bridges = matrix.openings.iter().map(|opening| OpeningDocument {
            over: Over::Bridge,
            from: opening.from.clone(),
            to: opening.to.clone(),
            transport: opening.transport,
            ports: opening.ports.clone(),
            flows: by(&opening.flows),
            undeclared: opening.undeclared.clone(),
        });
        let mut openings: Vec<OpeningDocument> = bridges.collect();
        let pairs: BTreeSet<(Side, Side)> =
            openings.iter().map(|opening| (opening.from.clone(), opening.to.clone())).collect();
        let mut afar = BTreeSet::new();
        for opening in tailnet.into_iter().flat_map(|tailnet| tailnet.openings(blueprint)) {
            let (from, to) = (opening.from, Side::Guest(opening.to));
            let pair = (from.clone(), to.clone());
            if matches!(from, Side::Guest(_)) && !pairs.contains(&pair) {
                afar.insert(pair);
            }
            let flows = by(&opening.flows);
            let (transport, ports, undeclared) = (opening.transport, opening.ports, opening.undeclared);
            openings.push(OpeningDocument { over: Over::Tailnet, from, to, transport, ports, flows, undeclared });
        }
        let gaps = network.gaps.iter().chain(tailnet.into_iter().flat_map(|tailnet| &tailnet.gaps));
        Self {
            format: Self::FORMAT,
            inventory: blueprint.name.to_string(),
            openings,
            closed: matrix.closed.saturating_sub(afar.len()),
            contradictions: problems.error_count(),
            skipped,
            gaps: gaps.cloned().collect(),
        }
    }
}

/// What declared a flow, in few words.
fn why(flow: &Flow) -> String {
    match &flow.why {
        FlowOrigin::Uses(service, port) => format!("uses {service}/{port}"),
        FlowOrigin::Exposes(service, port) => format!("exposes {service}/{port}"),
        FlowOrigin::Access(service, port) => format!("access {service}/{port}"),
        FlowOrigin::Route(site) => format!("route {site}"),
        FlowOrigin::Ingress => "ingress".to_owned(),
        FlowOrigin::Internet => "internet".to_owned(),
        FlowOrigin::Names => "names".to_owned(),
    }
}

/// Shows a matrix: one line per pair and protocol that is open.
#[must_use]
pub fn matrix_text(matrix: &MatrixDocument, terminal: &Terminal) -> String {
    let mut rows = vec![(["FROM", "TO", "OVER", "PORTS", "BY"].map(str::to_owned).to_vec(), String::new())];
    rows.extend(matrix.openings.iter().map(|one| {
        let ports = format!("{} {}", one.transport, one.ports);
        // Hosts and those who manage them are not asked for flows.
        let by = if one.flows.is_empty() { "—".to_owned() } else { one.flows.join(", ") };
        let remark = match (&one.from, &one.to) {
            (Side::Host(_), _) | (Side::Private | Side::Internet, Side::Host(_)) => String::new(),
            _ if one.undeclared.is_empty() => String::new(),
            _ => format!("undeclared: {}", one.undeclared),
        };
        let over = match one.over {
            Over::Bridge => "bridge",
            Over::Tailnet => "tailnet",
        };
        (vec![one.from.to_string(), one.to.to_string(), over.to_owned(), ports, by], remark)
    }));
    let mut out = table(&rows, usize::MAX, terminal);
    let closed = plural(matrix.closed, "pair is closed", "pairs are closed");
    out.push_str(&terminal.paint(Role::Faint, format!("{closed} altogether; what is not listed is closed")));
    out.push('\n');
    for skipped in &matrix.skipped {
        let line = format!("{}: {}: {}", terminal.paint(Role::Caution, "not in force"), skipped.rule, skipped.why);
        out.push_str(&wrap(&line, terminal.width, 4));
    }
    out
}

/// What `infra can` answers.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "infra can")]
pub struct CanDocument {
    /// Version of this format.
    pub format: u32,
    /// Who opens the connection.
    pub from: String,
    /// Who is connected to.
    pub to: String,
    /// Whether it gets through: on the port that was asked about, else on any; of a site, every leg.
    pub allowed: bool,
    /// One answer for each pair of addresses, and one for the tailnet; none of a site.
    pub answers: Vec<Answer>,
    /// The way to a site, leg by leg.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub legs: Vec<Leg>,
}

impl CanDocument {
    /// Of answers.
    #[must_use]
    pub fn of(from: &str, to: &str, answers: Vec<Answer>) -> Self {
        let allowed = answers.iter().any(|answer| answer.passes);
        let (from, to) = (from.to_owned(), to.to_owned());
        Self { format: MatrixDocument::FORMAT, from, to, allowed, answers, legs: Vec::new() }
    }

    /// Of the way to a site.
    #[must_use]
    pub fn of_site(from: &str, to: &str, legs: Vec<Leg>) -> Self {
        let allowed = legs.iter().all(|leg| leg.passes);
        let (from, to) = (from.to_owned(), to.to_owned());
        Self { format: MatrixDocument::FORMAT, from, to, allowed, answers: Vec::new(), legs }
    }
}

/// Shows an answer: the verdict, then the chain of rules, one per line; of a site, leg by leg.
#[must_use]
pub fn can_text(can: &CanDocument, terminal: &Terminal) -> String {
    let mut out = String::new();
    for answer in &can.answers {
        out.push_str(&answer_text((&can.from, &can.to), answer, "", terminal));
    }
    if !can.legs.is_empty() {
        let head = format!("{} {} → {}", verdict(can.allowed, terminal), can.from, can.to);
        out.push_str(&wrap(&head, terminal.width, 4));
    }
    for leg in &can.legs {
        let head = format!("  {} {}: {} → {}", verdict(leg.passes, terminal), leg.leg.as_str(), leg.from, leg.to);
        out.push_str(&wrap(&head, terminal.width, 6));
        for line in &leg.says {
            out.push_str(&wrap(&format!("    {line}"), terminal.width, 6));
        }
        for answer in &leg.answers {
            out.push_str(&answer_text((&leg.from, &leg.to), answer, "    ", terminal));
        }
    }
    out
}

fn verdict(passes: bool, terminal: &Terminal) -> String {
    let (role, word) = if passes { (Role::Good, "allow") } else { (Role::Bad, "deny") };
    terminal.paint(role, word)
}

fn answer_text((from, to): (&str, &str), answer: &Answer, indent: &str, terminal: &Terminal) -> String {
    let Answer { source, dest, shown, network, .. } = answer;
    let ends = match answer.over {
        Over::Bridge => format!("({source} → {dest}) {shown} over {network}"),
        Over::Tailnet => format!("({source} → {dest}) {shown} over the tailnet"),
    };
    let head = format!("{indent}{} {from} → {to} {ends}", verdict(answer.passes, terminal));
    let mut out = wrap(&head, terminal.width, indent.len() + 4);
    let mut line = |text: String| out.push_str(&wrap(&format!("{indent}  {text}"), terminal.width, indent.len() + 6));
    for hop in answer.decision.iter().flat_map(|decision| &decision.hops) {
        line(hop.to_string());
    }
    if let Some(policy) = &answer.policy {
        line(format!("tailnet: {} by {}", policy.verdict, policy.rule));
    }
    if let (Some(tcp), Some(udp)) = (&answer.tcp, &answer.udp) {
        line(format!("open ports: tcp {tcp}; udp {udp}"));
    }
    out
}

/// A form of the graph of flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlowGraph {
    /// For Markdown.
    Mermaid,
    /// For Graphviz.
    Dot,
}

/// Flows as a document.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "infra graph")]
pub struct FlowDocument {
    /// Version of this format.
    pub format: u32,
    /// Whose flows they are.
    pub inventory: String,
    /// Every flow.
    pub flows: Vec<FlowLine>,
}

/// A flow.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FlowLine {
    /// Who opens the connection.
    pub from: String,
    /// Who is connected to.
    pub to: String,
    /// How.
    pub transport: Transport,
    /// Which ports.
    pub ports: String,
    /// What declared it.
    pub why: String,
}

impl FlowDocument {
    /// Of a blueprint.
    #[must_use]
    pub fn of(blueprint: &Blueprint) -> Self {
        let flows = blueprint.flows.iter().map(|flow| FlowLine {
            from: flow.from.to_string(),
            to: flow.to.to_string(),
            transport: flow.transport,
            ports: PortSet::range(flow.ports).to_string(),
            why: why(flow),
        });
        Self { format: MatrixDocument::FORMAT, inventory: blueprint.name.to_string(), flows: flows.collect() }
    }
}

/// Shows flows as a graph: one edge per pair, with what it is for.
#[must_use]
pub fn flow_graph(blueprint: &Blueprint, form: FlowGraph) -> String {
    let document = FlowDocument::of(blueprint);
    let mut edges: Vec<(&str, &str, Vec<String>)> = Vec::new();
    for flow in &document.flows {
        let label = format!("{} {}", flow.transport, flow.ports);
        match edges.iter_mut().find(|(from, to, _)| (*from, *to) == (&flow.from, &flow.to)) {
            Some((.., labels)) => labels.push(label),
            None => edges.push((&flow.from, &flow.to, vec![label])),
        }
    }
    let mut nodes: Vec<&str> = edges.iter().flat_map(|(from, to, _)| [*from, *to]).collect();
    nodes.sort_unstable();
    nodes.dedup();
    let number = |name: &str| nodes.iter().position(|node| *node == name).unwrap_or_default();
    // A quote cannot be in a name; in a login it could.
    let quoted = |text: &str| text.replace('"', "'");
    let mut out = String::from(match form {
        FlowGraph::Mermaid => "flowchart LR\n",
        FlowGraph::Dot => "digraph flows {\n  rankdir=LR;\n",
    });
    for (index, node) in nodes.iter().enumerate() {
        out.push_str(&match form {
            FlowGraph::Mermaid => format!("  n{index}[\"{}\"]\n", quoted(node)),
            FlowGraph::Dot => format!("  n{index} [label=\"{}\"];\n", quoted(node)),
        });
    }
    for (from, to, labels) in &edges {
        let (from, to, label) = (number(from), number(to), quoted(&labels.join(", ")));
        out.push_str(&match form {
            FlowGraph::Mermaid => format!("  n{from} -->|\"{label}\"| n{to}\n"),
            FlowGraph::Dot => format!("  n{from} -> n{to} [label=\"{label}\"];\n"),
        });
    }
    if form == FlowGraph::Dot {
        out.push_str("}\n");
    }
    out
}

/// The schema of what `infra can` answers.
#[must_use]
pub fn can_schema() -> schemars::Schema {
    schemars::schema_for!(CanDocument)
}

/// The schema of what `infra graph --matrix` answers.
#[must_use]
pub fn matrix_schema() -> schemars::Schema {
    schemars::schema_for!(MatrixDocument)
}

/// The schema of what `infra graph` answers.
#[must_use]
pub fn flows_schema() -> schemars::Schema {
    schemars::schema_for!(FlowDocument)
}
