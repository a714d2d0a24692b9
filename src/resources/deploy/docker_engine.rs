//! `docker_engine`: Docker with Compose in a guest that services are deployed to.
//!
//! Installed from the distribution where that has Compose v2 (Ubuntu, Debian from 13 on), else from Docker's repository,
//! whose key is pinned. `daemon.json` gets our keys beside those that are there; what somebody else set otherwise is
//! refused and not written over.

use serde_json::{Map, Value, json};

use super::{Place, Seen, places};
use crate::blueprint::{Blueprint, Guest};
use crate::diag::Diagnostic;
use crate::model::change::{Action, Risk, Via};
use crate::model::docker::GuestDocker;
use crate::model::step::{Op, Step, StepId, Undo};
use crate::model::{Addr, HostName, Kind};
use crate::resources::difference::{Fields, between, change};
use crate::resources::operations::{apt_get, check, exec, output, script, within};
use crate::resources::{Changed, Context, Finding, Removal, Resource};

/// Where Docker's packages are.
const PACKAGES_HOST: &str = "download.docker.com";
/// SHA-256 of the key that signs them (9DC8 5822 9FC7 DD38 854A E2D8 8D81 803C 0EBF CD88), the same for Debian and Ubuntu.
const KEY_SHA256: &str = "1500c1f56fa9e26b9b8f42452a553675796ade0807cdce11975eb98170b3a570";
const KEY: &str = "/etc/apt/keyrings/docker.asc";
const LIST: &str = "/etc/apt/sources.list.d/docker.list";
const DAEMON_FILE: &str = "/etc/docker/daemon.json";
/// How long a guest may take until it can look up names, in seconds.
const NAMES_S: u32 = 90;
/// Distributions with `apt` that Docker has packages for.
const APT: [&str; 2] = ["debian", "ubuntu"];

struct Docker<'a> {
    place: Place<'a>,
}

/// One for each guest that services are deployed to.
pub fn desired(blueprint: &Blueprint) -> Vec<Box<dyn Resource + '_>> {
    places(blueprint).map(|place| Box::new(Docker { place }) as Box<dyn Resource>).collect()
}

/// The address of a guest's Docker.
pub fn addr(guest: &Guest) -> Addr {
    Addr::new(Kind::DockerEngine, &guest.name)
}

/// Steps after which a guest has Docker.
pub fn ready_steps(guest: &Guest) -> [StepId; 2] {
    ["install", "configure"].map(|what| StepId::new(&addr(guest), what))
}

/// What the distribution calls Docker with Compose v2; nothing where it has none.
fn of_distribution(system: &str) -> Option<&'static [&'static str]> {
    match system.split(' ').collect::<Vec<_>>()[..] {
        ["ubuntu", _] => Some(&["docker.io", "docker-compose-v2"]),
        // bookworm has the old Compose alone (packages.debian.org/docker-compose: 1.29)
        ["debian", "trixie" | "forky"] => Some(&["docker.io", "docker-compose"]),
        _ => None,
    }
}

/// The keys of `daemon.json` that are ours. Containers write logs of limited length whoever started them, and live on
/// while the engine is restarted (https://docs.docker.com/reference/cli/dockerd/#daemon-configuration-file).
fn daemon_keys() -> Map<String, Value> {
    let keys = json!({
        "live-restore": true,
        "log-driver": "json-file",
        "log-opts": { "max-file": "3", "max-size": "10m" },
    });
    keys.as_object().cloned().unwrap_or_default()
}

impl Docker<'_> {
    fn problem(&self, summary: String) -> Diagnostic {
        Diagnostic::error("plan.docker-engine", summary).at(self.place.guest.span, "")
    }

    fn wanted() -> Fields {
        let mut wanted = Fields::from([
            ("engine".to_owned(), "installed".to_owned()),
            ("compose".to_owned(), "installed".to_owned()),
            ("answers".to_owned(), "yes".to_owned()),
            ("starts with the guest".to_owned(), "yes".to_owned()),
        ]);
        wanted.extend(daemon_keys().into_iter().map(|(key, value)| (format!("daemon.json {key}"), value.to_string())));
        wanted
    }

    fn current(there: &GuestDocker, file: &Map<String, Value>) -> Fields {
        let mut current = Fields::new();
        let mut put = |name: &str, value: &str| current.insert(name.to_owned(), value.to_owned());
        if there.packages.contains_key("docker.io")
            || there.packages.contains_key("docker-ce")
            || there.engine.is_some()
        {
            put("engine", "installed");
            put("answers", if there.engine.is_some() { "yes" } else { "no" });
            put("starts with the guest", if there.enabled { "yes" } else { "no" });
        }
        if there.compose.is_some() {
            put("compose", "installed");
        }
        let own = daemon_keys().into_iter().filter_map(|(key, _)| Some((key.clone(), file.get(&key)?.to_string())));
        current.extend(own.map(|(key, value)| (format!("daemon.json {key}"), value)));
        current
    }

    /// What is in `daemon.json`, or why nothing of ours may be put beside it.
    fn daemon_file(&self, there: &GuestDocker) -> Result<Map<String, Value>, Box<Finding>> {
        let Some(text) = there.daemon_file.as_deref().filter(|text| !text.trim().is_empty()) else {
            return Ok(Map::new());
        };
        let refused = |cause: String, hint: &str| {
            let problem = self.problem(format!("{DAEMON_FILE} in `{}` is not ours to change", self.place.guest.name));
            Err(Box::new(Finding::Refused(problem.cause(cause).hint(hint).into())))
        };
        let Ok(file) = serde_json::from_str::<Map<String, Value>>(text) else {
            return refused("it is no JSON object".into(), "mend it, or remove it");
        };
        // It would stand in the plan.
        if file.contains_key("proxies") {
            return refused(
                "it names proxies, which may hold a password".into(),
                "put them into a drop-in of docker.service: `Environment=HTTPS_PROXY=…`",
            );
        }
        let other = daemon_keys().into_iter().find(|(key, value)| file.get(key).is_some_and(|there| there != value));
        if let Some((key, value)) = other {
            return refused(
                format!("`{key}` is {} there, and shall be {value}", file[&key]),
                "remove that key, or set it as it shall be: the next plan goes on from there",
            );
        }
        Ok(file)
    }

    fn install(&self, there: &GuestDocker) -> Step {
        let guest = &self.place.guest.name;
        let system = self.place.system(there);
        let has_engine = there.packages.contains_key("docker.io") || there.packages.contains_key("docker-ce");
        let mut ops = vec![
            // Packages that cloud-init installs at the first boot come first.
            script("cloud-init status --wait >/dev/null 2>&1 || true"),
            script(apt_get("update")),
        ];
        let mut keys = Vec::new();
        match of_distribution(&system) {
            Some(packages) if !there.packages.contains_key("docker-ce") => {
                ops.push(script(apt_get(&format!("install {}", packages.join(" ")))));
            }
            _ => {
                let resolved =
                    output(["sh", "-c", &format!("getent hosts {PACKAGES_HOST} >/dev/null && echo found")], "found");
                ops.insert(0, within(NAMES_S, resolved, format!("{guest} cannot look up {PACKAGES_HOST}")));
                let url = format!("https://{PACKAGES_HOST}/linux/$ID");
                let packages = match has_engine {
                    true => "docker-compose-plugin",
                    false => "docker-ce docker-ce-cli containerd.io docker-buildx-plugin docker-compose-plugin",
                };
                ops.extend([
                    script(apt_get("install --no-install-recommends ca-certificates")),
                    exec(["mkdir", "-p", "/etc/apt/keyrings"]),
                    // `apt` reads the key as its own user.
                    script(format!(
                        ". /etc/os-release && /usr/lib/apt/apt-helper download-file \"{url}/gpg\" {KEY} SHA256:{KEY_SHA256} && chmod 0644 {KEY}"
                    )),
                    script(format!(
                        ". /etc/os-release && printf 'deb [signed-by={KEY}] https://{PACKAGES_HOST}/linux/%s %s stable\\n' \"$ID\" \"$VERSION_CODENAME\" >{LIST}"
                    )),
                    script(apt_get("update")),
                    script(apt_get(&format!("install {packages}"))),
                ]);
                keys.extend([LIST, KEY]);
            }
        }
        ops.push(exec(["systemctl", "enable", "--now", "docker"]));
        ops.push(within(
            60,
            output(["systemctl", "is-active", "docker"], "active"),
            "Docker was installed and does not run",
        ));
        let title = format!("install Docker in {guest}");
        let mut step = self.place.step(&addr(self.place.guest), "install", title, ops);
        step.exclusive = vec![self.place.lock()];
        step.undo = Undo::nothing("an engine without containers disturbs nobody");
        step
    }

    fn start(&self) -> Step {
        let ops = vec![
            exec(["systemctl", "enable", "--now", "docker"]),
            check(
                output(["systemctl", "is-active", "docker"], "active"),
                "Docker does not start: see `journalctl -u docker`",
            ),
        ];
        let title = format!("start Docker in {}", self.place.guest.name);
        let mut step = self.place.step(&addr(self.place.guest), "start", title, ops);
        step.exclusive = vec![self.place.lock()];
        step.undo = Undo::nothing("it was to run before, too");
        step
    }

    /// Our keys beside what is there. A configuration with which Docker does not come up is taken back at once.
    fn configure(&self, mut file: Map<String, Value>, was_there: bool) -> Step {
        file.extend(daemon_keys());
        let text = serde_json::to_string_pretty(&Value::Object(file)).unwrap_or_default() + "\n";
        let (new, old) = (format!("{DAEMON_FILE}.infra-new"), format!("{DAEMON_FILE}.infra-old"));
        let back = match was_there {
            true => format!("cp -p {old} {DAEMON_FILE}"),
            false => format!("rm -f {DAEMON_FILE}"),
        };
        let load = "systemctl restart docker";
        let mut ops = vec![
            exec(["mkdir", "-p", "/etc/docker"]),
            Op::PutFile { path: new.clone(), content: text.clone().into(), mode: 0o644 },
        ];
        if was_there {
            ops.push(exec(["cp", "-p", DAEMON_FILE, &old]));
        }
        ops.push(script(format!(
            "cp -p {new} {DAEMON_FILE} && {load} && rm -f {new} && exit 0; {back}; {load}; rm -f {new}; exit 1"
        )));
        let sum = format!("{}  {DAEMON_FILE}", crate::resources::switch::sha256(&text));
        ops.push(check(
            output(["sha256sum", DAEMON_FILE], sum),
            "Docker did not come up with the new configuration, and the old one is in place",
        ));
        let title = format!("configure Docker in {}", self.place.guest.name);
        let mut step = self.place.step(&addr(self.place.guest), "configure", title, ops);
        step.exclusive = vec![self.place.lock()];
        step.undo = Undo::Ops { ops: vec![script(format!("{back} && {load}"))] };
        step.risk = Risk::Downtime;
        step
    }
}

impl Resource for Docker<'_> {
    fn addr(&self) -> Addr {
        addr(self.place.guest)
    }

    fn host(&self) -> &HostName {
        &self.place.host.name
    }

    fn find(&self, context: &Context<'_>) -> Finding {
        let fresh = GuestDocker::default();
        let there = match self.place.seen(context) {
            Ok(Seen::Fresh) => &fresh,
            Ok(Seen::There(there)) => there,
            Err(finding) => return *finding,
        };
        let name = &self.place.guest.name;
        let distribution = there.system.split(' ').next().unwrap_or_default();
        let wanted = Self::wanted();
        let file = match self.daemon_file(there) {
            Ok(file) => file,
            Err(finding) => return *finding,
        };
        let current = Self::current(there, &file);
        if current == wanted {
            return Finding::Unchanged { desired: wanted };
        }
        let differs = |name: &str| current.get(name) != wanted.get(name);
        let missing = differs("engine") || differs("compose");
        if missing && !distribution.is_empty() && !APT.contains(&distribution) {
            let problem = self.problem(format!("Docker cannot be installed in `{name}`"));
            let problem = problem.cause(format!("it runs `{}`, and packages are for Debian and Ubuntu", there.system));
            return Finding::Refused(problem.hint("install Docker and Compose in it by hand, then plan again").into());
        }
        let mut steps = Vec::new();
        if missing {
            steps.push(self.install(there));
        } else if differs("answers") || differs("starts with the guest") {
            steps.push(self.start());
        }
        if daemon_keys().keys().any(|key| differs(&format!("daemon.json {key}"))) {
            steps.push(self.configure(file, there.daemon_file.is_some()));
        }
        for index in 1..steps.len() {
            let before = steps[index - 1].id.clone();
            steps[index].needs.push(before);
        }
        let action = if current.contains_key("engine") { Action::Update } else { Action::Create };
        let mut change = change(self.addr(), action, &between(&current, &wanted), context.memory);
        change.via = Via::Ssh;
        change.risk = steps.iter().map(|step| step.risk).max().unwrap_or(Risk::None);
        if action == Action::Create {
            change.risk = Risk::None;
        }
        Finding::Changed(Changed { change, steps, desired: wanted, seen: format!("{current:?}"), notes: Vec::new() })
    }

    fn removal(&self, _: &Context<'_>) -> Option<Removal> {
        // It goes with its guest.
        None
    }
}
