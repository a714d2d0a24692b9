//! A derived rule in the words of the API.

use std::collections::BTreeMap;

use crate::model::observed::FirewallRule;
use crate::model::{EnvironmentName, PortRange, Transport};
use crate::resources::ownership::marked;

/// `in` or `out`, and what happens.
#[derive(Debug, Clone, Copy)]
pub struct Way {
    pub inbound: bool,
    pub accept: bool,
}

pub const COMES: Way = Way { inbound: true, accept: true };
pub const COMES_NOT: Way = Way { inbound: true, accept: false };
pub const GOES: Way = Way { inbound: false, accept: true };
pub const GOES_NOT: Way = Way { inbound: false, accept: false };

/// What a rule lets through: any protocol, one of them, or some of its ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ports(pub Option<(Transport, PortRange)>);

impl Ports {
    pub const ANY: Self = Self(None);

    pub fn of(transport: Transport, ports: PortRange) -> Self {
        Self(Some((transport, ports)))
    }
}

/// A rule about one end (whoever is not the guest), marked as ours.
pub fn rule(inventory: &EnvironmentName, way: Way, other: Option<&str>, ports: Ports, comment: &str) -> FirewallRule {
    let mut fields = BTreeMap::from([
        ("type".to_owned(), if way.inbound { "in" } else { "out" }.to_owned()),
        ("action".to_owned(), if way.accept { "ACCEPT" } else { "DROP" }.to_owned()),
        ("enable".to_owned(), "1".to_owned()),
        ("comment".to_owned(), marked(inventory, comment)),
    ]);
    if let Some(other) = other {
        fields.insert(if way.inbound { "source" } else { "dest" }.to_owned(), other.to_owned());
    }
    if let Ports(Some((transport, ports))) = ports {
        fields.insert("proto".to_owned(), transport.to_string());
        if ports != PortRange::ALL {
            fields.insert("dport".to_owned(), ports.to_string());
        }
    }
    FirewallRule(fields)
}

/// How a set of the datacenter is referred to.
pub fn set_ref(name: &str) -> String {
    format!("+dc/{name}")
}

/// How an alias of the datacenter is referred to.
pub fn alias_ref(name: &str) -> String {
    format!("dc/{name}")
}
