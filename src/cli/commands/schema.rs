//! `infra schema`: the published shape of what is read and written.

use clap::ValueEnum;

use crate::cli::{CommandError, Exit};
use crate::inventory;
use crate::ui::{Writer, can_schema, flows_schema, json, matrix_schema, reports, secrets_schema, verification_schema};

/// Print the JSON Schema of an inventory, or of an answer in JSON
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: infra schema inventory > .vscode/inventory.schema.json")]
pub struct Args {
    /// Of what
    #[arg(value_enum)]
    of: Of,
}

/// What has a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Of {
    /// An inventory file; in it are `#/$defs/Profile` and `#/$defs/Template` (of a service)
    Inventory,
    /// What a service says of itself: `templates/<service>/template.yaml`
    Service,
    /// What `plan --output json` answers
    Plan,
    /// What `preflight --output json` answers
    Preflight,
    /// What `apply`, `destroy` and `history` answer with `--output json`
    Run,
    /// What `graph --output json` answers
    Graph,
    /// What `graph --matrix --output json` answers
    Matrix,
    /// What `can --output json` answers
    Can,
    /// What `verify --output json` answers
    Verify,
    /// What `secrets list` and `secrets check` answer with `--output json`
    Secrets,
}

impl Of {
    /// The schema as text, with a line break at the end.
    pub fn text(self) -> serde_json::Result<String> {
        json::pretty(&match self {
            Self::Inventory => inventory::schema(),
            Self::Service => inventory::service_schema(),
            Self::Plan => json::plan_schema(),
            Self::Preflight => reports::preflight_schema(),
            Self::Run => json::run_schema(),
            Self::Graph => flows_schema(),
            Self::Matrix => matrix_schema(),
            Self::Can => can_schema(),
            Self::Verify => verification_schema(),
            Self::Secrets => secrets_schema(),
        })
    }
}

pub fn run(args: &Args, writer: &mut Writer) -> Result<Exit, CommandError> {
    writer.answer(&args.of.text()?)?;
    Ok(Exit::Fine)
}
