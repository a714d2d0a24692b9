//! What `infra secrets` answers, for a person and as JSON. No value of a secret is in any of it.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Role, Terminal, join_and};

/// The secrets of an inventory.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "infra secrets")]
pub struct SecretsDocument {
    /// Version of this format.
    pub format: u32,
    /// Whose they are.
    pub inventory: String,
    /// Where this program keeps secrets itself.
    pub store: String,
    /// Whether they are encrypted there.
    pub encrypted: bool,
    /// Each of them, by name.
    pub secrets: Vec<SecretDocument>,
}

impl SecretsDocument {
    /// The version of the format.
    pub const FORMAT: u32 = 1;
}

/// One secret.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SecretDocument {
    /// Its name, without `secret:`.
    pub name: String,
    /// Who needs it: a service as `guest/service`.
    pub needed_by: Vec<String>,
    /// Whether it is made by itself if nobody has it.
    pub generated: bool,
    /// Where it is looked for, in this order.
    pub places: Vec<String>,
    /// Whether this program keeps it itself.
    pub kept: bool,
    /// Whether it was replaced, and the value before it is kept until nobody holds it any more.
    pub replaced: bool,
    /// How it stands; only from `check`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<SecretStatus>,
    /// Where it was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// Why it cannot be had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// What to do about that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// How it stands with a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SecretStatus {
    /// It can be had.
    There,
    /// It is made when it is needed.
    WillBeMade,
    /// A person is asked when it is needed.
    WillBeAsked,
    /// It cannot be had.
    Missing,
}

/// A secret with another value.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "infra secrets set, rotate")]
pub struct ReplacedDocument {
    /// Version of this format.
    pub format: u32,
    /// Whose secret it is.
    pub inventory: String,
    /// Its name.
    pub secret: String,
    /// Where it is kept.
    pub store: String,
    /// Whether it is encrypted there.
    pub encrypted: bool,
    /// Whether the value before it is kept.
    pub replaced: bool,
    /// Services that have to be deployed again, as `guest/service`.
    pub deploy: Vec<String>,
}

impl ReplacedDocument {
    /// The version of the format.
    pub const FORMAT: u32 = 1;
}

/// The schema of [`SecretsDocument`].
#[must_use]
pub fn secrets_schema() -> schemars::Schema {
    schemars::schema_for!(SecretsDocument)
}

/// A line per secret, and what is to do about those that are missing.
#[must_use]
pub fn secrets_text(document: &SecretsDocument, terminal: &Terminal) -> String {
    let mut out = String::new();
    if document.secrets.is_empty() {
        return format!("{} needs no secret\n", document.inventory);
    }
    let width = document.secrets.iter().map(|own| own.name.len()).max().unwrap_or_default();
    for own in &document.secrets {
        let (role, word) = standing(own);
        let users = join_and(&own.needed_by);
        out.push_str(&format!("{:width$}  {}  {users}\n", own.name, terminal.paint(role, format!("{word:14}"))));
        let mut below = |text: String| out.push_str(&format!("{:width$}  {text}\n", ""));
        if own.replaced {
            below("replaced; the value before it is kept until everything was applied".to_owned());
        }
        match (&own.problem, &own.place, own.status) {
            (Some(problem), ..) => below(problem.clone()),
            (None, Some(place), _) => below(format!("in {place}")),
            (None, None, None) => below(format!("looked for in {}", own.places.join(", then "))),
            (None, None, Some(_)) => {}
        }
        if let Some(hint) = &own.hint {
            below(format!("→ {hint}"));
        }
    }
    let how = if document.encrypted { "encrypted" } else { "for nobody else to read, not encrypted" };
    out.push_str(&format!("\ninfra itself keeps secrets in {} ({how})\n", document.store));
    out
}

fn standing(own: &SecretDocument) -> (Role, &'static str) {
    match own.status {
        Some(SecretStatus::There) => (Role::Good, "there"),
        Some(SecretStatus::WillBeMade) => (Role::Change, "will be made"),
        Some(SecretStatus::WillBeAsked) => (Role::Change, "will be asked"),
        Some(SecretStatus::Missing) => (Role::Bad, "missing"),
        None if own.kept => (Role::Good, "kept by infra"),
        None if own.generated => (Role::Faint, "made if needed"),
        None => (Role::Faint, "given"),
    }
}

/// What was done, and what is left to do.
#[must_use]
pub fn replaced_text(document: &ReplacedDocument) -> String {
    let how = if document.encrypted { "encrypted" } else { "for nobody else to read, not encrypted" };
    let mut out = format!("`{}` is kept in {} ({how})\n", document.secret, document.store);
    if document.replaced {
        out.push_str(
            "the value before it is kept until everything was applied; `infra secrets rotate --back` brings it back\n",
        );
    }
    if !document.deploy.is_empty() {
        out.push_str(&format!("in force once {} is deployed again: infra apply\n", join_and(&document.deploy)));
    }
    out
}
