//! Kernels and initial RAM disks in `/boot`.

use super::super::text;
use crate::diag::Invalid;
use crate::model::machine::{BootFile, Kernels};
use crate::ports::Output;

/// Asks for them. `pgrep` matches whole command lines: the name of a script's process is cut at 15 letters.
pub const COMMANDS: &[&[&str]] = &[
    &["find", "/boot", "-maxdepth", "1", "-type", "f", "-printf", "%s %T@ %f\\n"],
    &["pgrep", "-fa", "^([^ ]*/)?(sh|dash|bash) (-[a-z]+ )?[^ ]*/(update-initramfs|mkinitramfs)( |$)"],
];

/// Reads them.
///
/// # Errors
/// When `/boot` could not be listed.
pub fn read(outputs: &[Output]) -> Result<Kernels, Invalid> {
    let [files, writers] = outputs else { return Err(Invalid::new("not asked for")) };
    let mut kernels = Kernels::default();
    for line in text::good(files, "find")?.lines() {
        let mut words = line.splitn(3, ' ');
        let (Some(size), Some(modified), Some(name)) = (words.next(), words.next(), words.next()) else { continue };
        let modified = modified.split('.').next().and_then(|seconds| seconds.parse().ok());
        let (Ok(size), Some(modified)) = (size.parse(), modified) else {
            return Err(Invalid::new(format!("`find` printed `{line}`, which is no file of /boot")));
        };
        let file = BootFile { size, modified };
        if let Some(release) = name.strip_prefix("vmlinuz-") {
            kernels.images.insert(release.to_owned(), file);
        } else if let Some(release) = name.strip_prefix("initrd.img-") {
            match release.strip_suffix(".new") {
                Some(release) => kernels.unfinished.insert(release.to_owned(), file),
                None if release.ends_with(".bak") || release.ends_with(".dpkg-bak") => None,
                None => kernels.initramfs.insert(release.to_owned(), file),
            };
        }
    }
    // 1: nobody
    if writers.code > 1 {
        return Err(text::failed(writers, "pgrep"));
    }
    kernels.writers = String::from_utf8_lossy(&writers.stdout).lines().map(str::to_owned).collect();
    Ok(kernels)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::output;

    #[test]
    fn an_unfinished_initial_ram_disk_is_told_from_a_finished_one() {
        let files = "14692352 1763700000.0000000000 vmlinuz-6.17.9-1-pve\n\
                     78123456 1763710000.1230000000 initrd.img-6.17.9-1-pve\n\
                     0 1763719000.0 initrd.img-6.17.9-1-pve.new\n\
                     78000000 1763600000.0 initrd.img-6.17.9-1-pve.bak\n\
                     302000 1763600000.0 config-6.17.9-1-pve\n";
        let kernels = read(&[output(0, files, ""), output(1, "", "")]).unwrap();
        assert_eq!(kernels.newest(), Some("6.17.9-1-pve"));
        assert_eq!(kernels.initramfs.len(), 1);
        assert_eq!(kernels.unfinished["6.17.9-1-pve"], BootFile { size: 0, modified: 1_763_719_000 });
        assert!(kernels.writers.is_empty());
        let busy = output(0, "4711 /bin/sh /usr/sbin/update-initramfs -u -k all\n", "");
        assert_eq!(read(&[output(0, files, ""), busy]).unwrap().writers.len(), 1);
    }

    #[test]
    fn what_cannot_be_listed_is_no_empty_boot() {
        assert!(read(&[output(1, "", "find: '/boot': Permission denied\n"), output(1, "", "")]).is_err());
        assert!(read(&[output(0, "x y z\n", ""), output(1, "", "")]).is_err());
        assert!(read(&[output(0, "", ""), output(127, "", "sh: 1: pgrep: not found\n")]).is_err());
    }
}
