//! Whether a storage of a host takes what a resource wants to keep there.
//!
//! PVE refuses an unknown storage at once, but a wrong content type or an inactive storage only in the task.

use super::{Context, Finding};
use crate::blueprint::Host;
use crate::diag::{Diagnostic, Span};
use crate::model::StorageName;
use crate::model::observed::Observed;

/// What is to be kept, and where the inventory says so.
#[derive(Debug, Clone)]
pub struct Kept<'a> {
    /// Where.
    pub storage: &'a StorageName,
    /// The content type in PVE's words: `images`, `rootdir`, `import`, `vztmpl` or `snippets`.
    pub content: &'static str,
    /// Where the inventory says so.
    pub place: Span,
    /// What the place says.
    pub label: &'static str,
}

/// A file on the host's storage for files.
pub fn files_kept<'a>(host: &'a Host, content: &'static str) -> Kept<'a> {
    Kept { storage: &host.storage.files, content, place: host.span, label: "named in this host's `storage.files`" }
}

/// Nothing if the storage is there, active and takes the content; the refusal, or the gap where it is not known.
pub fn takes(context: &Context<'_>, host: &Host, kept: &Kept<'_>) -> Result<(), Finding> {
    match problem(context.observed, host, kept) {
        Ok(None) => Ok(()),
        Ok(Some(problem)) => Err(Finding::Refused(problem.into())),
        Err(why) => Err(Finding::Gap { why: format!("storages of `{}`: {why}", host.name) }),
    }
}

/// What stands against keeping it there; nothing if the storage is there, active and takes the content.
///
/// # Errors
/// With why nobody can tell.
pub fn problem(observed: &Observed, host: &Host, kept: &Kept<'_>) -> Result<Option<Diagnostic>, String> {
    let storages = &observed.hosts[&host.name].storages;
    let name = kept.storage;
    let refuse = |problem: Diagnostic| Ok(Some(problem.at(kept.place, kept.label)));
    let Some(all) = storages.value() else { return Err(storages.why().unwrap_or("not known").to_owned()) };
    let Some(storage) = all.get(name) else {
        if let Some(why) = storages.why() {
            return Err(why.to_owned());
        }
        let there = all.keys().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        return refuse(
            Diagnostic::error("plan.no-such-storage", format!("host `{}` has no storage `{name}`", host.name))
                .cause(format!("its storages are: {there}"))
                .hint("name one of them here"),
        );
    };
    if !storage.content.iter().any(|taken| taken == kept.content) {
        let mut wanted = storage.content.clone();
        wanted.push(kept.content.to_owned());
        return refuse(
            Diagnostic::error(
                "plan.storage-content",
                format!("storage `{name}` of host `{}` does not take `{}`", host.name, kept.content),
            )
            .cause(format!("it takes {}", storage.content.join(", ")))
            .hint(format!("name another one, or on the host: `pvesm set {name} --content {}`", wanted.join(","))),
        );
    }
    if !storage.active {
        return refuse(
            Diagnostic::error(
                "plan.storage-inactive",
                format!("storage `{name}` of host `{}` is not active", host.name),
            )
            .hint("look at `pvesm status` on the host"),
        );
    }
    Ok(None)
}
