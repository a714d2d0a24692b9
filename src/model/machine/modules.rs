//! Kernel modules: which shall be loaded, how, and which are.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// What is configured about kernel modules.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleConfig {
    /// Modules that are loaded at boot, in the order of the files: `/etc/modules`, `modules-load.d`.
    pub load: Vec<ModuleLine>,
    /// Modules that are put into the initial RAM disk and loaded from it: `/etc/initramfs-tools/modules`.
    pub initramfs: Vec<ModuleLine>,
    /// Lines of `modprobe.d`, in the order of the files.
    pub modprobe: Vec<ModprobeLine>,
}

/// A module's name in a list of modules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleLine {
    /// The module, with `_` where it was written with `-`: the kernel does not tell them apart.
    pub module: String,
    /// The line as it stands there.
    pub text: String,
    /// The file.
    pub file: String,
    /// Which line, from 1.
    pub line: usize,
}

/// A directive of `modprobe.d`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModprobeLine {
    /// What it says.
    pub directive: Directive,
    /// The line as it stands there, joined with its continuations.
    pub text: String,
    /// The file.
    pub file: String,
    /// Which line it begins on, from 1.
    pub line: usize,
}

/// What a line of `modprobe.d` says. Names of modules have `_` for `-`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Directive {
    /// `options MODULE NAME=VALUE…`
    Options {
        /// The module.
        module: String,
        /// Its parameters; empty value for one without.
        parameters: Vec<(String, String)>,
    },
    /// `blacklist MODULE`: not loaded by its aliases; still loaded by its name.
    Blacklist {
        /// The module.
        module: String,
    },
    /// `softdep MODULE pre: … post: …`
    Softdep {
        /// The module.
        module: String,
        /// Modules that are loaded before it.
        pre: Vec<String>,
        /// Modules that are loaded after it.
        post: Vec<String>,
    },
    /// `install MODULE COMMAND`: the command runs instead.
    Install {
        /// The module.
        module: String,
        /// The command; `/bin/true` and `/bin/false` mean: never.
        command: String,
    },
    /// `alias`, `remove`, or one that nobody here asks about.
    Other,
}

/// Modules in the running kernel.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadedModules {
    /// `/proc/modules`. What is built into the kernel is not in it.
    pub loaded: BTreeSet<String>,
    /// Whether the running kernel has a module, as a file or built in, of those that were asked for.
    pub known: BTreeMap<String, bool>,
    /// `/sys/module/MODULE/parameters/*` of modules that were asked about.
    pub parameters: BTreeMap<String, BTreeMap<String, String>>,
}

impl ModuleConfig {
    /// The last value of a module's parameter, and the line that sets it.
    #[must_use]
    pub fn option(&self, module: &str, parameter: &str) -> Option<(&str, &ModprobeLine)> {
        self.modprobe.iter().rev().find_map(|line| match &line.directive {
            Directive::Options { module: of, parameters } if of == module => {
                let value = parameters.iter().rev().find(|(name, _)| name == parameter).map(|(_, value)| value);
                value.map(|value| (value.as_str(), line))
            }
            _ => None,
        })
    }

    /// The line that keeps a module from being loaded by its devices' ids.
    #[must_use]
    pub fn blacklisted(&self, module: &str) -> Option<&ModprobeLine> {
        self.modprobe.iter().find(|line| matches!(&line.directive, Directive::Blacklist { module: of } if of == module))
    }

    /// The line that keeps a module from being loaded at all.
    #[must_use]
    pub fn disabled(&self, module: &str) -> Option<&ModprobeLine> {
        self.modprobe.iter().find(|line| match &line.directive {
            Directive::Install { module: of, command } => {
                let program = command.split_whitespace().next().unwrap_or_default();
                of == module && matches!(program.rsplit('/').next(), Some("true" | "false"))
            }
            _ => false,
        })
    }

    /// Every line that lists a module to be loaded, at boot or from the initial RAM disk.
    pub fn listed<'a>(&'a self, module: &'a str) -> impl Iterator<Item = &'a ModuleLine> {
        self.load.iter().chain(&self.initramfs).filter(move |line| line.module == module)
    }
}
