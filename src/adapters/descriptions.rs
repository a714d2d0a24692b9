//! API descriptions of hosts, kept between runs.
//!
//! Owns [`DescriptionCache`]: one file per build of Proxmox VE, below the state directory. A file whose
//! content is not what was written is as good as none.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};

use camino::{Utf8Path, Utf8PathBuf};
use sha2::{Digest, Sha256};

use crate::model::observed::Release;

/// First word of every file, with the version of this form.
const MAGIC: &str = "infra-api-description-1";

/// Files with API descriptions.
#[derive(Debug, Clone)]
pub struct DescriptionCache {
    directory: Utf8PathBuf,
}

impl DescriptionCache {
    /// Those of a state directory.
    #[must_use]
    pub fn below(state: &Utf8Path) -> Self {
        Self { directory: state.join("cache").join("api") }
    }

    /// The text of a build, if it was kept and is whole.
    #[must_use]
    pub fn get(&self, release: &Release) -> Option<String> {
        let content = std::fs::read_to_string(self.path(release)?).ok()?;
        let (head, text) = content.split_once('\n')?;
        let digest = head.strip_prefix(MAGIC)?.strip_prefix(" sha256:")?;
        (digest == sha256(text)).then(|| text.to_owned())
    }

    /// Keeps the text of a build. That it cannot be kept only costs time the next time.
    pub fn put(&self, release: &Release, text: &str) {
        let Some(path) = self.path(release) else { return };
        // The state directory is for its owner's eyes only, whatever lies in it.
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.directory);
        let written = made.and_then(|()| {
            // Two runs may write at once: each its own file, renamed when it is whole.
            let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
            let content = format!("{MAGIC} sha256:{}\n{text}", sha256(text));
            let mut options = OpenOptions::new();
            let file = options.write(true).create(true).truncate(true).mode(0o600).open(&temporary);
            file.and_then(|mut file| file.write_all(content.as_bytes()))
                .and_then(|()| std::fs::rename(&temporary, &path))
        });
        if let Err(error) = written
            && error.kind() != ErrorKind::PermissionDenied
        {
            tracing::debug!(%error, %path, "an API description cannot be kept");
        }
    }

    /// None for a build that does not name itself, or names itself in a way that is no file name.
    fn path(&self, release: &Release) -> Option<Utf8PathBuf> {
        let plain = |text: &str| {
            !text.is_empty()
                && text.len() <= 64
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._~+-".contains(&b))
                && !text.starts_with('.')
        };
        let named = plain(&release.version) && plain(&release.repoid);
        named.then(|| self.directory.join(format!("{}-{}.js", release.version, release.repoid)))
    }
}

fn sha256(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(version: &str, repoid: &str) -> Release {
        Release { version: version.to_owned(), repoid: repoid.to_owned() }
    }

    #[test]
    fn what_was_kept_comes_back_for_the_same_build_only() {
        let dir = tempfile::tempdir().unwrap();
        let cache = DescriptionCache::below(Utf8Path::from_path(dir.path()).unwrap());
        let one = release("9.2.11", "3f2a");
        assert_eq!(cache.get(&one), None);
        cache.put(&one, "const apiSchema = [];\n");
        assert_eq!(cache.get(&one).as_deref(), Some("const apiSchema = [];\n"));
        assert_eq!(cache.get(&release("9.2.11", "4b00")), None);
        assert_eq!(cache.get(&release("9.2.12", "3f2a")), None);
    }

    #[test]
    fn a_torn_or_foreign_file_is_as_good_as_none() {
        let dir = tempfile::tempdir().unwrap();
        let cache = DescriptionCache::below(Utf8Path::from_path(dir.path()).unwrap());
        let one = release("9.2.11", "3f2a");
        cache.put(&one, "const apiSchema = [];\n");
        let path = cache.path(&one).unwrap();
        let whole = std::fs::read_to_string(&path).unwrap();
        for broken in [&whole[..whole.len() - 3], "", "const apiSchema = [];\n", &whole.replace("[]", "{}")] {
            std::fs::write(&path, broken).unwrap();
            assert_eq!(cache.get(&one), None);
        }
    }

    #[test]
    fn a_build_without_a_proper_name_is_not_kept() {
        let dir = tempfile::tempdir().unwrap();
        let cache = DescriptionCache::below(Utf8Path::from_path(dir.path()).unwrap());
        for odd in [release("9.2.11", ""), release("../../etc/x", "1"), release(".9", "1")] {
            cache.put(&odd, "x");
            assert_eq!(cache.get(&odd), None);
        }
    }
}
