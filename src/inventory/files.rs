//! Texts as they were read.

use camino::Utf8PathBuf;

/// Everything that an inventory is made from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InventoryFiles {
    /// One per `-i PATH`; later ones override earlier ones.
    pub layers: Vec<Layer>,
    /// Profiles; of two with the same file name the later one counts.
    pub profiles: Vec<SourceFile>,
    /// Folders of services, `templates/<service>/`: `template.yaml` and the `*.j2` beside it. They count before those that
    /// come with the program; of two of one path below `templates/` the later one counts.
    pub templates: Vec<SourceFile>,
}

/// Files of equal rank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// The path that was asked for.
    pub path: Utf8PathBuf,
    /// Its files, sorted by path.
    pub files: Vec<SourceFile>,
}

/// One file with its bytes, or why there are none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Its path as a person should see it.
    pub path: Utf8PathBuf,
    /// Its bytes, or why they could not be read.
    pub content: Result<Vec<u8>, String>,
}

impl SourceFile {
    /// A file that was read.
    pub fn new(path: impl Into<Utf8PathBuf>, content: impl Into<Vec<u8>>) -> Self {
        Self { path: path.into(), content: Ok(content.into()) }
    }
}
