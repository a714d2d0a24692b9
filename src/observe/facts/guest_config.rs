//! What a guest is and will be, in one request.

use serde_json::Value;

use super::row::Row;
use crate::diag::Invalid;
use crate::model::observed::{GuestConfig, GuestKind};
use crate::model::{NodeName, Vmid};
use crate::ports::Request;
use crate::proxmox::endpoints;

/// Asks for it: `pending` tells active values, coming ones, removals and the digest.
#[must_use]
pub fn request(node: &NodeName, kind: GuestKind, vmid: Vmid) -> Request {
    let endpoint = match kind {
        GuestKind::Qemu => endpoints::QEMU_PENDING,
        GuestKind::Lxc => endpoints::LXC_PENDING,
    };
    endpoint.at(&[node.as_str(), &vmid.to_string()]).request()
}

/// Reads it.
///
/// # Errors
/// When the answer is not understood.
pub fn read(data: &Value) -> Result<GuestConfig, Invalid> {
    let mut config = GuestConfig::default();
    for row in Row::all(data)? {
        let key = row.need("key")?;
        if key == "digest" {
            config.digest = row.text("value")?;
            continue;
        }
        // PVE ends a container's description with a line break and a VM's without (9.2.11)
        let tidy = |text: String| if key == "description" { text.trim_end_matches('\n').to_owned() } else { text };
        if let Some(value) = row.text("value")? {
            config.current.insert(key.clone(), tidy(value));
        }
        if row.number("delete")?.is_some_and(|delete| delete > 0) {
            config.pending.insert(key, None);
        } else if let Some(pending) = row.text("pending")? {
            let pending = tidy(pending);
            config.pending.insert(key, Some(pending));
        }
    }
    // Every guest has one, even if nothing else is set; an answer without it is not about a guest.
    if config.digest.is_none() {
        return Err(Invalid::new("the answer has no digest"));
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn active_coming_and_removed_values_are_told_apart() {
        let data = json!([
            {"key": "scsi1", "delete": 1, "value": "data:100/vm-100-disk-2.raw,size=1G"},
            {"key": "cores", "value": 2, "pending": 4},
            {"key": "hotplug", "pending": "0"},
            {"key": "description", "value": "ct desc\nline2\n"},
            {"key": "onboot", "value": 1, "delete": 0},
            {"key": "digest", "value": "e44c928939076d80f4a63553d49293445e3b7dd2"},
        ]);
        let config = read(&data).unwrap();
        assert_eq!((config.active("cores"), config.coming("cores")), (Some("2"), Some("4")));
        assert_eq!((config.active("scsi1").is_some(), config.coming("scsi1")), (true, None));
        assert_eq!((config.active("hotplug"), config.coming("hotplug")), (None, Some("0")));
        assert_eq!(config.active("description"), Some("ct desc\nline2"));
        assert_eq!(config.coming("onboot"), Some("1"));
        assert_eq!(config.digest.as_deref(), Some("e44c928939076d80f4a63553d49293445e3b7dd2"));
        assert!(!config.current.contains_key("digest"));
    }
}
