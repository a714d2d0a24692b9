//! `infra lab`: a simulated Proxmox VE host that any client can talk to.

use std::net::SocketAddr;

use camino::Utf8PathBuf;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::args::{InventoryArgs, StateArgs};
use crate::cli::lab::{LabWorld, Reach, overlay, read_scenario, scenario};
use crate::cli::{CommandError, Exit, error, load};
use crate::model::HostName;
use crate::ui::{Writer, json};

/// The simulated Proxmox VE host in this program
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub struct Args {
    #[command(subcommand)]
    pub verb: Verb,
}

/// What is done with the lab.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    Serve(ServeArgs),
}

/// Serve a simulated host on loopback until stopped; any client of Proxmox VE can use it
///
/// Prints one line of JSON when it is ready: how its API and its SSH door are reached, and the path of
/// an inventory file that leads there when it is given after the inventory's own.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: infra lab serve -i inventories/vrooli")]
pub struct ServeArgs {
    #[command(flatten)]
    inventory: InventoryArgs,
    #[command(flatten)]
    state: StateArgs,
    /// Hardware from this file (JSON) instead of the inventory's; without `-i` no inventory is read
    #[arg(long, value_name = "FILE")]
    scenario: Option<Utf8PathBuf>,
    /// Where the API of the first host listens; other doors are on free ports of the same address.
    /// Default: a free port of 127.0.0.1
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<SocketAddr>,
}

pub async fn run(args: &Args, writer: &mut Writer) -> Result<Exit, CommandError> {
    match &args.verb {
        Verb::Serve(args) => serve(args, writer).await,
    }
}

async fn serve(args: &ServeArgs, writer: &mut Writer) -> Result<Exit, CommandError> {
    // Before anything is there to be left behind.
    let listen = |kind| signal(kind).map_err(|e| error::signals(&e));
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);

    let file = args.scenario.as_deref();
    let blueprint = match file {
        Some(_) if args.inventory.inventory.is_empty() => None,
        _ => Some(load::sound(&args.inventory)?.blueprint),
    };
    let (directory, hardware) = match (&blueprint, file) {
        (Some(blueprint), None) => (LabWorld::directory(&args.state, blueprint), scenario(blueprint)),
        (Some(blueprint), Some(file)) => (LabWorld::directory(&args.state, blueprint), read_scenario(file)?),
        (None, file) => {
            let file = file.expect("without an inventory there is a scenario");
            let name = file.file_stem().unwrap_or("scenario");
            (args.state.state_dir.join("lab").join(name), read_scenario(file)?)
        }
    };
    let world = LabWorld::start(&directory, hardware.clone(), args.listen).await.map_err(|e| error::lab(&e))?;
    let inventory = overlay::write(&world, blueprint.as_ref(), &hardware)?;
    let mut lines: Vec<Value> = world.hosts.iter().map(|(name, reach)| reached(name, reach, &world)).collect();
    if !lines.is_empty() {
        let mut ready = lines.remove(0);
        ready["inventory"] = inventory.as_str().into();
        if !lines.is_empty() {
            ready["others"] = lines.into();
        }
        writer.answer(&json::line(&ready)?)?;
    }
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    world.leave().await;
    Ok(Exit::Fine)
}

/// How one host is reached. The token is in it, as whoever starts a lab is its administrator.
fn reached(name: &HostName, reach: &Reach, world: &LabWorld) -> Value {
    json!({
        "host": name,
        "api": {
            "url": format!("https://{}:{}/api2/json", reach.api.host, reach.api.port),
            "fingerprint": reach.api.fingerprint,
            "token_id": reach.api.token_id,
            "token": world.tokens.get(name).map(|token| token.expose_secret().to_owned()),
        },
        "ssh": reach.ssh,
    })
}
