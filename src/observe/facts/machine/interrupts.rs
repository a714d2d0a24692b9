//! Whether interrupts are remapped.

use super::super::text;
use crate::diag::Invalid;
use crate::ports::Output;

/// Asks for it: controllers that remap are named `IR-IO-APIC`, `IR-PCI-MSIX-0000:01:00.0`, …; the first line
/// is enough, as every line is as long as there are processors.
pub const COMMANDS: &[&[&str]] = &[&["grep", "-m", "1", "IR-", "/proc/interrupts"]];

/// Reads it.
///
/// # Errors
/// When the file could not be read.
pub fn read(outputs: &[Output]) -> Result<bool, Invalid> {
    let [found] = outputs else { return Err(Invalid::new("not asked for")) };
    match found.code {
        0 => Ok(true),
        1 => Ok(false),
        _ => Err(text::failed(found, "grep")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::output;

    #[test]
    fn no_match_is_an_answer_and_no_file_is_none() {
        assert!(read(&[output(0, " 0: 41 IR-IO-APIC 2-edge timer\n", "")]).unwrap());
        assert!(!read(&[output(1, "", "")]).unwrap());
        assert!(read(&[output(2, "", "grep: /proc/interrupts: No such file or directory\n")]).is_err());
        assert!(read(&[output(127, "", "sh: 1: grep: not found\n")]).is_err());
    }
}
