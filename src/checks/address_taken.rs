//! Addresses of the inventory's guests are theirs or free.

use std::net::IpAddr;

use super::check::all;
use super::standing::{Standing, addr, standing};
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};
use crate::blueprint::Guest;
use crate::model::Vmid;
use crate::model::machine::{GuestFile, GuestFiles, Links, Neighbourhood, Ping};
use crate::model::observed::{GuestConfig, Power};
use crate::proxmox::options::Options;
use crate::resources::owner_tag;

/// See its texts.
pub const CHECK: Check = Check {
    id: "address-taken",
    area: Area::Network,
    severity: Severity::Fail,
    title: "addresses of the inventory's guests are theirs, or free",
    needs: &["/etc/pve/nodes/*/*/*.conf", "ping", "ip -j neigh", "ip -j addr"],
    why: "Two machines with one address take turns: connections break at random, and which one answers depends on who \
          asks. Looked at are the configurations of all other guests of the cluster, the host's own addresses, and who answers now: every \
          address is asked for from the host, and who drops `ping` still answers ARP. Where the host has no address \
          in the guests' network nobody can be asked; then that is said instead of guessed.",
    fix: "Give the guest another `address`, or find who has it: `ip neigh show ADDRESS` on the host tells the MAC.",
    mend: None,
    sources: &["ping(8)", "ip-neighbour(8)", "pve-docs pct.adoc"],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    let findings: Vec<Finding> = subject
        .guests()
        .map(|guest| {
            one(subject, guest)
                .about(format!("{} of {}", guest.interface.address(), addr(guest)))
                .concerns([addr(guest)])
        })
        .collect();
    if findings.is_empty() { Err(NotRun::skipped("the inventory places no guest on this host")) } else { Ok(findings) }
}

fn one(subject: &Subject<'_>, guest: &Guest) -> Finding {
    let machine = subject.machine();
    let address = guest.interface.address();
    let edit = || Fix::edit(format!("guests.{}.address", guest.name), "an address that is free");
    // What is there already condemns, however little else is known.
    if let Some((vmid, file, key, value)) =
        machine.guest_files.value().and_then(|files| configured(files, guest.vmid, address))
    {
        let name = file.name().unwrap_or("without a name");
        let tag = owner_tag(&subject.blueprint.name);
        let listed = subject.site().guests.value().and_then(|guests| guests.get(&vmid));
        let tagged = listed.is_some_and(|other| other.tags.iter().any(|written| written == tag.as_str()));
        let ours = tagged || subject.blueprint.guests.values().any(|other| other.vmid == vmid);
        let finding = if ours {
            Finding::warn(format!("{vmid} (`{name}`), a guest of this inventory, still has it"))
        } else {
            Finding::fail(format!("{vmid} (`{name}`) has it in its configuration"))
        };
        return finding.seen(file.path(vmid), format!("{key}: {value}")).fix(edit());
    }
    let links = all(&machine.links);
    if let Ok(links) = &links
        && links.owns(address)
    {
        return Finding::fail("it is the host's own").seen("ip addr", address.to_string()).fix(edit());
    }
    let (links, around) = match (links, all(&machine.neighbourhood), all(&machine.guest_files)) {
        (Ok(links), Ok(around), Ok(_)) => (links, around),
        (Err(NotRun::Skipped(why) | NotRun::Blind(why)), ..)
        | (_, Err(NotRun::Skipped(why) | NotRun::Blind(why)), _)
        | (.., Err(NotRun::Skipped(why) | NotRun::Blind(why))) => return Finding::blind(why),
    };
    let own = match standing(subject, guest) {
        Err(why) => return Finding::blind(why),
        Ok(Standing::Foreign(_) | Standing::Absent) => None,
        Ok(Standing::Ours(listing, config)) => Some((listing.status == Power::Running, mac(config))),
    };
    heard(address, own, links, around, edit)
}

/// What is concluded from who answers; `own` tells whether the guest runs, and its MAC.
fn heard(
    address: IpAddr,
    own: Option<(bool, Option<String>)>,
    links: &Links,
    around: &Neighbourhood,
    edit: impl Fn() -> Fix,
) -> Finding {
    let ping = around.pinged.get(&address);
    let ping_source = format!("ping -c 1 {address}");
    let Some(ping) = ping else { return Finding::blind("nobody was asked for it") };
    if let Some(neighbour) = around.neighbours.get(&address) {
        let source = format!("ip neigh show {address}");
        let text = format!("{} behind {}", neighbour.mac, neighbour.interface);
        let now = neighbour.fresh || *ping == Ping::Answered;
        return match own {
            Some((_, Some(mac))) if mac == neighbour.mac => Finding::pass("it is the guest itself").seen(source, text),
            Some((_, None)) => {
                Finding::blind("the guest's own MAC is not known, so that it cannot be told from another")
                    .seen(source, text)
            }
            _ if now => Finding::fail("somebody else answers at it").seen(source, text).fix(edit()),
            _ => Finding::warn("somebody else was heard of at it a while ago").seen(source, text).fix(edit()),
        };
    }
    match (ping, own, links.beside(address)) {
        (Ping::Answered, Some((true, _)), _) => {
            Finding::pass("the guest runs, and it is answered").seen(ping_source, "1 received")
        }
        (Ping::Answered, ..) => Finding::warn("somebody answers at it, from beyond a router or by proxy")
            .seen(ping_source, "1 received")
            .fix(edit()),
        (Ping::Silent, _, Some(link)) => Finding::pass("nobody answers at it")
            .seen(ping_source, format!("0 received; no neighbour behind {}", link.name)),
        (Ping::Silent, _, None) => Finding::blind(
            "the host has no address in that network, so that nobody can be asked; no other guest's configuration has it",
        ),
        (Ping::Failed, ..) => Finding::blind("`ping` could not ask for it"),
    }
}

/// Another guest with this address in its configuration, now or after its next start.
fn configured(files: &GuestFiles, own: Vmid, address: IpAddr) -> Option<(Vmid, &GuestFile, &str, &str)> {
    let numbered = |key: &str| {
        ["net", "ipconfig"].iter().any(|prefix| key.strip_prefix(prefix).is_some_and(|n| n.parse::<u16>().is_ok()))
    };
    let has = |value: &str| {
        let options = Options::parse(value);
        ["ip", "ip6"]
            .iter()
            .filter_map(|key| options.get(key)?.split('/').next()?.parse().ok())
            .any(|ip: IpAddr| ip == address)
    };
    files.guests.iter().filter(|(vmid, _)| **vmid != own).find_map(|(vmid, file)| {
        let mut lines = file.lines.iter().chain(&file.pending);
        let (key, value) = lines.find(|(key, value)| numbered(key) && has(value))?;
        Some((*vmid, file, key.as_str(), value.as_str()))
    })
}

/// The MAC address of a guest's first interface, in lower case.
fn mac(config: &GuestConfig) -> Option<String> {
    let options = Options::parse(config.active("net0")?);
    let is_mac = |text: &&str| text.len() == 17 && text.split(':').count() == 6;
    let found = options.get("hwaddr").or_else(|| options.named.values().map(String::as_str).find(is_mac));
    found.map(str::to_ascii_lowercase)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::Verdict::{self, CouldNotRun, Fail, Pass, Warn};
    use super::super::guest_scene::{Scene, guest_file, link};
    use super::*;
    use crate::model::machine::{Link, Neighbour};
    use crate::model::observed::Fact;
    use crate::model::observed::GuestKind::{Lxc, Qemu};

    const MINE: &str = "bc:24:11:00:00:01";

    /// plan-hq has 10.0.0.10 (vmid 100), proj-x 10.0.0.123 (vmid 104).
    fn scene(beside: bool, pinged: [Ping; 2], neighbours: &[(&str, &str, bool)], there: bool) -> Scene {
        let net = format!("name=eth0,bridge=vmbr0,hwaddr={},ip=10.0.0.123/24", MINE.to_uppercase());
        let mut scene = Scene::bare();
        if there {
            scene = scene.with_guest(104, Lxc, true, &[("net0", &net)]);
        }
        scene.without_files();
        let address: &str = if beside { "10.0.0.2/24" } else { "192.168.10.2/24" };
        let bridge = Link { addresses: vec![address.parse().unwrap()], ..link("vmbr0", Some("bridge")) };
        scene.machine().links = Fact::complete(Links(vec![bridge]));
        let neighbour = |mac: &str, fresh| Neighbour { mac: mac.into(), interface: "vmbr0".into(), fresh };
        scene.machine().neighbourhood = Fact::complete(Neighbourhood {
            pinged: BTreeMap::from([
                ("10.0.0.10".parse().unwrap(), pinged[0]),
                ("10.0.0.123".parse().unwrap(), pinged[1]),
            ]),
            neighbours: neighbours
                .iter()
                .map(|(ip, mac, fresh)| (ip.parse().unwrap(), neighbour(mac, *fresh)))
                .collect(),
        });
        scene
    }

    fn verdict(scene: &Scene) -> Verdict {
        scene.verdicts(&CHECK)[1]
    }

    #[test]
    fn silence_is_freedom_only_where_one_can_ask() {
        use Ping::{Failed, Silent};
        assert_eq!(scene(true, [Silent; 2], &[], false).verdicts(&CHECK), [Pass, Pass]);
        assert_eq!(scene(false, [Silent; 2], &[], false).verdicts(&CHECK), [CouldNotRun, CouldNotRun]);
        assert_eq!(scene(true, [Failed; 2], &[], false).verdicts(&CHECK), [CouldNotRun, CouldNotRun]);
        assert_eq!(Scene::bare().verdicts(&CHECK), [CouldNotRun, CouldNotRun]);
    }

    #[test]
    fn the_guest_itself_is_told_from_a_stranger() {
        use Ping::{Answered, Silent};
        let stranger = "de:ad:be:ef:00:01";
        let at = |mac, fresh| [("10.0.0.123", mac, fresh)];
        assert_eq!(verdict(&scene(true, [Silent, Answered], &at(MINE, true), true)), Pass);
        assert_eq!(verdict(&scene(true, [Silent, Answered], &at(stranger, true), true)), Fail);
        assert_eq!(verdict(&scene(true, [Silent, Silent], &at(stranger, true), false)), Fail, "it drops ping");
        assert_eq!(verdict(&scene(true, [Silent, Silent], &at(stranger, false), false)), Warn);
        assert_eq!(verdict(&scene(false, [Silent, Answered], &[], true)), Pass);
        assert_eq!(verdict(&scene(false, [Silent, Answered], &[], false)), Warn);
    }

    #[test]
    fn configurations_of_other_guests_and_the_host_itself_count() {
        let mut other = scene(true, [Ping::Silent; 2], &[], false);
        other.with_file(900, guest_file(Qemu, &[("ipconfig0", "gw=10.0.0.1,ip=10.0.0.123/24")]));
        assert_eq!(verdict(&other), Fail);
        other.machine().neighbourhood = Fact::unavailable("no");
        assert_eq!(verdict(&other), Fail, "what is there condemns without the rest");
        let mut own = scene(true, [Ping::Silent; 2], &[], false);
        own.with_file(104, guest_file(Lxc, &[("net0", "ip=10.0.0.123/24")]));
        assert_eq!(verdict(&own), Pass);
        let mut host = scene(true, [Ping::Answered; 2], &[], false);
        let bridge = Link { addresses: vec!["10.0.0.123/24".parse().unwrap()], ..link("vmbr0", Some("bridge")) };
        host.machine().links = Fact::complete(Links(vec![bridge]));
        assert_eq!(verdict(&host), Fail);
    }
}
