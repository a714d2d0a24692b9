//! `PUT …/resize`: containers are looked at before the worker starts, VMs within it.

use crate::lab::rules::endpoint::Access::{self, Every};
use crate::lab::rules::formats::is_resize;
use crate::lab::rules::guest::access::check_skiplock;
use crate::lab::rules::guest::{config, disks};
use crate::lab::rules::param::{Kind, Param, optional as o, required};
use crate::lab::rules::tables::{DIGEST_40, SKIPLOCK};
use crate::lab::rules::{Answer, Call, Endpoint, Refusal};
use crate::lab::world::property::{is_disk, is_mount};
use crate::lab::world::{GuestKind, Work};
use crate::ports::Method::Put;

const RESIZE_QEMU: &[Param] =
    &[required("disk", Kind::Pattern(is_disk)), required("size", Kind::Pattern(is_resize)), o("digest", DIGEST_40)];
const RESIZE_LXC: &[Param] =
    &[required("disk", Kind::Pattern(is_mount)), required("size", Kind::Pattern(is_resize)), o("digest", DIGEST_40)];
const DISK: Access = Every("/vms/{vmid}", &["VM.Config.Disk"]);

/// The rows.
pub const ROWS: &[Endpoint] = &[
    Endpoint::new(Put, "/nodes/{node}/qemu/{vmid}/resize", &[RESIZE_QEMU, SKIPLOCK], DISK, resize),
    Endpoint::new(Put, "/nodes/{node}/lxc/{vmid}/resize", &[RESIZE_LXC], DISK, resize),
];

fn resize(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    check_skiplock(call)?;
    let (kind, vmid) = (call.kind(), call.vmid());
    let (disk, size) = (call.values.text("disk").to_owned(), call.values.text("size").to_owned());
    let guest = call.guest(kind)?;
    if call.values.get("digest").is_some_and(|digest| digest != config::digest(guest)) {
        return Err(match kind {
            GuestKind::Qemu => "checksum mismatch (file change by other user?)".into(),
            GuestKind::Lxc => "detected modified configuration - file changed by other user? Try again.".into(),
        });
    }
    if let Some(lock) = guest.lock() {
        return Err(format!("{} is locked ({lock})", kind.noun()).into());
    }
    if kind == GuestKind::Lxc {
        // Containers are looked at before the worker starts, VMs within it.
        let Some(value) = guest.config.get(&disk) else {
            return Err(format!("No volume '{disk}' found").into());
        };
        let volid = disks::normal(value, "volume").get("").unwrap_or_default().to_owned();
        let Some(old) = call.world.volume(&guest.node, &volid) else {
            return Err(format!("can't resize mount point owned by another container ({volid})").into());
        };
        if disks::resized(old.size, &size).is_none_or(|new| new < old.size) {
            return Err("unable to shrink disk size".into());
        }
    }
    Ok(call.spawn("resize", &vmid.to_string(), 1500, Work::Resize { vmid, disk, size }))
}
