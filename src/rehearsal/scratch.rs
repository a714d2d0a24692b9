//! A place for the journals of a rehearsal, which go with it.

use std::os::unix::fs::DirBuilderExt as _;

use camino::{Utf8Path, Utf8PathBuf};

/// A directory for its owner's eyes only, removed when it is dropped.
#[derive(Debug)]
pub(super) struct Scratch(Utf8PathBuf);

impl Scratch {
    /// Makes one below the system's directory for temporary files.
    pub fn new() -> std::io::Result<Self> {
        let parent =
            Utf8PathBuf::from_path_buf(std::env::temp_dir()).map_err(|_| std::io::ErrorKind::InvalidFilename)?;
        let path = parent.join(format!("infra-rehearsal-{}-{:016x}", std::process::id(), fastrand::u64(..)));
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    pub fn path(&self) -> &Utf8Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // what stays behind is in a directory that only its owner can read
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_private_and_goes_when_it_is_dropped() {
        use std::os::unix::fs::PermissionsExt as _;
        let scratch = Scratch::new().unwrap();
        let path = scratch.path().to_owned();
        std::fs::write(path.join("x"), "x").unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        drop(scratch);
        assert!(!path.exists());
    }
}
