//! What is read over SSH: one batch per host, and a second one only where a path was guessed wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::facts::machine::{Asked, Probe, Question};
use super::{facts, reason};
use crate::client::CallError;
use crate::model::docker::{DockerQuestion, GuestDocker};
use crate::model::entrance::Entrance;
use crate::model::guest_look::{GuestLook, GuestQuestion};
use crate::model::machine::Machine;
use crate::model::observed::{ClusterFirewall, Dataset, Fact, File, GuestFirewall, Site, StorageEntry};
use crate::model::tailnet::GuestTailscale;
use crate::model::{DatasetName, Inside, StorageName, Vmid};
use crate::ports::{Batch, Clock, OnFailure, Output, Shell};
use crate::proxmox::storage_file;

/// How long a batch may take; `zfs list` on a busy pool of spinning disks is what takes its time.
const LIMIT: Duration = Duration::from_secs(60);
/// How often a batch is sent while the connection fails. It only reads, so that repeating is safe.
const ATTEMPTS: u32 = 3;

/// What to read on one host.
pub(super) struct ShellReads {
    pub shell: Arc<dyn Shell>,
    pub clock: Arc<dyn Clock>,
    pub storage: StorageName,
    pub snippets: BTreeSet<String>,
    pub machine: Option<Question>,
    pub datasets: BTreeSet<DatasetName>,
    /// Guests that are looked into.
    pub looks: Vec<(Inside, GuestQuestion)>,
    /// Guests that are to be in the tailnet.
    pub tailscale: BTreeSet<Inside>,
    /// Guests that services are deployed to.
    pub docker: Vec<(Inside, DockerQuestion)>,
    /// Whether there is no second batch.
    pub in_one_go: bool,
}

/// What was read on one host.
pub(super) struct ShellFacts {
    pub datasets: Fact<BTreeMap<DatasetName, Dataset>>,
    pub storage_paths: Fact<BTreeMap<StorageName, String>>,
    pub storage_entries: Fact<BTreeMap<StorageName, StorageEntry>>,
    pub files: Fact<BTreeMap<String, Option<File>>>,
    pub firewall: Option<Firewalls>,
    pub machine: Machine,
    pub entrance: Entrance,
    pub looks: BTreeMap<Vmid, Fact<GuestLook>>,
    pub tailscale: BTreeMap<Vmid, Fact<GuestTailscale>>,
    pub docker: BTreeMap<Vmid, Fact<GuestDocker>>,
}

/// Firewall files of a site.
pub(super) struct Firewalls {
    pub cluster: Fact<ClusterFirewall>,
    pub guests: Fact<BTreeMap<Vmid, GuestFirewall>>,
    pub files: Fact<BTreeMap<String, GuestFirewall>>,
}

impl Firewalls {
    pub fn unavailable(why: &str) -> Self {
        Self { cluster: Fact::unavailable(why), guests: Fact::unavailable(why), files: Fact::unavailable(why) }
    }

    pub fn put(self, site: &mut Site) {
        (site.firewall, site.guest_firewalls, site.firewall_files) = (self.cluster, self.guests, self.files);
    }
}

impl ShellFacts {
    pub fn unavailable(why: &str) -> Self {
        Self {
            datasets: Fact::unavailable(why),
            storage_paths: Fact::unavailable(why),
            storage_entries: Fact::unavailable(why),
            files: Fact::unavailable(why),
            firewall: None,
            machine: Machine::unavailable(why),
            looks: BTreeMap::new(),
            tailscale: BTreeMap::new(),
            docker: BTreeMap::new(),
            entrance: Entrance {
                operator: Fact::unavailable(why),
                firewall: Fact::unavailable(why),
                guards: Fact::unavailable(why),
                listeners: Fact::unavailable(why),
            },
        }
    }
}

/// Which file's digests and modes are where in a batch.
struct FileReads {
    paths: Vec<String>,
    at: Option<(usize, usize)>,
}

impl FileReads {
    fn push(batch: &mut Batch, paths: Vec<String>) -> Self {
        let at = (!paths.is_empty()).then(|| {
            (batch.push(facts::files::digests_command(&paths)), batch.push(facts::files::modes_command(&paths)))
        });
        Self { paths, at }
    }

    fn read(&self, outputs: &[Output]) -> Fact<BTreeMap<String, Option<File>>> {
        match self.at {
            None => Fact::complete(BTreeMap::new()),
            Some((digests, modes)) => fact(facts::files::read(&self.paths, &outputs[digests], &outputs[modes])),
        }
    }
}

impl ShellReads {
    /// Reads everything, with the firewall files of the site and of these guests if asked to.
    pub async fn read(self, firewall: Option<Vec<Vmid>>) -> ShellFacts {
        let mut batch = new_batch();
        let zfs = batch.push(facts::datasets::COMMAND);
        let storages = batch.push(facts::storage_entries::COMMAND);
        // datasets are mounted at their own name unless somebody decided otherwise
        let guessed: Vec<String> = self.datasets.iter().map(|name| format!("/{name}")).collect();
        let owners = (!guessed.is_empty()).then(|| batch.push(facts::owners::command(&guessed)));
        let guessed_files = FileReads::push(&mut batch, self.guessed_files());
        let firewall = firewall.map(|vmids| FirewallReads::push(&mut batch, vmids));
        let operator = batch.push(facts::operator::COMMAND);
        let own_firewall = batch.push(facts::host_firewall::COMMAND);
        let guards = batch.push(facts::guards::COMMAND);
        let listeners = batch.push(facts::listeners::COMMAND);
        let machine = self.machine.as_ref().map(|question| Probe::push(&mut batch, question));
        let looks: Vec<usize> = self
            .looks
            .iter()
            .map(|(inside, question)| batch.push(facts::guest_looks::command(*inside, question)))
            .collect();
        let tailscale: Vec<(Inside, usize)> = self
            .tailscale
            .iter()
            .map(|inside| (*inside, batch.push(facts::guest_tailscale::command(*inside))))
            .collect();
        let docker: Vec<usize> = self
            .docker
            .iter()
            .map(|(inside, question)| batch.push(facts::guest_docker::command(*inside, question)))
            .collect();
        let (outputs, asked) = match self.run(&batch).await {
            Ok(answer) => answer,
            Err(why) => {
                let firewall = firewall.map(|_| Firewalls::unavailable(&why));
                return ShellFacts { firewall, ..ShellFacts::unavailable(&why) };
            }
        };
        let mut datasets = fact(facts::datasets::read(&outputs[zfs]));
        let storage_entries = fact(facts::storage_entries::read(&outputs[storages]));
        let storage_paths = match &storage_entries {
            Fact::Complete { value } | Fact::Partial { value, .. } => Fact::complete(storage_file::paths(value)),
            Fact::Unavailable { why } => Fact::unavailable(why),
        };
        let mut known = owners.map(|at| facts::owners::read(&outputs[at])).unwrap_or_default();
        let mut files = guessed_files.read(&outputs);

        let mut second = new_batch();
        let elsewhere =
            self.mountpoints(&datasets).into_iter().filter(|path| !guessed.contains(path)).collect::<Vec<_>>();
        let owners = (!elsewhere.is_empty()).then(|| second.push(facts::owners::command(&elsewhere)));
        let wanted = self.files(&storage_paths);
        let file_reads = match &wanted {
            Ok(paths) if *paths != guessed_files.paths => Some(FileReads::push(&mut second, paths.clone())),
            _ => None,
        };
        if let Err(why) = &wanted {
            files = Fact::unavailable(why);
        }
        if self.in_one_go {
            if file_reads.is_some() {
                files =
                    Fact::unavailable("they are not where such a storage usually has them, and nobody looked again");
            }
        } else if !second.is_empty() {
            match self.run(&second).await {
                Ok((outputs, _)) => {
                    known.extend(owners.map(|at| facts::owners::read(&outputs[at])).unwrap_or_default());
                    if let Some(reads) = file_reads {
                        files = reads.read(&outputs);
                    }
                }
                Err(why) => {
                    if file_reads.is_some() {
                        files = Fact::unavailable(why);
                    }
                }
            }
        }
        own(&mut datasets, &known);
        ShellFacts {
            datasets,
            storage_paths,
            storage_entries,
            files,
            firewall: firewall.map(|reads| reads.read(&outputs)),
            entrance: Entrance {
                operator: fact(facts::operator::read(&outputs[operator])),
                firewall: fact(facts::host_firewall::read(&outputs[own_firewall])),
                guards: fact(facts::guards::read(&outputs[guards])),
                listeners: fact(facts::listeners::read(&outputs[listeners])),
            },
            machine: machine.map_or_else(Machine::default, |probe| probe.read(&outputs, asked)),
            looks: self
                .looks
                .iter()
                .zip(looks)
                .map(|((inside, question), at)| {
                    (inside.vmid(), fact(facts::guest_looks::read(*inside, question, &outputs[at])))
                })
                .collect(),
            tailscale: tailscale
                .into_iter()
                .map(|(inside, at)| (inside.vmid(), fact(facts::guest_tailscale::read(inside, &outputs[at]))))
                .collect(),
            docker: self
                .docker
                .iter()
                .zip(docker)
                .map(|((inside, question), at)| {
                    (inside.vmid(), fact(facts::guest_docker::read(*inside, question, &outputs[at])))
                })
                .collect(),
        }
    }

    /// Reads the firewall files alone.
    pub async fn read_firewall(self, vmids: Vec<Vmid>) -> Firewalls {
        let mut batch = new_batch();
        let reads = FirewallReads::push(&mut batch, vmids);
        match self.run(&batch).await {
            Ok((outputs, _)) => reads.read(&outputs),
            Err(why) => Firewalls::unavailable(&why),
        }
    }

    /// Where the snippets are if the storage is where PVE puts `local`, or what it mounts.
    fn guessed_files(&self) -> Vec<String> {
        match self.storage.as_str() {
            "local" => self.below("/var/lib/vz"),
            name => self.below(&format!("/mnt/pve/{name}")),
        }
    }

    fn below(&self, directory: &str) -> Vec<String> {
        self.snippets.iter().map(|name| format!("{directory}/snippets/{name}")).collect()
    }

    fn files(&self, storage_paths: &Fact<BTreeMap<StorageName, String>>) -> Result<Vec<String>, String> {
        if self.snippets.is_empty() {
            return Ok(Vec::new());
        }
        match storage_paths {
            Fact::Complete { value } | Fact::Partial { value, .. } => match value.get(&self.storage) {
                Some(directory) => Ok(self.below(directory)),
                None => Err(format!("storage `{}` has no directory", self.storage)),
            },
            Fact::Unavailable { why } => Err(why.clone()),
        }
    }

    fn mountpoints(&self, datasets: &Fact<BTreeMap<DatasetName, Dataset>>) -> Vec<String> {
        let all = datasets.value();
        self.datasets.iter().filter_map(|name| all?.get(name)?.mountpoint.clone()).collect()
    }

    /// Runs a batch, and says when it was asked and answered on our clock.
    async fn run(&self, batch: &Batch) -> Result<(Vec<Output>, Asked), String> {
        let command = batch.command(LIMIT);
        let mut attempt = 1;
        loop {
            let before = self.clock.now();
            match self.shell.run(&command).await {
                Ok(output) => {
                    let asked = Asked { before, after: self.clock.now() };
                    return batch.read(&output).map(|outputs| (outputs, asked)).map_err(|error| error.to_string());
                }
                Err(error) if attempt < ATTEMPTS && CallError::Transport(error.clone()).is_unreachable() => {
                    self.clock.sleep(Duration::from_millis(300) * attempt).await;
                    attempt += 1;
                }
                Err(error) => return Err(reason::of_transport(&error)),
            }
        }
    }
}

/// Which firewall file is where in a batch.
struct FirewallReads {
    cluster: usize,
    files: usize,
    guests: Vec<(Vmid, usize)>,
}

impl FirewallReads {
    fn push(batch: &mut Batch, vmids: Vec<Vmid>) -> Self {
        Self {
            cluster: batch.push(facts::cluster_firewall::COMMAND),
            files: batch.push(facts::firewall_files::COMMAND),
            guests: vmids.into_iter().map(|vmid| (vmid, batch.push(facts::guest_firewalls::command(vmid)))).collect(),
        }
    }

    fn read(&self, outputs: &[Output]) -> Firewalls {
        let mut guests = BTreeMap::new();
        let mut missing = Vec::new();
        for (vmid, at) in &self.guests {
            match facts::guest_firewalls::read(&outputs[*at]) {
                Ok(Some(firewall)) => {
                    guests.insert(*vmid, firewall);
                }
                Ok(None) => {}
                Err(invalid) => missing.push(format!("{vmid}: {}", invalid.problem)),
            }
        }
        let guests = if missing.is_empty() {
            Fact::complete(guests)
        } else {
            Fact::Partial { value: guests, why: missing.join("; ") }
        };
        Firewalls {
            cluster: fact(facts::cluster_firewall::read(&outputs[self.cluster])),
            guests,
            files: fact(facts::firewall_files::read(&outputs[self.files])),
        }
    }
}

fn new_batch() -> Batch {
    Batch::new(fastrand::u128(..), OnFailure::Continue)
}

fn fact<T>(read: Result<T, crate::diag::Invalid>) -> Fact<T> {
    match read {
        Ok(value) => Fact::complete(value),
        Err(invalid) => Fact::unavailable(invalid.problem),
    }
}

/// Notes who owns the directory of each dataset that is mounted; where it is not, `stat` saw what lies beneath.
fn own(datasets: &mut Fact<BTreeMap<DatasetName, Dataset>>, owners: &BTreeMap<String, (u32, u32)>) {
    if let Fact::Complete { value } | Fact::Partial { value, .. } = datasets {
        for dataset in value.values_mut().filter(|dataset| dataset.mounted) {
            dataset.uid_gid = dataset.mountpoint.as_ref().and_then(|path| owners.get(path)).copied();
        }
    }
}
