//! `gpu_driver.<guest>`: NVIDIA's driver in a VM that has a card, and the toolkit that hands the card to containers.
//!
//! Ubuntu's server branch with modules that Canonical has signed, so that Secure Boot lets them in; Debian's own packages
//! elsewhere. A container of Proxmox uses the driver of its host, and needs its libraries of the very same version: that
//! is not done here. Facts: Ubuntu `server/how-to/graphics/install-nvidia-drivers`, NVIDIA's container toolkit
//! `install-guide`, `nvidia-ctk runtime configure --help`.

use super::long_work::{long_work, told};
use super::{Place, Seen, docker_engine, places};
use crate::blueprint::{Blueprint, GpuMaker, Guest, GuestShape};
use crate::model::change::{Action, Risk, Via};
use crate::model::docker::GuestDocker;
use crate::model::step::{Step, StepId, Undo};
use crate::model::{Addr, GuestName, HostName, Kind};
use crate::ports::quote;
use crate::resources::difference::{Fields, between, change};
use crate::resources::operations::{apt_get, check, exec, output, script, within};
use crate::resources::{Changed, Context, Finding, Removal, Resource};

/// The branch of Ubuntu's that is installed where none is.
const BRANCH: &str = "570-server";
/// SHA-256 of the key that signs NVIDIA's container packages (C95B 321B 61E8 8C18 09C4 F759 DDCA E044 F796 ECB0).
const KEY_SHA256: &str = "c880576d6cf75a48e5027a871bac70fd0421ab07d2b55f30877b21f1c87959c9";
const KEY: &str = "/etc/apt/keyrings/nvidia-container-toolkit.asc";
const LIST: &str = "/etc/apt/sources.list.d/nvidia-container-toolkit.list";
const REPOSITORY: &str = "https://nvidia.github.io/libnvidia-container";
/// How long the packages may take, in seconds.
const INSTALL_S: u32 = 45 * 60;
/// How long the VM may take to come back with the driver, in seconds.
const REBOOT_S: u32 = 10 * 60;

struct Driver<'a> {
    place: Place<'a>,
}

/// One for each VM that has a card of NVIDIA's for its services.
pub fn desired(blueprint: &Blueprint) -> Vec<Box<dyn Resource + '_>> {
    let all = places(blueprint)
        .filter(|place| gpu(place.guest) == Some(GpuMaker::Nvidia) && matches!(place.guest.shape, GuestShape::Vm(_)));
    all.map(|place| Box::new(Driver { place }) as Box<dyn Resource>).collect()
}

/// The address of a guest's driver.
pub fn addr(guest: &Guest) -> Addr {
    Addr::new(Kind::GpuDriver, &guest.name)
}

/// Steps after which containers get the card.
pub fn ready_steps(guest: &Guest) -> [StepId; 2] {
    ["install", "toolkit"].map(|what| StepId::new(&addr(guest), what))
}

/// Who made the GPU that services of a guest use.
pub fn gpu(guest: &Guest) -> Option<GpuMaker> {
    guest.deployments.values().find_map(|deployment| deployment.gpu)
}

impl Driver<'_> {
    fn name(&self) -> &GuestName {
        &self.place.guest.name
    }

    fn install(&self, there: &GuestDocker) -> Step {
        let name = self.name();
        let work = match self.place.system(there).split(' ').next() {
            Some("debian") => format!(
                "sed -i 's/^Components: main.*/Components: main contrib non-free non-free-firmware/' /etc/apt/sources.list.d/debian.sources && {} && {}",
                apt_get("update"),
                apt_get("install linux-headers-amd64 nvidia-driver nvidia-smi"),
            ),
            _ => format!(
                "{} && {}",
                apt_get("update"),
                apt_get(&format!(
                    "install --no-install-recommends linux-modules-nvidia-{BRANCH}-generic nvidia-headless-no-dkms-{BRANCH} nvidia-utils-{BRANCH}"
                )),
            ),
        };
        let mut ops = vec![script("cloud-init status --wait >/dev/null 2>&1 || true")];
        ops.extend(long_work(
            "infra-gpu-driver",
            &told("infra-gpu-driver", &format!("sh -c {}", quote(&work))),
            INSTALL_S,
            &format!("NVIDIA's driver could not be installed in {name}"),
        ));
        // Whatever holds the card until then lets go of it with a reboot alone.
        ops.push(script("nvidia-smi >/dev/null 2>&1 || modprobe nvidia 2>/dev/null; nvidia-smi >/dev/null 2>&1 || systemctl --no-block reboot"));
        let sees =
            output(["sh", "-c", "nvidia-smi >/dev/null 2>&1 && echo sees || nvidia-smi 2>&1 | head -n 3"], "sees");
        ops.push(within(REBOOT_S, sees, format!("the driver is installed in {name} and sees no card")));
        let title = format!("install NVIDIA's driver in {name}");
        let mut step = self.place.step(&self.addr(), "install", title, ops);
        step.exclusive = vec![format!("{}/docker", self.place.lock())];
        step.risk = Risk::Downtime;
        step.undo = Undo::nothing("a driver that is there harms nobody; it goes with the VM");
        step
    }

    fn toolkit(&self, there: bool) -> Step {
        let name = self.name();
        let mut ops = Vec::new();
        if !there {
            let work = format!(
                "mkdir -p /etc/apt/keyrings && /usr/lib/apt/apt-helper download-file {REPOSITORY}/gpgkey {KEY} SHA256:{KEY_SHA256} && chmod 0644 {KEY} && printf 'deb [signed-by={KEY}] {REPOSITORY}/stable/deb/amd64 /\\n' >{LIST} && {} && {}",
                apt_get("update"),
                apt_get("install nvidia-container-toolkit"),
            );
            ops.extend(long_work(
                "infra-gpu-toolkit",
                &told("infra-gpu-toolkit", &format!("sh -c {}", quote(&work))),
                INSTALL_S,
                &format!("NVIDIA's container toolkit could not be installed in {name}"),
            ));
        }
        ops.push(exec(["nvidia-ctk", "runtime", "configure", "--runtime=docker"]));
        ops.push(exec(["systemctl", "restart", "docker"]));
        let known = "docker info --format '{{json .}}' | grep -q '\"nvidia\"' && echo known";
        ops.push(check(
            output(["sh", "-c", known], "known"),
            format!("Docker in {name} does not know NVIDIA's runtime"),
        ));
        let mut step = self.place.step(&self.addr(), "toolkit", format!("let containers in {name} have the GPU"), ops);
        step.exclusive = vec![format!("{}/docker", self.place.lock())];
        step.risk = Risk::Downtime;
        step.undo = Undo::nothing("a runtime that nobody asks for harms nobody");
        step.needs.extend(docker_engine::ready_steps(self.place.guest));
        step
    }
}

impl Resource for Driver<'_> {
    fn addr(&self) -> Addr {
        addr(self.place.guest)
    }

    fn host(&self) -> &HostName {
        &self.place.host.name
    }

    fn find(&self, context: &Context<'_>) -> Finding {
        let fresh = GuestDocker::default();
        let seen = match self.place.seen(context) {
            Ok(Seen::Fresh) => &fresh,
            Ok(Seen::There(there)) => there,
            Err(finding) => return *finding,
        };
        let gpu = &seen.gpu;
        let mut current = Fields::new();
        if gpu.driver.is_some() {
            current.insert("driver".to_owned(), "sees the card".to_owned());
        }
        if gpu.toolkit.is_some() {
            current.insert("toolkit".to_owned(), "installed".to_owned());
        }
        if seen.engine.as_ref().is_some_and(|engine| engine.runtimes.contains("nvidia")) {
            current.insert("runtime".to_owned(), "nvidia".to_owned());
        }
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let desired =
            Fields::from([field("driver", "sees the card"), field("toolkit", "installed"), field("runtime", "nvidia")]);
        let differences = between(&current, &desired);
        if differences.is_empty() {
            return Finding::Unchanged { desired };
        }
        let mut steps = Vec::new();
        if gpu.driver.is_none() {
            steps.push(self.install(seen));
        }
        if differences.iter().any(|difference| difference.path != "driver") {
            let mut step = self.toolkit(gpu.toolkit.is_some());
            step.needs.extend(steps.iter().map(|step| step.id.clone()));
            steps.push(step);
        }
        let action = if current.is_empty() { Action::Create } else { Action::Update };
        let mut change = change(self.addr(), action, &differences, context.memory);
        (change.via, change.risk) = (Via::Ssh, Risk::Downtime);
        Finding::Changed(Changed { change, steps, desired, seen: format!("{gpu:?}"), notes: Vec::new() })
    }

    fn removal(&self, _: &Context<'_>) -> Option<Removal> {
        // It goes with its VM.
        None
    }
}
