//! `zones`: what BIND serves, in the guest that it runs in.
//!
//! Each new zone is looked at by that guest's own `named-checkzone` and the file that names them by `named-checkconf`.
//! The serial follows from the file that is there and from the guest's own clock; a zone in which nothing changed keeps
//! its file to the byte.

use super::difference::Fields;
use super::guest_config::{GuestConfigured, Whose};
use super::switch::{Switch, Switched, new_of, sha256};
use super::{Context, Finding, Removal, Resource};
use crate::blueprint::{Blueprint, Guest, Zone};
use crate::diag::Diagnostic;
use crate::model::guest_look::{GuestLook, GuestQuestion};
use crate::model::{Addr, HostName, Kind};
use crate::render::{Unwritable, ZONE_FOLDER, named_conf, zone_after};

/// Where Debian's package has what a site adds.
const CONFIG: &str = "/etc/bind/named.conf.local";
const PROGRAMS: [&str; 1] = ["/usr/sbin/named"];

struct Zones<'a> {
    zones: Vec<&'a Zone>,
    common: GuestConfigured<'a>,
}

fn file_of(zone: &Zone) -> String {
    format!("{ZONE_FOLDER}/db.{}", zone.name)
}

/// Guests that serve zones, with those.
fn servers(blueprint: &Blueprint) -> Vec<(&Guest, Vec<&Zone>)> {
    let all = blueprint.guests.values().map(|guest| {
        let zones: Vec<&Zone> = blueprint.dns.zones.values().filter(|zone| zone.guest == guest.name).collect();
        (guest, zones)
    });
    all.filter(|(_, zones)| !zones.is_empty()).collect()
}

/// What has to be looked at for it.
pub(super) fn questions(blueprint: &Blueprint) -> Vec<(&Guest, GuestQuestion)> {
    let asked = servers(blueprint).into_iter().map(|(guest, zones)| {
        let files: Vec<String> = zones.into_iter().map(file_of).chain([CONFIG.to_owned()]).collect();
        let question = GuestQuestion {
            paths: PROGRAMS
                .iter()
                .map(|path| (*path).to_owned())
                .chain(files.iter().map(|path| new_of(path)))
                .collect(),
            packages: ["bind9"].into(),
            files: files.into_iter().collect(),
            ..GuestQuestion::default()
        };
        (guest, question)
    });
    asked.collect()
}

pub fn desired(blueprint: &Blueprint) -> Vec<Box<dyn Resource + '_>> {
    let all = servers(blueprint).into_iter().map(|(guest, zones)| {
        let zone_files = zones.iter().map(|zone| Whose { path: file_of(zone), package: None });
        let whose = zone_files.chain([Whose { path: CONFIG.to_owned(), package: Some("bind9") }]).collect();
        let common = GuestConfigured {
            blueprint,
            guest,
            host: blueprint.host_of(guest),
            span: zones[0].span,
            program: "BIND",
            title: format!("write zones of {} and load them", guest.name),
            programs: &PROGRAMS,
            whose,
        };
        Box::new(Zones { zones, common }) as Box<dyn Resource>
    });
    all.collect()
}

impl Zones<'_> {
    fn switch(&self, look: &GuestLook) -> Result<Switch, Unwritable> {
        let argv = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let file = |path: String, text: String, known_as: Option<String>| Switched {
            path,
            content: text.into(),
            mode: 0o644,
            group: None,
            known_as,
        };
        let (mut files, mut valid, mut served) = (Vec::new(), Vec::new(), String::new());
        for zone in &self.zones {
            let path = file_of(zone);
            let there = look.files.get(&path);
            let owner = &self.common.blueprint.name;
            let same = |text: &str| there.is_some_and(|there| there.sha256 == sha256(text));
            let text = zone_after(owner, zone, there.and_then(|there| there.serial), same, look.day)?;
            valid.push(argv(&["named-checkzone", &zone.name, &new_of(&path)]));
            served.push_str(&format!(" && rndc zonestatus {}", zone.name));
            // Whatever its serial will be.
            let known_as = sha256(&zone_after(owner, zone, Some(0), |_| true, look.day)?);
            files.push(file(path, text, Some(known_as)));
        }
        valid.push(argv(&["named-checkconf", &new_of(CONFIG)]));
        files.push(file(CONFIG.to_owned(), named_conf(&self.common.blueprint.name, self.zones.iter().copied())?, None));
        Ok(Switch {
            files,
            directories: Vec::new(),
            valid,
            // All of it together: a zone may be named elsewhere, too.
            load: format!("named-checkconf && systemctl reload-or-restart named{served}"),
            otherwise: "BIND did not take the new zones, and the old ones are in place".to_owned(),
        })
    }
}

impl Resource for Zones<'_> {
    fn addr(&self) -> Addr {
        Addr::new(Kind::Zones, &self.common.guest.name)
    }

    fn host(&self) -> &HostName {
        &self.common.host.name
    }

    fn find(&self, context: &Context<'_>) -> Finding {
        let look = match self.common.look(context) {
            Ok(look) => look,
            Err(finding) => return *finding,
        };
        match self.switch(look) {
            Ok(switch) => self.common.find(self.addr(), context, look, &switch, (Fields::new(), Fields::new())),
            Err(error) => {
                Finding::Refused(Diagnostic::error("plan.zones", error.to_string()).at(self.common.span, "").into())
            }
        }
    }

    fn removal(&self, _: &Context<'_>) -> Option<Removal> {
        // They go with their guest.
        None
    }
}
