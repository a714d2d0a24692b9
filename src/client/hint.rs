//! What the operator can do about a failed call.

use super::CallError;
use crate::ports::TransportError;
use crate::proxmox::answer::{config_locked, lock_timeout};
use crate::proxmox::{Failure, FailureKind};

/// Advice for `error`, if there is any that helps.
pub(super) fn hint(error: &CallError) -> Option<String> {
    match error {
        CallError::Transport(TransportError::Refused { hint, .. }) => Some(hint.clone()),
        CallError::Transport(TransportError::NotSent { .. }) => {
            Some("check that the host is up and that address and port in the inventory are right".into())
        }
        CallError::Transport(TransportError::Uncertain { .. }) => {
            Some("the connection broke; plan again to see what stands".into())
        }
        CallError::Refused(failure) => refused(failure),
        CallError::Task { exitstatus, .. } => by_text(exitstatus),
        CallError::Unreadable { .. } => None,
    }
}

fn refused(failure: &Failure) -> Option<String> {
    match failure.kind() {
        FailureKind::Unauthenticated => Some(
            "the token is wrong, expired or removed: check `token_id` and its secret; on the host: `pveum user token list USER@REALM`"
                .into(),
        ),
        FailureKind::Forbidden => Some(forbidden(&failure.message)),
        FailureKind::DigestMismatch => Some("somebody changed it after it was read: plan again".into()),
        FailureKind::Unreachable => {
            Some("a daemon of the host does not answer: on the host, `systemctl status pvedaemon pveproxy`".into())
        }
        FailureKind::Exists => Some("it was made meanwhile, or its number is taken: plan again".into()),
        _ => by_text(&failure.message).or_else(|| failure.errors.values().find_map(|text| by_text(text))),
    }
}

/// `Permission check failed (/vms/100, VM.Config.Memory)`, observed on 9.2.11.
fn forbidden(message: &str) -> String {
    let root_only = ["root@pam", "only root can", "Only root can"].iter().any(|word| message.contains(word));
    if root_only {
        return "Proxmox allows this to root@pam only, and to no token: declare `ssh` for this host".into();
    }
    let inner = message.split_once("Permission check failed (").map(|(_, rest)| rest.trim_end().trim_end_matches(')'));
    match inner.and_then(|inner| inner.split_once(", ")) {
        Some((path, privileges)) if path.starts_with('/') => format!(
            "the token lacks {privileges} on {path}: give its user and itself a role with it, `pveum acl modify {path} --tokens TOKEN --roles ROLE`"
        ),
        _ => "the token lacks a privilege for this; a token with privilege separation needs its own permissions beside its user's"
            .into(),
    }
}

fn by_text(text: &str) -> Option<String> {
    if lock_timeout(text) {
        return Some("something else holds the lock: look at the running tasks of the host, then run again".into());
    }
    if config_locked(text) {
        return Some(
            "a backup, snapshot or migration holds it: let it finish; if none runs any more, `qm unlock ID` or `pct unlock ID` on the host"
                .into(),
        );
    }
    let lower = text.to_lowercase();
    let space = ["no space left", "out of space", "not enough space", "not enough free space", "disk quota exceeded"];
    if space.iter().any(|word| lower.contains(word)) {
        return Some("free space on the storage, or use another one".into());
    }
    if lower.contains("protection mode enabled") {
        return Some("it is protected in Proxmox: set `protection: false` and apply that first".into());
    }
    if lower.contains("pci device mapping invalid") {
        return Some("the device moved or changed since its mapping was made: plan again".into());
    }
    None
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn refusal(status: u16, message: &str) -> String {
        let request = "PUT /nodes/pve1/qemu/100/config".to_owned();
        let failure = Failure { request, status, message: message.into(), errors: BTreeMap::new() };
        CallError::Refused(failure).hint().unwrap_or_default()
    }

    #[test]
    fn a_missing_privilege_is_named_with_its_path() {
        let hint = refusal(403, "Permission check failed (/vms/100, VM.Config.Memory)");
        assert!(hint.contains("VM.Config.Memory on /vms/100"), "{hint}");
    }

    #[test]
    fn what_only_root_may_is_told_from_a_missing_privilege() {
        for (status, text) in [
            (403, "Permission check failed (mount point type bind is only allowed for root@pam)"),
            (500, "only root can set 'args' config"),
        ] {
            assert!(refusal(status, text).contains("declare `ssh`"), "{text}");
        }
    }

    #[test]
    fn the_advice_for_locks_tells_waiting_from_unlocking() {
        assert!(refusal(500, "VM is locked (backup)").contains("unlock"));
        assert!(
            refusal(500, "can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout")
                .contains("running tasks")
        );
    }
}
