//! The firewall that follows from flows: what the datacenter has for all guests, and what each guest has of its own.
//!
//! Pure: blueprint in, the words of Proxmox's files out; the resources beside it bring a host there, and the solver
//! judges what is here. Default deny between guests; in the order of a guest's list:
//!
//! 1. what is written by hand, groups last;
//! 2. flows between guests: who may come in is a set per service port, where it may go is an alias;
//! 3. the group that sets guests apart, both ways;
//! 4. networks that a service is exposed to, and those that the guest may reach;
//! 5. the internet, after all that is private was refused.
//!
//! What no rule names meets the policy, which drops both ways.

mod guest;
mod names;
mod rule;
mod site;

pub use guest::{guest_rules, own_set};
pub use names::{PREFIX, alias, own_set_name};
pub use site::site_firewall;
