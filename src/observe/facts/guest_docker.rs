//! Docker in a guest: its packages, its engine, our containers, files of our stacks, models, the driver of its GPU.
//!
//! One command in each guest, in the one batch of its host. Of files with secrets nothing but mode and owner leaves the
//! guest, and of containers only what `docker ps` lists: `docker inspect` would print their environment. Facts:
//! docker/cli `cli/command/formatter/container.go`, docker/compose `pkg/api/labels.go`.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::client::answered;
use crate::diag::Invalid;
use crate::model::Inside;
use crate::model::docker::{
    ContainerState, DockerQuestion, Engine, GuestDocker, GuestGpu, SeenContainer, SeenFile, StackNote,
};
use crate::model::observed::Fact;
use crate::ports::{Output, quote};
use crate::render::{note_of, stack_directory, staged_note_of};

/// What stands before each answer.
const MARK: &str = "== ";
/// How our own note begins.
const OURS: &str = "# Written by infra for ";
/// How long one guest may take, in seconds: an engine that starts answers late.
const SECONDS: u64 = 60;

/// Packages whose versions matter.
pub const PACKAGES: [&str; 14] = [
    "docker.io",
    "docker-ce",
    "containerd",
    "containerd.io",
    "runc",
    "docker-compose-v2",
    "docker-compose",
    "docker-compose-plugin",
    "podman-docker",
    "curl",
    "nvidia-container-toolkit",
    "nvidia-driver-570-server",
    "nvidia-driver-580-server",
    "ubuntu-drivers-common",
];

/// The command on the host that asks a guest for all of it.
#[must_use]
pub fn command(inside: Inside, question: &DockerQuestion) -> Vec<String> {
    let mut script = String::from("cat /etc/os-release");
    // A file may end without a line's end.
    let mut ask = |mark: &str, what: &str| script.push_str(&format!("; echo; echo '{MARK}{mark}'; {what}"));
    for package in PACKAGES {
        ask(&format!("package {package}"), &format!("dpkg-query -W -f='${{Status}}\\t${{Version}}\\n' {package}"));
    }
    ask("enabled", "systemctl is-enabled docker");
    ask("version", "docker version --format '{{json .}}'");
    ask("compose", "docker compose version --short");
    ask("info", "docker info --format '{{json .}}'");
    ask("containers", "docker ps --all --no-trunc --format '{{json .}}'");
    ask("networks", "docker network ls --format '{{.Name}}'");
    ask("daemon", "cat /etc/docker/daemon.json");
    for service in &question.stacks {
        ask(&format!("note {service}"), &format!("cat {}", note_of(service)));
        ask(&format!("waits {service}"), &format!("ls -1 {}", staged_note_of(service)));
    }
    if !question.files.is_empty() {
        let paths: Vec<&String> = question.files.keys().collect();
        ask("modes", &format!("stat -c '%a %u %n' {}", quoted(&paths)));
    }
    let open: Vec<&String> = question.files.iter().filter(|(_, secret)| !**secret).map(|(path, _)| path).collect();
    if !open.is_empty() {
        ask("digests", &format!("sha256sum {}", quoted(&open)));
    }
    for service in &question.models {
        let directory = stack_directory(service);
        ask(
            &format!("models {service}"),
            &format!(
                "docker compose --project-directory {directory} --file {directory}/compose.yaml exec -T {service} ollama list"
            ),
        );
    }
    if question.gpu {
        ask("smi", "nvidia-smi --query-gpu=driver_version --format=csv,noheader,nounits");
        ask("module", "cat /proc/driver/nvidia/version");
        ask("toolkit", "nvidia-ctk --version");
        ask("boot", "mokutil --sb-state");
        ask("rocm", "ls -1 /dev/kfd /dev/dri");
    }
    script.push_str(&format!("; echo; echo '{MARK}end'"));
    inside.argv(&["sh".to_owned(), "-c".to_owned(), script], SECONDS, false)
}

fn quoted(paths: &[&String]) -> String {
    paths.iter().map(|path| quote(path)).collect::<Vec<_>>().join(" ")
}

/// What a guest answers.
///
/// # Errors
/// If it runs no commands, or not all of them.
pub fn read(inside: Inside, question: &DockerQuestion, output: &Output) -> Result<GuestDocker, Invalid> {
    let Output { stdout, stderr, .. } =
        answered(inside, output.clone()).map_err(|error| Invalid::new(format!("{inside} does not answer: {error}")))?;
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    let mut parts: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut at = "release";
    for line in stdout.lines() {
        match line.strip_prefix(MARK) {
            Some(mark) => {
                at = mark;
                parts.insert(at, Vec::new());
            }
            None => parts.entry(at).or_default().push(line),
        }
    }
    if !parts.contains_key("end") {
        let said = stderr.lines().next().unwrap_or("it says nothing").trim();
        return Err(Invalid::new(format!("{inside} does not answer: {said}")));
    }
    let lines = |mark: &str| parts.get(mark).map(Vec::as_slice).unwrap_or_default();
    let first = |mark: &str| lines(mark).first().map(|line| line.trim()).filter(|line| !line.is_empty());
    let engine = engine(first("version"), first("info"));
    let answers = engine.is_some();
    let unknown = || "the engine does not answer".to_owned();
    let (modes, digests) = (lines("modes"), lines("digests"));
    Ok(GuestDocker {
        system: system(lines("release")),
        packages: PACKAGES
            .iter()
            .filter_map(|package| {
                let (status, version) = first(&format!("package {package}"))?.split_once('\t')?;
                (status == "install ok installed").then(|| ((*package).to_owned(), version.to_owned()))
            })
            .collect(),
        enabled: first("enabled") == Some("enabled"),
        compose: first("compose").map(|version| version.trim_start_matches('v').to_owned()),
        daemon_file: parts.get("daemon").filter(|lines| !lines.is_empty()).map(|lines| lines.join("\n")),
        containers: match answers {
            true => containers(lines("containers")),
            false => Fact::unavailable(unknown()),
        },
        networks: match answers {
            true => Fact::complete(
                lines("networks").iter().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect(),
            ),
            false => Fact::unavailable(unknown()),
        },
        files: files(question, modes, digests),
        notes: question
            .stacks
            .iter()
            .filter_map(|service| Some((service.clone(), note(lines(&format!("note {service}")))?)))
            .collect(),
        waiting: question
            .stacks
            .iter()
            .filter(|service| first(&format!("waits {service}")).is_some())
            .cloned()
            .collect(),
        models: question
            .models
            .iter()
            .filter_map(|service| Some((service.clone(), models(lines(&format!("models {service}")))?)))
            .collect(),
        stale_secrets: BTreeMap::new(),
        gpu: GuestGpu {
            module: lines("module").iter().find_map(|line| module(line)),
            driver: first("smi").filter(|line| is_version(line)).map(str::to_owned),
            toolkit: lines("toolkit")
                .iter()
                .find_map(|line| Some(line.strip_prefix("NVIDIA Container Toolkit CLI version ")?.trim().to_owned())),
            secure_boot: first("boot").and_then(|said| match said {
                "SecureBoot enabled" => Some(true),
                "SecureBoot disabled" => Some(false),
                _ => None,
            }),
            rocm_nodes: lines("rocm")
                .iter()
                .map(|line| line.trim().trim_end_matches(':'))
                .filter(|line| line.starts_with("/dev/"))
                .map(str::to_owned)
                .collect(),
        },
        engine,
    })
}

fn system(release: &[&str]) -> String {
    let key = |name: &str| {
        let value = release.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        value.unwrap_or_default().trim_matches('"').to_owned()
    };
    format!("{} {}", key("ID"), key("VERSION_CODENAME")).trim().to_owned()
}

/// `docker version`: without its `Server` the engine does not answer.
#[derive(Deserialize)]
struct Version {
    #[serde(rename = "Server")]
    server: Option<Server>,
}

#[derive(Deserialize)]
struct Server {
    #[serde(rename = "Version")]
    version: String,
}

/// What of `docker info` is read.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Info {
    #[serde(default)]
    driver: String,
    #[serde(default)]
    docker_root_dir: String,
    #[serde(default)]
    runtimes: BTreeMap<String, serde_json::Value>,
    #[serde(default)]
    live_restore_enabled: bool,
}

fn engine(version: Option<&str>, info: Option<&str>) -> Option<Engine> {
    let version: Version = serde_json::from_str(version?).ok()?;
    let info: Info = serde_json::from_str(info?).ok()?;
    Some(Engine {
        version: version.server?.version,
        driver: info.driver,
        root: info.docker_root_dir,
        runtimes: info.runtimes.into_keys().collect(),
        live_restore: info.live_restore_enabled,
    })
}

/// A line of `docker ps --format {{json .}}`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    image: String,
    labels: String,
    state: String,
    status: String,
}

fn containers(lines: &[&str]) -> Fact<Vec<SeenContainer>> {
    let mut seen = Vec::new();
    for line in lines.iter().filter(|line| !line.trim().is_empty()) {
        let Ok(listed) = serde_json::from_str::<Listed>(line) else {
            return Fact::unavailable("`docker ps` answers what is not understood");
        };
        // Labels are joined with commas, and values of others may hold some: none of ours does.
        let label = |name: &str| listed.labels.split(',').find_map(|label| label.strip_prefix(name)?.strip_prefix('='));
        let (Some(environment), Some(service)) = (label("infra.environment"), label("infra.service")) else { continue };
        let (Ok(environment), Ok(service)) = (environment.parse(), service.parse()) else { continue };
        seen.push(SeenContainer {
            environment,
            service,
            name: label("com.docker.compose.service").unwrap_or_default().to_owned(),
            image: listed.image.clone(),
            state: state(&listed.state, &listed.status),
        });
    }
    seen.sort_by(|a, b| (&a.service, &a.name).cmp(&(&b.service, &b.name)));
    Fact::complete(seen)
}

/// `running` with `Up 2 hours (healthy)`.
fn state(state: &str, status: &str) -> ContainerState {
    match state {
        "running" if status.ends_with("(healthy)") => ContainerState::Healthy,
        "running" if status.ends_with("(unhealthy)") => ContainerState::Unhealthy,
        "running" if status.ends_with("(health: starting)") => ContainerState::Starting,
        "running" => ContainerState::Running,
        "restarting" => ContainerState::Restarting,
        _ => ContainerState::Stopped,
    }
}

fn files(question: &DockerQuestion, modes: &[&str], digests: &[&str]) -> BTreeMap<String, SeenFile> {
    let mut files = BTreeMap::new();
    for line in modes {
        let mut words = line.splitn(3, ' ');
        let (Some(mode), Some(Ok(owner)), Some(path)) = (
            words.next(),
            words.next().map(str::parse),
            words.next().filter(|path| question.files.contains_key(*path)),
        ) else {
            continue;
        };
        files.insert(path.to_owned(), SeenFile { sha256: None, mode: mode.to_owned(), owner });
    }
    for line in digests {
        let Some((digest, path)) = line.split_once("  ") else { continue };
        if let Some(file) = files.get_mut(path) {
            file.sha256 = Some(digest.to_owned());
        }
    }
    files
}

/// `# Written by infra for ENVIRONMENT: SERVICE`, then a line for each file.
fn note(lines: &[&str]) -> Option<StackNote> {
    let (environment, _) = lines.first()?.strip_prefix(OURS)?.split_once(':')?;
    let files = lines[1..].iter().filter_map(|line| line.split_once("  "));
    Some(StackNote {
        environment: environment.to_owned(),
        files: files.map(|(digest, path)| (path.to_owned(), digest.to_owned())).collect(),
    })
}

/// The table of `ollama list`; none where nobody answers.
fn models(lines: &[&str]) -> Option<BTreeSet<String>> {
    let (head, rows) = lines.split_first()?;
    head.starts_with("NAME").then_some(())?;
    Some(rows.iter().filter_map(|row| row.split_whitespace().next()).map(str::to_owned).collect())
}

/// `NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.133.20  Sun …`, or `… Open Kernel Module for x86_64  570…`.
fn module(line: &str) -> Option<String> {
    line.strip_prefix("NVRM version:")?.split_whitespace().find(|word| is_version(word)).map(str::to_owned)
}

/// Such as `570.133.20`: `nvidia-smi` writes its errors to standard output.
fn is_version(text: &str) -> bool {
    text.contains('.') && text.chars().all(|c| c.is_ascii_digit() || c == '.')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::output;

    fn container() -> Inside {
        Inside::Container { vmid: "104".parse().unwrap() }
    }

    fn question() -> DockerQuestion {
        DockerQuestion {
            files: BTreeMap::from([
                ("/opt/stacks/ollama/compose.yaml".to_owned(), false),
                ("/opt/stacks/ollama/.env.ollama".to_owned(), true),
            ]),
            stacks: BTreeSet::from(["ollama".parse().unwrap()]),
            models: BTreeSet::from(["ollama".parse().unwrap()]),
            gpu: true,
        }
    }

    /// As Docker 28 and Ollama 0.18 print it, with what is not read left out.
    const SAID: &str = r#"PRETTY_NAME="Ubuntu 24.04.2 LTS"
VERSION_CODENAME=noble
ID=ubuntu
== package docker.io
install ok installed	28.2.2-0ubuntu1~24.04.1
== package docker-ce
== package curl
deinstall ok config-files	8.5.0
== enabled
enabled
== version
{"Client":{"Version":"28.2.2"},"Server":{"Version":"28.2.2","ApiVersion":"1.50"}}
== compose
2.37.1+ds1-0ubuntu2~24.04.1
== info
{"ID":"x","Driver":"overlay2","DockerRootDir":"/var/lib/docker","Runtimes":{"io.containerd.runc.v2":{"path":"runc"},"nvidia":{"path":"nvidia-container-runtime"}},"LiveRestoreEnabled":true}
== containers
{"Command":"\"/bin/ollama serve\"","ID":"aa","Image":"ollama/ollama:0.18.2","Labels":"com.docker.compose.depends_on=a:service_healthy:false,b:c,com.docker.compose.project=ollama,com.docker.compose.service=ollama,infra.environment=vrooli,infra.service=ollama","Names":"ollama-ollama-1","State":"running","Status":"Up 2 hours (healthy)"}
{"Image":"x","Labels":"","State":"exited","Status":"Exited (1) 2 hours ago"}
== networks
bridge
infra-ollama
== daemon
{
  "live-restore": true
}
== note ollama
# Written by infra for vrooli: ollama
aaaa  compose.yaml
== waits ollama
== modes
644 0 /opt/stacks/ollama/compose.yaml
600 0 /opt/stacks/ollama/.env.ollama
== digests
bbbb  /opt/stacks/ollama/compose.yaml
== models ollama
NAME                  ID              SIZE      MODIFIED
qwen2.5-coder:7b      dae161e27b0e    4.7 GB    2 hours ago
== smi
570.133.20
== module
NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.133.20  Release Build  (root@x)
GCC version:  gcc version 13.3.0
== toolkit
NVIDIA Container Toolkit CLI version 1.17.8
commit: x
== boot
SecureBoot disabled
== rocm
== end
"#;

    #[test]
    fn what_is_there_is_told() {
        let there = read(container(), &question(), &output(0, SAID, "")).unwrap();
        assert_eq!((there.system.as_str(), there.enabled), ("ubuntu noble", true));
        assert_eq!(there.packages.keys().collect::<Vec<_>>(), ["docker.io"]);
        assert!(there.engine.as_ref().unwrap().runtimes.contains("nvidia"));
        let containers = there.containers.value().unwrap();
        assert_eq!((containers.len(), containers[0].state), (1, ContainerState::Healthy));
        assert!(there.networks.value().unwrap().contains("infra-ollama"));
        assert_eq!(there.files["/opt/stacks/ollama/compose.yaml"].sha256.as_deref(), Some("bbbb"));
        assert_eq!(there.files["/opt/stacks/ollama/.env.ollama"].sha256, None);
        assert_eq!(there.notes[&"ollama".parse().unwrap()].files["compose.yaml"], "aaaa");
        assert!(there.models[&"ollama".parse().unwrap()].contains("qwen2.5-coder:7b") && there.waiting.is_empty());
        let gpu = there.gpu;
        assert_eq!((gpu.module.as_deref(), gpu.driver.as_deref()), (Some("570.133.20"), Some("570.133.20")));
        assert_eq!((gpu.toolkit.as_deref(), gpu.secure_boot), (Some("1.17.8"), Some(false)));
    }

    #[test]
    fn an_engine_that_does_not_answer_says_nothing_of_its_containers() {
        let down = SAID
            .replace(r#","Server":{"Version":"28.2.2","ApiVersion":"1.50"}"#, r#","Server":null"#)
            .replace("570.133.20\n== module", "NVIDIA-SMI has failed because\n== module");
        let there = read(container(), &question(), &output(1, &down, "Cannot connect to the Docker daemon")).unwrap();
        assert!(there.engine.is_none() && there.containers.value().is_none() && there.networks.value().is_none());
        assert_eq!(there.gpu.driver, None);
    }

    #[test]
    fn what_was_cut_off_is_no_answer() {
        let cut = SAID.split("== modes").next().unwrap();
        assert!(read(container(), &question(), &output(0, cut, "")).is_err());
        assert!(read(container(), &question(), &output(255, "", "container '104' not running!\n")).is_err());
    }

    #[test]
    fn nothing_of_a_file_with_a_secret_is_asked_for() {
        let script = command(container(), &question()).join(" ");
        let digests = script.split("== digests").nth(1).unwrap().split("==").next().unwrap();
        assert!(digests.contains("compose.yaml") && !digests.contains(".env.ollama"), "{digests}");
        assert!(!script.contains("docker inspect"));
    }
}
