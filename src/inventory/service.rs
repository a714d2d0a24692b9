//! What a service says of itself: `templates/<service>/template.yaml`.
//!
//! Where it listens and who may be let in, which image it runs as, what it needs, keeps and depends on. Every number is
//! here once: compose files, firewalls, scrape lists and checks are made of it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::values::{
    AudienceName, Demand, EnvironmentVariable, FileMode, GpuDemand, HealthProbe, HttpPath, ImageRef, InsidePath,
    Package, PortSpan, RawSetting, SecretKind, StackTier, TransportName, VariableType,
};
use crate::diag::{FileId, Spanned};
use crate::model::{PartName, Period, PortName, ServiceName, Size};

/// What is known of a service before it runs anywhere.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[schemars(title = "infra service")]
pub struct Template {
    /// What it is for.
    #[schemars(required)]
    pub description: Option<Spanned<String>>,
    /// Whether every guest has it without listing it, as SSH.
    pub everywhere: Option<Spanned<bool>>,
    /// Ports that it listens on, by name.
    pub ports: Option<BTreeMap<Spanned<PortName>, Spanned<TemplatePort>>>,
    /// The Debian package that it is, instead of a container: what belongs to the guest's own system.
    pub package: Option<Spanned<Package>>,
    /// The image of its container, pinned. The folder then holds a `compose.yaml.j2`.
    #[schemars(example = &"ollama/ollama:0.12.6")]
    pub image: Option<Spanned<ImageRef>>,
    /// Further images by name. `nvidia` and `amd` are used instead of `image` in guests with such a GPU.
    pub images: Option<BTreeMap<Spanned<PartName>, Spanned<ImageRef>>>,
    /// What an operator may set, by name: `services: [{ name: …, with: { … } }]`.
    pub variables: Option<BTreeMap<Spanned<PartName>, Spanned<ServiceVariable>>>,
    /// Files that it reads, by the name of their template in this folder, such as `config.yaml.j2`.
    pub files: Option<BTreeMap<Spanned<String>, Spanned<ServiceFile>>>,
    /// What it keeps, by name.
    pub volumes: Option<BTreeMap<Spanned<PartName>, Spanned<ServiceVolume>>>,
    /// What it takes.
    pub needs: Option<Spanned<ServiceNeeds>>,
    /// How to see that it is well.
    pub health: Option<Spanned<ServiceHealth>>,
    /// Where its metrics are.
    pub metrics: Option<Spanned<ServiceMetrics>>,
    /// Services that it uses, of the same guest or of those that the guest `uses`.
    pub depends_on: Option<BTreeMap<Spanned<ServiceName>, Spanned<Demand>>>,
    /// How what it keeps is written out whole.
    pub backup: Option<Spanned<ServiceBackup>>,
    /// Secrets that it holds, by name.
    pub secrets: Option<BTreeMap<Spanned<PartName>, Spanned<ServiceSecret>>>,
    /// Whether it may connect to what is outside of its guest and of what it depends on; it may unless said otherwise.
    pub internet: Option<Spanned<bool>>,
    /// Whether it sees the guest's own network instead of one of its own: exporters, reverse proxies. Not unless given.
    pub host_network: Option<Spanned<bool>>,
    /// Whether it asks services of its guest for their metrics, as Prometheus does.
    pub scrapes: Option<Spanned<bool>>,
    /// Where it stands between a person and a model.
    pub stack: Option<Spanned<ServiceStack>>,
}

/// A port that a service listens on.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct TemplatePort {
    /// The port, or a range `8000:8100`.
    #[schemars(required)]
    pub port: Option<Spanned<PortSpan>>,
    /// The port inside its container, where that is another one.
    pub inside: Option<Spanned<PortSpan>>,
    /// `tcp` unless given.
    pub protocol: Option<Spanned<TransportName>>,
    /// Who may ever be let in, whatever an inventory asks for.
    #[schemars(required)]
    pub audience: Option<Spanned<AudienceName>>,
    /// Whether it is opened only where it is named, as `guest/service/port`: metrics of a service that others use for
    /// something else. Not unless given.
    pub explicit: Option<Spanned<bool>>,
    /// What it is for.
    pub description: Option<Spanned<String>>,
}

/// Something that an operator may set.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct ServiceVariable {
    /// What it holds.
    #[serde(rename = "type")]
    #[schemars(required)]
    pub kind: Option<Spanned<VariableType>>,
    /// What it is unless given; without one it has to be given.
    pub default: Option<Spanned<RawSetting>>,
    /// What it is for.
    pub description: Option<Spanned<String>>,
    /// The least that it may be.
    pub min: Option<Spanned<RawSetting>>,
    /// The most that it may be.
    pub max: Option<Spanned<RawSetting>>,
    /// The words that an `enum` may be.
    pub values: Option<Vec<Spanned<String>>>,
}

/// A file that a service reads.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct ServiceFile {
    /// Where the container sees it.
    #[schemars(required, example = &"/app/config.yaml")]
    pub mount: Option<Spanned<InsidePath>>,
    /// Its permission bits; `"0644"` unless given, and `"0600"` as soon as a secret is in it.
    pub mode: Option<Spanned<FileMode>>,
    /// Who owns it, as the number of a user; root unless given.
    pub owner: Option<Spanned<u32>>,
    /// The containers of its project that see it; the one of the service's own name unless given.
    #[schemars(example = &["worker"])]
    pub containers: Option<Vec<Spanned<String>>>,
}

/// Something that a service keeps.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct ServiceVolume {
    /// Where the container sees it.
    #[schemars(required, example = &"/var/lib/postgresql/data")]
    pub mount: Option<Spanned<InsidePath>>,
    /// What is in it.
    #[schemars(required)]
    pub holds: Option<Spanned<String>>,
    /// Whether it belongs into backups; it does unless said otherwise. What can be fetched again need not.
    pub backup: Option<Spanned<bool>>,
    /// The containers of its project that see it; the one of the service's own name unless given.
    #[schemars(example = &["worker"])]
    pub containers: Option<Vec<Spanned<String>>>,
}

/// What a service takes.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct ServiceNeeds {
    /// Memory that it takes when it works; the guest has to have as much for all its services together.
    pub memory: Option<Spanned<Size>>,
    /// The most memory that it is let have; `memory` unless given.
    pub memory_limit: Option<Spanned<Size>>,
    /// Space for its image and for what it keeps.
    pub disk: Option<Spanned<Size>>,
    /// Memory of a GPU beside models.
    pub vram: Option<Spanned<Size>>,
    /// Whether it uses a GPU.
    pub gpu: Option<Spanned<GpuDemand>>,
    /// Shared memory (`/dev/shm`); Docker's 64 MiB unless given.
    pub shared_memory: Option<Spanned<Size>>,
}

/// How to see that a service is well.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct ServiceHealth {
    /// The port that is asked; the only one unless given.
    pub port: Option<Spanned<PortName>>,
    /// The path of a request that is answered with 200 when all is well.
    pub path: Option<Spanned<HttpPath>>,
    /// The program in the image that asks; a `command` needs none.
    pub probe: Option<Spanned<HealthProbe>>,
    /// A command in the container that ends with 0 when all is well.
    pub command: Option<Vec<Spanned<String>>>,
    /// How often; every 15 s unless given.
    pub interval: Option<Spanned<Period>>,
    /// How long an answer may take; 5 s unless given.
    pub timeout: Option<Spanned<Period>>,
    /// How long it may take to start; 60 s unless given.
    pub grace: Option<Spanned<Period>>,
}

/// Where metrics of a service are.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct ServiceMetrics {
    /// The port.
    #[schemars(required)]
    pub port: Option<Spanned<PortName>>,
    /// The path; `/metrics` unless given.
    pub path: Option<Spanned<HttpPath>>,
}

/// How what a service keeps is written out whole.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct ServiceBackup {
    /// A command in the container that writes a copy to its standard output.
    #[schemars(required)]
    pub command: Option<Vec<Spanned<String>>>,
    /// What it writes, such as `sql` or `tar`: the end of the file's name.
    #[schemars(required)]
    pub suffix: Option<Spanned<String>>,
    /// The container of its project that it runs in; the one of the service's own name unless given.
    pub container: Option<Spanned<String>>,
}

/// A secret of a service.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct ServiceSecret {
    /// What it is for.
    pub description: Option<Spanned<String>>,
    /// How many characters it has when it is made by itself; without it, the operator provides it.
    #[schemars(range(min = 16, max = 128))]
    pub generate: Option<Spanned<u32>>,
    /// Of which characters it is made then; letters and digits unless given. Of `base64`, `generate` counts bytes.
    pub kind: Option<Spanned<SecretKind>>,
    /// Whether the service reads it at its very first start only and keeps it from then on, as databases do with the
    /// password of their first user: another value would be known to everybody but the service.
    pub first_start: Option<Spanned<bool>>,
    /// The environment variable that names the file with it (`…_FILE`).
    pub file: Option<Spanned<EnvironmentVariable>>,
    /// The environment variable that holds it, where the image reads no file.
    pub env: Option<Spanned<EnvironmentVariable>>,
    /// Who may read the file, as the number of a user; root unless given.
    pub owner: Option<Spanned<u32>>,
    /// Whether the service goes without it where the inventory names none.
    pub optional: Option<Spanned<bool>>,
    /// The containers of its project that are given its file; the one of the service's own name unless given.
    #[schemars(example = &["worker"])]
    pub containers: Option<Vec<Spanned<String>>>,
}

/// Where a service stands between a person and a model.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct ServiceStack {
    /// Which of them it is.
    #[schemars(required)]
    pub tier: Option<Spanned<StackTier>>,
    /// The variable that says how long it waits for an answer (a runner: how long it may take to load a model).
    pub timeout: Option<Spanned<PartName>>,
    /// The variable that says how many tokens a minute it lets through.
    pub tokens_per_minute: Option<Spanned<PartName>>,
    /// The variable that says how many tokens fit into a request.
    pub context: Option<Spanned<PartName>>,
    /// The variable that says how many requests are answered at once.
    pub parallel: Option<Spanned<PartName>>,
}

/// One template of a service's folder, such as `compose.yaml.j2`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateText {
    /// Its file.
    pub file: FileId,
    /// What stands in it.
    pub text: String,
}
