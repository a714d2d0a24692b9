//! The steps that bring a service's files into its guest and have its containers be made of them.
//!
//! New files are brought beside the old ones and looked at by `docker compose config`; images are pulled; then one command
//! in the guest puts the files in their places and waits until all containers are healthy. If they do not become so, it
//! puts the old files back and waits for those: a connection that breaks in between decides nothing. What was replaced is
//! kept until the next time, for whoever takes the step back.

use super::long_work::{long_work, told};
use super::service::Deployed;
use crate::model::change::Risk;
use crate::model::step::{Op, Step, Undo};
use crate::model::{Content, ServiceName};
use crate::render::{StackFile, stack_directory, staged_directory};
use crate::resources::Resource as _;
use crate::resources::operations::{check, exec, output, script, within};
use crate::resources::switch::sha256;

/// How long pulling images may take, in seconds: tens of gigabytes over a slow line.
const PULL_S: u32 = 4 * 3600;
/// Our note beside a stack.
const NOTE: &str = ".infra";

/// A file as it shall be.
pub(super) struct File {
    /// Below the stack's directory.
    pub path: String,
    pub content: Content,
    /// With names in place of secrets.
    pub shown: String,
    pub mode: u32,
    pub owner: u32,
}

impl File {
    pub fn of(file: &StackFile) -> Self {
        Self {
            path: file.path.to_string(),
            content: file.content.pieces(),
            shown: file.content.shown(),
            mode: file.mode,
            owner: file.owner,
        }
    }

    /// Whether containers see it as a file: compose itself reads the other ones, and makes a container anew that they
    /// change something of.
    pub fn is_mounted(&self) -> bool {
        self.path != "compose.yaml" && !self.path.starts_with(".env")
    }
}

/// Files as they shall be, and those of the last time.
pub(super) struct Files<'a> {
    pub wanted: &'a [File],
    pub noted: Vec<String>,
}

/// What is done for one service.
pub(super) struct Work<'a> {
    pub deployed: &'a Deployed<'a>,
    pub files: Files<'a>,
    /// Networks that have to be there before.
    pub networks: Vec<String>,
    /// How long its containers may take until they are healthy, in seconds.
    pub patience_s: u32,
    /// Whether its containers are made anew although nothing that compose sees differs.
    pub anew: bool,
    /// Whether there is something to go back to.
    pub was_there: bool,
}

/// Where the files of the last time are kept.
fn old_directory(service: &ServiceName) -> String {
    format!("/opt/stacks/.infra/{service}/old")
}

fn compose(directory: &str, what: &str) -> String {
    format!("docker compose --project-directory {directory} --file {directory}/compose.yaml {what}")
}

impl Work<'_> {
    fn service(&self) -> &ServiceName {
        &self.deployed.deployment.service
    }

    fn directory(&self) -> String {
        stack_directory(self.service()).to_string()
    }

    fn unit(&self, what: &str) -> String {
        format!("infra-{what}-{}", self.service())
    }

    fn step(&self, what: &str, title: String, ops: Vec<Op>) -> Step {
        let place = &self.deployed.place;
        place.step(&self.deployed.addr(), what, title, ops)
    }

    /// Whose it is and what it was made of.
    fn note(&self) -> String {
        let lines = self.files.wanted.iter().map(|file| format!("{}  {}\n", sha256(&file.shown), file.path));
        let head = format!("# Written by infra for {}: {}\n", self.deployed.place.blueprint.name, self.service());
        head + &lines.collect::<String>()
    }

    fn up_command(&self, anew: bool) -> String {
        let anew = if anew { " --force-recreate" } else { "" };
        let what = format!("up --detach --wait --wait-timeout {} --remove-orphans{anew}", self.patience_s);
        compose(&self.directory(), &what)
    }

    /// How long one switch may take with all that follows if it is not taken.
    fn limit_s(&self) -> u32 {
        2 * self.patience_s + 300
    }

    pub fn bring_and_switch(&self) -> Vec<Step> {
        let mut steps = vec![self.bring(), self.pull(), self.switch()];
        for index in 1..steps.len() {
            let before = steps[index - 1].id.clone();
            steps[index].needs.push(before);
        }
        steps
    }

    /// Nothing but its containers is not as it shall be.
    pub fn up(&self) -> Step {
        let unit = self.unit("up");
        let work = told(&unit, &self.up_command(self.anew));
        let otherwise = format!("{} does not become healthy", self.service());
        let ops = long_work(&unit, &work, self.limit_s(), &otherwise);
        let title = format!("start {} in {}", self.service(), self.deployed.place.guest.name);
        let mut step = self.step("up", title, ops);
        step.exclusive = vec![format!("{}/docker", self.deployed.place.lock())];
        step.undo = Undo::nothing("it was to run before, too");
        step
    }

    fn bring(&self) -> Step {
        let (service, new, directory) =
            (self.service(), staged_directory(self.service()).to_string(), self.directory());
        let unit = self.unit("switch");
        let idle = output(
            ["sh", "-c", &format!("systemctl is-active --quiet {unit} && exit 0; echo idle")].map(str::to_owned),
            "idle",
        );
        let mut ops = vec![
            within(self.limit_s(), idle, format!("another run still switches {service}")),
            exec(["rm", "-rf", &new]),
            exec(["install", "-d", "-m", "0755", "/opt/stacks", &directory]),
            exec(["install", "-d", "-m", "0700", "/opt/stacks/.infra", &format!("/opt/stacks/.infra/{service}"), &new]),
        ];
        for below in self.below() {
            ops.push(exec(["install", "-d", "-m", "0700", &format!("{new}/{below}"), &format!("{directory}/{below}")]));
        }
        for file in self.files.wanted {
            let path = format!("{new}/{}", file.path);
            ops.push(Op::PutFile { path: path.clone(), content: file.content.clone(), mode: file.mode });
            if file.owner != 0 {
                ops.push(exec(["chown", &file.owner.to_string(), &path]));
            }
        }
        for network in &self.networks {
            ops.push(script(format!(
                "docker network ls --format '{{{{.Name}}}}' | grep -qx {network} || docker network create --internal {network}"
            )));
        }
        ops.push(exec(compose(&new, "config --quiet").split(' ')));
        // Last: what is not whole does not look as if it waited.
        ops.push(Op::PutFile { path: format!("{new}/{NOTE}"), content: self.note().into(), mode: 0o644 });
        let title = format!("bring {service} to {}", self.deployed.place.guest.name);
        let mut step = self.step("bring", title, ops);
        step.exclusive = vec![format!("{}/docker", self.deployed.place.lock())];
        step.undo = Undo::Ops { ops: vec![exec(["rm", "-rf", &new])] };
        step
    }

    /// Directories below the stack's own.
    fn below(&self) -> std::collections::BTreeSet<&str> {
        self.files.wanted.iter().filter_map(|file| Some(file.path.rsplit_once('/')?.0)).collect()
    }

    fn pull(&self) -> Step {
        let (new, unit) = (staged_directory(self.service()).to_string(), self.unit("pull"));
        let work = told(&unit, &compose(&new, "pull --quiet"));
        let ops = long_work(&unit, &work, PULL_S, &format!("images of {} could not be pulled", self.service()));
        let title = format!("pull images of {} in {}", self.service(), self.deployed.place.guest.name);
        let mut step = self.step("pull", title, ops);
        step.undo = Undo::nothing("an image that nobody uses takes nothing but space");
        step
    }

    /// Every file that is in use, our note among them: those of the last time and the new ones.
    fn in_use(&self) -> Vec<&str> {
        let mut all: Vec<&str> = self.files.noted.iter().map(String::as_str).collect();
        all.push(NOTE);
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Puts back what was there and has it run, in the words of a shell.
    fn back(&self) -> String {
        let (directory, old) = (self.directory(), old_directory(self.service()));
        let before = self.in_use();
        let added = self.files.wanted.iter().map(|file| file.path.as_str()).filter(|path| !before.contains(path));
        let added: Vec<String> = added.map(|path| format!("{directory}/{path}")).collect();
        if !self.was_there {
            let all = [added, vec![format!("{directory}/{NOTE}")]].concat().join(" ");
            return format!("{} && rm -f {all}", compose(&directory, "down --remove-orphans"));
        }
        let mut back: Vec<String> =
            before.iter().map(|path| format!("cp -p {old}/{path} {directory}/{path}")).collect();
        if !added.is_empty() {
            back.push(format!("rm -f {}", added.join(" ")));
        }
        back.push(self.up_command(self.anew));
        back.join(" && ")
    }

    fn switch(&self) -> Step {
        let (directory, new, old) =
            (self.directory(), staged_directory(self.service()).to_string(), old_directory(self.service()));
        let mut ops = Vec::new();
        if self.was_there {
            let below: std::collections::BTreeSet<&str> =
                self.files.noted.iter().filter_map(|path| Some(path.rsplit_once('/')?.0)).collect();
            let below: String = below.iter().map(|below| format!(" {old}/{below}")).collect();
            let keep: Vec<String> =
                self.in_use().iter().map(|path| format!("cp -p {directory}/{path} {old}/{path}")).collect();
            // Once: in the middle of a switch, what is there is not what was before.
            ops.push(script(format!(
                "test -e {old}/.switching && exit 0; rm -rf {old} && install -d -m 0700 {old}{below} && {} && touch {old}/.switching",
                keep.join(" && ")
            )));
        }
        let unit = self.unit("switch");
        let (said, ended) = (format!("/run/{unit}.said"), format!("/run/{unit}.ended"));
        let mut put: Vec<String> = self
            .files
            .wanted
            .iter()
            .map(|file| file.path.as_str())
            .chain([NOTE])
            .map(|path| format!("cp -p {new}/{path} {directory}/{path}"))
            .collect();
        let gone = self.files.noted.iter().filter(|path| self.files.wanted.iter().all(|file| file.path != **path));
        let gone: Vec<String> = gone.map(|path| format!("{directory}/{path}")).collect();
        if !gone.is_empty() {
            put.push(format!("rm -f {}", gone.join(" ")));
        }
        let tidy = format!("rm -rf {new} {old}/.switching");
        let up = self.up_command(self.anew);
        // Why it did not is in the log of one of its containers.
        let why = format!("{} >>{said} 2>&1", compose(&directory, "logs --no-color --tail 6"));
        let taken = format!("{} && {up} >{said} 2>&1 && {tidy} && echo done >{ended} && exit 0", put.join(" && "));
        let work = match self.was_there {
            true => format!(
                "{taken}; {why}; {} >/dev/null 2>&1 && echo 'the old version is back and healthy' >>{said}; {tidy}; echo failed >{ended}",
                self.back()
            ),
            false => format!("{taken}; {why}; {tidy}; echo failed >{ended}"),
        };
        let otherwise = format!("{} did not become healthy with what is new", self.service());
        ops.extend(long_work(&unit, &work, self.limit_s(), &otherwise));
        let sum = format!("{}  {directory}/{NOTE}", sha256(&self.note()));
        ops.push(check(output(["sha256sum", &format!("{directory}/{NOTE}")], sum), otherwise));
        let verb = if self.was_there { "switch" } else { "start" };
        let title = format!("{verb} {} in {}", self.service(), self.deployed.place.guest.name);
        let mut step = self.step("switch", title, ops);
        step.exclusive = vec![format!("{}/docker", self.deployed.place.lock())];
        let back = self.unit("back");
        let otherwise = format!("what {} was before does not become healthy", self.service());
        let undo = long_work(&back, &told(&back, &self.back()), self.limit_s(), &otherwise);
        step.undo = Undo::Ops { ops: undo };
        step.risk = if self.was_there { Risk::Downtime } else { Risk::None };
        step
    }
}
