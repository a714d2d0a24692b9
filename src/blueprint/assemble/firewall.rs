//! Firewalls and their rules.

use ipnet::IpNet;

use crate::blueprint::draft::Draft;
use crate::blueprint::{Firewall, Rule, Verdict};
use crate::diag::Spanned;
use crate::inventory::{self, Action, Direction, Peer, PeerList};

pub(super) fn firewall(draft: &Draft<'_>, own: Option<&inventory::GuestFirewall>) -> Option<Firewall> {
    let verdict = |action: Option<Spanned<Action>>, default| action.map_or(default, |action| verdict(action.value));
    let Some(own) = own else {
        return Some(Firewall {
            enabled: true,
            inbound: Verdict::Drop,
            outbound: Verdict::Drop,
            rules: Vec::new(),
            groups: Vec::new(),
        });
    };
    let mut groups = Vec::new();
    for group in own.groups.iter().flatten() {
        if !groups.contains(&group.value) {
            groups.push(group.value.clone());
        }
    }
    Some(Firewall {
        enabled: own.enabled.is_none_or(|enabled| enabled.value),
        inbound: verdict(own.inbound, Verdict::Drop),
        outbound: verdict(own.outbound, Verdict::Drop),
        rules: own.rules.iter().flatten().map(|own| rule(draft, own)).collect::<Option<_>>()?,
        groups,
    })
}

pub(super) fn rule(draft: &Draft<'_>, own: &inventory::Rule) -> Option<Rule> {
    Some(Rule {
        inbound: own.direction.is_none_or(|direction| direction.value == Direction::In),
        verdict: verdict(own.action?.value),
        source: nets(draft, own.source.as_ref())?,
        dest: nets(draft, own.dest.as_ref())?,
        protocol: own.protocol.map(|protocol| protocol.as_str().to_owned()),
        ports: own.ports.as_ref().map(|ports| ports.value.0.clone()),
        comment: own.comment.as_ref().map(|comment| comment.value.clone()).unwrap_or_default(),
    })
}

fn nets(draft: &Draft<'_>, peers: Option<&Spanned<PeerList>>) -> Option<Vec<IpNet>> {
    let peers = peers.iter().flat_map(|peers| &peers.value.0);
    peers
        .map(|peer| match peer {
            Peer::Net(net) => Some(*net),
            Peer::Guest(name) => Some(draft.guest(name)?.own.address.as_ref()?.value.0.into()),
        })
        .collect()
}

fn verdict(action: Action) -> Verdict {
    match action {
        Action::Accept => Verdict::Accept,
        Action::Drop => Verdict::Drop,
        Action::Reject => Verdict::Reject,
    }
}
