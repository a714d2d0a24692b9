//! `infra lab`: a simulated Proxmox VE host that any client can talk to.

use std::net::SocketAddr;

use camino::Utf8PathBuf;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::blueprint::Blueprint;
use crate::cli::args::{InventoryArgs, StateArgs};
use crate::cli::lab::{LabWorld, Reach, overlay, read_scenario, scenario};
use crate::cli::signals::Signals;
use crate::cli::{CommandError, Exit, error, load, settings};
use crate::lab::Scenario;
use crate::lab::world::Version;
use crate::model::HostName;
use crate::ui::{Writer, json};

/// Name of the lab that needs no inventory.
const EXAMPLE: &str = "example";

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
/// The hardware is that of the inventory. Without one, and with none under ./inventories, it is that of one
/// workstation `pve1` with an RTX 4090.
///
/// Prints one line of JSON when it is ready: `api` with `url`, `fingerprint`, `token_id` and `token`; `ssh`
/// with `host`, `port`, `user`, `host_key` and `identity_file`; and `inventory`, the path of a file that leads
/// there. `url` is `https://HOST:PORT`, to which clients add `/api2/json`. With an inventory of your own, the
/// file is given after it; without one it describes the hosts in full and is given before your guests:
/// `infra plan -i THAT_FILE -i my-guests.yaml`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: infra lab serve -i inventories/vrooli")]
pub struct ServeArgs {
    #[command(flatten)]
    inventory: InventoryArgs,
    #[command(flatten)]
    state: StateArgs,
    /// Hardware from this file (JSON) instead of the inventory's, or `cluster`: three nodes; without `-i` no
    /// inventory is read
    #[arg(long, value_name = "FILE")]
    scenario: Option<Utf8PathBuf>,
    /// The release of Proxmox VE that answers: 8.4, 9.1 or 9.2. Default: that of the scenario, or 9.2
    #[arg(long, value_name = "RELEASE")]
    pve: Option<Version>,
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
    let mut signals = Signals::listen()?;
    let (blueprint, mut directory, mut hardware) = hardware(args)?;
    if let Some(release) = args.pve.filter(|release| *release != hardware.version) {
        // A world that one release made is no world of another.
        directory = Utf8PathBuf::from(format!("{directory}-{}", release.release()));
        hardware.version = release;
    }
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
    signals.next().await;
    world.leave().await;
    Ok(Exit::Fine)
}

/// What is simulated, for which inventory if any, and where its world is kept.
fn hardware(args: &ServeArgs) -> Result<(Option<Blueprint>, Utf8PathBuf, Scenario), CommandError> {
    let labs = args.state.state_dir.join("lab");
    let given = args.scenario.as_deref().map(|file| Ok::<_, CommandError>((file, read_scenario(file)?))).transpose()?;
    match given {
        Some((file, given)) if args.inventory.inventory.is_empty() => {
            Ok((None, labs.join(file.file_stem().unwrap_or("scenario")), given))
        }
        None if settings::no_inventory(&args.inventory) => {
            // Nobody can know which images its guests will want.
            Ok((None, labs.join(EXAMPLE), Scenario { any_download: true, ..Scenario::example() }))
        }
        given => {
            let blueprint = load::sound(&args.inventory)?.blueprint;
            let hardware = given.map_or_else(|| scenario(&blueprint), |(_, given)| given);
            Ok((Some(blueprint.clone()), LabWorld::directory(&args.state, &blueprint), hardware))
        }
    }
}

/// How one host is reached. The token is in it, as whoever starts a lab is its administrator.
fn reached(name: &HostName, reach: &Reach, world: &LabWorld) -> Value {
    json!({
        "host": name,
        "api": {
            "url": format!("https://{}:{}", reach.api.host, reach.api.port),
            "fingerprint": reach.api.fingerprint,
            "token_id": reach.api.token_id,
            "token": world.tokens.get(name).map(|token| token.expose_secret().to_owned()),
        },
        "ssh": reach.ssh,
    })
}
