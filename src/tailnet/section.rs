//! What we write into a policy: entries of its lists and objects, by key.

use sha2::{Digest, Sha256};

use super::hujson::normalised;

/// Our entries under one key of the policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// `groups`, `tagOwners`, `grants`, `acls`, `ssh` or `tests`.
    pub key: String,
    /// JSON, one line each: elements of a list, or `"name": value` of an object.
    pub entries: Vec<String>,
}

impl Block {
    /// Whether the key holds an object and not a list.
    #[must_use]
    pub fn is_object(&self) -> bool {
        is_object_key(&self.key)
    }
}

/// Whether a key of the policy holds an object and not a list.
pub(super) fn is_object_key(key: &str) -> bool {
    ["groups", "tagOwners", "hosts", "autoApprovers", "ipsets", "postures"]
        .iter()
        .any(|known| known.eq_ignore_ascii_case(key))
}

/// All that we write into a policy, or that was found there as ours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Section {
    /// By key, none of them empty.
    pub blocks: Vec<Block>,
}

impl Section {
    /// What the marks carry: changes with what is said and not with how it is laid out, so that an edit between the
    /// marks shows without any memory of ours.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut blocks: Vec<&Block> = self.blocks.iter().collect();
        blocks.sort_by_key(|block| block.key.to_ascii_lowercase());
        let mut hash = Sha256::new();
        for block in blocks {
            hash.update(block.key.to_ascii_lowercase());
            for entry in &block.entries {
                let value = if block.is_object() { format!("{{{entry}}}") } else { entry.clone() };
                hash.update(b"\n");
                hash.update(normalised(&value).unwrap_or(value));
            }
            hash.update(b"\n\n");
        }
        hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    /// As it is shown: one line per entry under its key.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let entries =
            |block: &Block| block.entries.iter().map(|entry| format!("{}: {entry}", block.key)).collect::<Vec<_>>();
        self.blocks.iter().flat_map(entries).collect()
    }
}
