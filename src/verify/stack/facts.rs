//! What a guest tells of its engine, its containers, its GPU and its disks, in one script.

use std::collections::BTreeMap;

use super::asker::GPU_QUERY;
use super::containers::{self, Container};
use super::expect::Expected;
use crate::blueprint::{GpuMaker, Guest};
use crate::verify::proof::{NO_PROGRAM, between_marks};

/// What a guest told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Look {
    /// Whether its engine answers; else why not.
    pub engine: Option<Result<(), String>>,
    /// Services whose files are in it.
    pub delivered: Vec<String>,
    /// Containers by name.
    pub containers: BTreeMap<String, Container>,
    /// Its GPUs, if it was asked for them.
    pub gpus: Option<Result<Vec<Gpu>, String>>,
    /// What takes memory of its GPUs without being in a container.
    pub strangers: Vec<Stranger>,
    /// Its file systems.
    pub disks: Vec<Disk>,
}

/// A GPU as `nvidia-smi` tells it; what it does not tell (`[N/A]`) is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gpu {
    /// Its name, such as `Tesla T4`.
    pub name: String,
    /// The driver's version.
    pub driver: String,
    /// Its memory, in MiB.
    pub total_mib: Option<u64>,
    /// What is taken of it, in MiB.
    pub used_mib: Option<u64>,
    /// How busy it is, in percent.
    pub busy: Option<u64>,
}

/// A process in a guest, of no container, that takes memory of a GPU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stranger {
    /// Its number.
    pub pid: u32,
    /// Its program.
    pub program: String,
    /// What it takes, in MiB.
    pub mib: u64,
}

/// A file system.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Disk {
    /// Where.
    pub at: String,
    /// Its size, in bytes.
    pub size: u64,
    /// What is free of it, in bytes.
    pub free: u64,
}

/// Bytes as `4.6 GiB`.
#[must_use]
pub fn gib(bytes: u64) -> String {
    let tenths = u128::from(bytes) * 10 / (1 << 30);
    format!("{}.{} GiB", tenths / 10, tenths % 10)
}

/// Where Docker keeps everything, unless told otherwise.
const DATA_ROOT: &str = "/var/lib/docker";

/// The script.
#[must_use]
pub fn script(guest: &Guest, expected: &[Expected]) -> String {
    let names: Vec<String> = expected.iter().map(|one| one.node.name()).collect();
    let mut lines = String::new();
    let mut ask = |key: &str, line: &str| lines.push_str(&format!("{line}\necho \"= {key} $?\"\n"));
    ask("engine", "docker version --format '{{json .}}' 2>&1");
    for service in guest.deployments.keys() {
        ask(&format!("stack:{service}"), &format!("test -e {}/compose.yaml", crate::render::stack_directory(service)));
    }
    if !names.is_empty() {
        ask("containers", &format!("docker inspect {} 2>/dev/null", names.join(" ")));
    }
    if wants_nvidia(guest) {
        ask("gpus", &format!("nvidia-smi {GPU_QUERY} 2>&1"));
        ask(
            "apps",
            "nvidia-smi --query-compute-apps=pid,process_name,used_gpu_memory --format=csv,noheader,nounits 2>/dev/null",
        );
        ask("processes", "ps -eo pid=,cgroup= 2>/dev/null");
    }
    ask("disks", &format!("df -B1 --output=size,avail,target / {DATA_ROOT} 2>/dev/null"));
    lines.push_str("true\n");
    lines
}

/// Whether something in a guest uses a GPU of NVIDIA.
#[must_use]
pub fn wants_nvidia(guest: &Guest) -> bool {
    guest.deployments.values().any(|own| own.gpu == Some(GpuMaker::Nvidia))
}

/// What the script printed.
///
/// # Errors
/// If its engine answers, and tells its containers in a way that cannot be read.
pub fn read(stdout: &str) -> Result<Look, String> {
    let mut look = Look::default();
    let (mut apps, mut processes) = (String::new(), String::new());
    for (key, code, text) in between_marks(stdout) {
        match key.as_str() {
            "engine" => look.engine = Some(engine(code, &text)),
            "containers" if code != NO_PROGRAM && !text.trim().is_empty() => look.containers = containers::read(&text)?,
            "gpus" => look.gpus = Some(gpus(code, &text)),
            "apps" => apps = text,
            "processes" => processes = text,
            "disks" => look.disks = disks(&text),
            key => look.delivered.extend(key.strip_prefix("stack:").filter(|_| code == 0).map(str::to_owned)),
        }
    }
    look.strangers = strangers(&apps, &processes);
    Ok(look)
}

fn engine(code: i32, text: &str) -> Result<(), String> {
    let last = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it says nothing").trim();
    match code {
        0 => Ok(()),
        NO_PROGRAM => Err("there is no Docker in it".to_owned()),
        _ => Err(last.to_owned()),
    }
}

/// Lines of `nvidia-smi --format=csv,noheader,nounits`. What a card does not tell is `[N/A]` or `[Not Supported]`.
#[must_use]
pub fn gpu(line: &str) -> Option<Gpu> {
    let words: Vec<&str> = line.split(',').map(str::trim).collect();
    let [index, _, name, driver, total, used, busy] = words[..] else { return None };
    index.parse::<u32>().ok()?;
    Some(Gpu {
        name: name.to_owned(),
        driver: driver.to_owned(),
        total_mib: total.parse().ok(),
        used_mib: used.parse().ok(),
        busy: busy.parse().ok(),
    })
}

fn gpus(code: i32, text: &str) -> Result<Vec<Gpu>, String> {
    if code == NO_PROGRAM {
        return Err("there is no `nvidia-smi` in it: the driver is not installed".to_owned());
    }
    let last = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("it says nothing").trim();
    let all: Vec<Gpu> = text.lines().filter_map(gpu).collect();
    // "No devices were found" comes with 6, a mismatch of driver and library with 18 (nvidia-smi(1)).
    if code == 0 && !all.is_empty() { Ok(all) } else { Err(format!("`nvidia-smi` says: {last}")) }
}

/// Processes with memory of a GPU whose control group is none of Docker's. In a container of Proxmox `nvidia-smi` lists
/// none, as their numbers are the host's.
fn strangers(apps: &str, processes: &str) -> Vec<Stranger> {
    let groups: BTreeMap<u32, &str> = processes
        .lines()
        .filter_map(|line| {
            let (pid, group) = line.trim().split_once(char::is_whitespace)?;
            Some((pid.parse().ok()?, group.trim()))
        })
        .collect();
    let app = |line: &str| {
        let words: Vec<&str> = line.split(',').map(str::trim).collect();
        let [pid, program, mib] = words[..] else { return None };
        let (pid, mib) = (pid.parse().ok()?, mib.parse().ok()?);
        let group = groups.get(&pid)?;
        (!group.contains("docker")).then(|| Stranger { pid, program: program.to_owned(), mib })
    };
    apps.lines().filter_map(app).collect()
}

fn disks(text: &str) -> Vec<Disk> {
    let disk = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [size, free, at] = words[..] else { return None };
        Some(Disk { at: at.to_owned(), size: size.parse().ok()?, free: free.parse().ok()? })
    };
    let mut all: Vec<Disk> = text.lines().filter_map(disk).collect();
    all.sort();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_card_does_not_tell_is_not_known() {
        let t4 = gpu("0, GPU-5c1d, Tesla T4, 550.163.01, 15360, 5412, 87").unwrap();
        assert_eq!((t4.total_mib, t4.used_mib, t4.busy), (Some(15360), Some(5412), Some(87)));
        let old = gpu("0, GPU-1, GeForce GT 1030, 470.1, 2001, 12, [N/A]").unwrap();
        assert_eq!((old.used_mib, old.busy), (Some(12), None));
        assert_eq!(gpu("0, GPU-1, X, 1, [Insufficient Permissions], 1, 1").unwrap().total_mib, None);
        assert_eq!(gpu("Failed to initialize NVML: Driver/library version mismatch"), None);
        assert!(
            gpus(18, "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 550.1\n")
                .unwrap_err()
                .contains("mismatch")
        );
        assert!(gpus(6, "No devices were found\n").unwrap_err().contains("No devices"));
        assert!(gpus(127, "sh: 1: nvidia-smi: not found").unwrap_err().contains("not installed"));
    }

    #[test]
    fn who_is_in_a_container_is_no_stranger() {
        let apps = "812, /usr/bin/ollama, 5000\n913, python3, 9000\n1, [N/A], [N/A]\n77, gone, 5\n";
        let processes =
            "    812 0::/system.slice/docker-ab12.scope\n    913 0::/user.slice/user-0.slice\n      1 0::/init.scope\n";
        let all = strangers(apps, processes);
        assert_eq!(all, [Stranger { pid: 913, program: "python3".into(), mib: 9000 }]);
    }

    #[test]
    fn a_guest_without_docker_and_one_whose_daemon_is_down_differ() {
        let none = read("sh: 1: docker: not found\n= engine 127\n= stack:ollama 1\n= containers 127\n").unwrap();
        assert_eq!(none.engine, Some(Err("there is no Docker in it".into())));
        assert!(none.delivered.is_empty());
        let down = read(
            "{\"Client\":{}}\nCannot connect to the Docker daemon\n= engine 1\n= stack:ollama 0\n[]\n= containers 1\n",
        )
        .unwrap();
        assert_eq!(down.engine, Some(Err("Cannot connect to the Docker daemon".into())));
        assert_eq!(down.delivered, ["ollama"]);
        let disks = disks(" 1B-blocks      Avail Mounted on\n53687091200 1000 /\n53687091200 1000 /\n");
        assert_eq!(disks, [Disk { at: "/".into(), size: 53_687_091_200, free: 1000 }]);
    }
}
