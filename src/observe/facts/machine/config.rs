//! Files that say how the host shall boot.
//!
//! One `find` prints a line about each file and then the file itself, so that its content is known byte for
//! byte: GNU find writes out what it has before it starts a program.

use std::collections::BTreeMap;

use super::super::text;
use crate::diag::Invalid;
use crate::model::machine::{ConfigFile, ConfigFiles};
use crate::ports::Output;

macro_rules! find {
    ($($word:literal),* ; $($test:literal),*) => {
        &[
            "find", $($word,)*
            "/etc/apt/sources.list", "/etc/apt/sources.list.d",
            "/etc/default/grub", "/etc/default/grub.d",
            "/etc/initramfs-tools/modules",
            "/etc/kernel",
            "/etc/modprobe.d", "/run/modprobe.d", "/usr/local/lib/modprobe.d", "/usr/lib/modprobe.d",
            "/etc/modules", "/etc/modules-load.d", "/run/modules-load.d", "/usr/local/lib/modules-load.d",
            "/usr/lib/modules-load.d",
            "/etc/sysctl.conf", "/etc/sysctl.d",
            $($test,)*
        ]
    };
}

/// Asks for them: the files, then the symbolic links among them.
pub const COMMANDS: &[&[&str]] = &[
    find!("-L"; "-maxdepth", "1", "-type", "f", "-printf", "%T@ %m %U %G %s %p\\n", "-exec", "cat", "{}", ";"),
    find!(; "-maxdepth", "1", "-type", "l", "-printf", "%p\\t%l\\n"),
];

/// Reads them.
///
/// # Errors
/// When one could not be read, is no text, or changed while it was printed.
pub fn read(outputs: &[Output]) -> Result<ConfigFiles, Invalid> {
    let [files, links] = outputs else { return Err(Invalid::new("not asked for")) };
    only_missing(files)?;
    only_missing(links)?;
    let mut config = ConfigFiles::default();
    let mut rest = &files.stdout[..];
    while !rest.is_empty() {
        let (path, file, next) = first(rest)?;
        config.files.insert(path, file);
        rest = next;
    }
    let links: BTreeMap<String, String> = String::from_utf8_lossy(&links.stdout)
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .map(|(path, target)| (path.to_owned(), target.to_owned()))
        .collect();
    for (path, target) in links {
        if let Some(file) = config.files.get_mut(&path) {
            file.link = Some(target);
        }
    }
    Ok(config)
}

/// What is not there is an answer; anything else that `find` or `cat` complains about is none.
fn only_missing(output: &Output) -> Result<(), Invalid> {
    let words = text::stderr(output);
    let other = words.lines().find(|line| !line.trim().is_empty() && !line.ends_with("No such file or directory"));
    match other {
        Some(line) => Err(Invalid::new(format!("`find` failed: {line}"))),
        None if output.code != 0 && words.trim().is_empty() => Err(text::failed(output, "find")),
        None => Ok(()),
    }
}

fn first(text: &[u8]) -> Result<(String, ConfigFile, &[u8]), Invalid> {
    let torn = || Invalid::new("a file changed while `find` printed it, or its name holds a line break");
    let end = text.iter().position(|byte| *byte == b'\n').ok_or_else(torn)?;
    let head = std::str::from_utf8(&text[..end]).map_err(|_| torn())?;
    let mut words = head.splitn(6, ' ');
    let mut word = || words.next().ok_or_else(torn);
    let modified = word()?.split('.').next().and_then(|seconds| seconds.parse().ok()).ok_or_else(torn)?;
    let mode = u32::from_str_radix(word()?, 8).map_err(|_| torn())?;
    let uid = word()?.parse().map_err(|_| torn())?;
    let gid = word()?.parse().map_err(|_| torn())?;
    let size: usize = word()?.parse().map_err(|_| torn())?;
    let path = word()?.to_owned();
    let (content, rest) = text[end + 1..].split_at_checked(size).ok_or_else(torn)?;
    if !path.starts_with('/') {
        return Err(torn());
    }
    let content =
        std::str::from_utf8(content).map_err(|_| Invalid::new(format!("`{path}` is no text in UTF-8")))?.to_owned();
    Ok((path, ConfigFile { content, modified, mode, uid, gid, link: None }, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::output;

    const GRUB: &str = "GRUB_DEFAULT=0\n";

    #[test]
    fn files_are_read_byte_for_byte_and_missing_ones_are_none() {
        let text = format!(
            "1763719800.1234567890 644 0 0 15 /etc/default/grub\n{GRUB}\
             1763719801.0000000000 644 0 0 3 /etc/modules\na\nb\
             1763719802.5 600 0 4 0 /etc/kernel/cmdline\n\
             1763719801.0000000000 644 0 0 3 /etc/modules-load.d/modules.conf\na\nb"
        );
        let files = output(1, &text, "find: '/etc/default/grub.d': No such file or directory\n");
        let links = output(0, "/etc/modules-load.d/modules.conf\t../modules\n", "");
        let config = read(&[files, links]).unwrap();
        assert_eq!(config.content("/etc/default/grub"), Some(GRUB));
        assert_eq!(config.content("/etc/modules"), Some("a\nb"));
        assert_eq!(config.content("/etc/kernel/cmdline"), Some(""));
        assert_eq!(config.get("/etc/kernel/cmdline").unwrap().mode, 0o600);
        assert_eq!(config.get("/etc/modules-load.d/modules.conf").unwrap().link.as_deref(), Some("../modules"));
        assert_eq!(config.in_dir("/etc/modules-load.d", ".conf").count(), 1);
        assert_eq!(config.content("/etc/default/grub.d/infra.cfg"), None);
    }

    #[test]
    fn a_file_that_cannot_be_read_whole_leaves_nothing_to_conclude_from() {
        let links = output(0, "", "");
        let denied = output(1, "", "cat: /etc/default/grub: Permission denied\n");
        assert!(read(&[denied, links.clone()]).unwrap_err().problem.contains("Permission denied"));
        let grown = output(0, "1763719800.1 644 0 0 15 /etc/default/grub\nGRUB_DEFAULT=0\nMORE=1\n", "");
        assert!(read(&[grown, links.clone()]).is_err());
        let cut = output(0, "1763719800.1 644 0 0 99 /etc/default/grub\nGRUB", "");
        assert!(read(&[cut, links.clone()]).is_err());
        let huge = output(0, "1.1 644 0 0 18446744073709551615 /etc/default/grub\nGRUB", "");
        assert!(read(&[huge, links]).is_err());
    }
}
