//! What the host's processor can do.

use super::super::text;
use crate::diag::Invalid;
use crate::model::machine::Cpu;
use crate::ports::Output;

/// Asks for it: the first processor speaks for all.
pub const COMMANDS: &[&[&str]] = &[&["grep", "-m", "1", "^flags", "/proc/cpuinfo"]];

/// Reads it.
///
/// # Errors
/// When it is not told.
pub fn read(outputs: &[Output]) -> Result<Cpu, Invalid> {
    let [flags] = outputs else { return Err(Invalid::new("not asked for")) };
    let text = text::good(flags, "grep")?;
    let (_, flags) = text.split_once(':').ok_or_else(|| Invalid::new("/proc/cpuinfo has no flags"))?;
    Ok(Cpu { flags: flags.split_whitespace().map(str::to_owned).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::output;

    #[test]
    fn flags_are_words() {
        let cpu = read(&[output(0, "flags\t\t: fpu vme avx avx2\n", "")]).unwrap();
        assert!(cpu.flags.contains("avx2") && !cpu.flags.contains("avx512f"));
        assert!(read(&[output(1, "", "")]).is_err());
    }
}
