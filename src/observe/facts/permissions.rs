//! What our token may do where.

use serde_json::Value;

use crate::diag::Invalid;
use crate::model::Permissions;
use crate::ports::Request;
use crate::proxmox::answer::plain;
use crate::proxmox::endpoints;

/// Asks for it.
#[must_use]
pub fn request() -> Request {
    endpoints::PERMISSIONS.at(&[]).request()
}

/// Reads it: privileges by path, each with whether it holds below.
///
/// # Errors
/// When the answer is not understood.
pub fn read(data: &Value) -> Result<Permissions, Invalid> {
    let strange = || Invalid::new("the answer is no map of paths to privileges");
    let paths = data.as_object().ok_or_else(strange)?;
    let row = |privileges: &Value| {
        let privileges = privileges.as_object().ok_or_else(strange)?;
        // Perl's false is 0, an empty string or null.
        let holds_below = |flag: &Value| !matches!(plain(flag).as_str(), "0" | "");
        Ok(privileges.iter().map(|(name, flag)| (name.clone(), holds_below(flag))).collect())
    };
    paths
        .iter()
        .map(|(path, privileges)| Ok((path.clone(), row(privileges)?)))
        .collect::<Result<_, _>>()
        .map(Permissions)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn flags_tell_whether_a_privilege_holds_below() {
        let data = json!({"/": {"Sys.Audit": 0, "VM.Audit": 1}, "/vms/104": {"VM.Audit": "", "VM.Allocate": "1"}});
        let permissions = read(&data).unwrap();
        assert!(permissions.0["/"]["VM.Audit"]);
        assert!(!permissions.0["/"]["Sys.Audit"]);
        assert!(!permissions.0["/vms/104"]["VM.Audit"]);
        assert!(permissions.0["/vms/104"]["VM.Allocate"]);
    }

    #[test]
    fn nothing_at_all_is_an_answer_and_a_list_is_none() {
        assert_eq!(read(&json!({})).unwrap(), Permissions::default());
        assert!(read(&json!([])).is_err());
    }
}
