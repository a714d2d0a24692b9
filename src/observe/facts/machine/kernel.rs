//! The kernel that runs.

use super::super::text;
use crate::diag::Invalid;
use crate::model::machine::Kernel;
use crate::ports::Output;

/// Asks for it.
pub const COMMANDS: &[&[&str]] =
    &[&["uname", "-r"], &["cat", "/proc/cmdline"], &["cat", "/proc/sys/kernel/random/boot_id"]];

/// Reads it.
///
/// # Errors
/// When a part of it is not there.
pub fn read(outputs: &[Output]) -> Result<Kernel, Invalid> {
    let [release, command_line, boot_id] = outputs else { return Err(Invalid::new("not asked for")) };
    let release = text::good(release, "uname")?.trim().to_owned();
    let boot_id = text::good(boot_id, "cat")?.trim().to_owned();
    if release.is_empty() || boot_id.is_empty() {
        return Err(Invalid::new("`uname -r` or the boot id is empty"));
    }
    let command_line = text::good(command_line, "cat")?.split_whitespace().map(str::to_owned).collect();
    Ok(Kernel { release, command_line, boot_id })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::output;

    #[test]
    fn the_last_value_of_a_parameter_counts() {
        let outputs = [
            output(0, "6.12.0-pve\n", ""),
            output(0, "root=/dev/sda1 iommu=off quiet iommu=pt\n", ""),
            output(0, "5c6e1f5e-8a3c-4e2b-9b64-0d1c4c0b3d11\n", ""),
        ];
        let kernel = read(&outputs).unwrap();
        assert_eq!(kernel.parameter("iommu"), Some("pt"));
        assert_eq!(kernel.parameter("quiet"), Some(""));
        assert_eq!(kernel.parameter("roo"), None);
    }
}
