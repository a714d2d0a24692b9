//! An inventory with its doors open: the only place where adapters are made.
//!
//! With `--lab` the lab is started in this process (or the one that runs already is used) and only how
//! hosts are reached is replaced; everything after that is the same as against a real host.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use camino::Utf8PathBuf;
use secrecy::SecretString;

use super::args::HostArgs;
use super::error::{door, file, opnsense_door, tailnet_door};
use super::lab::LabWorld;
use super::{CommandError, load, secrets};
use crate::adapters::hardware_lock;
use crate::adapters::{
    Dialect, Https, HttpsTarget, OpnSenseApi, OpnSenseTarget, Ssh, SshSettings, SshTarget, SystemClock, TailnetApi,
    TailnetTarget, Traced, Trust,
};
use crate::blueprint::{self, Blueprint, Host, SshAccess};
use crate::client::{Door, Doors};
use crate::diag::{Diagnostics, SourceMap};
use crate::model::observed::Observed;
use crate::model::{HostName, Upid};
use crate::observe::{self, Interest};
use crate::plan::Scope;
use crate::ports::{Clock, Shell};
use crate::resources;
use crate::secrets::Secrets;
use crate::ui::{Writer, plural};

/// An inventory, where its memory is, and its hosts' doors.
pub(super) struct Context {
    pub blueprint: Blueprint,
    /// The inventory's texts, for problems that point into them.
    pub sources: SourceMap,
    /// Where journals and memory of this inventory are; the lab has its own.
    pub state: Utf8PathBuf,
    /// Where its record of the hardware is; the lab has its own.
    pub hardware: Utf8PathBuf,
    pub doors: Doors,
    /// Who gives out the secrets; the same as behind the doors.
    pub secrets: Arc<Secrets>,
    pub clock: Arc<dyn Clock>,
    /// Keeps the lab running for as long as the doors are open.
    lab: Option<LabWorld>,
}

impl Context {
    /// Reads the inventory and prepares the doors; nothing is sent to a real host yet.
    pub async fn open(args: &HostArgs, writer: &mut Writer) -> Result<Self, CommandError> {
        let load::Sound { paths, mut blueprint, warnings, sources } = load::sound(&args.inventory)?;
        if warnings > 0 {
            let count = plural(warnings, "warning", "warnings");
            writer.tell(&format!("{count} about the inventory; `infra validate` shows them\n"));
        }
        let mut state = args.state.state_dir.clone();
        let mut hardware = paths.first().map_or_else(Utf8PathBuf::new, |path| hardware_lock::beside(path));
        let mut lab = None;
        if let Some(scenario) = &args.lab {
            let world = LabWorld::enter(&blueprint, &args.state, scenario.as_deref()).await?;
            world.overlay(&mut blueprint);
            state.clone_from(&world.directory);
            hardware = hardware_lock::beside(&state);
            lab = Some(world);
        }
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let secrets = Arc::new(match &lab {
            Some(lab) => secrets::of_lab(&blueprint, &lab.directory),
            None => secrets::of(&blueprint, args, &paths, &sources, writer),
        });
        let tokens = match &lab {
            Some(lab) => lab.tokens.clone(),
            None => tokens(&blueprint, &secrets, &sources)?,
        };
        let ssh = if lab.is_some() { SshSettings::isolated() } else { SshSettings::from_env() };
        let mut doors = doors(&blueprint, &tokens, &ssh, &clock)?;
        if let Some(tailnet) = &blueprint.tailnet {
            let key = match &lab {
                Some(lab) => lab.tailnet_key(),
                None => Some(tailnet_key(tailnet, &secrets, &sources)?),
            };
            if let Some(key) = key {
                doors = doors.with_tailnet(Arc::new(control_plane(tailnet, key)?));
            }
        }
        if let Some(router) = &blueprint.dns.opnsense {
            let opens = match &lab {
                Some(lab) => lab.opnsense_key(),
                None => Some(opnsense_key(router, &secrets, &sources)?),
            };
            if let Some((key, secret)) = opens {
                let trust = trust(router.trust.as_ref())?;
                let target = OpnSenseTarget { url: router.url.clone(), trust, key, secret };
                let api = OpnSenseApi::new(target).map_err(|error| opnsense_door(&error))?;
                doors = doors.with_opnsense(Arc::new(api));
            }
        }
        let doors = doors.with_secrets(Arc::<Secrets>::clone(&secrets));
        Ok(Self { blueprint, sources, state, hardware, doors, secrets, clock, lab })
    }

    /// Reads what is there now, on the sites in scope. Of the others nothing is known then.
    pub async fn observe(&self, scope: &Scope) -> Observed {
        self.look(scope, false).await
    }

    /// The same in one round trip over SSH per host: what that does not tell stays unknown.
    pub async fn observe_in_one_go(&self, scope: &Scope) -> Observed {
        self.look(scope, true).await
    }

    async fn look(&self, scope: &Scope, in_one_go: bool) -> Observed {
        let part = self.part(scope);
        let interest = Interest {
            machines: part
                .hosts
                .values()
                .map(|host| (host.name.clone(), observe::Question::about(&part, host)))
                .collect(),
            snippets: resources::snippets_of_interest(&part),
            datasets: resources::datasets_of_interest(&part),
            services: matches!(scope.part, resources::Part::Services | resources::Part::Everything),
            in_one_go,
        };
        let mut observed = observe::observe(&part, &self.doors, &interest).await;
        for host in self.blueprint.hosts.values() {
            observed.sites.entry(host.site.clone()).or_default();
            observed.hosts.entry(host.name.clone()).or_default();
        }
        observed
    }

    /// Tasks that work right now on what the inventory says, on the sites in scope.
    pub async fn working(&self, scope: &Scope) -> Vec<Upid> {
        observe::working(&self.part(scope), &self.doors).await
    }

    /// Reverts that hosts in scope have yet to carry out, as `host: name`.
    pub async fn reverting(&self, scope: &Scope) -> Vec<String> {
        let all = observe::reverts(&self.part(scope), &self.doors).await;
        let pending = all.into_iter().flat_map(|(host, guards)| {
            let pending = guards.into_iter().filter(|(_, state)| state.is_pending());
            pending.map(move |(guard, _)| format!("{host}: {guard}")).collect::<Vec<_>>()
        });
        pending.collect()
    }

    /// Sites that are in scope, by name.
    pub fn sites(&self, scope: &Scope) -> BTreeSet<&str> {
        let hosts = self.blueprint.hosts.values();
        let hosts = hosts.filter(|host| scope.hosts.is_empty() || scope.hosts.contains(&host.name));
        hosts.map(|host| host.site.as_str()).collect()
    }

    /// The blueprint without the sites that are out of scope: those hosts need not even answer.
    fn part(&self, scope: &Scope) -> Cow<'_, Blueprint> {
        if scope.hosts.is_empty() {
            return Cow::Borrowed(&self.blueprint);
        }
        let sites = self.sites(scope);
        let mut part = self.blueprint.clone();
        part.hosts.retain(|_, host| sites.contains(host.site.as_str()));
        part.guests.retain(|_, guest| sites.contains(self.blueprint.host_of(guest).site.as_str()));
        Cow::Owned(part)
    }

    /// Lets the lab go, if there is one in this process.
    pub async fn close(self) {
        if let Some(lab) = self.lab {
            lab.leave().await;
        }
    }
}

/// The API tokens of all hosts; every missing one is reported.
fn tokens(
    blueprint: &Blueprint,
    secrets: &Secrets,
    sources: &SourceMap,
) -> Result<BTreeMap<HostName, SecretString>, CommandError> {
    let mut problems = Diagnostics::new();
    let mut tokens = BTreeMap::new();
    for host in blueprint.hosts.values() {
        match secrets.resolve(&host.access.api.token.name) {
            Ok(token) => {
                tokens.insert(host.name.clone(), token);
            }
            Err(error) => problems.push(super::error::secret(&error, host)),
        }
    }
    if problems.is_empty() { Ok(tokens) } else { Err(CommandError::in_files(problems, sources.clone())) }
}

fn doors(
    blueprint: &Blueprint,
    tokens: &BTreeMap<HostName, SecretString>,
    ssh: &SshSettings,
    clock: &Arc<dyn Clock>,
) -> Result<Doors, CommandError> {
    let mut doors = BTreeMap::new();
    for host in blueprint.hosts.values() {
        let Some(token) = tokens.get(&host.name) else { continue };
        let api = api(host, token.clone())?;
        let shell = host.access.ssh.as_ref().map(|access| -> Arc<dyn Shell> {
            Arc::new(Traced::new(Ssh::new(ssh_target(access), ssh.clone()), &host.name))
        });
        doors.insert(host.name.clone(), Door { api: Arc::new(Traced::new(api, &host.name)), shell });
    }
    let site = |host: &HostName| blueprint.hosts.get(host).map(|host| host.site.as_str());
    Ok(Doors::new(doors, Arc::clone(clock), fastrand::u64(..)).in_sites(site))
}

fn api(host: &Host, token: SecretString) -> Result<Https, CommandError> {
    let access = &host.access.api;
    let trust = match &access.trust {
        blueprint::Trust::Fingerprint(fingerprint) => Trust::Pinned(*fingerprint),
        blueprint::Trust::CaFile(path) => Trust::Ca(std::fs::read(path).map_err(|error| file("read", path, &error))?),
    };
    let target = HttpsTarget::new(&access.host, access.port, trust, &access.token_id, token);
    Https::new(&target).map_err(|error| door(&host.name, &error))
}

fn tailnet_key(
    tailnet: &blueprint::Tailnet,
    secrets: &Secrets,
    sources: &SourceMap,
) -> Result<SecretString, CommandError> {
    secrets
        .resolve(&tailnet.key.name)
        .map_err(|error| CommandError::in_files(super::error::tailnet_secret(&error, tailnet).into(), sources.clone()))
}

/// Both parts of what opens an OPNsense.
fn opnsense_key(
    router: &blueprint::OpnSense,
    secrets: &Secrets,
    sources: &SourceMap,
) -> Result<(SecretString, SecretString), CommandError> {
    let resolve = |part: &blueprint::SecretRef| {
        secrets.resolve(&part.name).map_err(|error| {
            CommandError::in_files(super::error::opnsense_secret(&error, part).into(), sources.clone())
        })
    };
    Ok((resolve(&router.key)?, resolve(&router.secret)?))
}

fn trust(declared: Option<&blueprint::Trust>) -> Result<Option<Trust>, CommandError> {
    Ok(match declared {
        Some(blueprint::Trust::Fingerprint(fingerprint)) => Some(Trust::Pinned(*fingerprint)),
        Some(blueprint::Trust::CaFile(path)) => {
            Some(Trust::Ca(std::fs::read(path).map_err(|error| file("read", path, &error))?))
        }
        None => None,
    })
}

fn control_plane(tailnet: &blueprint::Tailnet, key: SecretString) -> Result<TailnetApi, CommandError> {
    let trust = trust(tailnet.trust.as_ref())?;
    let dialect = match tailnet.control {
        blueprint::ControlPlane::Tailscale => Dialect::Tailscale,
        blueprint::ControlPlane::Headscale => Dialect::Headscale,
    };
    let target = TailnetTarget { url: tailnet.url.clone(), name: tailnet.name.clone(), dialect, trust, key };
    TailnetApi::new(target).map_err(|error| tailnet_door(&error))
}

fn ssh_target(access: &SshAccess) -> SshTarget {
    SshTarget {
        host: access.host.clone(),
        port: access.port,
        user: access.user.clone(),
        host_key: access.host_key.clone(),
        identities: access.identity.iter().cloned().collect(),
        jump: access.jump.as_ref().map(|jump| Box::new(ssh_target(jump))),
    }
}
