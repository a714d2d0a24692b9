//! How a service runs in a container, as its folder in `templates/` declares it: the same wherever it runs.

use std::collections::BTreeMap;

use super::{Generate, Setting, Variable};
use crate::diag::Span;
use crate::inventory::{GpuDemand, HealthProbe, ImageRef, StackTier, TemplateText};
use crate::model::{GuestName, PartName, Period, PortName, ServiceName, Size};

/// How a service runs in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// The image of its main container, which has the service's name.
    pub image: ImageRef,
    /// Further images.
    pub images: BTreeMap<PartName, ImageRef>,
    /// What an operator may set.
    pub variables: BTreeMap<PartName, Variable>,
    /// Files that it reads, by the name of their template.
    pub files: BTreeMap<String, FileMount>,
    /// What it keeps.
    pub volumes: BTreeMap<PartName, Volume>,
    /// What it takes.
    pub needs: Needs,
    /// Services that it uses, and whether it does not start without them.
    pub depends_on: BTreeMap<ServiceName, bool>,
    /// How what it keeps is written out whole.
    pub backup: Option<Backup>,
    /// Secrets that it holds.
    pub secrets: BTreeMap<PartName, Secret>,
    /// Whether it may connect to what is outside.
    pub internet: bool,
    /// Whether it sees the guest's own network.
    pub host_network: bool,
    /// Whether it asks services of its guest for their metrics.
    pub scrapes: bool,
    /// Where it stands between a person and a model.
    pub stack: Option<Stack>,
    /// What is filled for it, by file name: `compose.yaml.j2`, `env.<service>.j2`, and its files.
    pub texts: BTreeMap<String, TemplateText>,
    /// Where its image was declared.
    pub span: Span,
}

/// A file that a service reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileMount {
    /// Where the container sees it.
    pub mount: String,
    /// Its permission bits; chosen by what is in it unless given.
    pub mode: Option<u32>,
    /// The number of the user that it belongs to.
    pub owner: u32,
    /// The containers that it is given to; none means the one of the service's own name.
    pub containers: Vec<String>,
}

/// Something that a service keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Where the container sees it.
    pub mount: String,
    /// What is in it.
    pub holds: String,
    /// Whether it belongs into backups.
    pub backup: bool,
    /// The containers that it is given to; none means the one of the service's own name.
    pub containers: Vec<String>,
}

/// What a service takes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// Memory that it takes when it works.
    pub memory: Option<Size>,
    /// The most memory that it is let have.
    pub memory_limit: Option<Size>,
    /// Space for its image and for what it keeps.
    pub disk: Option<Size>,
    /// Memory of a GPU beside models.
    pub vram: Option<Size>,
    /// Whether it uses a GPU.
    pub gpu: Option<GpuDemand>,
    /// Shared memory.
    pub shared_memory: Option<Size>,
}

/// How to see that a service is well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// The port that is asked.
    pub port: Option<PortName>,
    /// The path of a request that is answered with 200.
    pub path: Option<String>,
    /// The program in the image that asks.
    pub probe: HealthProbe,
    /// A command in the container instead.
    pub command: Vec<String>,
    /// How often.
    pub interval: Period,
    /// How long an answer may take.
    pub timeout: Period,
    /// How long it may take to start.
    pub grace: Period,
}

/// Where metrics of a service are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metrics {
    /// The port.
    pub port: PortName,
    /// The path.
    pub path: String,
}

/// How what a service keeps is written out whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// A command in the container that writes a copy to its standard output.
    pub command: Vec<String>,
    /// The end of the copy's file name.
    pub suffix: String,
    /// The container that it runs in; none means the one of the service's own name.
    pub container: Option<String>,
}

/// A secret that a service holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// What it is made of when it is made by itself.
    pub generate: Option<Generate>,
    /// Whether the service reads it at its first start only, and keeps it from then on.
    pub first_start: bool,
    /// The environment variable that names the file with it.
    pub file: Option<String>,
    /// The environment variable that holds it.
    pub env: Option<String>,
    /// The number of the user who may read the file.
    pub owner: u32,
    /// Whether the service goes without.
    pub optional: bool,
    /// The containers that it is given to; none means the one of the service's own name.
    pub containers: Vec<String>,
}

/// Where a service stands between a person and a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stack {
    /// Which of them it is.
    pub tier: StackTier,
    /// The variable that says how long it waits.
    pub timeout: Option<PartName>,
    /// The variable that says how many tokens a minute it lets through.
    pub tokens_per_minute: Option<PartName>,
    /// The variable that says how many tokens fit into a request.
    pub context: Option<PartName>,
    /// The variable that says how many requests are answered at once.
    pub parallel: Option<PartName>,
}

/// A service in one guest: what is different there is settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// Which.
    pub service: ServiceName,
    /// The image of its main container, with its digest where that is locked.
    pub image: ImageRef,
    /// Further images, likewise.
    pub images: BTreeMap<PartName, ImageRef>,
    /// The most memory that it is let have.
    pub memory_limit: Option<Size>,
    /// The GPU that it uses.
    pub gpu: Option<GpuMaker>,
    /// Its variables.
    pub settings: BTreeMap<PartName, Setting>,
    /// Names of its secrets; those that it goes without are left out.
    pub secrets: BTreeMap<PartName, String>,
    /// Directories of the guest instead of volumes.
    pub volumes: BTreeMap<PartName, String>,
    /// Where it was listed.
    pub span: Span,
    /// Where its variables were set, of those that were.
    pub spans: BTreeMap<PartName, Span>,
}

impl Deployment {
    /// Whether a secret of it has the name that it has unless the inventory says otherwise.
    #[must_use]
    pub fn names_by_default(&self, guest: &GuestName, key: &PartName) -> bool {
        self.secrets.get(key).is_some_and(|name| *name == secret_name(guest.as_str(), &self.service, key))
    }
}

/// What a secret is called unless the inventory says otherwise.
pub(super) fn secret_name(guest: &str, service: &ServiceName, key: &PartName) -> String {
    format!("{guest}-{service}-{}", key.as_str().replace('_', "-"))
}

/// Who made a GPU: which programs drive it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GpuMaker {
    /// CUDA.
    Nvidia,
    /// `ROCm`.
    Amd,
}

impl GpuMaker {
    /// The name of the image for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nvidia => "nvidia",
            Self::Amd => "amd",
        }
    }
}
