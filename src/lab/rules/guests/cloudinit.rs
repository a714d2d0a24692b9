//! `…/cloudinit`: the keys of a VM that go onto its image, the image made anew, its files as texts.

use serde_json::{Value, json};

use crate::lab::rules::endpoint::Access::{self, Every};
use crate::lab::rules::guest::cloudinit::{File, dump};
use crate::lab::rules::guest::{config, status};
use crate::lab::rules::param::{Kind, Param, required};
use crate::lab::rules::{Answer, Call, Endpoint, Refusal};
use crate::lab::world::property::Properties;
use crate::lab::world::{Guest, GuestKind, World};
use crate::ports::Method::{Get, Put};

const DUMP: &[Param] = &[required("type", Kind::Enum(&["user", "network", "meta"]))];
const READ: Access = Every("/vms/{vmid}", &["VM.Audit"]);
const WRITE: Access = Every("/vms/{vmid}", &["VM.Config.Cloudinit"]);

/// The rows.
pub const ROWS: &[Endpoint] = &[
    Endpoint::new(Get, "/nodes/{node}/qemu/{vmid}/cloudinit", &[], READ, show),
    Endpoint::new(Put, "/nodes/{node}/qemu/{vmid}/cloudinit", &[], WRITE, regenerate),
    Endpoint::new(Get, "/nodes/{node}/qemu/{vmid}/cloudinit/dump", &[DUMP], READ, get_dump),
];

fn show(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let guest = call.guest(GuestKind::Qemu)?;
    let keys = ["cicustom", "cipassword", "citype", "ciupgrade", "ciuser", "nameserver", "searchdomain", "sshkeys"];
    // What Perl takes for false is not shown, so `ciupgrade: 0` is not.
    let set = keys.iter().filter_map(|key| Some((key, guest.config.get(*key).filter(|v| *v != "0" && !v.is_empty())?)));
    let rows = set.map(|(key, text)| json!({"key": key, "value": config::value(GuestKind::Qemu, key, text)}));
    Ok(Value::Array(rows.collect()).into())
}

fn regenerate(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let guest = call.guest(GuestKind::Qemu)?;
    status::locked(guest)?;
    custom_files(call.world, guest)?;
    Ok(().into())
}

/// Files that somebody wrote have to be there when the image is made.
fn custom_files(world: &World, guest: &Guest) -> Result<(), String> {
    let named = Properties::parse(guest.config.get("cicustom").map_or("", String::as_str));
    for (_, volid) in &named.0 {
        if world.volume(&guest.node, volid).is_none() {
            return Err(format!("volume '{volid}' does not exist"));
        }
    }
    Ok(())
}

fn get_dump(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let file = match call.values.text("type") {
        "user" => File::User,
        "network" => File::Network,
        _ => File::Meta,
    };
    let guest = call.guest(GuestKind::Qemu)?;
    Ok(dump(call.world, call.vmid(), guest, file).into())
}
