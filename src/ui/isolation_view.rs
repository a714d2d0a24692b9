//! Who reaches whom, and why: the matrix, one question, and the graph of flows.

use serde::Serialize;

use super::status_view::table;
use super::text::wrap;
use super::{Role, Terminal, plural};
use crate::blueprint::{Blueprint, Flow, FlowOrigin};
use crate::diag::Diagnostics;
use crate::isolation::{Decision, Matrix, Network, Packet, Payload, PortSet, Side, Skipped, Solver};
use crate::model::Transport;

/// What `infra graph --matrix` answers.
#[derive(Debug, Serialize)]
pub struct MatrixDocument {
    /// Version of this format.
    pub format: u32,
    /// Whose network it is.
    pub inventory: String,
    /// Everything that is open.
    pub openings: Vec<OpeningDocument>,
    /// How many pairs are closed altogether.
    pub closed: usize,
    /// How many contradictions there are: what no flow declares, and flows that do not get through.
    pub contradictions: usize,
    /// Rules that are written and not in force.
    pub skipped: Vec<Skipped>,
    /// What the answer does not cover.
    pub gaps: Vec<String>,
}

/// What is open from one to another.
#[derive(Debug, Serialize)]
pub struct OpeningDocument {
    /// Who opens the connection.
    pub from: Side,
    /// Who is connected to.
    pub to: Side,
    /// How.
    pub transport: Transport,
    /// Which ports.
    pub ports: PortSet,
    /// What declares some of it.
    pub flows: Vec<String>,
    /// Ports that no flow declares.
    pub undeclared: PortSet,
}

impl MatrixDocument {
    /// The version of this format.
    pub const FORMAT: u32 = 1;

    /// Of a matrix.
    #[must_use]
    pub fn new(
        blueprint: &Blueprint,
        network: &Network,
        matrix: &Matrix,
        skipped: Vec<Skipped>,
        problems: &Diagnostics,
    ) -> Self {
        let openings = matrix.openings.iter().map(|opening| {
            let mut flows: Vec<String> = opening.flows.iter().map(|index| why(&blueprint.flows[*index])).collect();
            flows.dedup();
            OpeningDocument {
                from: opening.from.clone(),
                to: opening.to.clone(),
                transport: opening.transport,
                ports: opening.ports.clone(),
                flows,
                undeclared: opening.undeclared.clone(),
            }
        });
        Self {
            format: Self::FORMAT,
            inventory: blueprint.name.to_string(),
            openings: openings.collect(),
            closed: matrix.closed,
            contradictions: problems.error_count(),
            skipped,
            gaps: network.gaps.clone(),
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
    let mut rows = vec![(["FROM", "TO", "PORTS", "BY"].map(str::to_owned).to_vec(), String::new())];
    rows.extend(matrix.openings.iter().map(|one| {
        let ports = format!("{} {}", one.transport, one.ports);
        // Hosts and those who manage them are not asked for flows.
        let by = if one.flows.is_empty() { "—".to_owned() } else { one.flows.join(", ") };
        let remark = match (&one.from, &one.to) {
            (Side::Host(_), _) | (Side::Private | Side::Internet, Side::Host(_)) => String::new(),
            _ if one.undeclared.is_empty() => String::new(),
            _ => format!("undeclared: {}", one.undeclared),
        };
        (vec![one.from.to_string(), one.to.to_string(), ports, by], remark)
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
#[derive(Debug, Serialize)]
pub struct CanDocument {
    /// Version of this format.
    pub format: u32,
    /// Who opens the connection.
    pub from: String,
    /// Who is connected to.
    pub to: String,
    /// Whether it gets through: on the port that was asked about, else on any.
    pub allowed: bool,
    /// One answer for each pair of addresses.
    pub answers: Vec<AnswerDocument>,
}

/// What becomes of packets between two addresses.
#[derive(Debug, Serialize)]
pub struct AnswerDocument {
    /// From where.
    pub source: String,
    /// To where.
    pub dest: String,
    /// Which ports of TCP are open; only if no port was asked about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcp: Option<PortSet>,
    /// Which ports of UDP are open; only if no port was asked about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub udp: Option<PortSet>,
    /// The packet whose way is shown, such as `tcp 4000`.
    pub shown: String,
    /// Its way.
    pub decision: Decision,
}

/// A port that nobody uses (`discard`): stands for anything else.
const ANY_OTHER: u16 = 9;

impl CanDocument {
    /// Asks the solver about packets from one to another.
    #[must_use]
    pub fn of(solver: &Solver<'_>, from: &str, to: &str, port: Option<(u16, Transport)>, packets: &[Packet]) -> Self {
        let mut allowed = false;
        let answers = packets.iter().map(|packet| {
            let with = |transport, port| Packet {
                payload: match transport {
                    Transport::Tcp => Payload::tcp(port),
                    Transport::Udp => Payload::udp(port),
                },
                ..packet.clone()
            };
            let open = |transport| solver.open_ports(&with(transport, ANY_OTHER));
            let (tcp, udp) = match port {
                Some(_) => (None, None),
                None => (Some(open(Transport::Tcp)), Some(open(Transport::Udp))),
            };
            let first = |set: &Option<PortSet>, transport| Some((set.as_ref()?.first()?, transport));
            let shown = port
                .or_else(|| first(&tcp, Transport::Tcp))
                .or_else(|| first(&udp, Transport::Udp))
                .unwrap_or((ANY_OTHER, Transport::Tcp));
            let decision = solver.decide(&with(shown.1, shown.0));
            allowed |= decision.passes();
            AnswerDocument {
                source: packet.source.to_string(),
                dest: packet.dest.to_string(),
                tcp,
                udp,
                shown: format!("{} {}", shown.1, shown.0),
                decision,
            }
        });
        let answers = answers.collect();
        Self { format: MatrixDocument::FORMAT, from: from.to_owned(), to: to.to_owned(), allowed, answers }
    }
}

/// Shows an answer: the verdict, then the chain of rules, one per line.
#[must_use]
pub fn can_text(can: &CanDocument, terminal: &Terminal) -> String {
    let mut out = String::new();
    for answer in &can.answers {
        let (role, word) = match answer.decision.passes() {
            true => (Role::Good, "allow"),
            false => (Role::Bad, "deny"),
        };
        let head = format!(
            "{} {} → {} ({} → {}) {}",
            terminal.paint(role, word),
            can.from,
            can.to,
            answer.source,
            answer.dest,
            answer.shown
        );
        out.push_str(&wrap(&head, terminal.width, 4));
        for hop in &answer.decision.hops {
            out.push_str(&wrap(&format!("  {hop}"), terminal.width, 6));
        }
        if let (Some(tcp), Some(udp)) = (&answer.tcp, &answer.udp) {
            out.push_str(&wrap(&format!("  open ports: tcp {tcp}; udp {udp}"), terminal.width, 6));
        }
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
#[derive(Debug, Serialize)]
pub struct FlowDocument {
    /// Version of this format.
    pub format: u32,
    /// Whose flows they are.
    pub inventory: String,
    /// Every flow.
    pub flows: Vec<FlowLine>,
}

/// A flow.
#[derive(Debug, Serialize)]
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
