//! `POST …/template`.

use crate::lab::rules::endpoint::Access::{self, Every};
use crate::lab::rules::param::{Kind, Param, optional as o};
use crate::lab::rules::{Answer, Call, Endpoint, Refusal};
use crate::lab::world::property::is_disk;
use crate::lab::world::{GuestKind, Work};
use crate::ports::Method::Post;

const TEMPLATE_DISK: &[Param] = &[o("disk", Kind::Pattern(is_disk))];
const ALLOCATE: Access = Every("/vms/{vmid}", &["VM.Allocate"]);

/// The rows.
pub const ROWS: &[Endpoint] = &[
    Endpoint::new(Post, "/nodes/{node}/qemu/{vmid}/template", &[TEMPLATE_DISK], ALLOCATE, template),
    Endpoint::new(Post, "/nodes/{node}/lxc/{vmid}/template", &[], ALLOCATE, template),
];

fn template(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let (kind, vmid) = (call.kind(), call.vmid());
    let guest = call.guest(kind)?;
    if let Some(lock) = guest.lock() {
        return Err(format!("{} is locked ({lock})", kind.noun()).into());
    }
    if guest.number("template", 0) == 1 {
        return Err("you can't convert a template to a template".into());
    }
    if !guest.snapshots.is_empty() {
        let (what, it) = if kind == GuestKind::Qemu { ("VM", "VM") } else { ("CT", "CT") };
        return Err(format!("unable to create template, because {what} contains snapshots").replace("VM", it).into());
    }
    if guest.is_running() {
        return Err(format!("you can't convert a {} to template if {} is running", kind.noun(), kind.noun()).into());
    }
    let task = if kind == GuestKind::Qemu { "qmtemplate" } else { "vztemplate" };
    let answer = call.spawn(task, &vmid.to_string(), 1000, Work::Template { vmid });
    // For a container the schema says null, and null it is: the worker runs all the same (9.2.11).
    Ok(if kind == GuestKind::Qemu { answer } else { ().into() })
}
