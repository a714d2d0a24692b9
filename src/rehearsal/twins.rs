//! The twins of all sites, alive and with doors.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::opnsense::TwinOpnSense;
use super::tailnet::TwinTailnet;
use crate::blueprint::Blueprint;
use crate::client::{Door, Doors};
use crate::lab::shell::DirectShell;
use crate::lab::site::Site;
use crate::lab::twin::{self, Count, Original, OriginalHost, Tempo, TwinApi, TwinClock, TwinShell, Untwinned};
use crate::lab::{DirectApi, LabError, LiveSite};
use crate::model::observed::Observed;
use crate::plan::Scope;
use crate::ports::{Clock, Shell};
use crate::secrets::StandIns;

/// Twins of every site of a blueprint that could be looked at.
pub(super) struct Twins {
    pub doors: Doors,
    pub clock: Arc<TwinClock>,
    pub count: Arc<Count>,
    pub untwinned: Vec<Untwinned>,
}

impl Twins {
    pub fn new(
        blueprint: &Blueprint,
        observed: &Observed,
        scope: &Scope,
        now: jiff::Timestamp,
        tempo: Tempo,
    ) -> Result<Self, LabError> {
        let clock = TwinClock::new(now);
        let count = Arc::new(Count::default());
        let tailnet = blueprint.tailnet.as_ref().and_then(|tailnet| {
            TwinTailnet::of(&observed.tailnet, &tailnet.url, Arc::<TwinClock>::clone(&clock) as Arc<dyn Clock>)
        });
        let mut doors = BTreeMap::new();
        let mut untwinned = BTreeSet::new();
        for name in blueprint.sites().into_keys() {
            let hosts: Vec<_> = blueprint.hosts.values().filter(|host| host.site == name).collect();
            if !scope.hosts.is_empty() && !hosts.iter().any(|host| scope.hosts.contains(&host.name)) {
                continue;
            }
            let Some(site) = observed.sites.get(name).filter(|site| site.version.value().is_some()) else {
                let why =
                    observed.sites.get(name).and_then(|site| site.version.why()).unwrap_or("it was not looked at");
                untwinned.insert(Untwinned { what: format!("anything of {name}"), why: why.to_owned() });
                continue;
            };
            let original = Original {
                name,
                site,
                hosts: hosts
                    .iter()
                    .filter_map(|host| {
                        Some(OriginalHost {
                            name: &host.name,
                            node: &host.node,
                            address: &host.access.api.host,
                            token_id: &host.access.api.token_id,
                            there: observed.hosts.get(&host.name)?,
                        })
                    })
                    .collect(),
            };
            let secret = format!("{:032x}", fastrand::u128(..));
            let mut twin = twin::of(&original, &secret, now);
            twin.world.pace = tempo.pace;
            twin.world.uplink = tailnet.as_ref().map(TwinTailnet::uplink).unwrap_or_default();
            untwinned.extend(twin.untwinned);
            let live = LiveSite::new(twin.world, Arc::<TwinClock>::clone(&clock), Vec::new(), None)?;
            let digests = Arc::new(twin.digests);
            for host in hosts {
                let credentials = format!("{}={secret}", host.access.api.token_id);
                let direct = DirectApi::new(Arc::clone(&live), credentials.into());
                let api = TwinApi::new(direct, Arc::clone(&clock), tempo, Arc::clone(&digests), Arc::clone(&count));
                let shell = host.access.ssh.as_ref().map(|_| -> Arc<dyn Shell> {
                    let direct = DirectShell::new(Arc::clone(&live) as Arc<dyn Site>, host.node.as_str());
                    Arc::new(TwinShell::new(direct, Arc::clone(&clock), tempo, Arc::clone(&count)))
                });
                doors.insert(host.name.clone(), Door { api: Arc::new(api), shell });
            }
        }
        // The same jitter every time: a rehearsal says the same twice.
        let mut doors =
            Doors::new(doors, Arc::<TwinClock>::clone(&clock) as Arc<dyn Clock>, 1).with_secrets(Arc::new(StandIns));
        if let Some(tailnet) = tailnet {
            doors = doors.with_tailnet(Arc::new(tailnet));
        }
        if let Some(router) = TwinOpnSense::of(&observed.opnsense).filter(|_| blueprint.dns.opnsense.is_some()) {
            doors = doors.with_opnsense(Arc::new(router));
        }
        Ok(Self { doors, clock, count, untwinned: untwinned.into_iter().collect() })
    }
}
