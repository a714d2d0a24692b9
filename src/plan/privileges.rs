//! What the token surely may not do, found before anything is done.
//!
//! Every request of a plan is held against the privileges that PVE asks for it. Only what is surely
//! missing refuses: where the permissions are not known as a whole, where hosts of one site have tokens
//! of their own, or where inheritance leaves a doubt, the host itself has the word. Undo is not looked at:
//! it takes the privileges of what it takes back.

use std::collections::{BTreeMap, BTreeSet};

use super::Plan;
use crate::blueprint::Blueprint;
use crate::diag::{Diagnostic, Diagnostics};
use crate::model::observed::Observed;
use crate::model::step::{Condition, Op, Step};
use crate::model::{Permissions, how_to_grant};
use crate::ports::Request;
use crate::proxmox::privileges::{Grant, Need, needs};

/// Refuses what the token surely may not do: one problem per privilege, with every place and step.
pub(super) fn missing(plan: &Plan, blueprint: &Blueprint, observed: &Observed) -> Diagnostics {
    let mut lacks: BTreeMap<(&str, String, String), Lack> = BTreeMap::new();
    for step in &plan.steps {
        let site = blueprint.hosts[&step.host].site.as_str();
        let Some((token, permissions)) = known(blueprint, observed, site) else { continue };
        let version = observed.sites[site].version.value().map_or("", String::as_str);
        for need in requests(step).into_iter().flat_map(|request| needs(request, blueprint.pool.as_str())) {
            let Some(grant) = unmet(&need, permissions, version) else { continue };
            let area = grant.path.split('/').nth(1).unwrap_or_default().to_owned();
            let privileges: Vec<&str> =
                grant.all.iter().copied().filter(|name| permissions.lacks(&grant.path, name)).collect();
            let lack = lacks.entry((site, area, privileges.join(","))).or_default();
            lack.token = token;
            lack.paths.insert(grant.path.clone());
            lack.steps.insert(format!("{} ({})", step.id, step.title));
        }
    }
    lacks.into_iter().map(|((site, area, privileges), lack)| lack.problem(site, &area, &privileges)).collect()
}

/// A privilege that is missing, wherever it is.
#[derive(Default)]
struct Lack<'a> {
    token: &'a str,
    paths: BTreeSet<String>,
    steps: BTreeSet<String>,
}

impl Lack<'_> {
    fn problem(&self, site: &str, area: &str, privileges: &str) -> Diagnostic {
        let paths: Vec<&str> = self.paths.iter().map(String::as_str).collect();
        let steps: Vec<&str> = self.steps.iter().map(String::as_str).collect();
        let above = format!("/{area}");
        let at = if let [path] = paths[..] { path } else { above.as_str() };
        Diagnostic::error(
            "plan.missing-privilege",
            format!("token `{}` of `{site}` lacks {privileges} on {}", self.token, paths.join(", ")),
        )
        .cause(format!("needed to: {}", steps.join(", ")))
        .hint(how_to_grant(self.token, at, privileges))
    }
}

/// The permissions of a site's token, if they are known as a whole and it is the token of all its hosts.
fn known<'a>(blueprint: &'a Blueprint, observed: &'a Observed, site: &str) -> Option<(&'a str, &'a Permissions)> {
    let permissions = &observed.sites.get(site)?.permissions;
    let mut tokens =
        blueprint.hosts.values().filter(|host| host.site == site).map(|host| host.access.api.token_id.as_str());
    let token = tokens.next()?;
    permissions
        .value()
        .filter(|_| permissions.is_complete() && tokens.all(|other| other == token))
        .map(|all| (token, all))
}

/// What a step sends, to do and to look.
fn requests(step: &Step) -> Vec<&Request> {
    let mut requests = Vec::new();
    for op in &step.ops {
        match op {
            Op::Call { request, .. }
            | Op::Task { request, .. }
            | Op::Obtain { request, .. }
            | Op::Await { condition: Condition::Answer { request, .. } | Condition::Answers { request }, .. } => {
                requests.push(request);
            }
            Op::Await { .. } | Op::Exec { .. } | Op::PutFile { .. } | Op::Guard { .. } => {}
        }
    }
    requests
}

/// The grant to recommend, if none of those that would do is there for sure or in doubt.
fn unmet<'n>(need: &'n Need, permissions: &Permissions, version: &str) -> Option<&'n Grant> {
    let missing = |grant: &Grant| {
        grant.all.iter().any(|privilege| {
            permissions.lacks(&grant.path, privilege)
                && !(grant.or_below && permissions.has_below(&grant.path, privilege))
        })
    };
    // 8.x knows none of them and would refuse a role with one.
    let exists =
        |grant: &&Grant| !(version.starts_with("8.") && grant.all.iter().any(|p| p.starts_with("VM.GuestAgent.")));
    if need.any_of.iter().all(missing) { need.any_of.iter().find(exists) } else { None }
}

#[cfg(test)]
mod tests {
    use super::super::{Memory, graph};
    use super::*;
    use crate::blueprint::testing::good;
    use crate::model::observed::{Fact, Site};
    use crate::proxmox::endpoints::{LXC_CONFIG_SET, LXC_START, QEMU_AGENT_PING};

    const ALL_OF_104: &[(&str, &[&str])] =
        &[("/vms", &["VM.Config.Memory", "VM.PowerMgmt"]), ("/", &["Sys.Audit"]), ("/pool", &["Pool.Audit"])];

    fn permissions(rows: &[(&str, &[&str])]) -> Permissions {
        let row = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), true)).collect();
        Permissions(rows.iter().map(|(path, names)| ((*path).to_owned(), row(names))).collect())
    }

    fn plan(requests: Vec<Request>) -> Plan {
        let mut step = graph::tests::step("proj-x", &[]);
        step.title = "do it".into();
        step.ops = requests.into_iter().map(|request| Op::Call { request, landed: None }).collect();
        Plan {
            format: Plan::FORMAT,
            infra: String::new(),
            inventory: "t".parse().unwrap(),
            scope: crate::plan::Scope::default(),
            changes: Vec::new(),
            steps: vec![step],
            preconditions: BTreeMap::new(),
            orphans: Vec::new(),
            gaps: Vec::new(),
            notes: Vec::new(),
            memory: Memory::new(),
        }
    }

    fn set_memory_and_start() -> Vec<Request> {
        vec![
            LXC_CONFIG_SET.at(&["hq", "104"]).set("memory", 1024).request(),
            LXC_START.at(&["hq", "104"]).request(),
            LXC_START.at(&["hq", "105"]).request(),
        ]
    }

    fn said(requests: Vec<Request>, permissions: Fact<Permissions>, version: &str) -> Vec<String> {
        let site = Site { permissions, version: Fact::complete(version.to_owned()), ..Site::default() };
        let observed = Observed { sites: BTreeMap::from([("hq".to_owned(), site)]), ..Observed::default() };
        missing(&plan(requests), &good(), &observed)
            .iter()
            .map(|problem| format!("{} {} {}", problem.summary, problem.causes.join(" "), problem.hints.join(" ")))
            .collect()
    }

    #[test]
    fn what_is_held_refuses_nothing() {
        let held = Fact::complete(permissions(ALL_OF_104));
        assert_eq!(said(set_memory_and_start(), held, "9.2.11"), Vec::<String>::new());
    }

    #[test]
    fn one_problem_names_every_place_and_step_of_a_missing_privilege() {
        let less = Fact::complete(permissions(&[("/vms", &["VM.Config.Memory"])]));
        let said = said(set_memory_and_start(), less, "9.2.11");
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].starts_with("token `infra@pve!laptop` of `hq` lacks VM.PowerMgmt on /vms/104, /vms/105"));
        assert!(said[0].contains("ct.proj-x/x (do it)"), "{said:?}");
        assert!(said[0].contains("pveum acl modify /vms --users infra@pve --roles ROLE"), "{said:?}");
        assert!(said[0].contains("--tokens 'infra@pve!laptop'"), "{said:?}");
    }

    #[test]
    fn what_is_held_on_the_pool_will_do() {
        let pool = Fact::complete(permissions(&[("/pool/test", &["VM.Config.Memory", "VM.PowerMgmt"])]));
        assert_eq!(said(set_memory_and_start(), pool, "9.2.11"), Vec::<String>::new());
    }

    #[test]
    fn without_all_permissions_the_host_has_the_word() {
        let why = || "not understood".to_owned();
        let partial = Fact::Partial { value: Permissions::default(), why: why() };
        for unsure in [partial, Fact::unavailable(why())] {
            assert_eq!(said(set_memory_and_start(), unsure, "9.2.11"), Vec::<String>::new());
        }
    }

    #[test]
    fn the_advice_is_for_the_version_of_the_host() {
        let ping = || vec![QEMU_AGENT_PING.at(&["hq", "100"]).request()];
        let nothing = || Fact::complete(Permissions::default());
        assert!(said(ping(), nothing(), "9.1.1")[0].contains("lacks VM.GuestAgent.Audit on /vms/100"));
        assert!(said(ping(), nothing(), "8.4.1")[0].contains("lacks VM.Monitor on /vms/100"));
        let monitor = Fact::complete(permissions(&[("/vms", &["VM.Monitor"])]));
        assert_eq!(said(ping(), monitor, "8.4.1"), Vec::<String>::new());
    }
}
