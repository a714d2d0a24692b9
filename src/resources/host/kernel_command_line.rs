//! `kernel_command_line`: what the kernel is started with, where the boot loader takes it from.
//!
//! GRUB: what is missing stands in a drop-in of ours, what contradicts it is cut out of the file that says it.
//! systemd-boot: the one line of `/etc/kernel/cmdline` is edited. Which loader it is, is a fact; where it is
//! not known, nothing is written: the parameters would land where nobody reads them.

use super::files::FileChange;
use super::{cmdline_file, config, grub_file, header, machine, passed_gpus};
use crate::blueprint::{Blueprint, Host};
use crate::diag::Diagnostic;
use crate::model::change::{Action, Via};
use crate::model::kernel_parameter::{accumulates, name, same_name};
use crate::model::machine::{Boot, ConfigFiles, Loader};
use crate::model::step::{Op, StepId, Undo};
use crate::model::{Addr, HostName, Kind};
use crate::resources::difference::{Fields, between, change};
use crate::resources::operations::{check, exec, output, step};
use crate::resources::{Changed, Context, Finding, Removal, Resource};

const DROP_IN: &str = "/etc/default/grub.d/zz-infra.cfg";
const CMDLINE: &str = "/etc/kernel/cmdline";
/// What switches the IOMMU off, which passing a GPU through cannot do without.
const OFF: [&str; 4] = ["intel_iommu=off", "amd_iommu=off", "iommu=off", "iommu=soft"];

struct CommandLine<'a> {
    blueprint: &'a Blueprint,
    host: &'a Host,
}

pub fn desired(blueprint: &Blueprint) -> Vec<Box<dyn Resource + '_>> {
    let about =
        |host: &&Host| !host.system.kernel_parameters.is_empty() || passed_gpus(blueprint, host).next().is_some();
    let hosts = blueprint.hosts.values().filter(about);
    hosts.map(|host| Box::new(CommandLine { blueprint, host }) as Box<dyn Resource>).collect()
}

/// Whether a word of a command line stands against what the inventory asks for.
pub(super) fn is_unwanted(blueprint: &Blueprint, host: &Host, word: &str) -> bool {
    let wanted = &host.system.kernel_parameters;
    let contradicts = wanted.iter().any(|want| {
        same_name(name(want), name(word)) && !accumulates(name(word)) && !wanted.iter().any(|want| want == word)
    });
    contradicts || (OFF.contains(&word) && passed_gpus(blueprint, host).next().is_some())
}

/// What the files shall be, and the words that the next kernel is started with by them.
struct Wanted<'a> {
    changes: Vec<FileChange<'a>>,
    /// Words of the files as they are, as far as we have a say in them.
    now: Vec<String>,
    /// The same, as they will be.
    then: Vec<String>,
}

impl CommandLine<'_> {
    fn wanted<'c>(&self, context: &Context<'c>, boot: &Boot, loader: Loader) -> Result<Wanted<'c>, Finding> {
        let config = config(context, self.host)?;
        match loader {
            Loader::Grub => self.grub(context, config),
            Loader::SystemdBoot => self.systemd_boot(config, boot),
        }
    }

    fn refuse(&self, file: &str, why: impl Into<String>, hint: impl Into<String>) -> Finding {
        let place = self.host.system.span.unwrap_or(self.host.span);
        Finding::Refused(
            Diagnostic::error(
                "prepare.command-line",
                format!("`{file}` of host `{}` cannot be edited", self.host.name),
            )
            .at(place, "asks for other kernel parameters")
            .cause(why)
            .hint(hint)
            .into(),
        )
    }

    /// Words that the inventory has a say in: those that it asks for and those that it does not want.
    fn ours<'w>(&self, words: impl IntoIterator<Item = &'w str>) -> Vec<String> {
        let wanted = &self.host.system.kernel_parameters;
        let say = |word: &&str| wanted.iter().any(|want| want == word) || is_unwanted(self.blueprint, self.host, word);
        words.into_iter().filter(say).map(str::to_owned).collect()
    }

    fn grub<'c>(&self, context: &Context<'c>, config: &'c ConfigFiles) -> Result<Wanted<'c>, Finding> {
        let fact = &machine(context, self.host).command_lines;
        let gap = || Finding::Gap {
            why: format!("GRUB's defaults on `{}`: {}", self.host.name, fact.why().unwrap_or("there are none")),
        };
        let grub = fact.value().and_then(|lines| lines.grub.as_ref()).ok_or_else(gap)?;
        let words = grub.words();
        let now = self.ours(words.iter().copied());
        let unwanted = |word: &str| is_unwanted(self.blueprint, self.host, word);
        let own = config.content(DROP_IN).unwrap_or_default();
        let foreign = |path: &&str| *path != DROP_IN;
        let mut changes = Vec::new();
        let mut add = |path: &str, after: Option<String>| -> Result<(), Finding> {
            let change = FileChange::new(config, path, after, self.host.system.span);
            changes.extend(change.map_err(|problem| Finding::Refused(problem.into()))?);
            Ok(())
        };
        let drop_ins = config.in_dir("/etc/default/grub.d", ".cfg").map(|(path, _)| path);
        for path in std::iter::once("/etc/default/grub").chain(drop_ins).filter(foreign) {
            let Some(content) = config.content(path) else { continue };
            let edited = grub_file::without(content, &unwanted).map_err(|line| {
                self.refuse(path, line, "take the parameter out by hand, then run `infra prepare` again")
            })?;
            add(path, Some(edited))?;
        }
        // What is said elsewhere need not be said again; our own drop-in is no elsewhere.
        let in_own = |word: &str| own.split(['"', ' ', '\n']).any(|part| part == word);
        let times = |word: &str| words.iter().filter(|there| **there == word).count();
        let elsewhere = |word: &str| times(word) > usize::from(in_own(word));
        let missing: Vec<&str> =
            self.host.system.kernel_parameters.iter().map(String::as_str).filter(|word| !elsewhere(word)).collect();
        let drop_in = (!missing.is_empty()).then(|| {
            format!(
                "{}GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT {}\"\n",
                header(self.blueprint),
                missing.join(" ")
            )
        });
        add(DROP_IN, drop_in)?;
        if let Some(why) = grub.unclear.as_ref().filter(|_| !changes.is_empty()) {
            return Err(self.refuse(
                "/etc/default/grub",
                format!("what GRUB makes of it is not clear: {why}"),
                "make the lines plain assignments, then run `infra prepare` again",
            ));
        }
        Ok(Wanted { changes, now, then: self.host.system.kernel_parameters.clone() })
    }

    fn systemd_boot<'c>(&self, config: &'c ConfigFiles, boot: &Boot) -> Result<Wanted<'c>, Finding> {
        let wanted = &self.host.system.kernel_parameters;
        let Some(content) = config.content(CMDLINE) else {
            if wanted.is_empty() {
                return Ok(Wanted { changes: Vec::new(), now: Vec::new(), then: Vec::new() });
            }
            return Err(self.refuse(
                CMDLINE,
                "it does not exist, though systemd-boot is the loader",
                "write the command line of the running system there (`/proc/cmdline` without `initrd=`)",
            ));
        };
        let words: Vec<&str> = content.split_whitespace().collect();
        let missing: Vec<String> = wanted.iter().filter(|word| !words.contains(&word.as_str())).cloned().collect();
        let unwanted = |word: &str| is_unwanted(self.blueprint, self.host, word);
        let edited = cmdline_file::edit(content, &unwanted, &missing)
            .map_err(|why| self.refuse(CMDLINE, why, "put all of it on one line"))?;
        let change = FileChange::new(config, CMDLINE, Some(edited), self.host.system.span);
        let changes = change.map_err(|problem| Finding::Refused(problem.into()))?;
        if changes.is_some() && boot.esps.is_empty() {
            return Err(self.refuse(
                CMDLINE,
                "`proxmox-boot-tool` fills no EFI system partition (`/etc/kernel/proxmox-boot-uuids`), so nothing \
                 would take it over",
                "initialise one with `proxmox-boot-tool init`, then run `infra prepare` again",
            ));
        }
        Ok(Wanted { changes: changes.into_iter().collect(), now: self.ours(words), then: wanted.clone() })
    }

    /// Why the loader has to take over what the files say already; `None` if it has.
    fn loader_is_behind(&self, context: &Context<'_>, boot: &Boot) -> Option<String> {
        if context.unfinished.contains(&StepId::new(&self.addr(), "write")) {
            return Some("an earlier run ended before the boot loader had taken it over".to_owned());
        }
        let entries = machine(context, self.host).command_lines.value()?.grub_entries.as_ref()?;
        // Filled by proxmox-boot-tool, GRUB reads another menu than this one.
        if boot.loader != Some(Loader::Grub) || !boot.esps.is_empty() {
            return None;
        }
        let ordinary = entries.iter().find(|entry| !entry.options.iter().any(|word| word == "single"))?;
        let missing = self.host.system.kernel_parameters.iter().find(|word| !ordinary.options.contains(word));
        let left = ordinary.options.iter().find(|word| is_unwanted(self.blueprint, self.host, word));
        match (missing, left) {
            (Some(word), _) => Some(format!("`/boot/grub/grub.cfg` lacks `{word}`")),
            (_, Some(word)) => Some(format!("`/boot/grub/grub.cfg` still has `{word}`")),
            (None, None) => None,
        }
    }
}

/// Looks at the menu that `update-grub` wrote; what `proxmox-boot-tool` wrote lies on partitions that are not mounted.
fn look(boot: &Boot, words: &[String]) -> Vec<Op> {
    if boot.loader != Some(Loader::Grub) || !boot.esps.is_empty() {
        return Vec::new();
    }
    let look = |word: &String| {
        check(
            output(["grep", "-q", "-F", "-e", word, "/boot/grub/grub.cfg"], ""),
            format!("`update-grub` ran, and `/boot/grub/grub.cfg` has no `{word}`"),
        )
    };
    words.iter().map(look).collect()
}

impl Resource for CommandLine<'_> {
    fn addr(&self) -> Addr {
        Addr::new(Kind::KernelCommandLine, &self.host.name)
    }

    fn host(&self) -> &HostName {
        &self.host.name
    }

    fn find(&self, context: &Context<'_>) -> Finding {
        let addr = self.addr();
        let fact = &machine(context, self.host).boot;
        let Some(boot) = fact.value() else {
            let why = fact.why().unwrap_or("not known");
            return Finding::Gap { why: format!("how `{}` boots: {why}", self.host.name) };
        };
        let Some(loader) = boot.loader else { return self.unknown_loader(boot) };
        let wanted = match self.wanted(context, boot, loader) {
            Ok(wanted) => wanted,
            Err(finding) => return finding,
        };
        let desired = Fields::from([("parameters".to_owned(), wanted.then.join(" "))]);
        let behind = self.loader_is_behind(context, boot);
        if wanted.changes.is_empty() && behind.is_none() {
            return Finding::Unchanged { desired };
        }
        let Some(refresh) = boot.refresh() else { return self.unknown_loader(boot) };
        let current = Fields::from([("parameters".to_owned(), wanted.now.join(" "))]);
        let mut differences = between(&current, &desired);
        differences.extend(wanted.changes.iter().map(FileChange::difference));
        let mut change = change(addr.clone(), Action::Update, &differences, context.memory);
        change.via = Via::Ssh;
        if let Some(behind) = behind.filter(|_| wanted.changes.is_empty()) {
            change.reason = behind;
        }
        let mut steps = Vec::new();
        let keep: Vec<Op> = wanted.changes.iter().flat_map(FileChange::keep).collect();
        if !keep.is_empty() {
            let mut kept = step(&addr, "keep", "keep the original command line", &self.host.name, keep);
            kept.undo = Undo::nothing("a copy of the original is left");
            steps.push(kept);
        }
        let mut ops: Vec<Op> = wanted.changes.iter().flat_map(FileChange::write).collect();
        ops.push(exec(refresh.iter().copied()));
        ops.extend(look(boot, &wanted.then));
        let title = format!("set the kernel command line of {} and run {}", loader.as_str(), refresh.join(" "));
        let mut write = step(&addr, "write", title, &self.host.name, ops);
        let mut undo: Vec<Op> = wanted.changes.iter().rev().flat_map(FileChange::restore).collect();
        undo.push(exec(refresh.iter().copied()));
        write.undo = Undo::Ops { ops: undo };
        write.needs = steps.iter().map(|step| step.id.clone()).collect();
        write.exclusive = vec![format!("{}/boot", self.host.name)];
        steps.push(write);
        let seen = format!("{:?} {:?} {:?}", loader, wanted.now, wanted.changes);
        Finding::Changed(Changed { change, steps, desired, seen, notes: Vec::new() })
    }

    fn removal(&self, _: &Context<'_>) -> Option<Removal> {
        None
    }
}

impl CommandLine<'_> {
    fn unknown_loader(&self, boot: &Boot) -> Finding {
        let signs: Vec<String> = boot.signs.iter().map(|sign| format!("{}: {}", sign.source, sign.text)).collect();
        let seen = if signs.is_empty() { "nothing tells".to_owned() } else { signs.join("; ") };
        let problem = Diagnostic::error(
            "prepare.loader",
            format!("which boot loader started host `{}` is not known", self.host.name),
        )
        .at(self.host.system.span.unwrap_or(self.host.span), "would change its kernel command line")
        .cause(seen)
        .hint(
            "look with `efibootmgr -v` and `proxmox-boot-tool status` on the host: GRUB reads `/etc/default/grub`, \
             systemd-boot reads `/etc/kernel/cmdline`",
        );
        if self.host.system.kernel_parameters.is_empty() {
            // Nothing was asked for, and perhaps nothing is wrong.
            return Finding::Gap { why: format!("the boot loader of `{}` is not known", self.host.name) };
        }
        Finding::Refused(problem.into())
    }
}
