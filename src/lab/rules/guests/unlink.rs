//! `PUT …/unlink`: takes disks off a VM; with `force` their volumes go, too.

use super::qemu_config::check_change;
use crate::lab::rules::deeds::qemu_change::change;
use crate::lab::rules::endpoint::Access::{self, Every};
use crate::lab::rules::formats as f;
use crate::lab::rules::param::{Kind, Param, optional as o, required};
use crate::lab::rules::{Answer, Call, Endpoint, Refusal};
use crate::ports::Method::Put;

const UNLINK: &[Param] = &[o("force", Kind::Bool), required("idlist", Kind::Format(f::config_ids))];
const DISK: Access = Every("/vms/{vmid}", &["VM.Config.Disk"]);

/// The row.
pub const ROWS: &[Endpoint] = &[Endpoint::new(Put, "/nodes/{node}/qemu/{vmid}/unlink", &[UNLINK], DISK, unlink)];

fn unlink(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (node, vmid, mut params) = (call.node(), call.vmid(), call.values.plain());
    // It is a change of the configuration that deletes keys.
    if let Some(keys) = params.remove("idlist") {
        params.insert("delete".to_owned(), keys);
    }
    check_change(call.world, call.caller, &node, vmid, &params)?;
    change(call.world, vmid, &params, &mut Vec::new())?;
    Ok(().into())
}
