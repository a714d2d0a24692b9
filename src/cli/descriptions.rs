//! The API descriptions of the hosts that a plan works on, from the cache or from the hosts.
//!
//! A description is kept by the host's version and build, as `GET /version` tells them. Its file is part
//! of another package than the API itself, so the same build may come to have another one: before a plan
//! is refused because of a description that was kept, the host is asked anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::CommandError;
use super::context::Context;
use crate::adapters::DescriptionCache;
use crate::client::describe;
use crate::model::HostName;
use crate::model::observed::{Observed, Release};
use crate::plan::{ApiCheck, Described, Plan, hold_against_api};
use crate::proxmox::ApiSchema;

/// Refuses a plan with what its hosts would refuse, and notes in it what could not be checked.
pub(super) async fn checked(context: &Context, observed: &Observed, mut plan: Plan) -> Result<Plan, CommandError> {
    if plan.steps.is_empty() {
        return Ok(plan);
    }
    let source = Source { context, observed, cache: DescriptionCache::below(&context.state) };
    let (described, kept) = source.of_plan(&plan, true).await;
    let mut check = hold_against_api(&plan, &context.blueprint, &described);
    if check.problems.has_errors() && kept {
        let (described, _) = source.of_plan(&plan, false).await;
        check = hold_against_api(&plan, &context.blueprint, &described);
    }
    let ApiCheck { problems, notes, .. } = check;
    if problems.has_errors() {
        return Err(CommandError::in_files(problems, context.sources.clone()));
    }
    plan.notes.extend(notes);
    Ok(plan)
}

struct Source<'a> {
    context: &'a Context,
    observed: &'a Observed,
    cache: DescriptionCache,
}

impl Source<'_> {
    /// The descriptions of every host that a plan may send something to, and whether any of them was kept.
    async fn of_plan(&self, plan: &Plan, from_cache: bool) -> (BTreeMap<HostName, Described>, bool) {
        let hosts = &self.context.blueprint.hosts;
        let sites: BTreeSet<&str> =
            plan.steps.iter().filter_map(|step| Some(hosts.get(&step.host)?.site.as_str())).collect();
        let mut by_release: BTreeMap<Release, Result<Arc<ApiSchema>, String>> = BTreeMap::new();
        let mut described = BTreeMap::new();
        let mut kept = false;
        for host in hosts.values().filter(|host| sites.contains(host.site.as_str())) {
            let release = self.observed.hosts.get(&host.name).map(|there| &there.release);
            let Some(release) = release.and_then(|release| release.value()) else {
                let why = release.and_then(|release| release.why()).unwrap_or("it does not answer").to_owned();
                described.insert(host.name.clone(), Described::Not { why });
                continue;
            };
            if !by_release.contains_key(release) {
                let known = if from_cache { self.kept(release) } else { None };
                kept |= known.is_some();
                let schema = match known {
                    Some(schema) => Ok(schema),
                    None => self.fetch(&host.name, release).await,
                };
                by_release.insert(release.clone(), schema);
            }
            let of_host = match &by_release[release] {
                Ok(schema) => Described::As { version: release.version.clone(), schema: Arc::clone(schema) },
                Err(why) => Described::Not { why: why.clone() },
            };
            described.insert(host.name.clone(), of_host);
        }
        (described, kept)
    }

    fn kept(&self, release: &Release) -> Option<Arc<ApiSchema>> {
        let schema = ApiSchema::parse(&self.cache.get(release)?).ok()?;
        Some(Arc::new(schema))
    }

    async fn fetch(&self, host: &HostName, release: &Release) -> Result<Arc<ApiSchema>, String> {
        let session = self.context.doors.session(host).ok_or("it has no door")?;
        let description = describe(session).await?;
        self.cache.put(release, &description.text);
        Ok(Arc::new(description.schema))
    }
}
