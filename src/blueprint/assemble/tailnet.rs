//! The tailnet: defaults filled in.

use crate::blueprint::draft::Draft;
use crate::blueprint::{ControlPlane, PolicyStyle, SecretRef, Tailnet, TailnetSsh, Trust};
use crate::diag::Spanned;
use crate::inventory;

const TAILSCALE: &str = "https://api.tailscale.com";

/// The tailnet, if one was declared; `None` if it is not complete.
#[expect(clippy::option_option, reason = "not declared is not the same as not complete")]
pub(super) fn tailnet(draft: &Draft<'_>) -> Option<Option<Tailnet>> {
    let Some(own) = &draft.inventory.document.tailnet else { return Some(None) };
    let control = match own.control.map(|control| control.value) {
        Some(inventory::ControlPlane::Headscale) => ControlPlane::Headscale,
        Some(inventory::ControlPlane::Tailscale) | None => ControlPlane::Tailscale,
    };
    let style = match (own.policy.map(|style| style.value), control) {
        (Some(inventory::PolicyStyle::Grants), _) | (None, ControlPlane::Tailscale) => PolicyStyle::Grants,
        (Some(inventory::PolicyStyle::Acls), _) | (None, ControlPlane::Headscale) => PolicyStyle::Acls,
    };
    let url = match (&own.url, control) {
        (Some(url), _) => url.value.0.trim_end_matches('/').to_owned(),
        (None, ControlPlane::Tailscale) => TAILSCALE.to_owned(),
        (None, ControlPlane::Headscale) => return None,
    };
    let trust = match (&own.fingerprint, &own.ca_file) {
        (Some(fingerprint), None) => Some(Trust::Fingerprint(fingerprint.value)),
        (None, Some(file)) => Some(Trust::CaFile(file.value.0.clone())),
        (None, None) => None,
        (Some(_), Some(_)) => return None,
    };
    let key = own.key.as_ref()?;
    let words = |list: &[Spanned<inventory::Selector>]| list.iter().map(|who| who.value.0.clone()).collect::<Vec<_>>();
    let ssh = match &own.ssh {
        Some(ssh) => Some(TailnetSsh {
            users: ssh.users.as_ref()?.iter().map(|user| user.value.0.clone()).collect(),
            check: ssh.action.is_some_and(|action| action.value == inventory::SshAction::Check),
            span: ssh.span,
        }),
        None => None,
    };
    let named =
        |prefix: &str, name: &str| format!("{prefix}:{}", name.strip_prefix(&format!("{prefix}:")).unwrap_or(name));
    let owners = own.owners.as_deref().map_or_else(|| vec!["autogroup:admin".to_owned()], words);
    Some(Some(Tailnet {
        name: own.name.as_ref().map_or_else(|| "-".to_owned(), |name| name.value.0.clone()),
        control,
        url,
        key: SecretRef { name: key.value.0.clone(), span: key.span },
        trust,
        style,
        owners,
        tags: own.tags.iter().flatten().map(|(name, who)| (named("tag", &name.value), words(who))).collect(),
        groups: own.groups.iter().flatten().map(|(name, who)| (named("group", &name.value), words(who))).collect(),
        ssh,
        members: own.members.iter().flatten().map(|guest| guest.value.clone()).collect(),
        operators: own.operators.as_deref().map(words),
        span: own.span,
    }))
}
