//! What is looked at only on request.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::machine::Question;
use crate::model::{DatasetName, HostName};

/// What is looked at only on request, beside all that the blueprint itself names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interest {
    /// Names of snippets on the host's storage for files: [`Host::files`] will hold them by their
    /// absolute path, `<storage's directory>/snippets/<name>`.
    ///
    /// [`Host::files`]: crate::model::observed::Host::files
    pub snippets: BTreeMap<HostName, BTreeSet<String>>,
    /// Hosts that are looked at below Proxmox: [`Host::machine`] will hold it. Costs no further round trip.
    ///
    /// [`Host::machine`]: crate::model::observed::Host::machine
    pub machines: BTreeMap<HostName, Question>,
    /// Datasets whose directory's owner is needed.
    pub datasets: BTreeMap<HostName, BTreeSet<DatasetName>>,
    /// Whether Docker is looked at in guests that services are deployed to.
    pub services: bool,
    /// Whether each host is read in one round trip at any rate. Where a dataset or a storage is not where it
    /// usually is, owners are not known then, and files are unavailable.
    pub in_one_go: bool,
}
