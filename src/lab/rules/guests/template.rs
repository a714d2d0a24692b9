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
    let disk = call.values.get("disk").map(str::to_owned);
    let guest = call.guest(kind)?;
    if let Some(lock) = guest.lock() {
        return Err(format!("{} is locked ({lock})", kind.noun()).into());
    }
    if !guest.snapshots.is_empty() {
        return Err(format!("unable to create template, because {} contains snapshots", kind.noun()).into());
    }
    // One more disk of a template may become a base volume.
    if guest.number("template", 0) == 1 && disk.is_none() {
        return Err("you can't convert a template to a template".into());
    }
    if guest.is_running() {
        let the = if kind == GuestKind::Lxc { "the " } else { "" };
        return Err(format!("you can't convert a {0} to template if {the}{0} is running", kind.noun()).into());
    }
    let task = if kind == GuestKind::Qemu { "qmtemplate" } else { "vztemplate" };
    let answer = call.spawn(task, &vmid.to_string(), 1000, Work::Template { vmid, disk });
    // For a container the schema says null, and null it is: the worker runs all the same (9.2.11).
    Ok(if kind == GuestKind::Qemu { answer } else { ().into() })
}
