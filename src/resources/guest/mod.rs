//! What VMs and containers have in common: whose they are, where they are, and the order of steps.
//!
//! Entry: [`Planner`], the one way in which both kinds are planned; what is particular to a kind it
//! learns from its [`Shape`].

mod common;
mod endpoints;
mod locate;
mod lock;
mod planner;
mod ready;
mod steps;

use crate::model::NodeName;
use crate::model::step::{Expect, Op, StepId};
use crate::ports::Request;
use crate::resources::difference::{Difference, Fields};
use crate::resources::setting::Setting;

pub use common::{address_options, common_settings};
pub use endpoints::endpoints;
pub use locate::{Located, guest_addr, locate, tool};
pub use lock::may_hold;
pub use planner::Planner;

/// What is particular to one kind of guest.
pub trait Shape {
    /// Settings that the API takes.
    fn settings(&self) -> Vec<Setting>;
    /// The operations that make the guest.
    fn create(&self, node: &NodeName) -> Request;
    /// Steps that its settings refer to, whether it is being made or changed.
    fn settings_need(&self) -> Vec<StepId>;
    /// The step that fetches its image.
    fn image_step(&self) -> StepId;
    /// What only root may set: the differences, the commands that mend them, and what must read back.
    fn root_part(&self, located: &Located) -> RootPart;
    /// What must be true of a guest that has just started.
    fn started(&self, node: &NodeName) -> Vec<Op>;
}

/// What only root may set.
#[derive(Default)]
pub struct RootPart {
    /// What differs.
    pub differences: Vec<Difference>,
    /// What it shall be, field by field.
    pub desired: Fields,
    /// The commands that mend it.
    pub commands: Vec<Vec<String>>,
    /// The commands that take it back.
    pub undo: Vec<Vec<String>>,
    /// What must read back.
    pub expect: Vec<Expect>,
    /// Steps that they have to wait for.
    pub needs: Vec<StepId>,
}
