//! Space where the system itself needs it.

use super::super::text;
use crate::diag::Invalid;
use crate::model::machine::Space;
use crate::ports::Output;

/// Asks for it. Only these paths: `df` of everything hangs on a network storage that is gone.
pub const COMMANDS: &[&[&str]] =
    &[&["df", "-B1", "--output=file,source,fstype,size,avail,target", "/", "/boot", "/boot/efi"]];

/// Reads it.
///
/// # Errors
/// When `df` failed for anything but a directory that is not there.
pub fn read(outputs: &[Output]) -> Result<Vec<Space>, Invalid> {
    let [table] = outputs else { return Err(Invalid::new("not asked for")) };
    let complaint = text::stderr(table);
    let missing = |line: &str| line.trim().is_empty() || line.ends_with("No such file or directory");
    if table.code != 0 && (table.stdout.is_empty() || !complaint.lines().all(missing)) {
        return Err(text::failed(table, "df"));
    }
    let mut found = Vec::new();
    for line in String::from_utf8_lossy(&table.stdout).lines().skip(1) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [path, source, kind, size, available, mounted_on] = words[..] else {
            return Err(Invalid::new(format!("`df` printed `{line}`, which is no file system")));
        };
        let number = |text: &str| text.parse().map_err(|_| Invalid::new(format!("`df` printed `{text}` for a number")));
        found.push(Space {
            path: path.to_owned(),
            mounted_on: mounted_on.to_owned(),
            source: source.to_owned(),
            kind: kind.to_owned(),
            size: number(size)?,
            available: number(available)?,
        });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::output;

    #[test]
    fn each_path_has_its_file_system_and_a_missing_one_is_none() {
        let table = "File      Filesystem           Type 1B-blocks       Avail Mounted on\n\
                     /         /dev/mapper/pve-root ext4 100861726720 80000000000 /\n\
                     /boot     /dev/mapper/pve-root ext4 100861726720 80000000000 /\n";
        let space = read(&[output(1, table, "df: /boot/efi: No such file or directory\n")]).unwrap();
        assert_eq!(space.len(), 2);
        assert_eq!((space[1].path.as_str(), space[1].mounted_on.as_str()), ("/boot", "/"));
        assert!(read(&[output(1, table, "df: /boot/efi: Input/output error\n")]).is_err());
        assert!(read(&[output(0, "head\n/ a b\n", "")]).is_err());
    }
}
