//! `routes`: the reverse proxy's configuration in the container that it runs in.
//!
//! Written beside the old one, looked at by that container's own `caddy validate`, put in its place and loaded without
//! cutting off anybody; the old one is put back, and loaded, if the new one is not taken or nothing answers after it.
//! Without Caddy in the container nothing is done, and the plan says so.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::difference::{Fields, between, change};
use super::guest::{guest_addr, locate};
use super::operations::{check, exec, output, step};
use super::{Changed, Context, Finding, Removal, Resource};
use crate::blueprint::{Auth, Blueprint, Guest, GuestShape, Host, Ingress, Proxy};
use crate::diag::Diagnostic;
use crate::model::change::{Action, Risk, Via};
use crate::model::observed::ReverseProxy;
use crate::model::step::{Op, Step, Undo};
use crate::model::{Addr, HostName, Kind};
use crate::render::{CaddyPlace, caddyfile};

/// Where Debian's package has it, the one that waits to be loaded, and the one before.
const FILE: &str = "/etc/caddy/Caddyfile";
const NEW: &str = "/etc/caddy/Caddyfile.infra-new";
const OLD: &str = "/etc/caddy/Caddyfile.infra-old";

/// How a configuration of ours begins, and the one that Debian's package brings.
const OURS: &str = "# Written by infra for ";
const PACKAGED: &str = "# The Caddyfile is an easy way to configure your Caddy web server.";

struct Routes<'a> {
    blueprint: &'a Blueprint,
    ingress: &'a Ingress,
    guest: &'a Guest,
    host: &'a Host,
}

pub fn desired(blueprint: &Blueprint) -> Vec<Box<dyn Resource + '_>> {
    let routes = blueprint.ingress.as_ref().and_then(|ingress| {
        let guest = blueprint.guests.get(&ingress.guest)?;
        Some(Routes { blueprint, ingress, guest, host: blueprint.host_of(guest) })
    });
    routes.into_iter().map(|routes| Box::new(routes) as Box<dyn Resource>).collect()
}

impl Routes<'_> {
    /// A command in the container.
    fn inside<const N: usize>(&self, argv: [&str; N]) -> Vec<String> {
        let head = ["pct", "exec", &self.guest.vmid.to_string(), "--"].map(str::to_owned);
        head.into_iter().chain(argv.map(str::to_owned)).collect()
    }

    /// Loads what is in place, and looks whether anything listens then. `reload-or-restart` starts it where it does not
    /// run.
    fn load(&self) -> String {
        let ports = self.ingress.ports();
        let port = ports.iter().next_back().unwrap_or(&443);
        format!("systemctl reload-or-restart caddy && bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port} && echo open'")
    }

    fn write(&self, there: &ReverseProxy, text: &str, wanted: &str) -> Step {
        let vmid = self.guest.vmid.to_string();
        let here = format!("/var/lib/infra/routes/{vmid}");
        let load = self.load();
        let back = match there.sha256 {
            Some(_) => format!("cp -p {OLD} {FILE}; {load}"),
            None => format!("rm -f {FILE}"),
        };
        let switch = format!("cp -p {NEW} {FILE} && {load} && rm -f {NEW} && exit 0; {back}; rm -f {NEW}; exit 1");
        let loaded = format!("test -e {NEW} || sha256sum {FILE}");
        let mut ops = vec![
            exec(["mkdir", "-p", "/var/lib/infra/routes"]),
            Op::PutFile { path: here.clone(), content: text.into(), mode: 0o644 },
            exec(["pct", "push", &vmid, &here, NEW, "--perms", "0644"]),
            exec(self.inside(["caddy", "validate", "--adapter", "caddyfile", "--config", NEW])),
        ];
        if there.sha256.is_some() {
            ops.push(exec(self.inside(["cp", "-p", FILE, OLD])));
        }
        ops.push(exec(self.inside(["sh", "-c", &switch])));
        ops.push(check(
            output(self.inside(["sh", "-c", &loaded]), format!("{wanted}  {FILE}")),
            "Caddy did not take the new routes, and the old ones are in place",
        ));
        let addr = self.addr();
        let title = format!("write routes of {} and load them", self.guest.name);
        let mut step = step(&addr, "write", title, &self.host.name, ops);
        step.undo = if there.sha256.is_some() {
            Undo::Ops { ops: vec![exec(self.inside(["sh", "-c", &format!("cp -p {OLD} {FILE} && {load}")]))] }
        } else {
            Undo::Ops { ops: vec![exec(self.inside(["rm", "-f", FILE]))] }
        };
        step.risk = Risk::Reachability;
        step.exclusive = vec![format!("{}/guest/{vmid}", self.host.site)];
        step
    }
}

fn sha256(content: &str) -> String {
    Sha256::digest(content.as_bytes()).iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

impl Resource for Routes<'_> {
    fn addr(&self) -> Addr {
        Addr::new(Kind::Routes, &self.guest.name)
    }

    fn host(&self) -> &HostName {
        &self.host.name
    }

    fn find(&self, context: &Context<'_>) -> Finding {
        let addr = self.addr();
        let gap = |why: String| Finding::Gap { why };
        if self.ingress.proxy != Proxy::Caddy || !matches!(self.guest.shape, GuestShape::Container(_)) {
            return gap("only Caddy in a container is set up so far; `infra render` shows the files".to_owned());
        }
        let located = match locate(context, self.guest) {
            Ok(located) => located,
            Err(_) => return gap(format!("{} cannot be planned", guest_addr(self.guest))),
        };
        if !located.present || !located.running || located.goes_first(context, self.guest) {
            return gap(format!("{} does not run yet: routes follow when Caddy is in it", guest_addr(self.guest)));
        }
        let there = match context.observed.hosts[&self.host.name].proxies.get(&self.guest.vmid) {
            Some(fact) => match fact.value() {
                Some(Some(there)) => there,
                Some(None) => {
                    return gap(format!("there is no Caddy in {} yet: install it, then plan again", self.guest.name));
                }
                None => return gap(fact.why().unwrap_or("not known").to_owned()),
            },
            None => return gap(format!("nobody looked into {}: SSH to its host is needed", self.guest.name)),
        };
        let text = match caddyfile(&self.blueprint.name, self.ingress, &CaddyPlace::default()) {
            Ok(text) => text,
            Err(error) => {
                return Finding::Refused(
                    Diagnostic::error("plan.routes", error.to_string()).at(self.ingress.span, "").into(),
                );
            }
        };
        let ours = format!("{OURS}{}:", self.blueprint.name);
        if let Some(line) = there.first_line.as_deref().filter(|line| !line.starts_with(&ours) && *line != PACKAGED) {
            let problem = format!("Caddy in `{}` has a configuration that is not ours", self.guest.name);
            return Finding::Refused(
                Diagnostic::error("plan.foreign-routes", problem)
                    .cause(format!("{FILE} begins with `{}`", line.escape_debug()))
                    .at(self.ingress.span, "")
                    .hint(format!("keep what is needed of it elsewhere and remove the file, or begin it with `{ours}`"))
                    .into(),
            );
        }
        let wanted = sha256(&text);
        let state = |waiting: bool| String::from(if waiting { "no" } else { "yes" });
        let desired = Fields::from([("sha256".to_owned(), wanted.clone()), ("loaded".to_owned(), state(false))]);
        let mut current = Fields::from([("loaded".to_owned(), state(there.waiting))]);
        current.extend(there.sha256.iter().map(|digest| ("sha256".to_owned(), digest.clone())));
        let differences = between(&current, &desired);
        if differences.is_empty() {
            return Finding::Unchanged { desired };
        }
        let action = if there.first_line.as_deref().is_some_and(|line| line.starts_with(&ours)) {
            Action::Update
        } else {
            Action::Create
        };
        let step = self.write(there, &text, &wanted);
        let mut change = change(addr, action, &differences, context.memory);
        (change.via, change.risk) = (Via::Ssh, Risk::Reachability);
        let users = self.ingress.sites.values().any(|site| site.auth == Auth::Basic);
        let notes = users.then(|| {
            format!(
                "{}: names and hashes of `users` are not written by this version; put them into {} there first",
                self.guest.name,
                CaddyPlace::default().users
            )
        });
        Finding::Changed(Changed {
            change,
            steps: vec![step],
            desired,
            seen: format!("{current:?}"),
            notes: notes.into_iter().collect(),
        })
    }

    fn removal(&self, _: &Context<'_>) -> Option<Removal> {
        // It goes with its container.
        None
    }
}
