//! `infra verify`: what the inventory promises, tried from inside guests.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::ValueEnum;

use crate::blueprint::PowerState;
use crate::cli::args::{AllowArgs, HostArgs, SelectArgs};
use crate::cli::context::Context;
use crate::cli::planning::{self, Intent};
use crate::cli::{CommandError, Exit};
use crate::model::observed::{Observed, Power};
use crate::model::{Addr, GuestName, HostName, Kind};
use crate::ui::reports::verification_junit;
use crate::ui::{Verification, Writer, json, verification_text};
use crate::verify::{self, Listening, Probe, Standing, Trial, Verdict};

/// How long a firewall takes to be what its files say: pve-firewall looks at them every ten seconds.
const SETTLES: Duration = Duration::from_secs(6);
/// How often what is not as it should be is looked at again.
const LOOKS: u32 = 2;

const HELP: &str = "\
Example: infra verify --lab -i inventories/vrooli

It reads only. Firewalls that are not as the inventory says are named, and connections over TCP are opened from every \
running guest to all others and to the hosts, on the ports of their services, on those of flows, and on all on which \
something listens.";

/// Try from inside every guest whether what must be reachable is, and what must not be is not
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    #[command(flatten)]
    host: HostArgs,
    /// Only this host and what is on it; may be given several times
    #[arg(long, value_name = "HOST")]
    limit: Vec<HostName>,
    /// Show every connection, not only what is not as it should be
    #[arg(long)]
    full: bool,
    /// Form of the answer on stdout
    #[arg(long, value_enum, value_name = "FORM", default_value_t)]
    output: Form,
}

/// The form of what was found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For a person
    #[default]
    Human,
    /// One JSON document
    Json,
    /// The same on one line
    Jsonl,
    /// For test reports
    Junit,
}

pub async fn run(args: &Args, writer: &mut Writer) -> Result<Exit, CommandError> {
    let context = Context::open(&args.host, writer).await?;
    let ended = within(args, &context, writer).await;
    context.close().await;
    ended
}

async fn within(args: &Args, context: &Context, writer: &mut Writer) -> Result<Exit, CommandError> {
    let select = SelectArgs { limit: args.limit.clone(), ..SelectArgs::default() };
    let intent = Intent::new(&select, &AllowArgs::default(), &context.blueprint)?;
    let observed = context.observe(&intent.scope).await;
    let standing = standing(context, &observed);
    let limited = |probe: &Probe| {
        let host = context.blueprint.guests.get(&probe.from).map(|guest| &guest.host);
        args.limit.is_empty() || host.is_some_and(|host| args.limit.contains(host))
    };
    let up: Vec<GuestName> =
        standing.iter().filter(|(_, there)| **there == Standing::Up).map(|(name, _)| name.clone()).collect();
    let listening = verify::listening(&context.blueprint, &context.doors, &up).await;
    let probes: Vec<Probe> = verify::plan(&context.blueprint, &listening).into_iter().filter(limited).collect();
    let mut trials = tried(context, &probes, &standing, &listening).await;
    for _ in 0..LOOKS {
        if trials.iter().all(|trial| trial.verdict != Verdict::Fail) {
            break;
        }
        writer.tell("not all is as it should be; firewalls take up to ten seconds to follow, so it is tried again\n");
        context.clock.sleep(SETTLES).await;
        // All of it: what answers elsewhere is what makes a silence tell.
        trials = tried(context, &probes, &standing, &listening).await;
    }
    let off = |site: &&&str| {
        let firewall = observed.sites[**site].firewall.value();
        firewall.is_some_and(|firewall| firewall.options.get("enable").is_none_or(|enable| enable == "0"))
    };
    for site in context.sites(&intent.scope).iter().filter(off) {
        writer.tell(&format!(
            "the datacenter firewall of {site} is off, so no rule of any guest is enforced; declare `firewall` of its \
             hosts, and `infra prepare` switches it on\n"
        ));
    }
    let verification =
        Verification { format: Verification::FORMAT, firewalls: firewalls(context, &observed, &intent)?, trials };
    let answer = match args.output {
        Form::Human => verification_text(&verification, args.full, &writer.out()),
        Form::Json => json::pretty(&verification)?,
        Form::Jsonl => json::line(&verification)?,
        Form::Junit => verification_junit(&verification),
    };
    writer.answer(&answer)?;
    Ok(if verification.holds() { Exit::Fine } else { Exit::Failed })
}

/// Firewalls that a plan would change, and why.
fn firewalls(context: &Context, observed: &Observed, intent: &Intent) -> Result<BTreeMap<Addr, String>, CommandError> {
    let plan = planning::from_observed(context, observed, intent)?;
    let of_firewalls = |addr: &Addr| {
        matches!(addr.kind, Kind::FirewallAlias | Kind::FirewallIpset | Kind::FirewallGroup | Kind::GuestFirewall)
    };
    let changes = plan.changes.into_iter().filter(|change| of_firewalls(&change.addr));
    Ok(changes.map(|change| (change.addr, change.reason)).collect())
}

async fn tried(
    context: &Context,
    probes: &[Probe],
    standing: &BTreeMap<GuestName, Standing>,
    listening: &BTreeMap<GuestName, Listening>,
) -> Vec<Trial> {
    let up = |probe: &&Probe| standing.get(&probe.from) == Some(&Standing::Up);
    let asked: Vec<Probe> = probes.iter().filter(up).cloned().collect();
    let answers = verify::ask(&context.blueprint, &context.doors, &asked).await;
    verify::verdicts(probes, &answers, standing, listening)
}

/// Who runs, as their hosts say.
fn standing(context: &Context, observed: &Observed) -> BTreeMap<GuestName, Standing> {
    let of = |guest: &crate::blueprint::Guest| {
        if guest.power == PowerState::Stopped {
            return Standing::Off;
        }
        let site = &observed.sites[&context.blueprint.host_of(guest).site];
        match site.guests.value().map(|guests| guests.get(&guest.vmid)) {
            None => Standing::Unknown(site.guests.why().unwrap_or("not known").to_owned()),
            Some(None) => Standing::Unknown("it is not there; `infra plan` shows what is missing".to_owned()),
            Some(Some(listing)) => match listing.status {
                Power::Running => Standing::Up,
                Power::Stopped => Standing::Unknown("it does not run".to_owned()),
                Power::Unknown => Standing::Unknown("its node does not answer".to_owned()),
            },
        }
    };
    context.blueprint.guests.values().map(|guest| (guest.name.clone(), of(guest))).collect()
}
