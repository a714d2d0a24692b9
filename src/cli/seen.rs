//! The network that `graph` and `can` are asked about: from the inventory, or as it is on the hosts.

use super::CommandError;
use super::args::HostArgs;
use super::context::Context;
use super::load;
use crate::blueprint::Blueprint;
use crate::diag::SourceMap;
use crate::isolation::{Network, Tailnet};
use crate::plan::Scope;
use crate::ui::Writer;

/// A network with what it was made of.
pub(super) struct Seen {
    pub blueprint: Blueprint,
    pub sources: SourceMap,
    pub network: Network,
    /// The tailnet, if one is declared and known.
    pub tailnet: Option<Tailnet>,
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
        let tailnet = Tailnet::desired(&blueprint);
        return Ok(told(Seen { blueprint, sources, network, tailnet }, writer));
    }
    let context = Context::open(&args.host, writer).await?;
    let observed = context.observe(&Scope::default()).await;
    let mut network = Network::observed(&context.blueprint, &observed);
    let tailnet = match Tailnet::observed(&context.blueprint, &observed.tailnet) {
        Some(Ok(tailnet)) => Some(tailnet),
        Some(Err(why)) => {
            network.gaps.push(why);
            None
        }
        None => None,
    };
    let (blueprint, sources) = (context.blueprint.clone(), context.sources.clone());
    context.close().await;
    Ok(told(Seen { blueprint, sources, network, tailnet }, writer))
}

/// Says what the answer does not cover.
fn told(seen: Seen, writer: &mut Writer) -> Seen {
    for gap in seen.network.gaps.iter().chain(seen.tailnet.iter().flat_map(|tailnet| &tailnet.gaps)) {
        writer.tell(&format!("note: {gap}\n"));
    }
    seen
}
