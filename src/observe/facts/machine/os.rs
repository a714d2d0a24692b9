//! The operating system.

use super::super::text;
use crate::diag::Invalid;
use crate::model::machine::OsRelease;
use crate::ports::Output;

/// Asks for it.
pub const COMMANDS: &[&[&str]] = &[&["cat", "/etc/os-release"]];

/// Reads it.
///
/// # Errors
/// When the file is not there or does not say what it is.
pub fn read(outputs: &[Output]) -> Result<OsRelease, Invalid> {
    let [file] = outputs else { return Err(Invalid::new("not asked for")) };
    let text = text::good(file, "cat")?;
    let value = |name: &str| {
        let found = text.lines().filter_map(|line| line.trim().split_once('=')).rfind(|(key, _)| *key == name);
        found.map(|(_, value)| value.trim().trim_matches(['"', '\'']).to_owned()).unwrap_or_default()
    };
    let os = OsRelease {
        id: value("ID"),
        version: value("VERSION_ID"),
        codename: value("VERSION_CODENAME"),
        name: value("PRETTY_NAME"),
    };
    match os.id.is_empty() {
        true => Err(Invalid::new("`/etc/os-release` has no `ID`")),
        false => Ok(os),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::output;

    #[test]
    fn id_and_release_are_read_without_their_quotes() {
        let text =
            "PRETTY_NAME=\"Debian GNU/Linux 13 (trixie)\"\nVERSION_ID=\"13\"\nVERSION_CODENAME=trixie\nID=debian\n";
        let os = read(&[output(0, text, "")]).unwrap();
        assert_eq!((os.id.as_str(), os.version.as_str(), os.codename.as_str()), ("debian", "13", "trixie"));
        assert!(read(&[output(0, "NAME=x\n", "")]).is_err());
    }
}
