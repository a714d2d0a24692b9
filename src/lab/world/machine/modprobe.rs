//! What files of `modprobe.d` say, as `modprobe` reads them.

use std::collections::{BTreeMap, BTreeSet};

/// What files of `modprobe.d` say; names of modules with underscores.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Modprobe {
    /// `options MODULE key=value …`, in their order.
    pub options: BTreeMap<String, Vec<(String, String)>>,
    /// `softdep MODULE pre: …`.
    pub before: BTreeMap<String, BTreeSet<String>>,
    /// `blacklist MODULE`: not loaded because a device asks for it.
    pub blacklist: BTreeSet<String>,
    /// `install MODULE /bin/false` and the like: not loaded at all.
    pub never: BTreeSet<String>,
}

/// A module's name as the kernel writes it.
#[must_use]
pub fn module_name(text: &str) -> String {
    text.replace('-', "_")
}

impl Modprobe {
    /// Reads files by path; only those that end in `.conf` count, in the order of their names.
    #[must_use]
    pub fn read(files: &BTreeMap<String, String>) -> Self {
        let mut all = Self::default();
        for (_, text) in files.iter().filter(|(path, _)| path.ends_with(".conf")) {
            let text = text.replace("\\\n", " ");
            for line in text.lines() {
                all.line(line);
            }
        }
        all
    }

    fn line(&mut self, line: &str) {
        let mut words = line.split_whitespace();
        let (Some(verb), Some(module)) = (words.next(), words.next()) else { return };
        let module = module_name(module);
        match verb {
            "options" => {
                let values = words.map(|word| {
                    let (key, value) = word.split_once('=').unwrap_or((word, ""));
                    (module_name(key), value.to_owned())
                });
                self.options.entry(module).or_default().extend(values);
            }
            "softdep" => {
                let mut before = true;
                for word in words {
                    match word {
                        "pre:" => before = true,
                        "post:" => before = false,
                        _ if before => {
                            self.before.entry(module.clone()).or_default().insert(module_name(word));
                        }
                        _ => {}
                    }
                }
            }
            "blacklist" => {
                self.blacklist.insert(module);
            }
            "install" => {
                let command = words.next().unwrap_or_default();
                if ["/bin/false", "/bin/true", "/usr/bin/false", "/usr/bin/true", "false", "true", ":"]
                    .contains(&command)
                {
                    self.never.insert(module);
                }
            }
            _ => {}
        }
    }

    /// Takes over what a kernel's command line says: `module.key=value`, `modprobe.blacklist=a,b`.
    pub fn command_line(&mut self, line: &str) {
        for word in line.split_whitespace() {
            let (key, value) = word.split_once('=').unwrap_or((word, ""));
            if matches!(key, "modprobe.blacklist" | "module_blacklist") {
                let names = value.split(',').filter(|name| !name.is_empty()).map(module_name);
                if key == "module_blacklist" { self.never.extend(names) } else { self.blacklist.extend(names) }
            } else if let Some((module, option)) = key.split_once('.') {
                let values = self.options.entry(module_name(module)).or_default();
                values.push((module_name(option), value.to_owned()));
            }
        }
    }

    /// The value of a module's option: the last one counts.
    #[must_use]
    pub fn option(&self, module: &str, key: &str) -> Option<&str> {
        let values = self.options.get(module)?;
        values.iter().rev().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }

    /// `vendor:device` that `vfio-pci` takes.
    #[must_use]
    pub fn vfio_ids(&self) -> BTreeSet<String> {
        let ids = self.option("vfio_pci", "ids").unwrap_or_default().split(',');
        // what follows the device is the subsystem and the class, which nobody writes
        ids.map(|id| id.split(':').take(2).collect::<Vec<_>>().join(":").to_ascii_lowercase())
            .filter(|id| !id.is_empty())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_tutorial_tells_people_to_write_is_read() {
        let files = BTreeMap::from([
            (
                "/etc/modprobe.d/a.conf".to_owned(),
                "options vfio-pci ids=10DE:2684,10de:22ba disable_vga=1\n".to_owned(),
            ),
            (
                "/etc/modprobe.d/b.conf".to_owned(),
                "# no\nsoftdep nouveau pre: vfio-pci\nblacklist  nvidia\n".to_owned(),
            ),
            ("/etc/modprobe.d/c.txt".to_owned(), "blacklist amdgpu\n".to_owned()),
            ("/etc/modprobe.d/d.conf".to_owned(), "install nvidia /bin/false\n".to_owned()),
        ]);
        let mut all = Modprobe::read(&files);
        assert_eq!(all.vfio_ids(), ["10de:2684", "10de:22ba"].map(str::to_owned).into());
        assert!(all.before["nouveau"].contains("vfio_pci"));
        assert_eq!(all.blacklist, ["nvidia".to_owned()].into());
        assert_eq!(all.never, ["nvidia".to_owned()].into());
        all.command_line("quiet vfio-pci.ids=1002:744c modprobe.blacklist=amdgpu,radeon");
        assert_eq!(all.vfio_ids(), ["1002:744c".to_owned()].into());
        assert!(all.blacklist.contains("radeon"));
    }
}
