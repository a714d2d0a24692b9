//! From bare Proxmox VE hosts to a private, isolated AI server.
//!
//! ```text
//! inventories/ profiles/ templates/
//!         │ parse, merge, resolve (pure, spans kept)
//!         ▼
//!    Inventory ─► Blueprint ─► desired resources ─┐
//!                                                 ├─► diff ─► Plan ─► run ─► Events ─► ui
//! host ─ ports ─► observe ─► Observed ────────────┘     │        └─► journal ─► resume / rollback
//!                                                       └─► rehearse on a lab twin
//! ```
//!
//! One direction. The planner decides everything; the executor decides nothing. A room may use rooms
//! of its own storey and of those below; `cargo xtask layers` keeps it so.

// L0: words
pub mod diag;
pub mod event;
pub mod model;
pub mod ports;
// L1: what should be
pub mod blueprint;
pub mod inventory;
pub mod opnsense;
pub mod proxmox;
pub mod render;
pub mod resources;
pub mod tailnet;
// L2: what to do about it
pub mod checks;
pub mod isolation;
pub mod plan;
// L4: what is, and doing it
pub mod client;
pub mod exec;
pub mod observe;
pub mod verify;
// L5: the outside
pub mod adapters;
pub mod lab;
pub mod secrets;
// L6, L7: trying it out, the person
pub mod cli;
pub mod rehearsal;
pub mod ui;
