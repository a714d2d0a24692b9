//! The kernel's command line where it is configured, and as GRUB's menu has it.

use super::super::text;
use super::grub_defaults;
use crate::diag::Invalid;
use crate::model::machine::{CommandLines, ConfigFiles, GrubEntry};
use crate::ports::Output;

/// Asks for GRUB's menu; the rest is in the configuration files. The menu of a host with many kernels is long.
pub const COMMANDS: &[&[&str]] =
    &[&["grep", "-E", "^[[:space:]]*(linux|menuentry|submenu)[[:space:]]", "/boot/grub/grub.cfg"]];

/// Reads them.
///
/// # Errors
/// When the configuration files are not known, or the menu could not be read.
pub fn read(outputs: &[Output], config: &ConfigFiles) -> Result<CommandLines, Invalid> {
    let [menu] = outputs else { return Err(Invalid::new("not asked for")) };
    // grep: 1 where no line is one, which is a menu without entries
    let grub_entries = match (menu.code, text::stderr(menu).trim().is_empty()) {
        (0, _) => Some(entries(&String::from_utf8_lossy(&menu.stdout))),
        (1, true) => Some(Vec::new()),
        _ if text::absent(menu, "grep")? => None,
        _ => return Err(text::failed(menu, "grep")),
    };
    let kernel = config.content("/etc/kernel/cmdline").map(|text| {
        // proxmox-boot-tool takes the first line, whatever it holds
        text.lines().next().unwrap_or_default().split_whitespace().map(str::to_owned).collect()
    });
    Ok(CommandLines { grub: grub_defaults::read(config), kernel, grub_entries })
}

fn entries(menu: &str) -> Vec<GrubEntry> {
    let mut title = String::new();
    let mut entries = Vec::new();
    for line in menu.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("menuentry") {
            title = quoted(rest.trim()).to_owned();
        } else if let Some(rest) = line.strip_prefix("linux") {
            let mut words = rest.split_whitespace().map(str::to_owned);
            if let Some(kernel) = words.next() {
                entries.push(GrubEntry { title: title.clone(), kernel, options: words.collect() });
            }
        }
    }
    entries
}

fn quoted(text: &str) -> &str {
    match text.chars().next() {
        Some(quote @ ('\'' | '"')) => text[1..].split(quote).next().unwrap_or_default(),
        _ => text.split_whitespace().next().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::output;
    use crate::model::machine::ConfigFile;

    const MENU: &str = "\
menuentry 'Proxmox VE GNU/Linux' --class proxmox --class gnu-linux $menuentry_id_option 'gnulinux-simple-ab' {
\tlinux\t/boot/vmlinuz-6.17.9-1-pve root=/dev/mapper/pve-root ro  quiet intel_iommu=on
submenu 'Advanced options for Proxmox VE GNU/Linux' $menuentry_id_option 'gnulinux-advanced-ab' {
\tmenuentry 'Proxmox VE GNU/Linux, with Linux 6.17.9-1-pve (recovery mode)' --class proxmox {
\t\tlinux\t/boot/vmlinuz-6.17.9-1-pve root=/dev/mapper/pve-root ro single
";

    #[test]
    fn entries_have_their_titles_kernels_and_options() {
        let lines = read(&[output(0, MENU, "")], &ConfigFiles::default()).unwrap();
        let entries = lines.grub_entries.unwrap();
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[0].title, "Proxmox VE GNU/Linux");
        assert_eq!(entries[0].release(), Some("6.17.9-1-pve"));
        assert_eq!(entries[0].options, ["root=/dev/mapper/pve-root", "ro", "quiet", "intel_iommu=on"]);
        assert!(entries[1].title.contains("recovery"));
        assert_eq!((lines.grub, lines.kernel), (None, None));
    }

    #[test]
    fn no_menu_an_empty_one_and_an_unreadable_one_are_three_things() {
        let config = ConfigFiles::default();
        let missing = output(2, "", "grep: /boot/grub/grub.cfg: No such file or directory\n");
        assert_eq!(read(&[missing], &config).unwrap().grub_entries, None);
        assert_eq!(read(&[output(1, "", "")], &config).unwrap().grub_entries, Some(Vec::new()));
        assert!(read(&[output(2, "", "grep: /boot/grub/grub.cfg: Input/output error\n")], &config).is_err());
    }

    #[test]
    fn the_first_line_of_the_file_is_the_command_line() {
        let mut config = ConfigFiles::default();
        let content = "root=ZFS=rpool/ROOT/pve-1 boot=zfs  iommu=pt\nintel_iommu=on\n".to_owned();
        config.files.insert("/etc/kernel/cmdline".into(), ConfigFile { content, ..ConfigFile::default() });
        let lines = read(&[output(1, "", "")], &config).unwrap();
        assert_eq!(lines.kernel.unwrap(), ["root=ZFS=rpool/ROOT/pve-1", "boot=zfs", "iommu=pt"]);
    }
}
