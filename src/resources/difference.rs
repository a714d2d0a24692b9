//! Two sets of fields held against each other.

use std::collections::BTreeMap;

use crate::model::Addr;
use crate::model::change::{Action, Change, FieldChange, FieldValue, Risk, Via};

/// Values by field; a field that is not set is not in it.
pub type Fields = BTreeMap<String, String>;

/// One field that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Which.
    pub path: String,
    /// What it is.
    pub from: Option<String>,
    /// What it shall be.
    pub to: Option<String>,
    /// Whether it takes effect only when the guest restarts.
    pub restart: bool,
}

impl Difference {
    /// A field that takes effect at once.
    pub fn new(path: impl Into<String>, from: Option<impl Into<String>>, to: Option<impl Into<String>>) -> Self {
        Self { path: path.into(), from: from.map(Into::into), to: to.map(Into::into), restart: false }
    }
}

/// Every field that differs, in the order of their names.
pub fn between(from: &Fields, to: &Fields) -> Vec<Difference> {
    let mut paths: Vec<&String> = from.keys().chain(to.keys()).collect();
    paths.sort();
    paths.dedup();
    paths
        .into_iter()
        .filter(|path| from.get(*path) != to.get(*path))
        .map(|path| Difference::new(path, from.get(path), to.get(path)))
        .collect()
}

/// Makes the change of a resource out of its differences.
pub fn change(addr: Addr, action: Action, differences: &[Difference], memory: &BTreeMap<Addr, Fields>) -> Change {
    let remembered = memory.get(&addr);
    let fields: Vec<FieldChange> = differences
        .iter()
        .map(|difference| FieldChange {
            path: difference.path.clone(),
            from: FieldValue::maybe(difference.from.as_deref()),
            to: FieldValue::maybe(difference.to.as_deref()),
            drift: action != Action::Create
                && remembered.is_some_and(|fields| fields.get(&difference.path) == difference.to.as_ref()),
            needs_restart: difference.restart,
        })
        .collect();
    let drift = fields.iter().any(|field| field.drift) || (action == Action::Create && remembered.is_some());
    Change {
        reason: reason(action, &fields, drift),
        addr,
        action,
        via: Via::Api,
        risk: if action == Action::Restart { Risk::Downtime } else { Risk::None },
        drift,
        fields,
    }
}

fn reason(action: Action, fields: &[FieldChange], drift: bool) -> String {
    let named = |fields: &mut dyn Iterator<Item = &FieldChange>| {
        let mut names: Vec<&str> = fields.map(|field| field.path.as_str()).collect();
        names.dedup();
        let more = names.len().saturating_sub(3);
        names.truncate(3);
        let names = names.join(", ");
        if more == 0 { names } else { format!("{names} and {more} more") }
    };
    match action {
        Action::Create if drift => "was there when last applied, and is gone".into(),
        Action::Create => "does not exist".into(),
        Action::Destroy => "is to be removed".into(),
        Action::Restart => {
            let restart = named(&mut fields.iter().filter(|field| field.needs_restart));
            let also = if drift { "; changed behind our back" } else { "" };
            format!("{restart} takes effect only after a restart{also}")
        }
        Action::Update | Action::Replace | Action::None if drift => {
            format!("{} changed behind our back", named(&mut fields.iter().filter(|field| field.drift)))
        }
        Action::Update | Action::Replace | Action::None => {
            let verb = if fields.len() == 1 { "differs" } else { "differ" };
            format!("{} {verb}", named(&mut fields.iter()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drift_is_what_was_right_when_last_applied() {
        let addr: Addr = "ct.proj-x".parse().unwrap();
        let fields = |memory: &str| Fields::from([("memory".to_owned(), memory.to_owned())]);
        let differences = between(&fields("6144 MiB"), &fields("4096 MiB"));
        let drifted =
            change(addr.clone(), Action::Update, &differences, &BTreeMap::from([(addr.clone(), fields("4096 MiB"))]));
        assert!(drifted.drift && drifted.fields[0].drift);
        assert_eq!(drifted.reason, "memory changed behind our back");
        let meant = change(addr.clone(), Action::Update, &differences, &BTreeMap::from([(addr, fields("2048 MiB"))]));
        assert!(!meant.drift);
        assert_eq!(meant.reason, "memory differs");
    }
}
