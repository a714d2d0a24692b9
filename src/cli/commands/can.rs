//! `infra can A B[:PORT]`: whether one reaches the other, and which rules decide.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

use crate::cli::args::{Output, OutputArgs};
use crate::cli::seen::{Seen, SeenArgs, see};
use crate::cli::{CommandError, Exit};
use crate::diag::{Diagnostic, Invalid, did_you_mean};
use crate::isolation::{End, Endpoint, Places, Question, Solver, guest_endpoint, legs};
use crate::model::Transport;
use crate::ui::{CanDocument, Writer, can_text, json};

/// Ask whether A reaches B, and which rules decide; exits with 0 if it does and with 1 if it does not
///
/// A and B are guests, hosts or addresses; `internet` is any public address. A may also be a network, or somebody whom
/// the tailnet's policy names (`tag:phone`, `group:staff`, a login), and B a web site: then every leg is shown, from its
/// name by the reverse proxy to the guest behind it. Without a port, every open port is listed. Who are both in the
/// tailnet have two ways, and each is answered. The first packet of a connection is asked about, from an ordinary
/// source port and A's own addresses.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: infra can proj-x plan-hq:4000 -i inventories/vrooli
         infra can proj-x proj-y -i inventories/vrooli
         infra can tag:phone plan.example.com -i inventories/vrooli
         infra can internet 10.0.0.10:53/udp --live --lab -i inventories/vrooli")]
pub struct Args {
    /// Who opens the connection: `proj-x`, `192.168.10.0/24`, `tag:phone`, `ann@example.com`
    #[arg(value_name = "A")]
    from: String,
    /// Who is connected to: `plan-hq`, `plan-hq:4000`, `10.0.0.1:53/udp`, `[fe80::1]:22`, `plan.example.com`
    #[arg(value_name = "B[:PORT[/udp]]")]
    to: Target,
    #[command(flatten)]
    seen: SeenArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Who is connected to, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Target {
    name: String,
    port: Option<(u16, Transport)>,
}

impl FromStr for Target {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let (rest, transport) = match text.rsplit_once('/') {
            Some((rest, "tcp")) => (rest, Some(Transport::Tcp)),
            Some((rest, "udp")) => (rest, Some(Transport::Udp)),
            Some((_, other)) => return Err(Invalid::new(format!("`{other}` is neither `tcp` nor `udp`"))),
            None => (text, None),
        };
        let bare = rest.parse::<IpAddr>().is_ok_and(|address| address.is_ipv6());
        let (name, port) = match rest.rsplit_once(':').filter(|_| !bare) {
            Some((name, port)) => (name, Some(port)),
            None => (rest, None),
        };
        let number = |port: &str| port.parse::<u16>().ok().filter(|port| *port > 0);
        let port =
            port.map(|port| number(port).ok_or_else(|| Invalid::new(format!("`{port}` is no port")))).transpose()?;
        if port.is_none() && transport.is_some() {
            return Err(Invalid::new("a protocol without a port").hint("write `plan-hq:53/udp`"));
        }
        let name = name.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { name, port: port.map(|port| (port, transport.unwrap_or(Transport::Tcp))) })
    }
}

pub async fn run(args: &Args, writer: &mut Writer) -> Result<Exit, CommandError> {
    let seen = see(&args.seen, writer).await?;
    let solver = Solver::new(&seen.network);
    let places = Places::new(&solver, &seen.blueprint);
    let ends = Ends { seen: &seen, places: &places, solver: &solver };
    let question = Question { solver: &solver, tailnet: seen.tailnet.as_ref(), port: args.to.port };
    let from = ends.source(&args.from)?;
    let ingress = seen.blueprint.ingress.as_ref();
    let site = ingress.and_then(|ingress| Some((ingress, ingress.sites.get(&args.to.name.to_ascii_lowercase())?)));
    let document = match site {
        Some((ingress, site)) => {
            let legs = legs(question, &seen.blueprint, ingress, site, &from);
            CanDocument::of_site(&args.from, &args.to.name, legs)
        }
        None => {
            let to = ends.target(&args.to.name)?;
            let answers = question.ask(&from, &to);
            if answers.is_empty() {
                return Err(apart(&from, &to));
            }
            CanDocument::of(&args.from, &args.to.name, answers)
        }
    };
    let answer = match args.output.output {
        Output::Human => can_text(&document, &writer.out()),
        Output::Json => json::pretty(&document)?,
        Output::Jsonl => json::line(&document)?,
    };
    writer.answer(&answer)?;
    Ok(if document.allowed { Exit::Fine } else { Exit::Failed })
}

/// No network has both of them.
fn apart(from: &Endpoint, to: &Endpoint) -> CommandError {
    let (one, other) = (&from.name, &to.name);
    if from.addresses.is_empty() && to.members.is_empty() {
        let problem = format!("`{one}` is of the tailnet, and `{other}` is not in it, so it does not get there");
        let hint = "give somebody `access` to it, or list it under `tailnet.members`; hosts never join";
        return Diagnostic::error("cli.not-in-tailnet", problem).hint(hint).into();
    }
    Diagnostic::error("cli.no-address", format!("`{one}` and `{other}` have no addresses of one kind")).into()
}

/// Any public addresses.
const PUBLIC: [&str; 2] = ["1.1.1.1", "2606:4700:4700::1111"];

/// Who is meant by the words of a question.
struct Ends<'a> {
    seen: &'a Seen,
    places: &'a Places,
    solver: &'a Solver<'a>,
}

impl Ends<'_> {
    /// Whoever opens a connection: also networks, and whom the tailnet's policy names.
    fn source(&self, name: &str) -> Result<Endpoint, CommandError> {
        if is_of_the_tailnet(name) {
            return self.member(name);
        }
        if let Ok(network) = name.parse::<IpNet>() {
            let addresses = self.places.members(network.trunc());
            return Ok(Endpoint { name: name.to_owned(), addresses, members: Vec::new() });
        }
        self.target(name)
    }

    fn target(&self, name: &str) -> Result<Endpoint, CommandError> {
        let bare = |addresses: Vec<(End, IpAddr)>| Endpoint { name: name.to_owned(), addresses, members: Vec::new() };
        if name == "internet" {
            return Ok(bare(PUBLIC.iter().filter_map(|text| Some((End::Outside, text.parse().ok()?))).collect()));
        }
        if let Ok(address) = name.parse::<IpAddr>() {
            return Ok(bare(vec![(self.places.owner(address), address)]));
        }
        let network = &self.seen.network;
        if let Some(name) = network.guests.keys().find(|guest| guest.as_str() == name) {
            let question = Question { solver: self.solver, tailnet: self.seen.tailnet.as_ref(), port: None };
            return Ok(guest_endpoint(question, name));
        }
        if let Some((name, host)) = network.hosts.iter().find(|(host, _)| host.as_str() == name) {
            return Ok(bare(host.addresses.iter().map(|address| (End::Host(name.clone()), *address)).collect()));
        }
        Err(self.unknown(name))
    }

    /// Somebody whom the tailnet's policy names.
    fn member(&self, name: &str) -> Result<Endpoint, CommandError> {
        let Some(tailnet) = &self.seen.tailnet else {
            let why = match &self.seen.blueprint.tailnet {
                Some(_) => "nothing is known of the tailnet",
                None => "this inventory has no `tailnet:`",
            };
            let problem = Diagnostic::error("cli.no-tailnet", format!("`{name}` is a name of a tailnet's policy"));
            return Err(problem.cause(why).into());
        };
        if !tailnet.knows(name) {
            let known = tailnet.known();
            let hint = did_you_mean(name, known.iter().copied());
            let hint = hint.unwrap_or_else(|| format!("known are {}", known.join(", ")));
            let problem = format!("the tailnet's policy does not know `{name}`");
            return Err(Diagnostic::error("cli.unknown-end", problem).hint(hint).into());
        }
        Ok(Endpoint { name: name.to_owned(), addresses: Vec::new(), members: vec![name.to_owned()] })
    }

    fn unknown(&self, name: &str) -> CommandError {
        let blueprint = &self.seen.blueprint;
        let mut known: Vec<&str> = blueprint.guests.keys().map(|guest| guest.as_str()).collect();
        known.extend(blueprint.hosts.keys().map(|host| host.as_str()));
        let unread = known.contains(&name);
        known.extend(blueprint.ingress.iter().flat_map(|ingress| ingress.sites.keys()).map(String::as_str));
        let problem = match unread {
            true => format!("nothing is known of `{name}`, as it is not there or could not be read"),
            false => format!("there is no guest or host `{name}` in this inventory"),
        };
        let problem = Diagnostic::error("cli.unknown-end", problem);
        let hint = did_you_mean(name, known.iter().copied()).filter(|_| !unread);
        problem.hint(hint.unwrap_or_else(|| format!("known are internet, {}", known.join(", ")))).into()
    }
}

/// `tag:phone`, `group:staff`, `autogroup:member`, a login.
fn is_of_the_tailnet(name: &str) -> bool {
    name.contains('@') || ["tag:", "group:", "autogroup:", "user:"].iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_names_or_addresses_with_or_without_a_port() {
        let read = |text: &str| text.parse::<Target>().map(|target| (target.name, target.port));
        let tcp = |port| Some((port, Transport::Tcp));
        assert_eq!(read("plan-hq").unwrap(), ("plan-hq".into(), None));
        assert_eq!(read("plan-hq:4000").unwrap(), ("plan-hq".into(), tcp(4000)));
        assert_eq!(read("10.0.0.1:53/udp").unwrap(), ("10.0.0.1".into(), Some((53, Transport::Udp))));
        assert_eq!(read("fe80::1").unwrap(), ("fe80::1".into(), None));
        assert_eq!(read("[fe80::1]:22").unwrap(), ("fe80::1".into(), tcp(22)));
        for wrong in ["plan-hq:0", "plan-hq:x", "plan-hq/udp", "plan-hq:1/icmp"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
