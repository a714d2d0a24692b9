//! `pool`: the resource pool that an inventory's guests are members of, one per site.
//!
//! A pool that is there without our mark is used as it is: being a member of it changes nothing for
//! whoever made it.

use super::difference::{Fields, between, change};
use super::operations::{answer, call, call_until, check, step};
use super::ownership::{is_marked, marked};
use super::{Changed, Context, Finding, Removal, Resource};
use crate::blueprint::{Blueprint, Host};
use crate::diag::Diagnostics;
use crate::model::change::Action;
use crate::model::step::{Condition, Expect, Matcher, Undo};
use crate::model::{Addr, HostName, Kind, PoolName, Vmid};
use crate::proxmox::endpoints::{Call, POOL_CREATE, POOL_DELETE, POOL_UPDATE, POOLS};

struct Pool<'a> {
    blueprint: &'a Blueprint,
    host: &'a Host,
    name: &'a PoolName,
}

pub fn desired(blueprint: &Blueprint) -> Vec<Box<dyn Resource + '_>> {
    blueprint
        .sites()
        .into_values()
        .map(|host| Box::new(Pool { blueprint, host, name: &blueprint.pool }) as Box<dyn Resource>)
        .collect()
}

/// The address of a site's pool.
pub fn addr(blueprint: &Blueprint, site: &str) -> Addr {
    Addr::placed(Kind::Pool, site, &blueprint.pool)
}

impl Pool<'_> {
    fn comment(&self) -> String {
        marked(&self.blueprint.name, "guests of one inventory")
    }

    fn fields(comment: &str) -> Fields {
        Fields::from([("comment".to_owned(), comment.to_owned())])
    }

    fn listed(&self) -> Condition {
        answer(POOLS.at(&[]), vec![Expect::new("", Matcher::HasItem("poolid".into(), self.name.to_string()))])
    }
}

impl Resource for Pool<'_> {
    fn addr(&self) -> Addr {
        addr(self.blueprint, &self.host.site)
    }

    fn host(&self) -> &HostName {
        &self.host.name
    }

    fn find(&self, context: &Context<'_>) -> Finding {
        let addr = self.addr();
        let desired = Self::fields(&self.comment());
        let site = &context.observed.sites[&self.host.site];
        let pools = match &site.pools {
            pools if pools.is_complete() => pools.value(),
            pools => return Finding::Gap { why: pools.why().unwrap_or("pools are not known").to_owned() },
        };
        let present = pools.and_then(|pools| pools.get(self.name.as_str()));
        let (action, current) = match present {
            None => (Action::Create, Fields::new()),
            Some(comment) if !is_marked(&self.blueprint.name, comment) => return Finding::Unchanged { desired },
            Some(comment) => (Action::Update, Self::fields(comment)),
        };
        let differences = between(&current, &desired);
        if differences.is_empty() {
            return Finding::Unchanged { desired };
        }
        let step = if action == Action::Create {
            let request = POOL_CREATE.at(&[]).set("poolid", self.name).set("comment", self.comment());
            let mut step = step(
                &addr,
                "create",
                format!("create pool {}", self.name),
                &self.host.name,
                vec![
                    call_until(request, self.listed()),
                    check(
                        self.listed(),
                        "the pool was created and is not listed: does the token have Pool.Audit on it?",
                    ),
                ],
            );
            step.undo = Undo::Ops { ops: vec![call(POOL_DELETE.at(&[]).set("poolid", self.name))] };
            step
        } else {
            let request = POOL_UPDATE.at(&[]).set("poolid", self.name).set("comment", self.comment());
            let before =
                POOL_UPDATE.at(&[]).set("poolid", self.name).set("comment", present.cloned().unwrap_or_default());
            let mut step = step(
                &addr,
                "update",
                format!("set comment of pool {}", self.name),
                &self.host.name,
                vec![call(request)],
            );
            step.undo = Undo::Ops { ops: vec![call(before)] };
            step
        };
        Finding::Changed(Changed {
            change: change(addr, action, &differences, context.memory),
            steps: vec![step],
            seen: format!("{current:?}"),
            desired,
            notes: Vec::new(),
        })
    }

    fn removal(&self, context: &Context<'_>) -> Option<Removal> {
        let addr = self.addr();
        let pools = context.observed.sites[&self.host.site].pools.value()?;
        let comment = pools.get(self.name.as_str()).filter(|comment| is_marked(&self.blueprint.name, comment))?;
        let gone =
            answer(POOLS.at(&[]), vec![Expect::new("", Matcher::LacksItem("poolid".into(), self.name.to_string()))]);
        let mut step = step(
            &addr,
            "destroy",
            format!("remove pool {}", self.name),
            &self.host.name,
            vec![
                call_until(POOL_DELETE.at(&[]).set("poolid", self.name), gone.clone()),
                check(gone, "the pool is still listed"),
            ],
        );
        step.undo = Undo::Ops { ops: vec![call(POOL_CREATE.at(&[]).set("poolid", self.name).set("comment", comment))] };
        Some(Removal {
            change: change(addr, Action::Destroy, &[], context.memory),
            steps: vec![step],
            holds_data: false,
            seen: comment.clone(),
            refused: Diagnostics::new(),
        })
    }
}

/// A guest's membership, set as PVE sets it: by adding it to its pool.
pub fn join(pool: &PoolName, vmid: Vmid) -> Call {
    POOL_UPDATE.at(&[]).set("poolid", pool).set("vms", vmid).set("allow-move", 1)
}
