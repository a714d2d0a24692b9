//! What is configured about kernel modules.

use std::collections::BTreeMap;

use crate::model::machine::{ConfigFile, ConfigFiles, Directive, ModprobeLine, ModuleConfig, ModuleLine};

const DIRECTORIES: [&str; 4] = ["/etc", "/run", "/usr/local/lib", "/usr/lib"];

/// Reads it from the configuration files.
pub fn read(config: &ConfigFiles) -> ModuleConfig {
    let mut found = ModuleConfig::default();
    // Debian's /etc/modules-load.d/modules.conf is a link to it
    if let Some(text) = config.content("/etc/modules") {
        found.load.extend(list("/etc/modules", text));
    }
    for (path, file) in effective(config, "modules-load.d") {
        if !file.link.as_deref().is_some_and(|target| matches!(target, "../modules" | "/etc/modules")) {
            found.load.extend(list(path, &file.content));
        }
    }
    if let Some(text) = config.content("/etc/initramfs-tools/modules") {
        found.initramfs = list("/etc/initramfs-tools/modules", text).collect();
    }
    found.modprobe = effective(config, "modprobe.d").flat_map(|(path, file)| directives(path, &file.content)).collect();
    found
}

/// Files of a drop-in directory in the order of their names; one in `/etc` hides one of its name elsewhere.
fn effective<'a>(
    config: &'a ConfigFiles,
    directory: &str,
) -> impl Iterator<Item = (&'a str, &'a ConfigFile)> + use<'a> {
    let mut by_name: BTreeMap<&str, (&str, &ConfigFile)> = BTreeMap::new();
    for parent in DIRECTORIES {
        let dir = format!("{parent}/{directory}/");
        for (path, file) in &config.files {
            if let Some(name) = path.strip_prefix(&dir).filter(|name| name.ends_with(".conf") && !name.contains('/')) {
                by_name.entry(name).or_insert((path, file));
            }
        }
    }
    by_name.into_values()
}

fn list<'a>(path: &'a str, text: &'a str) -> impl Iterator<Item = ModuleLine> + use<'a> {
    text.lines().enumerate().filter_map(move |(index, line)| {
        let text = line.trim();
        let module = text.split_whitespace().next().filter(|word| !word.starts_with(['#', ';']))?;
        Some(ModuleLine { module: plain(module), text: text.to_owned(), file: path.to_owned(), line: index + 1 })
    })
}

/// A module's name as the kernel has it: it does not tell `-` from `_`.
fn plain(module: &str) -> String {
    module.replace('-', "_")
}

fn directives(path: &str, text: &str) -> Vec<ModprobeLine> {
    let mut found = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let mut joined = line.trim_end_matches('\r').to_owned();
        while joined.ends_with('\\') {
            joined.pop();
            match lines.next() {
                Some((_, next)) => joined.push_str(next.trim_end_matches('\r')),
                None => break,
            }
        }
        let text = joined.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let (directive, text) = (directive(text), text.to_owned());
        found.push(ModprobeLine { directive, text, file: path.to_owned(), line: index + 1 });
    }
    found
}

fn directive(text: &str) -> Directive {
    let mut words = text.split_whitespace();
    let (Some(kind), Some(module)) = (words.next(), words.next()) else { return Directive::Other };
    let module = plain(module);
    match kind {
        "blacklist" => Directive::Blacklist { module },
        "options" => Directive::Options {
            module,
            parameters: words
                .map(|word| word.split_once('=').unwrap_or((word, "")))
                .map(|(name, value)| (plain(name), value.trim_matches('"').to_owned()))
                .collect(),
        },
        "install" => Directive::Install { module, command: words.collect::<Vec<_>>().join(" ") },
        "softdep" => {
            let (mut pre, mut post) = (Vec::new(), Vec::new());
            let mut into = None;
            for word in words {
                match (word, &mut into) {
                    ("pre:" | "post:", _) => into = Some(word == "pre:"),
                    (_, Some(true)) => pre.push(plain(word)),
                    (_, Some(false)) => post.push(plain(word)),
                    (_, None) => {}
                }
            }
            Directive::Softdep { module, pre, post }
        }
        _ => Directive::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(files: &[(&str, &str, Option<&str>)]) -> ModuleConfig {
        let mut config = ConfigFiles::default();
        for (path, content, link) in files {
            let link = link.map(str::to_owned);
            let file = ConfigFile { content: (*content).to_owned(), link, ..ConfigFile::default() };
            config.files.insert((*path).to_owned(), file);
        }
        read(&config)
    }

    #[test]
    fn a_module_is_listed_once_though_debian_links_to_its_file() {
        let text = "# a comment\nvfio\n\nvfio-pci ids=1\n";
        let read = config(&[
            ("/etc/modules", text, None),
            ("/etc/modules-load.d/modules.conf", text, Some("../modules")),
            ("/etc/modules-load.d/vfio.conf", "; also a comment\nvfio_virqfd\n", None),
            ("/etc/initramfs-tools/modules", "vfio_virqfd\n", None),
        ]);
        assert_eq!(
            read.load.iter().map(|l| l.module.as_str()).collect::<Vec<_>>(),
            ["vfio", "vfio_pci", "vfio_virqfd"]
        );
        assert_eq!((read.load[1].line, read.load[1].text.as_str()), (4, "vfio-pci ids=1"));
        let files: Vec<&str> = read.listed("vfio_virqfd").map(|line| line.file.as_str()).collect();
        assert_eq!(files, ["/etc/modules-load.d/vfio.conf", "/etc/initramfs-tools/modules"]);
    }

    #[test]
    fn directives_are_read_with_their_continuations() {
        let vfio = "options vfio-pci ids=10de:2684,10de:22ba \\\n  disable_vga=1\nsoftdep nvidia pre: vfio-pci post: b c\n\
                    blacklist nouveau\ninstall nvidiafb /bin/false\nalias a b\n";
        let read = config(&[
            ("/etc/modprobe.d/vfio.conf", vfio, None),
            ("/etc/modprobe.d/zfs.conf", "options zfs zfs_arc_max=1\noptions zfs zfs_arc_max=2", None),
            ("/etc/modprobe.d/old.conf.bak", "blacklist xhci_hcd\n", None),
        ]);
        assert_eq!(read.option("vfio_pci", "ids").unwrap().0, "10de:2684,10de:22ba");
        assert_eq!(read.option("vfio_pci", "disable_vga").unwrap().1.line, 1);
        assert_eq!(read.option("zfs", "zfs_arc_max").unwrap().0, "2");
        assert!(read.blacklisted("nouveau").is_some() && read.blacklisted("xhci_hcd").is_none());
        assert!(read.disabled("nvidiafb").is_some() && read.disabled("nouveau").is_none());
        let softdep = Directive::Softdep {
            module: "nvidia".into(),
            pre: vec!["vfio_pci".into()],
            post: vec!["b".into(), "c".into()],
        };
        assert_eq!(read.modprobe[1].directive, softdep);
    }

    #[test]
    fn a_file_in_etc_hides_one_of_its_name_elsewhere() {
        let read = config(&[
            ("/etc/modprobe.d/nvidia.conf", "", None),
            ("/usr/lib/modprobe.d/nvidia.conf", "blacklist nouveau\n", None),
            ("/usr/lib/modprobe.d/systemd.conf", "options bonding max_bonds=0\n", None),
        ]);
        assert!(read.blacklisted("nouveau").is_none());
        assert_eq!(read.option("bonding", "max_bonds").unwrap().0, "0");
    }

    #[test]
    fn hostile_files_end() {
        for text in ["\\", "a\\\n\\", "options", "options \\", "softdep a pre:", "softdep a b", "install a"] {
            config(&[("/etc/modprobe.d/a.conf", text, None), ("/etc/modules", text, None)]);
        }
    }
}
