//! SOPS: a file of its, opened whole and once (`sops --decrypt`, <https://getsops.io>).

use camino::Utf8PathBuf;
use secrecy::SecretString;

use super::error::Failure;
use super::map::{self, MapFile, SecretMap};
use super::tool::{Known, Tool};
use super::{Provider, SecretError};

/// What SOPS 3 says.
const KNOWN: [Known; 4] = [
    Known {
        says: "failed to get the data key",
        why: "none of the keys on this machine opens it",
        hint: "see `sops filestatus FILE` and where your key is: SOPS_AGE_KEY_FILE, gpg, or the cloud's login",
    },
    Known {
        says: "metadata not found",
        why: "it is not encrypted with SOPS",
        hint: "encrypt it: `sops --encrypt --in-place FILE`",
    },
    Known {
        says: "mac mismatch",
        why: "somebody changed it without SOPS: its checksum does not fit",
        hint: "take it from version control again, and change it with `sops FILE`",
    },
    Known {
        says: "error unmarshalling",
        why: "it is not what the end of its name says, or not encrypted with SOPS",
        hint: "look at it with `sops FILE`",
    },
];

/// A file of SOPS.
pub struct Sops {
    file: Utf8PathBuf,
    map: MapFile,
}

impl Sops {
    /// `file`, whose name says its form as SOPS itself reads it.
    #[must_use]
    pub fn new(file: Utf8PathBuf) -> Self {
        let map = MapFile::new(format!("the SOPS file {file}"));
        Self { file, map }
    }

    fn open(&self) -> Result<SecretMap, Failure> {
        if !self.file.exists() {
            return Err(Failure::new(format!("there is no file {}", self.file)));
        }
        // Whatever the file is, JSON is what comes out: nothing has to be guessed.
        let args = ["--decrypt", "--output-type", "json", self.file.as_str()];
        let json = Tool::new("sops").args(args).run(None)?.answer(&KNOWN)?;
        map::read("opened.json".into(), &json)
    }
}

impl Provider for Sops {
    fn place(&self, name: &str, at: Option<&str>) -> String {
        self.map.place(name, at)
    }

    fn get(&self, name: &str, at: Option<&str>) -> Result<Option<SecretString>, SecretError> {
        self.map.get(name, at, || self.open())
    }
}
