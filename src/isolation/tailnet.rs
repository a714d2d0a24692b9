//! The tailnet's part of an answer: who reaches which guest over it, on which ports, and by which rule.
//!
//! A network of its own beside the bridge, past Proxmox's firewall: whoever is a member has both ways to another one.
//! The evaluator itself is [`crate::tailnet::Policy::decide`]; here it is asked in the words of flows. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::matrix::Side;
use super::reach::PortSet;
use crate::blueprint::{Blueprint, Flow, Party};
use crate::diag::Diagnostic;
use crate::model::tailnet::TailnetSeen;
use crate::model::{GuestName, Transport};
use crate::tailnet::{Decision, Packet, Policy, Presence, edit, members, tag_of, wanted};

const BOTH: [Transport; 2] = [Transport::Tcp, Transport::Udp];

/// A tailnet with its policy, and by which names of it guests are members.
#[derive(Debug, Clone)]
pub struct Tailnet {
    policy: Policy,
    members: BTreeMap<GuestName, Vec<String>>,
    /// What the answer does not cover.
    pub gaps: Vec<String>,
}

/// What is open to a guest over the tailnet by one protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TailnetOpening {
    /// Who opens the connection: a guest, or whom the policy names.
    pub from: Side,
    /// Who is connected to.
    pub to: GuestName,
    /// How.
    pub transport: Transport,
    /// Which ports.
    pub ports: PortSet,
    /// Flows that declare some of it: places in the blueprint's list.
    pub flows: BTreeSet<usize>,
    /// Ports that no flow declares.
    pub undeclared: PortSet,
    /// The rule that lets the first of them through, else the first of all.
    pub by: String,
}

impl Tailnet {
    /// The tailnet as it would be with nothing but our own section in its policy, and every member in it; none, if
    /// the inventory declares none.
    #[must_use]
    pub fn desired(blueprint: &Blueprint) -> Option<Self> {
        blueprint.tailnet.as_ref()?;
        let section = wanted(blueprint, &Policy::default(), &Presence::default());
        let policy = edit("{}", blueprint.name.as_str(), &section).map_err(|error| error.to_string());
        let policy = policy.and_then(|text| Policy::read(&text).map_err(|error| error.to_string()));
        let gaps = policy.as_ref().err().map(|why| format!("the tailnet's policy cannot be put together: {why}"));
        let members = members(blueprint)
            .into_iter()
            .map(|guest| (guest.clone(), vec![tag_of(&blueprint.name, &guest)]))
            .collect();
        let policy = policy.unwrap_or(Policy { rules: Some(Vec::new()), ..Policy::default() });
        Some(Self { policy, members, gaps: gaps.into_iter().collect() })
    }

    /// The tailnet as its control plane showed it.
    ///
    /// # Errors
    /// With what is not known of it.
    pub fn observed(blueprint: &Blueprint, seen: &TailnetSeen) -> Option<Result<Self, String>> {
        blueprint.tailnet.as_ref()?;
        let why = || {
            let why = seen.policy.why().or(seen.devices.why()).unwrap_or("it was not read");
            format!("the tailnet is not known: {why}")
        };
        let policy = seen.policy.value().filter(|_| seen.policy.is_complete());
        let devices = seen.devices.value().filter(|_| seen.devices.is_complete());
        let (Some(text), Some(devices)) = (policy, devices) else { return Some(Err(why())) };
        let policy = match Policy::read(text) {
            Ok(policy) => policy,
            Err(error) => return Some(Err(format!("the tailnet's policy cannot be read: {error}"))),
        };
        let mut own: BTreeMap<GuestName, Vec<String>> = BTreeMap::new();
        for guest in blueprint.guests.keys() {
            let tag = tag_of(&blueprint.name, guest);
            for device in devices.iter().filter(|one| one.tags.contains(&tag) || one.hostname == guest.as_str()) {
                // A tag takes a device away from whoever joined it.
                let login = device.tags.is_empty().then(|| device.user.clone());
                own.entry(guest.clone()).or_default().extend(device.tags.iter().cloned().chain(login));
            }
        }
        let absent: Vec<String> =
            members(blueprint).iter().filter(|guest| !own.contains_key(guest)).map(ToString::to_string).collect();
        let gaps = match absent.is_empty() {
            true => Vec::new(),
            false => vec![format!("not in the tailnet yet, so nobody reaches them over it: {}", absent.join(", "))],
        };
        Some(Ok(Self { policy, members: own, gaps }))
    }

    /// By which names of the policy a guest is a member; none, if it is not.
    #[must_use]
    pub fn names_of(&self, guest: &GuestName) -> &[String] {
        self.members.get(guest).map_or(&[], Vec::as_slice)
    }

    /// Whether the policy knows a tag or a group; a login or an `autogroup:` need not be in it.
    #[must_use]
    pub fn knows(&self, who: &str) -> bool {
        let named = || self.policy.rules.iter().flatten().flat_map(|rule| &rule.src);
        match who.split_once(':') {
            Some(("tag" | "group", _)) => self.known().contains(&who) || named().any(|src| src == who),
            _ => true,
        }
    }

    /// Tags and groups that the policy knows.
    #[must_use]
    pub fn known(&self) -> Vec<&str> {
        let tags =
            self.policy.tag_owners.keys().chain(self.policy.groups.keys()).chain(self.members.values().flatten());
        let known: BTreeSet<&str> = tags.map(String::as_str).collect();
        known.into_iter().collect()
    }

    /// What becomes of a connection: the first rule that lets it through, whichever name it is by.
    #[must_use]
    pub fn decide(&self, from: &[String], to: &[String], transport: Transport, port: u16) -> Decision<'_> {
        let pairs = from.iter().flat_map(|from| to.iter().map(move |to| (from, to)));
        let mut all = pairs.map(|(from, to)| self.policy.decide(&Packet { from, to, transport, port }));
        all.find(Decision::is_reachable).unwrap_or(Decision::Denied)
    }

    /// Every port that is reached.
    #[must_use]
    pub fn open_ports(&self, from: &[String], to: &[String], transport: Transport) -> PortSet {
        let starts = self.cuts();
        let ends = starts.iter().skip(1).map(|next| next - 1).chain([u16::MAX]);
        let open = |port: u16| self.decide(from, to, transport, port).is_reachable();
        PortSet::of(starts.iter().copied().zip(ends).filter(|(first, _)| open(*first)))
    }

    /// Ports at which some rule begins or ends to be about them.
    fn cuts(&self) -> BTreeSet<u16> {
        let mut cuts = BTreeSet::from([1]);
        let lists = self.policy.rules.iter().flatten().flat_map(|rule| &rule.dst).map(|(_, ports)| ports.as_str());
        for part in lists.flat_map(|list| list.rsplit(':').next().unwrap_or(list).split(',')) {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            cuts.extend(first.parse::<u16>().ok().filter(|port| *port > 0));
            cuts.extend(last.parse::<u16>().ok().and_then(|port| port.checked_add(1)));
        }
        cuts
    }

    /// Everything that is open to guests, with what declares it.
    #[must_use]
    pub fn openings(&self, blueprint: &Blueprint) -> Vec<TailnetOpening> {
        let mut openings = Vec::new();
        for (to, names) in &self.members {
            for (from, by_name) in
                self.sources(blueprint).into_iter().filter(|(from, _)| *from != Side::Guest(to.clone()))
            {
                for transport in BOTH {
                    let ports = self.open_ports(&by_name, names, transport);
                    let Some(first) = ports.first() else { continue };
                    let (flows, declared) = self.declared(blueprint, &from, to, transport);
                    let undeclared = ports.without(&declared);
                    let shown = undeclared.first().unwrap_or(first);
                    let by = self.decide(&by_name, names, transport, shown).to_string();
                    let from = from.clone();
                    openings.push(TailnetOpening { from, to: to.clone(), transport, ports, flows, undeclared, by });
                }
            }
        }
        openings
    }

    /// Whoever may open a connection, as far as policy and flows name them. `*` stands for people, too.
    fn sources(&self, blueprint: &Blueprint) -> Vec<(Side, Vec<String>)> {
        let guests = self.members.iter().map(|(guest, names)| (Side::Guest(guest.clone()), names.clone()));
        let mut named: BTreeSet<&str> = BTreeSet::new();
        for src in self.policy.rules.iter().flatten().flat_map(|rule| &rule.src) {
            named.insert(if src == "*" { "autogroup:member" } else { src });
        }
        named.extend(blueprint.flows.iter().filter_map(|flow| match &flow.from {
            Party::Tailnet(who) => Some(who.as_str()),
            _ => None,
        }));
        let own: BTreeSet<&String> = self.members.values().flatten().collect();
        let others = named.into_iter().filter(|name| !own.iter().any(|own| own == name));
        guests.chain(others.map(|name| (Side::Tailnet(name.to_owned()), vec![name.to_owned()]))).collect()
    }

    /// Which flows declare that one side reaches a guest, and on which ports. A flow between guests means both of
    /// their networks.
    fn declared(
        &self,
        blueprint: &Blueprint,
        from: &Side,
        to: &GuestName,
        transport: Transport,
    ) -> (BTreeSet<usize>, PortSet) {
        let mut ports = PortSet::default();
        let mut flows = BTreeSet::new();
        for (index, flow) in blueprint.flows.iter().enumerate() {
            let by = match (&flow.from, from) {
                (Party::Guest(guest), Side::Guest(own)) => guest == own,
                (Party::Tailnet(who), Side::Tailnet(own)) => self.means(who, own),
                (Party::Tailnet(who), Side::Guest(own)) => self.names_of(own).contains(who),
                _ => false,
            };
            if by && flow.to == Party::Guest(to.clone()) && flow.transport == transport {
                ports = ports.and(&PortSet::range(flow.ports));
                flows.insert(index);
            }
        }
        (flows, ports)
    }

    /// Whether whoever `other` names is among those that `who` names.
    fn means(&self, who: &str, other: &str) -> bool {
        let is_login = other.contains('@') && !other.starts_with("tag:") && !other.starts_with("group:");
        let members = |group: &str| self.policy.groups.get(group).filter(|members| !members.is_empty());
        who == other
            || who == "*"
            || (who == "autogroup:member" && is_login)
            || members(who).is_some_and(|all| all.iter().any(|member| member == other))
            || members(other).is_some_and(|all| all.iter().all(|member| self.means(who, member)))
    }

    /// What is open to guests over the tailnet although no flow declares it.
    #[must_use]
    pub fn undeclared(&self, blueprint: &Blueprint) -> Vec<Diagnostic> {
        let openings = self.openings(blueprint).into_iter().filter(|opening| !opening.undeclared.is_empty());
        let problem = |opening: TailnetOpening| {
            let TailnetOpening { from, to, transport, undeclared, by, .. } = &opening;
            let summary =
                format!("`{from}` reaches `{to}` over the tailnet on {transport} {undeclared}, and no flow says so");
            let span = blueprint.guests.get(to).map(|guest| guest.span_of("access"));
            Diagnostic::error("isolation.undeclared", summary)
                .cause(by.clone())
                .at_maybe(span, "")
                .hint("declare it with `access`, or take away the rule of the policy that opens it")
        };
        openings.map(problem).collect()
    }

    /// Flows from the tailnet that its policy does not let through, wholly or in part.
    #[must_use]
    pub fn denied_flows(&self, blueprint: &Blueprint) -> Vec<Diagnostic> {
        blueprint.flows.iter().filter_map(|flow| self.denied(flow)).collect()
    }

    fn denied(&self, flow: &Flow) -> Option<Diagnostic> {
        let (Party::Tailnet(from), Party::Guest(to)) = (&flow.from, &flow.to) else { return None };
        let transport = flow.transport;
        let names = self.names_of(to);
        // Of a group, everybody has to get through.
        let each: Vec<String> = match self.policy.groups.get(from) {
            Some(members) if !members.is_empty() => members.clone(),
            _ => vec![from.clone()],
        };
        let (who, missing) = each.iter().find_map(|who| {
            let open = self.open_ports(std::slice::from_ref(who), names, transport);
            let missing = PortSet::range(flow.ports).without(&open);
            (!missing.is_empty()).then_some((who, missing))
        })?;
        let summary =
            format!("the flow from `{from}` to `{to}` does not get through the tailnet on {transport} {missing}");
        let why = match names.is_empty() {
            true => format!("`{to}` is not in the tailnet"),
            false => format!("{who} → {}: {}", names.join(", "), Decision::Denied),
        };
        Some(
            Diagnostic::error("isolation.flow-denied", summary)
                .cause(why)
                .at(flow.span, "declared here")
                .hint("`infra plan` shows what the policy lacks, and who has not joined"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blueprint::testing::with;
    use crate::model::observed::Fact;
    use crate::model::tailnet::TailnetDevice;

    const OVER: &str = "
tailnet: { key: secret:t, groups: { staff: [ann@example.com, bob@example.com] }, members: [proj-x] }
guests:
  plan-hq: { services: [open-webui], access: [{ from: tag:phone, to: [ssh] }, { from: group:staff, to: [open-webui] }] }
";

    fn names(name: &str) -> Vec<String> {
        vec![name.to_owned()]
    }

    fn device(hostname: &str, tags: &[&str], user: &str) -> TailnetDevice {
        let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
        TailnetDevice { hostname: hostname.into(), tags, user: user.into(), ..TailnetDevice::default() }
    }

    fn seen(policy: &str, devices: Vec<TailnetDevice>) -> TailnetSeen {
        TailnetSeen { policy: Fact::Complete { value: policy.to_owned() }, devices: Fact::Complete { value: devices } }
    }

    fn said(problems: &[Diagnostic]) -> Vec<&str> {
        problems.iter().map(|problem| problem.summary.as_str()).collect()
    }

    #[test]
    fn what_would_be_written_lets_through_what_is_declared_and_nothing_else() {
        let blueprint = with(OVER);
        let tailnet = Tailnet::desired(&blueprint).unwrap();
        let hq = "plan-hq".parse().unwrap();
        let open = |from: &str| tailnet.open_ports(&names(from), tailnet.names_of(&hq), Transport::Tcp).to_string();
        assert_eq!(
            (open("tag:phone"), open("ann@example.com"), open("eve@example.com")),
            ("22".into(), "3000".into(), "none".into())
        );
        assert_eq!(open("tag:infra-test-proj-x"), "none", "members have no way to one another");
        let rule = tailnet.decide(&names("tag:phone"), tailnet.names_of(&hq), Transport::Tcp, 22).to_string();
        assert!(rule.contains("of the tailnet policy") && rule.contains("tcp:22"), "{rule}");
        assert_eq!(said(&tailnet.undeclared(&blueprint)), [""; 0]);
        assert_eq!(said(&tailnet.denied_flows(&blueprint)), [""; 0]);
        assert_eq!(tailnet.openings(&blueprint).len(), 2);
        assert!(Tailnet::desired(&with("")).is_none());
    }

    #[test]
    fn what_somebody_else_opens_is_found_with_its_rule_and_its_ports() {
        let blueprint = with(OVER);
        let policy = r#"{"grants": [
            {"src": ["tag:phone"], "dst": ["tag:infra-test-plan-hq"], "ip": ["tcp:22"]},
            {"src": ["ann@example.com"], "dst": ["tag:infra-test-plan-hq"], "ip": ["tcp:3000"]},
            {"src": ["tag:infra-test-proj-x"], "dst": ["tag:infra-test-plan-hq"], "ip": ["tcp:5000-5010"]},
        ], "groups": {"group:staff": ["ann@example.com", "bob@example.com"]}}"#;
        let devices =
            vec![device("plan-hq", &["tag:infra-test-plan-hq"], ""), device("proj-x", &["tag:infra-test-proj-x"], "")];
        let tailnet = Tailnet::observed(&blueprint, &seen(policy, devices)).unwrap().unwrap();
        let undeclared = tailnet.undeclared(&blueprint);
        let expected = "`proj-x` reaches `plan-hq` over the tailnet on tcp 5000:5010, and no flow says so";
        assert_eq!(said(&undeclared), [expected], "ann is of the staff");
        assert!(undeclared[0].causes[0].contains("line 4"), "{:?}", undeclared[0].causes);
        let denied = tailnet.denied_flows(&blueprint);
        assert_eq!(
            said(&denied),
            ["the flow from `group:staff` to `plan-hq` does not get through the tailnet on tcp 3000"]
        );
        assert!(denied[0].causes[0].starts_with("bob@example.com"), "{:?}", denied[0].causes);
    }

    #[test]
    fn who_uses_a_port_may_do_so_over_both_networks() {
        let over = "tailnet: { key: secret:t, members: [plan-hq, proj-x] }\n\
                    guests: { plan-hq: { services: [litellm] }, proj-x: { uses: [plan-hq/litellm] } }";
        let blueprint = with(over);
        let policy = r#"{"grants": [{"src": ["tag:infra-test-proj-x"], "dst": ["tag:infra-test-plan-hq"], "ip": ["tcp:4000", "tcp:22"]}]}"#;
        let devices = vec![device("a", &["tag:infra-test-plan-hq"], ""), device("b", &["tag:infra-test-proj-x"], "")];
        let tailnet = Tailnet::observed(&blueprint, &seen(policy, devices)).unwrap().unwrap();
        let problems = tailnet.undeclared(&blueprint);
        assert!(problems.len() == 1 && problems[0].summary.contains("on tcp 22,"), "{problems:?}");
    }

    #[test]
    fn a_guest_that_did_not_join_is_reached_by_nobody_and_one_without_its_tag_by_what_it_has() {
        let blueprint = with(OVER);
        let policy = r#"{"grants": [{"src": ["autogroup:member"], "dst": ["autogroup:self"], "ip": ["*"]}]}"#;
        let tailnet = |devices| Tailnet::observed(&blueprint, &seen(policy, devices)).unwrap().unwrap();
        let nobody = tailnet(Vec::new());
        assert!(nobody.gaps[0].ends_with("plan-hq, proj-x"), "{:?}", nobody.gaps);
        assert!(nobody.denied_flows(&blueprint).iter().all(|one| one.causes[0].contains("is not in the tailnet")));
        let anns = tailnet(vec![device("proj-x", &[], "ann@example.com")]);
        let found = anns.undeclared(&blueprint);
        assert!(
            said(&found).iter().any(|said| said.contains("reaches `proj-x` over the tailnet on tcp all")),
            "{found:?}"
        );
        assert!(Tailnet::observed(&blueprint, &TailnetSeen::default()).unwrap().is_err());
    }
}
