//! What lists leave out: PVE answers 200 with what the token may see and is silent about the rest.
//!
//! Holds every list against what the token may audit. Where something that the blueprint names is not
//! listed and could be there unseen, the fact is partial and says which privilege is missing.

use std::collections::BTreeSet;

use crate::blueprint::{self, Blueprint, ImageSource};
use crate::client::{CallError, Session};
use crate::model::observed::{Fact, Host, Site};
use crate::model::{HostName, Permissions, Vmid, how_to_grant};
use crate::proxmox::endpoints::NEXT_ID;

/// Any of these shows a storage in a node's list.
const SHOWS_STORAGE: &[&str] = &["Datastore.Audit", "Datastore.AllocateSpace"];
/// Any of these shows a PCI mapping.
const SHOWS_MAPPING: &[&str] = &["Mapping.Audit", "Mapping.Use", "Mapping.Modify"];

/// The eyes of one token.
pub(super) struct Sight<'a> {
    /// Its id.
    pub token: &'a str,
    /// What it may do where.
    pub permissions: &'a Fact<Permissions>,
}

impl Sight<'_> {
    /// Why something at `path` could be there unseen; nothing if it would be seen.
    fn blind(&self, path: &str, any_of: &[&str]) -> Option<String> {
        match self.permissions.value() {
            None => {
                let why = self.permissions.why().unwrap_or_default();
                Some(format!("what token `{}` may see is not known: {why}", self.token))
            }
            Some(all) if any_of.iter().any(|privilege| all.has(path, privilege)) => None,
            Some(_) => {
                let privilege = any_of[0];
                let grant = how_to_grant(self.token, path, privilege);
                Some(format!(
                    "token `{}` lacks {privilege} on {path}, so what is not listed may be there all the same; {grant}",
                    self.token
                ))
            }
        }
    }

    /// A list as what it is, where `absent` are the paths of what was looked for and is not in it.
    fn judge<T>(&self, fact: &mut Fact<T>, absent: impl IntoIterator<Item = String>, any_of: &[&str]) {
        if !fact.is_complete() {
            return;
        }
        if let Some(why) = absent.into_iter().find_map(|path| self.blind(&path, any_of)) {
            make_partial(fact, why);
        }
    }

    /// Judges the list of guests. A number that could be taken unseen is asked for by itself: whether it
    /// is free PVE tells everybody.
    pub async fn judge_guests(&self, site: &mut Site, managed: &[Vmid], session: &Session) {
        if !site.guests.is_complete() {
            return;
        }
        let listed = |vmid: &Vmid| site.guests.value().is_some_and(|guests| guests.contains_key(vmid));
        let mut whys = Vec::new();
        for vmid in managed.iter().filter(|vmid| !listed(vmid)) {
            let Some(blind) = self.blind(&format!("/vms/{vmid}"), &["VM.Audit"]) else { continue };
            match session.read(&NEXT_ID.at(&[]).set("vmid", vmid).request()).await {
                Ok(_) => {}
                Err(CallError::Refused(failure)) if failure.errors.contains_key("vmid") => {
                    whys.push(format!("vmid {vmid} is taken by a guest that is not shown to us: {blind}"));
                }
                Err(_) => whys.push(blind),
            }
        }
        if let Some(why) = whys.into_iter().next() {
            make_partial(&mut site.guests, why);
        }
    }

    /// Judges the other lists of a site.
    pub fn judge_site(&self, site: &mut Site, blueprint: &Blueprint, name: &str) {
        let pool = blueprint.pool.as_str();
        let absent = !site.pools.value().is_some_and(|pools| pools.contains_key(pool));
        self.judge(&mut site.pools, absent.then(|| format!("/pool/{pool}")), &["Pool.Audit"]);

        let gpus: BTreeSet<&str> =
            hosts_of(blueprint, name).flat_map(|host| host.gpus.keys()).map(|gpu| gpu.as_str()).collect();
        let listed: BTreeSet<String> =
            site.mappings.value().into_iter().flatten().map(|(mapping, _)| mapping.to_string()).collect();
        let absent = gpus.into_iter().filter(|gpu| !listed.contains(*gpu)).map(|gpu| format!("/mapping/pci/{gpu}"));
        self.judge(&mut site.mappings, absent, SHOWS_MAPPING);
        // Without it there are only our own tasks in it.
        self.judge(&mut site.tasks, ["/".to_owned()], &["Sys.Audit"]);
    }

    /// Judges the storages of a host.
    pub fn judge_storages(&self, there: &mut Host, blueprint: &Blueprint, host: &HostName) {
        let host = &blueprint.hosts[host];
        let guests = blueprint.guests.values().filter(|guest| guest.host == host.name);
        let wanted: BTreeSet<_> = guests.map(|guest| &guest.storage).chain([&host.storage.files]).collect();
        let listed = |name: &_| there.storages.value().is_some_and(|all| all.contains_key(name));
        let absent: Vec<String> =
            wanted.into_iter().filter(|name| !listed(name)).map(|name| format!("/storage/{name}")).collect();
        self.judge(&mut there.storages, absent, SHOWS_STORAGE);
    }
}

fn hosts_of<'a>(blueprint: &'a Blueprint, site: &'a str) -> impl Iterator<Item = &'a blueprint::Host> {
    blueprint.hosts.values().filter(move |host| host.site == site)
}

fn make_partial<T>(fact: &mut Fact<T>, why: String) {
    *fact = match std::mem::replace(fact, Fact::unavailable("")) {
        Fact::Complete { value } => Fact::Partial { value, why },
        other => other,
    };
}

/// File names of the container templates that guests of a host are made from.
pub(super) fn templates(blueprint: &Blueprint, host: &blueprint::Host) -> BTreeSet<String> {
    let guests = blueprint.guests.values().filter(|guest| guest.host == host.name);
    let images = guests.filter_map(|guest| blueprint.images.get(&guest.image));
    let template = |image: &blueprint::Image| match &image.source {
        ImageSource::Template { file } => Some(file.clone()),
        ImageSource::Cloud { .. } => None,
    };
    images.filter_map(template).collect()
}
