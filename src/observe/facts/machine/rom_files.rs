//! Files that QEMU can take a device's ROM from.

use std::collections::BTreeSet;

use super::super::text;
use crate::diag::Invalid;
use crate::ports::Output;

/// Asks for them.
pub const COMMANDS: &[&[&str]] = &[&["ls", "-A", "/usr/share/kvm"]];

/// Reads their names.
///
/// # Errors
/// When they could not be listed.
pub fn read(outputs: &[Output]) -> Result<BTreeSet<String>, Invalid> {
    let [listing] = outputs else { return Err(Invalid::new("not asked for")) };
    Ok(text::good(listing, "ls")?.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::output;

    #[test]
    fn names_are_read_and_a_missing_folder_is_no_empty_one() {
        assert!(read(&[output(0, "vgabios.bin\nmy card.rom\n", "")]).unwrap().contains("my card.rom"));
        assert!(read(&[output(2, "", "ls: cannot access '/usr/share/kvm': No such file or directory\n")]).is_err());
    }
}
