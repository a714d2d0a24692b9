//! Proof of use on the lab: a stack that is well passes every check, and each fault makes the check fail that is about it.
//!
//! The stack is the one of `inventories/privaxai`, put into its guest with the guest's own `apt-get`, `docker compose` and
//! `ollama`. Each fault begins from a copy of that world.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use infra::blueprint::Blueprint;
use infra::client::{Door, Doors, InGuest};
use infra::lab::scenario::graphics_card;
use infra::lab::shell::DirectShell;
use infra::lab::world::{File, Guest, GuestKind, Published, Run, World};
use infra::lab::{DirectApi, LiveSite, Scenario};
use infra::model::GuestName;
use infra::ports::{Api, Clock, Command, Shell};
use infra::render::stack;
use infra::verify::{LastGood, Proof, ProofKind, StackOptions, Verdict, ask_services, judge_pace};
use secrecy::{ExposeSecret, SecretString};

use crate::rig::{SECRET, VirtualClock};

const VMID: u32 = 200;
const DISK: u64 = 50 << 30;

/// A copy of a world, alive.
struct Stack {
    site: Arc<LiveSite>,
    clock: Arc<VirtualClock>,
    blueprint: Blueprint,
}

fn blueprint() -> Blueprint {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("inventories/privaxai/inventory.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    crate::rig::blueprint(&text).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

/// A host with a T4, and on it the guest as it is after its first boot.
fn host() -> World {
    let clock = VirtualClock::new();
    let mut scenario = Scenario::example();
    let host = &mut scenario.sites[0].hosts[0];
    host.pci.extend(graphics_card("0000:01:00", ("10de", "1eb8"), "TU104GL [Tesla T4]", 12));
    scenario.pace = 0;
    let mut world = scenario.world(&scenario.sites[0], SECRET, clock.now()).unwrap();
    let node = world.nodes.keys().next().unwrap().clone();
    let config = [
        ("name", "inference"),
        ("agent", "1"),
        ("cores", "8"),
        ("memory", "32768"),
        ("ipconfig0", "ip=10.20.0.10/24,gw=10.20.0.1"),
        ("nameserver", "1.1.1.1"),
        ("net0", "virtio=BC:24:11:00:00:C8,bridge=vmbr0"),
        ("scsi0", "local-zfs:vm-200-disk-0,size=50G"),
        ("hostpci0", "0000:01:00,pcie=1"),
    ];
    let config: BTreeMap<String, String> = config.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let mut guest = Guest::new(GuestKind::Qemu, &node, config);
    let started_ms = world.now_ms - 600_000;
    guest.run = Some(Run { pid: 4711, started_ms, booted_ms: Some(started_ms + 20_000), paused: false });
    guest.inside.system = "ubuntu-24.04".to_owned();
    world.guests.insert(VMID, guest);
    world
}

impl Stack {
    fn of(world: World) -> Self {
        let clock = VirtualClock::new();
        let site = LiveSite::new(world, Arc::<VirtualClock>::clone(&clock), Vec::new(), None).unwrap();
        Self { site, clock, blueprint: blueprint() }
    }

    fn shell(&self) -> Arc<dyn Shell> {
        let node = self.change(|world| world.nodes.keys().next().unwrap().clone());
        Arc::new(DirectShell::new(Arc::<LiveSite>::clone(&self.site), &node))
    }

    fn change<R>(&self, change: impl FnOnce(&mut World) -> R) -> R {
        self.site.change(change).unwrap()
    }

    fn guest<R>(&self, change: impl FnOnce(&mut Guest) -> R) -> R {
        self.change(|world| change(world.guests.get_mut(&VMID).unwrap()))
    }

    /// Runs a command line in the guest and gives its exit code and all that it said.
    async fn try_run(&self, line: &str) -> (i32, String) {
        let guest = &self.blueprint.guests[&"inference".parse::<GuestName>().unwrap()];
        let command = Command::new(["sh", "-c", line]).limit(Duration::from_secs(600));
        let output = InGuest::new(self.shell(), guest.inside()).run(&command).await.unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.code, text(&output.stdout) + &text(&output.stderr))
    }

    async fn run(&self, line: &str) -> String {
        let (code, said) = self.try_run(line).await;
        assert_eq!(code, 0, "{line}: {said}");
        said
    }

    /// Puts what is rendered for a service into the guest.
    fn deliver(&self, service: &str) {
        let guest = &self.blueprint.guests[&"inference".parse::<GuestName>().unwrap()];
        let deployment = &guest.deployments[&service.parse().unwrap()];
        let files = stack(&self.blueprint, guest, deployment).unwrap();
        self.guest(|own| {
            for file in files {
                let content = file.content.filled(|_| Some(SecretString::from("canary-3141".to_owned()))).unwrap();
                let content = content.expose_secret().as_bytes().to_vec();
                let path = format!("/opt/stacks/{service}/{}", file.path);
                own.files.insert(path, File { content, mode: file.mode, uid: file.owner, ..File::default() });
            }
        });
    }

    async fn up(&self, service: &str) {
        let at = format!("/opt/stacks/{service}");
        self.run(&format!(
            "docker compose --project-directory {at} --file {at}/compose.yaml up --detach --wait --wait-timeout 120 --remove-orphans"
        ))
        .await;
    }

    async fn prove(&self) -> Vec<Proof> {
        let api: Arc<dyn Api> =
            Arc::new(DirectApi::new(Arc::clone(&self.site), format!("infra@pve!lab={SECRET}").into()));
        let door = |host: &infra::blueprint::Host| {
            (host.name.clone(), Door { api: Arc::clone(&api), shell: Some(self.shell()) })
        };
        let doors = self.blueprint.hosts.values().map(door).collect();
        let doors = Doors::new(doors, Arc::<VirtualClock>::clone(&self.clock), 7);
        let up: Vec<GuestName> = self.blueprint.guests.keys().cloned().collect();
        ask_services(&self.blueprint, &doors, &up, &*self.clock, StackOptions { use_models: true }).await
    }
}

/// The world in which all is well.
async fn well() -> World {
    let stack = Stack::of(host());
    stack.run("apt-get update").await;
    stack
        .run("apt-get install -y docker.io docker-compose-v2 nvidia-headless-570-server nvidia-utils-570-server")
        .await;
    stack.guest(|guest| {
        guest.inside.packages.insert("nvidia-container-toolkit".into(), "1.17.8-1".into());
    });
    stack.run("modprobe nvidia").await;
    stack.run("nvidia-ctk runtime configure --runtime=docker").await;
    stack.run("systemctl restart docker").await;
    for service in ["clickhouse", "ollama", "tensorzero"] {
        stack.run(&format!("docker network create --internal infra-{service}")).await;
        stack.deliver(service);
        stack.up(service).await;
    }
    stack.run("docker exec ollama-ollama-1 ollama pull qwen2.5-coder:7b").await;
    stack.change(|world| world.clone())
}

fn with(proofs: &[Proof], verdicts: &[Verdict]) -> Vec<String> {
    let own = proofs.iter().filter(|proof| verdicts.contains(&proof.verdict));
    own.map(|proof| format!("{}: {}", proof.of.as_str(), proof.what)).collect()
}

#[tokio::test]
async fn a_stack_that_is_well_passes_every_check() {
    use ProofKind::{
        Answer, Completion, ContainerName, Context, Gpu, GpuRoom, GpuUse, Image, Limit, Model, Published, Record,
        Service, Space, Tenant,
    };
    let stack = Stack::of(well().await);
    let proofs = stack.prove().await;
    let rest: Vec<&Proof> = proofs.iter().filter(|proof| proof.verdict != Verdict::Pass).collect();
    assert!(rest.is_empty(), "{rest:#?}");
    let kinds: Vec<ProofKind> = proofs.iter().map(|proof| proof.of).collect();
    for kind in [
        Answer,
        Completion,
        ContainerName,
        Context,
        Gpu,
        GpuRoom,
        GpuUse,
        Image,
        Limit,
        Model,
        Published,
        Record,
        Service,
        Space,
        Tenant,
    ] {
        assert!(kinds.contains(&kind), "{kind:?} was not tried: {kinds:?}");
    }
    let measured = proofs.iter().find(|proof| proof.of == Completion).and_then(|proof| proof.measured).unwrap();
    assert!(measured.tokens == 96 && measured.tokens_per_s.is_some_and(|speed| speed > 20.0), "{measured:?}");
    assert!(measured.gpu_busy_percent.is_some_and(|percent| percent > 50), "{measured:?}");
    assert!(measured.gpu_memory_mib.is_some_and(|mib| mib > 4500), "{measured:?}");
    let told = format!("{proofs:?}");
    assert!(!told.contains("canary"), "a password is in no proof");
    // Whoever does not want load gets the rest.
    let again = stack.prove().await;
    assert_eq!(with(&again, &[Verdict::Fail, Verdict::CouldNotRun]), [""; 0], "it can be asked again and again");
}

/// What is done to a world, one line for each: a command in the guest, or an edit of the world by its name.
type Edit = fn(&mut World);

enum Do {
    Run(&'static str),
    /// Refused by the guest, as it is to be.
    Try(&'static str),
    Edit(Edit),
    /// Replaces a text in a file of the guest.
    Replace(&'static str, &'static str, &'static str),
}

fn guest(world: &mut World) -> &mut Guest {
    world.guests.get_mut(&VMID).unwrap()
}

fn container<'w>(world: &'w mut World, name: &str) -> &'w mut infra::lab::world::Container {
    guest(world).docker.as_mut().unwrap().containers.get_mut(name).unwrap()
}

fn fault(world: &mut World, name: &str) {
    guest(world).inside.faults.insert(name.to_owned());
}

const OLLAMA: &str = "ollama-ollama-1";
const GATEWAY: &str = "tensorzero-gateway-1";
const DOOR: &str = "/opt/stacks/tensorzero/door.py";
const CONFIG: &str = "/opt/stacks/tensorzero/tensorzero.toml";

fn faults() -> Vec<(&'static str, &'static str, Vec<Do>)> {
    use Do::{Edit, Replace, Run, Try};
    vec![
        (
            "module and library of the driver differ",
            "gpu: GPU and its driver",
            vec![Edit(|world| fault(world, "driver-mismatch"))],
        ),
        (
            "toolkit missing when the container is made anew",
            "service: ollama",
            vec![
                Edit(|world| fault(world, "missing-toolkit")),
                Run(
                    "docker compose --project-directory /opt/stacks/ollama --file /opt/stacks/ollama/compose.yaml down",
                ),
                Run("systemctl restart docker"),
                Try(
                    "docker compose --project-directory /opt/stacks/ollama --file /opt/stacks/ollama/compose.yaml up --detach",
                ),
            ],
        ),
        (
            "made anew without its GPU",
            "gpu-use: GPU for qwen2.5-coder:7b in ollama",
            vec![Edit(|world| {
                let own = container(world, OLLAMA);
                (own.wants_gpu, own.has_gpu) = (false, false);
                own.memory_of.clear();
            })],
        ),
        (
            "the GPU was taken away while it runs",
            "gpu-use: GPU for qwen2.5-coder:7b in ollama",
            vec![Edit(|world| {
                let own = container(world, OLLAMA);
                own.has_gpu = false;
                own.memory_of.clear();
            })],
        ),
        (
            "model missing",
            "model: qwen2.5-coder:7b in ollama",
            vec![Run("docker exec ollama-ollama-1 ollama rm qwen2.5-coder:7b")],
        ),
        (
            "model renamed",
            "model: qwen2.5-coder:7b in ollama",
            vec![
                Run("docker exec ollama-ollama-1 ollama cp qwen2.5-coder:7b coder:7b"),
                Run("docker exec ollama-ollama-1 ollama rm qwen2.5-coder:7b"),
            ],
        ),
        (
            "context shorter than promised",
            "context: context of qwen2.5-coder:7b in ollama",
            vec![Edit(|world| {
                container(world, OLLAMA).environment.insert("OLLAMA_CONTEXT_LENGTH".into(), "4096".into());
            })],
        ),
        ("database stopped", "service: clickhouse", vec![Run("docker stop clickhouse-clickhouse-1")]),
        (
            "database up, and nothing is recorded",
            "record: record of qwen2.5-coder:7b through tensorzero",
            vec![
                Replace(CONFIG, "observability.enabled = true", "observability.enabled = false"),
                Run("docker restart tensorzero-gateway-1"),
            ],
        ),
        (
            "gateway unwell",
            "service: tensorzero/gateway",
            vec![Edit(|world| {
                let image = container(world, GATEWAY).image.clone();
                world.registry.sick.insert(image, "wget: server returned error: HTTP/1.1 500".into());
            })],
        ),
        (
            "another header names the tenant",
            "tenant: tenant of qwen2.5-coder:7b through tensorzero",
            vec![Replace(DOOR, "\"x-tenant-id\"", "\"x-customer\""), Run("docker restart tensorzero-tensorzero-1")],
        ),
        (
            "names broken in a container",
            "container-name: clickhouse from tensorzero/gateway",
            vec![Edit(|world| {
                container(world, GATEWAY).networks.remove("infra-clickhouse");
            })],
        ),
        (
            "a container's name server answers nobody",
            // Of every name in every container.
            "container-name: *",
            vec![Edit(|world| fault(world, "container-dns"))],
        ),
        (
            "a runner's port published to everybody",
            "published: ports of ollama",
            vec![Edit(|world| {
                let port = Published { address: String::new(), here: 11434, inside: 11434, protocol: "tcp".into() };
                container(world, OLLAMA).ports.push(port);
            })],
        ),
        ("disk full", "space: space at /", vec![Edit(|world| guest(world).inside.ballast = DISK)]),
        (
            "over and over again",
            "service: clickhouse",
            vec![Edit(|world| {
                let image = container(world, "clickhouse-clickhouse-1").image.clone();
                world.registry.broken.insert(image, "Code: 1000. Configuration file is wrong".into());
            })],
        ),
        (
            "another image runs",
            "image: image of ollama",
            vec![Edit(|world| container(world, OLLAMA).image = "ollama/ollama:0.3.0".into())],
        ),
        ("a stranger has the GPU", "gpu-room: memory of the GPU", vec![Edit(|world| fault(world, "gpu-memory-taken"))]),
        ("runner stopped", "service: ollama", vec![Run("docker stop ollama-ollama-1")]),
        (
            "secret missing",
            "service: clickhouse",
            vec![
                Edit(|world| {
                    guest(world).files.remove("/opt/stacks/clickhouse/secrets/password");
                }),
                Run("docker restart clickhouse-clickhouse-1"),
            ],
        ),
        ("store of the limits stopped", "service: tensorzero/limits", vec![Run("docker stop tensorzero-limits-1")]),
        (
            "limits are not enforced",
            "limit: limits of tensorzero",
            vec![
                Replace(CONFIG, "[rate_limiting]\nenabled = true", "[rate_limiting]\nenabled = false"),
                Run("docker restart tensorzero-gateway-1"),
            ],
        ),
        (
            "the door does not know the model",
            "model: qwen2.5-coder:7b in tensorzero",
            vec![
                Replace(DOOR, "\"qwen2.5-coder:7b\": (", "\"qwen\": ("),
                Run("docker restart tensorzero-tensorzero-1"),
            ],
        ),
        (
            "the gateway asks where nobody is",
            "completion: qwen2.5-coder:7b through tensorzero",
            vec![
                Replace(CONFIG, "http://ollama:11434/v1", "http://ollama:11435/v1"),
                Run("docker restart tensorzero-gateway-1"),
            ],
        ),
    ]
}

#[tokio::test]
async fn each_fault_makes_its_own_check_fail_and_no_other() {
    let well = well().await;
    let mut wrong = Vec::new();
    let all = faults();
    assert!(all.len() >= 15);
    for (name, expected, deeds) in all {
        let stack = Stack::of(well.clone());
        for deed in deeds {
            match deed {
                Do::Run(line) => drop(stack.run(line).await),
                Do::Try(line) => assert_ne!(stack.try_run(line).await.0, 0, "{name}: {line} is refused"),
                Do::Edit(edit) => stack.change(edit),
                Do::Replace(path, from, to) => stack.guest(|own| {
                    let text = own.text(path).unwrap();
                    assert!(text.contains(from), "{path} has no `{from}`:\n{text}");
                    own.put(path, text.replacen(from, to, 1));
                }),
            }
        }
        let proofs = stack.prove().await;
        let failed = with(&proofs, &[Verdict::Fail, Verdict::CouldNotRun]);
        let own = match expected.strip_suffix('*') {
            Some(start) => !failed.is_empty() && failed.iter().all(|failed| failed.starts_with(start)),
            None => failed == [expected],
        };
        if !own {
            let own: Vec<&Proof> = proofs.iter().filter(|proof| proof.verdict != Verdict::Pass).collect();
            wrong.push(format!("{name}: {failed:?}, and not {expected}\n{own:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[tokio::test]
async fn a_gpu_that_is_too_hot_is_slower_than_it_was_and_that_is_told_with_both_numbers() {
    let stack = Stack::of(well().await);
    let good = LastGood::of(&stack.prove().await, stack.clock.now()).unwrap();
    assert!(judge_pace(&good, &stack.prove().await).iter().all(|proof| proof.verdict == Verdict::Pass));
    stack.change(|world| fault(world, "gpu-throttled"));
    let proofs = stack.prove().await;
    assert_eq!(with(&proofs, &[Verdict::Fail, Verdict::CouldNotRun]), [""; 0]);
    let slow = judge_pace(&good, &proofs);
    assert_eq!(with(&slow, &[Verdict::Warning]), ["pace: speed of qwen2.5-coder:7b through tensorzero"]);
    assert!(slow[0].says.contains("tokens/s, and"), "{}", slow[0].says);
}
