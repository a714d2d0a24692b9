//! `packages`: Debian packages that the host shall have.
//!
//! Installed with `--no-remove`: a package that drives another one out would take Proxmox VE with it. They
//! stay when a run is taken back, as what needs them by then is not known.

use super::{Context, Finding, machine};
use crate::blueprint::{Blueprint, Host};
use crate::model::change::{Action, Via};
use crate::model::step::Undo;
use crate::model::{Addr, HostName, Kind};
use crate::resources::difference::{Fields, between, change};
use crate::resources::operations::{check, exec, output, step};
use crate::resources::{Changed, Removal, Resource};

struct Packages<'a> {
    host: &'a Host,
}

pub fn desired(blueprint: &Blueprint) -> Vec<Box<dyn Resource + '_>> {
    let hosts = blueprint.hosts.values().filter(|host| !host.system.packages.is_empty());
    hosts.map(|host| Box::new(Packages { host }) as Box<dyn Resource>).collect()
}

impl Resource for Packages<'_> {
    fn addr(&self) -> Addr {
        Addr::new(Kind::Packages, &self.host.name)
    }

    fn host(&self) -> &HostName {
        &self.host.name
    }

    fn find(&self, context: &Context<'_>) -> Finding {
        let addr = self.addr();
        let fact = &machine(context, self.host).wanted_packages;
        let Some(installed) = fact.value().filter(|_| fact.is_complete()) else {
            let why = fact.why().unwrap_or("not known");
            return Finding::Gap { why: format!("packages of `{}`: {why}", self.host.name) };
        };
        let wanted = &self.host.system.packages;
        let state = |there: &dyn Fn(&String) -> bool| -> Fields {
            wanted.iter().filter(|name| there(name)).map(|name| (name.clone(), "installed".to_owned())).collect()
        };
        let desired = state(&|_| true);
        let current = state(&|name| installed.contains(name));
        let differences = between(&current, &desired);
        if differences.is_empty() {
            return Finding::Unchanged { desired };
        }
        let mut change = change(addr.clone(), Action::Update, &differences, context.memory);
        change.via = Via::Ssh;
        let missing: Vec<&str> = differences.iter().map(|difference| difference.path.as_str()).collect();
        // Fetching the lists may fail for one repository of several; whether it mattered shows in what follows.
        let mut ops = vec![exec(["sh", "-c", "apt-get update -q || true"])];
        let install = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-q", "-y", "--no-remove", "--"];
        ops.push(exec(install.into_iter().chain(missing.iter().copied())));
        ops.extend(missing.iter().map(|name| {
            check(
                output(["dpkg-query", "-W", "-f", "${db:Status-Status}", name], "installed"),
                format!("`{name}` is not installed; can the host reach its repositories (`apt-get update`)?"),
            )
        }));
        let mut install = step(&addr, "install", format!("install {}", missing.join(", ")), &self.host.name, ops);
        install.undo = Undo::nothing("packages stay: what needs them by then is not known");
        Finding::Changed(Changed {
            change,
            steps: vec![install],
            desired,
            seen: format!("{current:?}"),
            notes: Vec::new(),
        })
    }

    fn removal(&self, _: &Context<'_>) -> Option<Removal> {
        None
    }
}
