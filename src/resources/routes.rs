//! `routes`: the reverse proxy's configuration in the guest that it runs in.
//!
//! Caddy's is looked at by that guest's own `caddy validate` and loaded without cutting off anybody. Traefik has no such
//! thing and watches its dynamic file by itself; only what it is started with takes a restart. Without the program in
//! the guest nothing is done, and the plan says so.

use sha2::{Digest, Sha256};

use super::difference::Fields;
use super::guest_config::{GuestConfigured, Whose};
use super::switch::{Switch, Switched, new_of, sha256};
use super::{Context, Finding, Removal, Resource};
use crate::blueprint::{Blueprint, Guest, Ingress, Proxy};
use crate::diag::Diagnostic;
use crate::model::guest_look::{GuestLook, GuestQuestion};
use crate::model::{Addr, Content, HostName, Kind, Piece};
use crate::render::{CaddyPlace, TraefikPlace, caddyfile, traefik_dynamic, traefik_static, yaml};

/// Where Debian's package has it.
const CADDY: &str = "/etc/caddy/Caddyfile";
const CADDY_PROGRAMS: [&str; 1] = ["/usr/bin/caddy"];
const TRAEFIK: &str = "/etc/traefik/traefik.yaml";
/// No package of Debian's has Traefik; these are where people put it.
const TRAEFIK_PROGRAMS: [&str; 2] = ["/usr/bin/traefik", "/usr/local/bin/traefik"];

struct Routes<'a> {
    ingress: &'a Ingress,
    common: GuestConfigured<'a>,
}

fn users_file(proxy: Proxy) -> String {
    match proxy {
        Proxy::Caddy => CaddyPlace::default().users,
        Proxy::Traefik => TraefikPlace::default().users,
    }
}

fn dynamic_file() -> String {
    format!("{}/infra.yaml", TraefikPlace::default().dynamic)
}

fn files(proxy: Proxy) -> Vec<String> {
    match proxy {
        Proxy::Caddy => vec![CADDY.to_owned()],
        Proxy::Traefik => vec![TRAEFIK.to_owned(), dynamic_file()],
    }
}

/// What has to be looked at for it.
pub(super) fn questions(blueprint: &Blueprint) -> Vec<(&Guest, GuestQuestion)> {
    let asked = blueprint.ingress.as_ref().and_then(|ingress| {
        let guest = blueprint.guests.get(&ingress.guest)?;
        let (programs, packages): (&[&str], _) = match ingress.proxy {
            Proxy::Caddy => (&CADDY_PROGRAMS, vec!["caddy"]),
            Proxy::Traefik => (&TRAEFIK_PROGRAMS, Vec::new()),
        };
        let files = files(ingress.proxy);
        let users = users_file(ingress.proxy);
        let waiting = files.iter().chain([&users]).map(|path| new_of(path));
        let question = GuestQuestion {
            paths: programs.iter().map(|path| (*path).to_owned()).chain(waiting).collect(),
            packages: packages.into_iter().collect(),
            files: files.iter().cloned().collect(),
            secret_files: if ingress.has_basic_auth() { [users].into() } else { [].into() },
        };
        Some((guest, question))
    });
    asked.into_iter().collect()
}

pub fn desired(blueprint: &Blueprint) -> Vec<Box<dyn Resource + '_>> {
    let routes = blueprint.ingress.as_ref().and_then(|ingress| {
        let guest = blueprint.guests.get(&ingress.guest)?;
        let package = (ingress.proxy == Proxy::Caddy).then_some("caddy");
        let mut whose: Vec<Whose> = files(ingress.proxy).into_iter().map(|path| Whose { path, package }).collect();
        if ingress.has_basic_auth() {
            whose.push(Whose { path: users_file(ingress.proxy), package: None });
        }
        let common = GuestConfigured {
            blueprint,
            guest,
            host: blueprint.host_of(guest),
            span: ingress.span,
            program: if ingress.proxy == Proxy::Caddy { "Caddy" } else { "Traefik" },
            title: format!("write routes of {} and load them", guest.name),
            programs: match ingress.proxy {
                Proxy::Caddy => &CADDY_PROGRAMS,
                Proxy::Traefik => &TRAEFIK_PROGRAMS,
            },
            whose,
        };
        Some(Routes { ingress, common })
    });
    routes.into_iter().map(|routes| Box::new(routes) as Box<dyn Resource>).collect()
}

impl Routes<'_> {
    /// Looks whether anything listens.
    fn answers(&self) -> String {
        let ports = self.ingress.ports();
        let port = ports.iter().next_back().unwrap_or(&443);
        format!("bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port} && echo open'")
    }

    /// How the file with names and hashes begins: which it was made from, as the hashes are not known here.
    fn users_head(&self) -> String {
        let shape: String = self.ingress.users.iter().map(|(user, hash)| format!("{user} {}\n", hash.name)).collect();
        let digest = Sha256::digest(shape.as_bytes());
        let digest: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        format!("# Written by infra for {}: users {digest}", self.common.blueprint.name)
    }

    /// Names and the hashes of their passwords, which are put in on the way.
    fn users(&self) -> Content {
        let separator = if self.ingress.proxy == Proxy::Caddy { ' ' } else { ':' };
        let mut pieces = vec![Piece::Text(format!("{}\n", self.users_head()))];
        for (user, hash) in &self.ingress.users {
            pieces.extend([
                Piece::Text(format!("{user}{separator}")),
                Piece::Secret(hash.name.clone()),
                Piece::Text("\n".to_owned()),
            ]);
        }
        Content::new(pieces)
    }

    fn switch(&self, look: &GuestLook, new_users: bool) -> Result<Switch, Diagnostic> {
        let file = |path: &str, text: String| Switched {
            path: path.to_owned(),
            content: text.into(),
            mode: 0o644,
            group: None,
            known_as: None,
        };
        let refused = |error: &dyn std::fmt::Display| {
            Diagnostic::error("plan.routes", error.to_string()).at(self.ingress.span, "")
        };
        let environment = &self.common.blueprint.name;
        let answers = self.answers();
        Ok(match self.ingress.proxy {
            Proxy::Caddy => {
                let text = caddyfile(environment, self.ingress, &CaddyPlace::default()).map_err(|e| refused(&e))?;
                let valid = ["caddy", "validate", "--adapter", "caddyfile", "--config", &new_of(CADDY)];
                Switch {
                    files: vec![file(CADDY, text)],
                    directories: Vec::new(),
                    valid: vec![valid.map(str::to_owned).to_vec()],
                    // `reload-or-restart` starts it where it does not run.
                    load: format!("systemctl reload-or-restart caddy && {answers}"),
                    otherwise: "Caddy did not take the new routes, and the old ones are in place".to_owned(),
                }
            }
            Proxy::Traefik => {
                let place = TraefikPlace::default();
                let head = format!("# Written by infra for {environment}: change the inventory, not this file.\n");
                let whole = format!("{head}{}", yaml(&traefik_static(self.ingress, &place)));
                let same = look.files.get(TRAEFIK).is_some_and(|there| there.sha256 == sha256(&whole));
                // What it was started with it reads only then, and names and hashes; the other file it watches by itself.
                let load = if same && !new_users { "systemctl is-active traefik" } else { "systemctl restart traefik" };
                Switch {
                    files: vec![
                        file(&dynamic_file(), format!("{head}{}", yaml(&traefik_dynamic(self.ingress, &place)))),
                        file(TRAEFIK, whole),
                    ],
                    directories: vec!["/etc/traefik/dynamic"],
                    valid: Vec::new(),
                    load: format!("{load} && {answers}"),
                    otherwise: "Traefik did not come up with the new routes, and the old ones are in place".to_owned(),
                }
            }
        })
    }
}

impl Resource for Routes<'_> {
    fn addr(&self) -> Addr {
        Addr::new(Kind::Routes, &self.common.guest.name)
    }

    fn host(&self) -> &HostName {
        &self.common.host.name
    }

    fn find(&self, context: &Context<'_>) -> Finding {
        let look = match self.common.look(context) {
            Ok(look) => look,
            Err(finding) => return *finding,
        };
        let (mut current, mut desired) = (Fields::new(), Fields::new());
        let path = users_file(self.ingress.proxy);
        if self.ingress.has_basic_auth() {
            desired.insert("users".to_owned(), self.users_head());
            let head = look.files.get(&path).and_then(|there| there.first_line.clone());
            current.extend(head.map(|head| ("users".to_owned(), head)));
        }
        // One that was brought and not taken waits there with its hashes.
        let waits = self.ingress.has_basic_auth() && look.there.contains(&new_of(&path));
        let new_users = waits || current.get("users") != desired.get("users");
        let mut switch = match self.switch(look, new_users) {
            Ok(switch) => switch,
            Err(problem) => return Finding::Refused(problem.into()),
        };
        if new_users {
            let group = Some(if self.ingress.proxy == Proxy::Caddy { "caddy" } else { "root" });
            switch
                .files
                .insert(0, Switched { path: path.clone(), content: self.users(), mode: 0o640, group, known_as: None });
            // Caddy looks at the file that the configuration imports, so that has to be there before.
            if self.ingress.proxy == Proxy::Caddy {
                let there = format!("test -e {path} || cp -p {} {path}", new_of(&path));
                switch.valid.insert(0, ["sh", "-c", &there].map(str::to_owned).to_vec());
            }
        }
        self.common.find(self.addr(), context, look, &switch, (current, desired))
    }

    fn removal(&self, _: &Context<'_>) -> Option<Removal> {
        // It goes with its guest.
        None
    }
}
