//! Units that failed.

use super::super::text;
use crate::diag::Invalid;
use crate::model::machine::FailedUnits;
use crate::ports::Output;

/// Asks for them.
pub const COMMANDS: &[&[&str]] = &[&["systemctl", "--failed", "--no-legend", "--plain", "--no-pager"]];

/// Reads them.
///
/// # Errors
/// When systemd did not answer.
pub fn read(outputs: &[Output]) -> Result<FailedUnits, Invalid> {
    let [list] = outputs else { return Err(Invalid::new("not asked for")) };
    let mut failed = FailedUnits::default();
    for line in text::good(list, "systemctl")?.lines() {
        // UNIT LOAD ACTIVE SUB DESCRIPTION
        let mut words = line.split_whitespace();
        let Some(unit) = words.next() else { continue };
        failed.units.insert(unit.to_owned(), words.skip(3).collect::<Vec<_>>().join(" "));
    }
    Ok(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::output;

    #[test]
    fn units_have_their_descriptions_and_none_is_an_answer() {
        let line = "systemd-modules-load.service loaded failed failed Load Kernel Modules\n";
        let failed = read(&[output(0, line, "")]).unwrap();
        assert_eq!(failed.units["systemd-modules-load.service"], "Load Kernel Modules");
        assert!(read(&[output(0, "", "")]).unwrap().units.is_empty());
        assert!(read(&[output(1, "", "Failed to connect to bus: No such file or directory\n")]).is_err());
    }
}
