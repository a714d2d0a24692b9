//! Broken hosts: what is known to go wrong on real ones, each as a small change of a sound lab host.
//!
//! Owns the [`DEFECTS`]; a scenario `broken/NAME` is the sound host with one of them, `broken/A+B` with both,
//! in that order. One file per area. To add one: a function in the area's file, a line in its list, and the
//! verdicts that are expected of it in `tests/it/broken_hosts/` (a test holds the two lists together). A
//! defect that shows only after a reboot calls [`reboot`]. Entry: [`find`], [`named`].

mod boot_chain;
mod guests;
mod iommu;
mod passthrough;
mod surroundings;
mod variants;

use super::world::machine::{boot, refresh_images, refresh_loader};
use super::world::{File, Node, World};

/// Something that is wrong with a host.
#[derive(Debug)]
pub struct Defect {
    /// Its name, in kebab case.
    pub name: &'static str,
    /// Where it is known from: `gpu-passthrough 1`, `docker-in-lxc 4`, `vm-host 2`; `sound` for a host that is
    /// another one and in order.
    pub row: &'static str,
    /// What is wrong, in one line.
    pub what: &'static str,
    /// Makes it so on one node.
    pub apply: fn(&mut World, &str),
}

impl Defect {
    /// Whether it makes another host that is in order.
    #[must_use]
    pub fn is_variant(&self) -> bool {
        self.row == "sound"
    }
}

/// Every defect, by area.
pub const DEFECTS: &[&[Defect]] = &[
    variants::DEFECTS,
    iommu::DEFECTS,
    boot_chain::DEFECTS,
    passthrough::DEFECTS,
    guests::DEFECTS,
    surroundings::DEFECTS,
];

/// Every defect.
pub fn all() -> impl Iterator<Item = &'static Defect> {
    DEFECTS.iter().copied().flatten()
}

/// The defect of a name.
///
/// # Errors
/// If there is none; the text names all.
pub fn find(name: &str) -> Result<&'static Defect, String> {
    all().find(|defect| defect.name == name).ok_or_else(|| {
        let known: Vec<&str> = all().map(|defect| defect.name).collect();
        format!("nothing that is known to break is called `{name}`; known are {}", known.join(", "))
    })
}

/// The names in `broken/A+B`; nothing, if the text is no such scenario.
///
/// # Errors
/// If a name is not known.
pub fn named(scenario: &str) -> Option<Result<Vec<String>, String>> {
    let names = match scenario.strip_prefix("broken")? {
        "" => "",
        rest => rest.strip_prefix('/')?,
    };
    Some(names.split('+').map(|name| find(name).map(|defect| defect.name.to_owned())).collect())
}

/// One node; every defect is about one that is there.
fn here<'a>(world: &'a mut World, node: &str) -> &'a mut Node {
    world.nodes.get_mut(node).expect("a defect is applied to a node of the world")
}

/// Replaces a file of a node, ten minutes before it was booted.
fn put(node: &mut Node, path: &str, text: &str) {
    let modified_ms = node.booted_ms - 600_000;
    let file = node.files.entry(path.to_owned()).or_insert_with(|| File { mode: 0o644, ..File::default() });
    file.content = text.as_bytes().to_vec();
    file.modified_ms = modified_ms;
}

/// Edits a text file of a node; one that is not there is empty.
fn edit(node: &mut Node, path: &str, change: impl FnOnce(String) -> String) {
    let text = node.files.get(path).map(|file| String::from_utf8_lossy(&file.content).into_owned());
    let text = change(text.unwrap_or_default());
    put(node, path, &text);
}

/// Adds words to the command line in the place that the host's loader is made from.
fn add_to_command_line(node: &mut Node, words: &str) {
    use super::world::machine::Loader;
    match node.machine.boot.loader {
        Loader::SystemdBoot => edit(node, "/etc/kernel/cmdline", |line| format!("{} {words}\n", line.trim_end())),
        Loader::Grub => edit(node, "/etc/default/grub", |text| {
            text.replace("GRUB_CMDLINE_LINUX_DEFAULT=\"quiet", &format!("GRUB_CMDLINE_LINUX_DEFAULT=\"quiet {words}"))
        }),
    }
}

/// Takes everything in `/etc` over (loader and images), as somebody does who knows how: five minutes before
/// the boot.
fn refresh(world: &mut World, node: &str) {
    let node = here(world, node);
    let made_ms = node.booted_ms - 300_000;
    refresh_loader(node);
    refresh_images(node, &[], made_ms);
}

/// Boots a node; what was not taken over by a refresh is not seen by it.
fn reboot(world: &mut World, node: &str) {
    let booted_ms = here(world, node).booted_ms;
    boot(here(world, node), booted_ms);
}

/// Replaces the kernel by another one and boots it.
fn boot_kernel(world: &mut World, node: &str, release: &str) {
    let machine = &mut here(world, node).machine;
    machine.boot.kernels = [release.to_owned()].into();
    machine.boot.images.clear();
    machine.packages.retain(|name, _| !name.starts_with("proxmox-kernel-"));
    let packages = super::world::machine::usual_packages(super::world::Version::V9_2, [&release.to_owned()]);
    machine.packages.extend(packages.into_iter().filter(|(name, _)| name.starts_with("proxmox-kernel-")));
    refresh(world, node);
    reboot(world, node);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::lab::Scenario;

    #[test]
    fn names_are_unique_and_every_defect_can_be_applied() {
        let mut seen = BTreeSet::new();
        for defect in all() {
            assert!(seen.insert(defect.name), "{}", defect.name);
            assert!(!defect.row.is_empty() && !defect.what.is_empty());
            let scenario = Scenario { broken: vec![defect.name.to_owned()], ..Scenario::example() };
            let world = scenario.world(&scenario.sites[0], "s", jiff::Timestamp::UNIX_EPOCH).unwrap();
            let sound = Scenario::example();
            let sound = sound.world(&sound.sites[0], "s", jiff::Timestamp::UNIX_EPOCH).unwrap();
            assert!(world != sound, "{} changes nothing", defect.name);
        }
    }

    #[test]
    fn scenarios_are_named_by_their_defects() {
        assert_eq!(named("example"), None);
        assert_eq!(named("broken/iommu-firmware+iommu-command-line").unwrap().unwrap().len(), 2);
        assert!(named("broken/nope").unwrap().unwrap_err().contains("iommu-firmware"));
        assert!(named("broken").unwrap().is_err());
    }
}
