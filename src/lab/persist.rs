//! Keeping worlds on disk: one JSON file per site, replaced whole before an answer goes out.
//!
//! One process owns a state directory at a time. Workers die with the process: those whose time had come
//! when it was last kept are finished at loading, the others end with `unexpected status`, and what they
//! had reserved stays as on a real host whose worker was killed: the configuration of a guest that was being
//! made holds `lock: create` and nothing else, a snapshot stays in `prepare` with the guest's lock. Guests
//! that ran run on.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::LabError;
use super::rules::work;
use super::world::{World, machine};

/// Where one site is kept.
#[derive(Debug, Clone)]
pub struct Store {
    file: PathBuf,
}

/// A state directory that this process owns until it is dropped.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    _lock: File,
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> LabError + '_ {
    move |source| LabError::State { path: path.display().to_string(), source }
}

impl StateDir {
    /// Takes a directory, and makes it if it is not there.
    ///
    /// # Errors
    /// If another process has it, or it cannot be written.
    pub fn open(path: &Path) -> Result<Self, LabError> {
        make_private_dir(path).map_err(failed(path))?;
        let file = path.join("lab.lock");
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true);
        private(&mut options);
        let lock = options.open(&file).map_err(failed(&file))?;
        match fs4::FileExt::try_lock(&lock) {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(_) => Err(LabError::Busy { path: path.display().to_string() }),
        }
    }

    /// A file in it.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The place of a site.
    #[must_use]
    pub fn store(&self, site: &str) -> Store {
        Store { file: self.file(&format!("site-{site}.json")) }
    }
}

impl Store {
    /// The world as it was kept; none, if it was not yet.
    ///
    /// # Errors
    /// If the file is there and cannot be read.
    pub fn load(&self) -> Result<Option<World>, LabError> {
        let text = match fs::read_to_string(&self.file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(&self.file)(error)),
        };
        let mut world: World = serde_json::from_str(&text)
            .map_err(|error| LabError::Format { path: self.file.display().to_string(), why: error.to_string() })?;
        let (version, now_ms) = (world.version, world.now_ms);
        for node in world.nodes.values_mut() {
            // What was kept by an earlier release has no host below Proxmox yet.
            machine::install(node, version, now_ms);
        }
        work::advance(&mut world);
        work::kill_all(&mut world);
        Ok(Some(world))
    }

    /// Keeps a world.
    ///
    /// # Errors
    /// If it cannot be written; the old file is whole then.
    pub fn save(&self, world: &World) -> Result<(), LabError> {
        let text = serde_json::to_vec(world)
            .map_err(|error| LabError::Format { path: self.file.display().to_string(), why: error.to_string() })?;
        write_private(&self.file, &text)
    }
}

/// Replaces a file whole; only its owner may read it.
///
/// # Errors
/// If it cannot be written; the old file is whole then.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), LabError> {
    let temporary = path.with_extension("tmp");
    let mut options = OpenOptions::new();
    options.create(true).truncate(true).write(true);
    private(&mut options);
    let mut file = options.open(&temporary).map_err(failed(&temporary))?;
    file.write_all(bytes).map_err(failed(&temporary))?;
    fs::rename(&temporary, path).map_err(failed(path))
}

/// What is made with these options, only its owner may read.
fn private(options: &mut OpenOptions) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
}

/// Makes a directory and those that it is in, as far as they are not there, for their owner's eyes only.
pub(super) fn make_private_dir(path: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(path)
}
