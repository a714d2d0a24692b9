//! The NVIDIA driver of the host.

use super::super::text;
use crate::diag::Invalid;
use crate::model::machine::NvidiaDriver;
use crate::ports::Output;

/// Asks for it.
pub const COMMANDS: &[&[&str]] = &[
    &["cat", "/proc/driver/nvidia/version"],
    &["find", "/dev", "-maxdepth", "1", "-name", "nvidia*", "-printf", "%f\\n"],
];

/// Reads it.
///
/// # Errors
/// When it is there and says nothing that is understood.
pub fn read(outputs: &[Output]) -> Result<NvidiaDriver, Invalid> {
    let [version, devices] = outputs else { return Err(Invalid::new("not asked for")) };
    let version = match text::file(version)? {
        None => None,
        // NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.133.07  Release Build  (…)
        Some(text) => {
            let numbers = |word: &&str| word.contains('.') && word.split('.').all(|part| part.parse::<u32>().is_ok());
            let line = text.lines().find(|line| line.starts_with("NVRM version:")).unwrap_or_default();
            let version = line.split_whitespace().find(numbers);
            Some(version.ok_or_else(|| Invalid::new("`/proc/driver/nvidia/version` names no version"))?.to_owned())
        }
    };
    let mut devices: Vec<String> = text::good(devices, "find")?.lines().map(str::to_owned).collect();
    devices.sort();
    Ok(NvidiaDriver { version, devices })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::output;

    #[test]
    fn both_kernel_modules_name_their_version() {
        let devices = || output(0, "nvidiactl\nnvidia0\n", "");
        for text in [
            "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.247.01  Mon May 12 08:29:11 UTC 2025\nGCC version:  gcc 12.2.0\n",
            "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  535.247.01  Release Build  (root@host)\n",
        ] {
            let nvidia = read(&[output(0, text, ""), devices()]).unwrap();
            assert_eq!(nvidia.version.as_deref(), Some("535.247.01"));
            assert_eq!(nvidia.devices, ["nvidia0", "nvidiactl"]);
        }
        let none = output(1, "", "cat: /proc/driver/nvidia/version: No such file or directory\n");
        assert_eq!(read(&[none, output(0, "", "")]).unwrap(), NvidiaDriver::default());
        assert!(read(&[output(0, "?\n", ""), devices()]).is_err());
    }
}
