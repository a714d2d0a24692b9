//! The network that `graph` and `can` are asked about: from the inventory, or as it is on the hosts.

use super::CommandError;
use super::args::HostArgs;
use super::context::Context;
use super::load;
use crate::blueprint::Blueprint;
use crate::diag::SourceMap;
use crate::isolation::Network;
use crate::plan::Scope;
use crate::ui::Writer;

/// A network with what it was made of.
pub(super) struct Seen {
    pub blueprint: Blueprint,
    pub sources: SourceMap,
    pub network: Network,
}

/// Which network.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct SeenArgs {
    #[command(flatten)]
    pub host: HostArgs,
    /// Ask the hosts what is in force now, instead of the inventory what should be
    #[arg(long)]
    pub live: bool,
}

/// Reads the inventory, and the hosts if that is asked for.
pub(super) async fn see(args: &SeenArgs, writer: &mut Writer) -> Result<Seen, CommandError> {
    if !args.live {
        let load::Sound { blueprint, sources, .. } = load::sound(&args.host.inventory)?;
        let network = Network::desired(&blueprint);
        return Ok(told(Seen { blueprint, sources, network }, writer));
    }
    let context = Context::open(&args.host, writer).await?;
    let observed = context.observe(&Scope::default()).await;
    let network = Network::observed(&context.blueprint, &observed);
    let (blueprint, sources) = (context.blueprint.clone(), context.sources.clone());
    context.close().await;
    Ok(told(Seen { blueprint, sources, network }, writer))
}

/// Says what the answer does not cover.
fn told(seen: Seen, writer: &mut Writer) -> Seen {
    for gap in &seen.network.gaps {
        writer.tell(&format!("note: {gap}\n"));
    }
    seen
}
