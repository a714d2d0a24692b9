//! `infra verify`: what the inventory promises, tried from inside guests.

use std::collections::BTreeMap;
use std::time::Duration;

use camino::Utf8PathBuf;
use clap::ValueEnum;

use crate::blueprint::PowerState;
use crate::cli::args::{AllowArgs, HostArgs, SelectArgs};
use crate::cli::context::Context;
use crate::cli::planning::{self, Intent};
use crate::cli::{CommandError, Exit};
use crate::exec::journal;
use crate::model::observed::{Observed, Power};
use crate::model::{Addr, GuestName, HostName, Kind};
use crate::ui::reports::verification_junit;
use crate::ui::{Verification, Writer, json, verification_text};
use crate::verify::{self, LastGood, Listening, Probe, Proof, ProofKind, StackOptions, Standing, Trial, Verdict};

/// How long a firewall takes to be what its files say: pve-firewall looks at them every ten seconds.
const SETTLES: Duration = Duration::from_secs(6);
/// How often what is not as it should be is looked at again.
const LOOKS: u32 = 2;

const HELP: &str = "\
Example: infra verify --lab -i inventories/vrooli

Firewalls that are not as the inventory says are named. Connections over TCP are opened from every running guest to all \
others and to the hosts, on the ports of their services, on those of flows, and on all on which something listens. Name \
servers are asked from inside, and web sites visited by guests that may come to the reverse proxy. Services are used: \
containers, ports, GPUs and lists of models are looked at, and every model is asked something through its gateway, as \
the tenant `infra-verify`: whether it answers on the GPU, how fast, and whether that was recorded. It reads only, but for \
these requests, and unless `--listen` has guests listen for a moment.";

/// Try from inside every guest whether what must be reachable is, and what must not be is not
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    #[command(flatten)]
    host: HostArgs,
    /// Only this host and what is on it; may be given several times
    #[arg(long, value_name = "HOST")]
    limit: Vec<HostName>,
    /// Show everything that was tried, not only what is not as it should be
    #[arg(long)]
    full: bool,
    /// Where nobody listens on a port that must be closed, have the guest listen there for 45 seconds (with perl), so
    /// that the silence proves something
    #[arg(long)]
    listen: bool,
    /// Do not ask models anything: no load, no records, and no speed to compare
    #[arg(long)]
    skip_models: bool,
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
    let here = |guest: &&GuestName| {
        args.limit.is_empty() || context.blueprint.guests.get(*guest).is_some_and(|one| args.limit.contains(&one.host))
    };
    let askers: Vec<GuestName> = up.iter().filter(here).cloned().collect();
    let listening = verify::listening(&context.blueprint, &context.doors, &up).await;
    let probes: Vec<Probe> = verify::plan(&context.blueprint, &listening).into_iter().filter(limited).collect();
    let mut trials = tried(context, args, &probes, &standing, &listening).await;
    let mut proofs = proved(context, &askers, &listening).await;
    for _ in 0..LOOKS {
        let fails = trials.iter().map(|trial| trial.verdict).chain(proofs.iter().map(|proof| proof.verdict));
        if fails.filter(|verdict| *verdict == Verdict::Fail).count() == 0 {
            break;
        }
        writer.tell("not all is as it should be; firewalls take up to ten seconds to follow, so it is tried again\n");
        context.clock.sleep(SETTLES).await;
        // All of it: what answers elsewhere is what makes a silence tell.
        trials = tried(context, args, &probes, &standing, &listening).await;
        proofs = proved(context, &askers, &listening).await;
    }
    proofs.extend(used(context, args, &askers, &up, writer).await?);
    proofs.push(unproved_udp());
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
    let (firewalls, unknown) = firewalls(context, &observed, &intent)?;
    let verification = Verification { format: Verification::FORMAT, firewalls, unknown, trials, proofs };
    if verification.holds() {
        remember(context, &verification)?;
    }
    let answer = match args.output {
        Form::Human => verification_text(&verification, args.full, &writer.out()),
        Form::Json => json::pretty(&verification)?,
        Form::Jsonl => json::line(&verification)?,
        Form::Junit => verification_junit(&verification),
    };
    writer.answer(&answer)?;
    Ok(if verification.holds() { Exit::Fine } else { Exit::Failed })
}

type ByFirewall = BTreeMap<Addr, String>;

/// Firewalls that a plan would change, and those of which it cannot tell, each with why.
fn firewalls(
    context: &Context,
    observed: &Observed,
    intent: &Intent,
) -> Result<(ByFirewall, ByFirewall), CommandError> {
    let plan = planning::from_observed(context, observed, intent)?;
    let of_firewalls = |addr: &Addr| {
        matches!(addr.kind, Kind::FirewallAlias | Kind::FirewallIpset | Kind::FirewallGroup | Kind::GuestFirewall)
    };
    let changes = plan.changes.into_iter().filter(|change| of_firewalls(&change.addr));
    let gaps = plan.gaps.into_iter().filter(|gap| of_firewalls(&gap.addr));
    Ok((
        changes.map(|change| (change.addr, change.reason)).collect(),
        gaps.map(|gap| (gap.addr, format!("whether it is as declared is not known: {}", gap.why))).collect(),
    ))
}

async fn tried(
    context: &Context,
    args: &Args,
    probes: &[Probe],
    standing: &BTreeMap<GuestName, Standing>,
    listening: &BTreeMap<GuestName, Listening>,
) -> Vec<Trial> {
    let up = |probe: &&Probe| standing.get(&probe.from) == Some(&Standing::Up);
    let asked: Vec<Probe> = probes.iter().filter(up).cloned().collect();
    let mut heard = listening.clone();
    if args.listen {
        let opened = verify::listen(&context.blueprint, &context.doors, verify::unheard(&asked, listening)).await;
        for (guest, ports) in opened {
            // Who cannot listen proves no more than before.
            if let (Some(Ok(all)), Ok(ports)) = (heard.get_mut(&guest), ports) {
                all.extend(ports);
            }
        }
    }
    let answers = verify::ask(&context.blueprint, &context.doors, &asked).await;
    verify::verdicts(probes, &answers, standing, &heard)
}

/// Names and web sites.
async fn proved(context: &Context, up: &[GuestName], listening: &BTreeMap<GuestName, Listening>) -> Vec<Proof> {
    let (blueprint, doors) = (&context.blueprint, &context.doors);
    let mut proofs = verify::ask_names(blueprint, doors, up, listening).await;
    proofs.extend(verify::ask_sites(blueprint, doors, up, listening).await);
    proofs.extend(verify::ask_six(blueprint, doors, up, listening).await);
    proofs
}

/// Services and models, and whether they are as fast as they were.
async fn used(
    context: &Context,
    args: &Args,
    askers: &[GuestName],
    up: &[GuestName],
    writer: &mut Writer,
) -> Result<Vec<Proof>, CommandError> {
    let (blueprint, doors) = (&context.blueprint, &context.doors);
    // A gateway is used with its runners, and a runner is in a guest that may be beyond the limit.
    let guests = if args.limit.is_empty() { up } else { askers };
    if !args.skip_models && guests.iter().any(|name| has_models(context, name)) {
        writer.tell("models are asked something; one that is not in memory is loaded first\n");
    }
    let options = StackOptions { use_models: !args.skip_models };
    let mut proofs = verify::ask_services(blueprint, doors, guests, &*context.clock, options).await;
    if let Some(before) = journal::kept::<LastGood>(&last_good(context))? {
        proofs.extend(verify::judge_pace(&before, &proofs));
    }
    Ok(proofs)
}

fn has_models(context: &Context, guest: &GuestName) -> bool {
    context.blueprint.models.values().any(|model| model.runs_on.iter().any(|(at, _)| at == guest))
}

fn last_good(context: &Context) -> Utf8PathBuf {
    context.state.join("verify").join(context.blueprint.name.as_str()).join("last-good.json")
}

/// Keeps how fast models answered, as long as none was slower than what is kept: else each run would be measured by a
/// slower one.
fn remember(context: &Context, verification: &Verification) -> Result<(), CommandError> {
    let slower = |proof: &Proof| proof.of == ProofKind::Pace && proof.verdict == Verdict::Warning;
    if verification.proofs.iter().any(slower) {
        return Ok(());
    }
    if let Some(good) = LastGood::of(&verification.proofs, context.clock.now()) {
        journal::keep(&last_good(context), &good)?;
    }
    Ok(())
}

fn unproved_udp() -> Proof {
    let says = "a datagram that nobody answers tells nothing; of all ways over UDP, only name servers were asked";
    Proof {
        of: ProofKind::Udp,
        from: "guests".to_owned(),
        what: "ways over UDP".to_owned(),
        verdict: Verdict::Unproven,
        says: says.to_owned(),
        measured: None,
    }
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
