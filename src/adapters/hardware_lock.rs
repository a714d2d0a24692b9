//! Where the record of the hardware is kept: `hardware.lock.json`, in an inventory's directory, or beside its file.
//!
//! It belongs with the inventory, so that who shares one shares the other. Replaced as a whole or not at all.

use std::io::{self, ErrorKind, Write};

use camino::{Utf8Path, Utf8PathBuf};

use crate::diag::Invalid;
use crate::model::hardware_lock::{HARDWARE_LOCK_FORMAT, HardwareLock};

const NAME: &str = "hardware.lock.json";

/// Where the record of the inventory at `path` is: in a directory, or beside a file and named after it, as other
/// inventories may be in the same directory.
#[must_use]
pub fn beside(path: &Utf8Path) -> Utf8PathBuf {
    match path.file_stem() {
        Some(stem) if !path.is_dir() => path.with_file_name(format!("{stem}.{NAME}")),
        _ => path.join(NAME),
    }
}

/// Reads it; `None` where nobody has recorded anything yet.
///
/// # Errors
/// When it cannot be read, or is no record that this version understands.
pub fn read(path: &Utf8Path) -> Result<Option<HardwareLock>, Invalid> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Invalid::new(error.to_string())),
    };
    let strange = |error: &serde_json::Error| {
        Invalid::new(format!("it is no record of hardware: {error}"))
            .hint("remove it, and record anew with `infra preflight --write`")
    };
    let value: serde_json::Value = serde_json::from_slice(&text).map_err(|error| strange(&error))?;
    // Before it is read in full: what a later version wrote may not even have the same shape.
    match value.get("format").and_then(serde_json::Value::as_u64) {
        Some(format) if format > u64::from(HARDWARE_LOCK_FORMAT) => {
            Err(Invalid::new(format!("a later version of infra wrote it, in format {format}"))
                .hint(format!("use that version; this one reads format {HARDWARE_LOCK_FORMAT}")))
        }
        _ => serde_json::from_value(value).map(Some).map_err(|error| strange(&error)),
    }
}

/// Replaces it.
///
/// # Errors
/// When it cannot be written; what was there before is there still.
pub fn write(path: &Utf8Path, lock: &HardwareLock) -> io::Result<()> {
    let text = serde_json::to_string_pretty(lock)? + "\n";
    let new = path.with_extension("json.new");
    let mut file = std::fs::File::create(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_in_a_directory_and_beside_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let directory = Utf8Path::from_path(directory.path()).unwrap();
        assert_eq!(beside(directory), directory.join("hardware.lock.json"));
        assert_eq!(beside(&directory.join("lab.yaml")), directory.join("lab.hardware.lock.json"));
        assert_eq!(beside(Utf8Path::new("lab.yaml")), "lab.hardware.lock.json");
    }

    #[test]
    fn what_is_written_reads_back_and_leaves_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(directory.path()).unwrap().join("hardware.lock.json");
        assert_eq!(read(&path).unwrap(), None);
        let lock = HardwareLock::default();
        write(&path, &lock).unwrap();
        write(&path, &lock).unwrap();
        assert_eq!(read(&path).unwrap(), Some(lock));
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
        assert!(std::fs::read_to_string(&path).unwrap().ends_with("}\n"));
    }

    #[test]
    fn what_is_no_record_is_said_and_not_taken_for_none() {
        let directory = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(directory.path()).unwrap().join("hardware.lock.json");
        for (text, said) in [
            ("", "no record of hardware"),
            ("{\"format\": 2, \"cards\": []}", "a later version"),
            ("{\"hosts\": {}}", "missing field `format`"),
        ] {
            std::fs::write(&path, text).unwrap();
            let problem = read(&path).unwrap_err().problem;
            assert!(problem.contains(said), "{problem}");
        }
    }
}
