//! What a command printed.

use crate::diag::Invalid;
use crate::ports::Output;

/// Standard output of a command that succeeded.
pub(super) fn good(output: &Output, program: &str) -> Result<String, Invalid> {
    if output.code == 0 {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(failed(output, program))
}

/// What a `cat` printed; nothing if there is no such file.
pub(super) fn file(output: &Output) -> Result<Option<String>, Invalid> {
    if output.code != 0 && stderr(output).trim_end().ends_with("No such file or directory") {
        return Ok(None);
    }
    good(output, "cat").map(Some)
}

/// The bytes that a `cat` printed; nothing if there is no such file.
pub(super) fn file_bytes(output: &Output) -> Result<Option<&[u8]>, Invalid> {
    match absent(output, "cat")? {
        true => Ok(None),
        false => Ok(Some(&output.stdout)),
    }
}

/// Whether a command failed since what it was to look at is not there.
pub(super) fn absent(output: &Output, program: &str) -> Result<bool, Invalid> {
    match output.code {
        0 => Ok(false),
        _ if stderr(output).trim_end().ends_with("No such file or directory") => Ok(true),
        _ => Err(failed(output, program)),
    }
}

/// Why a command failed, in its own words.
pub(super) fn failed(output: &Output, program: &str) -> Invalid {
    let words = stderr(output);
    match words.lines().map(str::trim).find(|line| !line.is_empty()) {
        Some(line) => Invalid::new(format!("`{program}` failed: {line}")),
        None => Invalid::new(format!("`{program}` exited with {}", output.code)),
    }
}

pub(super) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
