//! What booted the host, and what will.

use serde::Deserialize;

use super::super::text;
use crate::diag::Invalid;
use crate::model::machine::{Boot, Firmware, Loader, RootFileSystem, Sign};
use crate::ports::Output;

const SECURE_BOOT: &str = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";
const LOADER_INFO: &str = "/sys/firmware/efi/efivars/LoaderInfo-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";

/// Asks for it. EFI variables are read as files: `mokutil` and `bootctl` are not everywhere.
pub const COMMANDS: &[&[&str]] = &[
    &["cat", "/proc/cmdline"],
    &["ls", "/sys/firmware/efi"],
    &["cat", SECURE_BOOT],
    &["cat", LOADER_INFO],
    &["efibootmgr", "-v"],
    &["cat", "/etc/kernel/proxmox-boot-uuids"],
    &["cat", "/etc/kernel/proxmox-boot-pin"],
    &["cat", "/etc/kernel/next-boot-pin"],
    &["findmnt", "-J", "-n", "/"],
    &["grep", "^btime ", "/proc/stat"],
    &["date", "+%s"],
];

/// Reads it.
///
/// # Errors
/// When what must be known is not: the running command line, the root file system, the time.
pub fn read(outputs: &[Output]) -> Result<Boot, Invalid> {
    let [command_line, efi, secure_boot, loader_info, entries, esps, pinned, next_boot, root, btime, now] = outputs
    else {
        return Err(Invalid::new("not asked for"));
    };
    let firmware = match text::absent(efi, "ls")? {
        true => Firmware::Bios,
        false => Firmware::Uefi,
    };
    let mut signs = Vec::new();
    let command_line = text::good(command_line, "cat")?;
    let mut words = command_line.split_whitespace();
    if let Some(word) = words.clone().next().filter(|word| word.starts_with("BOOT_IMAGE=")) {
        signs.push((Loader::Grub, "/proc/cmdline", word.to_owned()));
    } else if let Some(word) = words.find(|word| word.starts_with("initrd=\\")) {
        signs.push((Loader::SystemdBoot, "/proc/cmdline", word.to_owned()));
    }
    if firmware == Firmware::Bios {
        signs.push((
            Loader::Grub,
            "/sys/firmware/efi",
            "not there: booted by BIOS, where only GRUB is used".to_owned(),
        ));
    }
    let info = text::file_bytes(loader_info)?.and_then(variable).map(utf16).unwrap_or_default();
    if let Some(loader) = named(&info) {
        signs.push((loader, LOADER_INFO, info));
    }
    // efibootmgr fails where there are no EFI variables, and may be missing on BIOS hosts: then it tells nothing
    if let Some((loader, line)) = (entries.code == 0).then(|| current_entry(entries)).flatten() {
        signs.push((loader, "efibootmgr -v", line));
    }
    let loader = signs.first().map(|sign| sign.0).filter(|first| signs.iter().all(|sign| sign.0 == *first));
    let lines = |output: &Output| -> Result<Vec<String>, Invalid> {
        let text = text::file(output)?.unwrap_or_default();
        Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect())
    };
    let first = |output: &Output| lines(output).map(|lines| lines.into_iter().next());
    Ok(Boot {
        firmware,
        loader,
        signs: signs.into_iter().map(|(_, source, text)| Sign { source: source.to_owned(), text }).collect(),
        secure_boot: text::file_bytes(secure_boot)?.and_then(variable).and_then(|value| value.first()).map(|b| *b == 1),
        esps: lines(esps)?,
        pinned: first(pinned)?,
        next_boot: first(next_boot)?,
        root: root_file_system(&text::good(root, "findmnt")?)?,
        booted_at: number(text::good(btime, "grep")?.trim_start_matches("btime"))?,
        read_at: number(&text::good(now, "date")?)?,
    })
}

/// An EFI variable without its four bytes of attributes.
fn variable(bytes: &[u8]) -> Option<&[u8]> {
    bytes.get(4..)
}

fn utf16(bytes: &[u8]) -> String {
    let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
    String::from_utf16_lossy(&units).trim_end_matches('\0').to_owned()
}

/// A loader by what it calls itself.
fn named(info: &str) -> Option<Loader> {
    if info.starts_with("systemd-boot") {
        return Some(Loader::SystemdBoot);
    }
    info.starts_with("GRUB").then_some(Loader::Grub)
}

/// The entry that the firmware started, if its file tells which loader it is: `EFI\BOOT\BOOTX64.EFI` may be either.
fn current_entry(output: &Output) -> Option<(Loader, String)> {
    let text = String::from_utf8_lossy(&output.stdout);
    let current = text.lines().find_map(|line| line.strip_prefix("BootCurrent:"))?.trim();
    let line = text.lines().find(|line| line.strip_prefix("Boot").is_some_and(|rest| rest.starts_with(current)))?;
    let lower = line.to_ascii_lowercase();
    let loader = if lower.contains("systemd-boot") {
        Loader::SystemdBoot
    } else if ["grubx64.efi", "shimx64.efi"].iter().any(|file| lower.contains(file)) {
        Loader::Grub
    } else {
        return None;
    };
    Some((loader, line.replace('\t', " ")))
}

#[derive(Deserialize)]
struct Found {
    filesystems: Vec<FileSystem>,
}

#[derive(Deserialize)]
struct FileSystem {
    source: String,
    fstype: String,
}

fn root_file_system(text: &str) -> Result<RootFileSystem, Invalid> {
    let found: Found =
        serde_json::from_str(text).map_err(|error| Invalid::new(format!("`findmnt` printed no answer: {error}")))?;
    // what is mounted last lies on top
    let top = found.filesystems.into_iter().last().ok_or_else(|| Invalid::new("`findmnt` found no `/`"))?;
    Ok(RootFileSystem { source: top.source, kind: top.fstype })
}

fn number(text: &str) -> Result<i64, Invalid> {
    text.trim().parse().map_err(|_| Invalid::new(format!("`{}` is no time", text.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::output;

    const ROOT: &str = r#"{"filesystems":[{"target":"/","source":"rpool/ROOT/pve-1","fstype":"zfs","options":"rw"}]}"#;

    fn missing() -> Output {
        output(1, "", "cat: /x: No such file or directory\n")
    }

    fn host(command_line: &str, uefi: bool) -> Vec<Output> {
        let efi = match uefi {
            true => output(0, "efivars\nfw_platform_size\n", ""),
            false => output(2, "", "ls: cannot access '/sys/firmware/efi': No such file or directory\n"),
        };
        let entries = output(2, "", "EFI variables are not supported on this system.\n");
        let (btime, now) = (output(0, "btime 1763719000\n", ""), output(0, "1763719900\n", ""));
        let (m, root) = (missing, output(0, ROOT, ""));
        vec![output(0, command_line, ""), efi, m(), m(), entries, m(), m(), m(), root, btime, now]
    }

    fn variable_of(text: &str) -> Output {
        let mut stdout = vec![6, 0, 0, 0];
        stdout.extend(text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes));
        Output { code: 0, stdout, stderr: Vec::new() }
    }

    #[test]
    fn legacy_grub_is_told_by_bios_and_boot_image() {
        let boot =
            read(&host("BOOT_IMAGE=/boot/vmlinuz-6.17.9-1-pve root=/dev/mapper/pve-root ro quiet\n", false)).unwrap();
        assert_eq!((boot.loader, boot.firmware), (Some(Loader::Grub), Firmware::Bios));
        assert_eq!(boot.refresh(), Some(&["update-grub"][..]));
        assert_eq!(boot.secure_boot, None);
        assert_eq!(boot.root.kind, "zfs");
        assert_eq!((boot.booted_at, boot.read_at), (1_763_719_000, 1_763_719_900));
    }

    #[test]
    fn systemd_boot_is_told_by_its_initrd_its_variable_and_its_entry() {
        let mut outputs = host(
            "initrd=\\EFI\\proxmox\\6.17.9-1-pve\\initrd.img-6.17.9-1-pve root=ZFS=rpool/ROOT/pve-1 boot=zfs\n",
            true,
        );
        outputs[2] = Output { code: 0, stdout: vec![6, 0, 0, 0, 0], stderr: Vec::new() };
        outputs[3] = variable_of("systemd-boot 257.9-1~deb13u1");
        outputs[4] = output(
            0,
            "BootCurrent: 0004\nBootOrder: 0004,0001\nBoot0001* UEFI OS\tHD(2,GPT)/File(\\EFI\\BOOT\\BOOTX64.EFI)\n\
             Boot0004* Linux Boot Manager\tHD(2,GPT)/File(\\EFI\\systemd\\systemd-bootx64.efi)\n",
            "",
        );
        outputs[5] = output(0, "AB12-34CD\nEF56-78AB\n", "");
        outputs[6] = output(0, "6.14.11-4-pve\n", "");
        let boot = read(&outputs).unwrap();
        assert_eq!((boot.loader, boot.signs.len(), boot.secure_boot), (Some(Loader::SystemdBoot), 3, Some(false)));
        assert_eq!(boot.refresh(), Some(&["proxmox-boot-tool", "refresh"][..]));
        assert_eq!((boot.esps.len(), boot.pin()), (2, Some("6.14.11-4-pve")));
    }

    #[test]
    fn grub_on_partitions_of_proxmox_boot_tool_is_refreshed_by_it() {
        let mut outputs = host("BOOT_IMAGE=/vmlinuz-6.17.9-1-pve root=ZFS=/ROOT/pve-1 ro\n", true);
        outputs[2] = Output { code: 0, stdout: vec![6, 0, 0, 0, 1], stderr: Vec::new() };
        outputs[4] = output(
            0,
            "BootCurrent: 0002\nBoot0002* proxmox\tHD(2,GPT,6be4c6a8)/File(\\EFI\\proxmox\\shimx64.efi)\n",
            "",
        );
        outputs[5] = output(0, "AB12-34CD\n", "");
        let boot = read(&outputs).unwrap();
        assert_eq!((boot.loader, boot.secure_boot), (Some(Loader::Grub), Some(true)));
        assert_eq!(boot.refresh(), Some(&["proxmox-boot-tool", "refresh"][..]));
    }

    #[test]
    fn signs_that_contradict_each_other_tell_nothing() {
        let mut outputs = host("BOOT_IMAGE=/vmlinuz-6.17.9-1-pve root=ZFS=/ROOT/pve-1 ro\n", true);
        outputs[3] = variable_of("systemd-boot 257.9");
        let boot = read(&outputs).unwrap();
        assert_eq!((boot.loader, boot.signs.len(), boot.refresh()), (None, 2, None));
        let none = read(&host("root=/dev/sda1\n", true)).unwrap();
        assert_eq!((none.loader, none.signs.len()), (None, 0));
    }

    #[test]
    fn what_must_be_known_and_is_not_makes_it_unavailable() {
        let mut outputs = host("quiet\n", true);
        outputs[5] = output(1, "", "cat: /etc/kernel/proxmox-boot-uuids: Input/output error\n");
        assert!(read(&outputs).unwrap_err().problem.contains("Input/output error"));
        let mut outputs = host("quiet\n", true);
        outputs[8] = output(127, "", "sh: 1: findmnt: not found\n");
        assert!(read(&outputs).is_err());
    }
}
