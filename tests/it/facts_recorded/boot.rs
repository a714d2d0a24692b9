//! The boot chain, modules, packages, memory and pools.

use std::path::Path;

use infra::model::machine::{CommandLines, ConfigFile, ConfigFiles, Firmware, Loader, Scan};
use infra::observe::facts::machine::{
    boot, command_lines, failed_units, memory, module_config, modules, os, packages, pools,
};
use infra::ports::Output;

use super::{boots, number, recorded};

fn output(stdout: String) -> Output {
    Output { code: 0, stdout: stdout.into(), stderr: Default::default() }
}

/// What `cat` says of a file that is not there, as on every one of these hosts.
fn missing() -> Output {
    Output { code: 1, stdout: Default::default(), stderr: "cat: /x: No such file or directory\n".into() }
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.to_vec()).unwrap()
}

/// Files out of what `tail -n +1` printed of several; those of one are given by name.
fn config_of(host: &Path) -> ConfigFiles {
    let mut config = ConfigFiles::default();
    let mut add = |path: &str, content: String| {
        config.files.insert(path.to_owned(), ConfigFile { content, ..ConfigFile::default() });
    };
    add("/etc/default/grub", text(&recorded(host, "default-grub")));
    for name in ["modprobe-d-cat", "modules-load-d"] {
        let mut path = None;
        let mut content = String::new();
        for line in text(&recorded(host, name)).lines() {
            match line.strip_prefix("==> ").and_then(|rest| rest.strip_suffix(" <==")) {
                Some(next) => {
                    if let Some(path) = path.replace(next.to_owned()) {
                        add(&path, std::mem::take(&mut content));
                    }
                }
                None => content.push_str(&format!("{line}\n")),
            }
        }
        if let Some(path) = path {
            add(&path, content);
        }
    }
    if let Some(file) = config.files.get_mut("/etc/modules-load.d/modules.conf") {
        file.link = Some("../modules".to_owned());
    }
    config
}

fn command_lines_of(host: &Path) -> CommandLines {
    // recorded with the numbers of its lines, and more lines than are asked for
    let menu = text(&recorded(host, "grub-cfg"));
    let asked = ["linux", "menuentry", "submenu"];
    let lines = menu.lines().filter_map(|line| line.split_once(':')).map(|(_, line)| line).filter(|line| {
        asked.iter().any(|word| line.trim_start().strip_prefix(word).is_some_and(|rest| rest.starts_with([' ', '\t'])))
    });
    let menu = output(lines.map(|line| format!("{line}\n")).collect());
    command_lines::read(&[menu], &config_of(host)).unwrap()
}

#[test]
fn grub_is_told_by_bios_and_by_uefi_without_an_entry_of_its_own() {
    for host in boots() {
        let outputs = [
            recorded(&host, "proc-cmdline"),
            recorded(&host, "sys-firmware-efi"),
            missing(),
            missing(),
            recorded(&host, "efibootmgr-v"),
            missing(),
            missing(),
            missing(),
            recorded(&host, "findmnt-root-J"),
            output("btime 1763719000\n".to_owned()),
            output("1763719900\n".to_owned()),
        ];
        let boot = boot::read(&outputs).unwrap();
        let uefi = number(&host) == '4';
        assert_eq!(boot.firmware, if uefi { Firmware::Uefi } else { Firmware::Bios }, "{}", host.display());
        assert_eq!((boot.loader, boot.root.kind.as_str()), (Some(Loader::Grub), "ext4"), "{:?}", boot.signs);
        assert_eq!(boot.refresh(), Some(&["update-grub"][..]));
    }
}

#[test]
fn the_menu_was_made_of_the_defaults_and_the_kernel_was_started_from_it() {
    for host in boots() {
        let lines = command_lines_of(&host);
        let grub = lines.grub.unwrap();
        assert_eq!(grub.unclear, None, "{}", host.display());
        let entries = lines.grub_entries.unwrap();
        let running = text(&recorded(&host, "proc-cmdline"));
        let release = text(&recorded(&host, "uname-r"));
        assert_eq!(entries[0].release(), Some(release.trim()));
        for word in grub.words() {
            assert!(entries[0].options.iter().any(|option| option == word), "{word} in {}", host.display());
            assert!(running.split_whitespace().any(|running| running == word), "{word} in {}", host.display());
        }
        assert!(entries.iter().any(|entry| entry.title.ends_with("(recovery mode)")));
    }
}

#[test]
fn modules_are_read_as_listed_configured_and_loaded() {
    for host in boots() {
        let parameters = Output { code: 1, ..output(String::new()) };
        let loaded =
            modules::read(&[recorded(&host, "proc-modules"), recorded(&host, "modinfo-vfio_virqfd"), parameters]);
        let loaded = loaded.unwrap();
        assert_eq!(loaded.known.get("vfio_virqfd"), Some(&false), "{}", host.display());
        assert!(loaded.loaded.contains("zfs"));
        let config = module_config::read(&config_of(&host));
        if number(&host) == '3' {
            assert_eq!(config.option("vfio_pci", "ids").unwrap().0, "1234:1111,8086:293e");
            assert!(config.blacklisted("nouveau").is_some());
            assert_eq!(config.listed("vfio_virqfd").count(), 1);
            assert!(loaded.loaded.contains("vfio_pci"));
        }
        if matches!(number(&host), '1' | '2') {
            assert!(config.load.is_empty(), "{:?}", config.load);
        }
    }
}

#[test]
fn system_packages_and_memory_are_read() {
    for host in boots() {
        let system = os::read(&[recorded(&host, "os-release")]).unwrap();
        assert_eq!((system.id.as_str(), system.version.as_str()), ("debian", "13"));
        // recorded with the whole status, of which the last word is asked for
        let list = text(&recorded(&host, "dpkg-query"));
        let list = list.lines().map(|line| line.replace("install ok ", "") + "\n");
        let found = packages::read(&[output(list.collect())]).unwrap();
        assert!(found.broken.is_empty() && found.installed["zfsutils-linux"].starts_with("2.3."));
        assert!(packages::read(&[recorded(&host, "dpkg-query-missing")]).unwrap().installed.is_empty());
        let memory = memory::read(&[recorded(&host, "meminfo"), missing(), missing()]).unwrap();
        assert!(memory.total > 3 << 30 && memory.available < memory.total && memory.arc.is_none());
        assert!(failed_units::read(&[recorded(&host, "systemctl-failed")]).unwrap().units.is_empty());
    }
}

#[test]
fn pools_are_read_empty_and_scrubbed() {
    for host in boots() {
        // recorded with all columns
        let list = text(&recorded(&host, "zpool-list-empty"));
        let list = list.lines().map(|line| {
            let columns: Vec<&str> = line.split('\t').collect();
            [0, 1, 2, 3, 6, 7, 9].map(|column| columns[column]).join("\t") + "\n"
        });
        let pools = pools::read(&[output(list.collect()), recorded(&host, "zpool-status-empty")]).unwrap();
        match number(&host) {
            '1' | '2' => assert!(pools.is_empty()),
            _ => {
                let tank = &pools["tank"];
                assert_eq!((tank.health.as_str(), tank.errors.as_ref()), ("ONLINE", None), "{}", host.display());
                assert!(matches!(tank.scan, Scan::Scrubbed { errors: 0, .. }), "{:?}", tank.scan);
                assert!(tank.bad_devices.is_empty(), "{:?}", tank.bad_devices);
            }
        }
    }
}
