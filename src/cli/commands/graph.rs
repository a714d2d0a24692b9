//! `infra graph`: who may talk to whom, as declared; `--matrix`: who reaches whom.

use clap::ValueEnum;

use crate::cli::args::{Output, OutputArgs};
use crate::cli::seen::{Seen, SeenArgs, see};
use crate::cli::{CommandError, Exit};
use crate::isolation::{Matrix, Places, Solver, denied_flows, exposed, undeclared};
use crate::ui::{FlowGraph, MatrixDocument, Writer, flow_graph, json, matrix_text};

/// Show who may talk to whom, or with `--matrix` who reaches whom on which ports and by which flow
///
/// The matrix walks every rule of datacenter, groups, hosts and guests as Proxmox compiles them, for IPv4 and IPv6, and
/// the tailnet's policy beside them; it gives exact sets of ports. Exits with 1 when something is open that no flow declares, or a flow does not get through.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: infra graph -i inventories/vrooli
         infra graph --matrix -i inventories/vrooli
         infra graph --matrix --live --lab -i inventories/vrooli")]
pub struct Args {
    #[command(flatten)]
    seen: SeenArgs,
    /// Show who reaches whom
    #[arg(long)]
    matrix: bool,
    /// Form of the graph of flows
    #[arg(long, value_enum, value_name = "FORM", default_value_t, conflicts_with = "matrix")]
    format: Form,
    #[command(flatten)]
    output: OutputArgs,
}

/// The form of the graph of flows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For Markdown
    #[default]
    Mermaid,
    /// For Graphviz
    Dot,
}

pub async fn run(args: &Args, writer: &mut Writer) -> Result<Exit, CommandError> {
    let seen = see(&args.seen, writer).await?;
    if args.matrix {
        return matrix(args, &seen, writer);
    }
    let form = match args.format {
        Form::Mermaid => FlowGraph::Mermaid,
        Form::Dot => FlowGraph::Dot,
    };
    let answer = match args.output.output {
        Output::Human => flow_graph(&seen.blueprint, form),
        Output::Json => json::pretty(&crate::ui::FlowDocument::of(&seen.blueprint))?,
        Output::Jsonl => json::line(&crate::ui::FlowDocument::of(&seen.blueprint))?,
    };
    writer.answer(&answer)?;
    Ok(Exit::Fine)
}

fn matrix(args: &Args, seen: &Seen, writer: &mut Writer) -> Result<Exit, CommandError> {
    let solver = Solver::new(&seen.network);
    let places = Places::new(&solver, &seen.blueprint);
    let matrix = Matrix::of(&solver, &seen.blueprint, &places);
    let mut problems: crate::diag::Diagnostics =
        undeclared(&seen.network, &seen.blueprint, &matrix).into_iter().collect();
    problems.extend(denied_flows(&solver, &seen.blueprint, &places));
    let tailnet = seen.tailnet.as_ref();
    if let Some(tailnet) = tailnet {
        problems.extend(tailnet.undeclared(&seen.blueprint));
        problems.extend(tailnet.denied_flows(&seen.blueprint));
    }
    problems.extend(exposed(&seen.blueprint, &matrix, tailnet));
    let network = (&seen.network, tailnet);
    let document = MatrixDocument::new(&seen.blueprint, network, &matrix, solver.skipped(), &problems);
    let answer = match args.output.output {
        Output::Human => matrix_text(&document, &writer.out()),
        Output::Json => json::pretty(&document)?,
        Output::Jsonl => json::line(&document)?,
    };
    writer.answer(&answer)?;
    if problems.has_errors() {
        let terminal = writer.err();
        writer.tell(&crate::ui::diagnostics_text(&problems, &seen.sources, &terminal));
        return Ok(Exit::Failed);
    }
    Ok(Exit::Fine)
}
