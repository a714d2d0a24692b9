//! `/nodes/N/qemu` and `/nodes/N/lxc`: what is asked of guests, one file per thing that is asked.
//!
//! A handler refuses what PVE refuses at once, answers what is read, and starts a worker for the rest: what that
//! does is in [`deeds`](super::deeds).

mod agent;
mod clone;
mod cloudinit;
mod destroy;
mod list;
mod lxc_config;
mod lxc_create;
mod move_volume;
mod power;
mod qemu_config;
mod qemu_create;
mod read;
mod resize;
mod snapshots;
mod suspend;
mod template;
mod unlink;
mod vzdump;

use super::Endpoint;

/// The rows of this area.
pub const ROWS: &[&[Endpoint]] = &[
    list::ROWS,
    qemu_create::ROWS,
    lxc_create::ROWS,
    qemu_config::ROWS,
    lxc_config::ROWS,
    destroy::ROWS,
    read::ROWS,
    power::ROWS,
    suspend::ROWS,
    resize::ROWS,
    unlink::ROWS,
    template::ROWS,
    clone::ROWS,
    move_volume::ROWS,
    agent::ROWS,
    vzdump::ROWS,
    cloudinit::ROWS,
    snapshots::QEMU,
    snapshots::LXC,
];
