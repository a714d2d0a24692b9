//! `infra can A B[:PORT]`: whether one reaches the other, and which rules decide.

use std::net::IpAddr;
use std::str::FromStr;

use crate::cli::args::{Output, OutputArgs};
use crate::cli::seen::{Seen, SeenArgs, see};
use crate::cli::{CommandError, Exit};
use crate::diag::{Diagnostic, Invalid, did_you_mean};
use crate::isolation::{End, Packet, Payload, Places, Solver, Version};
use crate::model::Transport;
use crate::ui::{CanDocument, Writer, can_text, json};

/// Ask whether A reaches B, and which rules decide; exits with 0 if it does and with 1 if it does not
///
/// A and B are guests, hosts or addresses; `internet` is any public address. Without a port, every open port is
/// listed. The first packet of a connection is asked about, from an ordinary source port and A's own addresses.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: infra can proj-x plan-hq:4000 -i inventories/vrooli
         infra can proj-x proj-y -i inventories/vrooli
         infra can internet 10.0.0.10:53/udp --live --lab -i inventories/vrooli")]
pub struct Args {
    /// Who opens the connection
    #[arg(value_name = "A")]
    from: String,
    /// Who is connected to: `plan-hq`, `plan-hq:4000`, `10.0.0.1:53/udp`, `[fe80::1]:22`
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
    let sources = addresses(&seen, &places, &args.from)?;
    let dests = addresses(&seen, &places, &args.to.name)?;
    let packets = packets(&sources, &dests);
    if packets.is_empty() {
        let problem = format!("`{}` and `{}` have no addresses of one kind", args.from, args.to.name);
        return Err(Diagnostic::error("cli.no-address", problem).into());
    }
    let document = CanDocument::of(&solver, &args.from, &args.to.name, args.to.port, &packets);
    let answer = match args.output.output {
        Output::Human => can_text(&document, &writer.out()),
        Output::Json => json::pretty(&document)?,
        Output::Jsonl => json::line(&document)?,
    };
    writer.answer(&answer)?;
    Ok(if document.allowed { Exit::Fine } else { Exit::Failed })
}

/// One packet for each pair of addresses of the same version.
fn packets(sources: &[(End, IpAddr)], dests: &[(End, IpAddr)]) -> Vec<Packet> {
    let mut packets = Vec::new();
    for (from, source) in sources {
        for (to, dest) in dests.iter().filter(|(to, dest)| Version::of(*dest) == Version::of(*source) && to != from) {
            let (from, to) = (from.clone(), to.clone());
            packets.push(Packet { from, source: *source, mac: None, to, dest: *dest, payload: Payload::tcp(1) });
        }
    }
    packets
}

/// Any public addresses.
const PUBLIC: [&str; 2] = ["1.1.1.1", "2606:4700:4700::1111"];

/// The addresses that somebody has.
fn addresses(seen: &Seen, places: &Places, name: &str) -> Result<Vec<(End, IpAddr)>, CommandError> {
    if name == "internet" {
        return Ok(PUBLIC.iter().filter_map(|text| Some((End::Outside, text.parse().ok()?))).collect());
    }
    if let Ok(address) = name.parse::<IpAddr>() {
        return Ok(vec![(places.owner(address), address)]);
    }
    let network = &seen.network;
    let guest = network.guests.iter().find(|(guest, _)| guest.as_str() == name);
    if let Some((name, guest)) = guest {
        let end = |nic| End::Guest { name: name.clone(), nic };
        return Ok(guest.addresses().map(|(nic, address)| (end(nic), address)).collect());
    }
    if let Some((name, host)) = network.hosts.iter().find(|(host, _)| host.as_str() == name) {
        return Ok(host.addresses.iter().map(|address| (End::Host(name.clone()), *address)).collect());
    }
    let mut known: Vec<&str> = seen.blueprint.guests.keys().map(|guest| guest.as_str()).collect();
    known.extend(seen.blueprint.hosts.keys().map(|host| host.as_str()));
    let unread = known.contains(&name);
    let problem = match unread {
        true => format!("nothing is known of `{name}`, as it is not there or could not be read"),
        false => format!("there is no guest or host `{name}` in this inventory"),
    };
    let problem = Diagnostic::error("cli.unknown-end", problem);
    let hint = did_you_mean(name, known.iter().copied()).filter(|_| !unread);
    Err(problem.hint(hint.unwrap_or_else(|| format!("known are internet, {}", known.join(", ")))).into())
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
