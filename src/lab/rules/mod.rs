//! What may be done to the world and what PVE answers: one file per area of the API's URLs.
//!
//! Each area is an explicit list of [`Endpoint`]s; [`endpoints`] joins them in order, so that a test
//! can hold every row against the published API description. Handlers change the world and nothing
//! else: no I/O, no clock. The shell goes through the same rows with another
//! [`Caller`](super::world::Caller): see [`answer_as`].

mod access;
mod backup_jobs;
mod capabilities;
mod cluster;
mod cluster_lists;
mod deeds;
mod description;
mod dispatch;
mod downloads;
mod endpoint;
mod firewall;
mod firewall_macros;
mod firewall_options;
mod firewall_rules;
mod formats;
mod guest;
pub mod guest_firewall;
mod guests;
mod ha;
mod hardware;
pub mod host_firewall;
mod host_lists;
mod host_settings;
mod locality;
mod lock_file;
mod mapping;
mod mapping_local;
mod migrate;
mod network;
mod network_params;
mod nodes;
mod options;
mod packet_filter;
mod param;
mod pools;
mod property_strings;
mod protected;
mod quorum;
pub mod reach;
mod refusal;
mod schedule;
mod sdn;
mod storage;
mod tables;
mod tasks;
pub mod work;

pub use deeds::start::pci_devices;
pub use description::{API_DESCRIPTION, api_description};
pub use dispatch::{Request, Upload, answer, answer_as, answer_as_at, answer_at, endpoints};
pub use endpoint::{Access, Answer, Call, Endpoint, Handler, need, no_config};
pub use firewall::{Target, scope};
pub use formats::split_list;
pub use guest::addresses::{addresses as guest_addresses, mac as guest_mac};
pub use guest::config::digest;
pub use guest::volumes::possible as snapshot_possible;
pub use locality::{is_proxied, lose_node, patience, regain_node};
pub use nodes::guest_memory;
pub use param::{Kind, Param, Values, check, check_value};
pub use refusal::Refusal;
