//! What a control plane keeps: the policy, devices, keys, and who may ask.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::judge;

/// What every tailnet begins with: everybody reaches everything.
const DEFAULT: &str = "// Access rules of this tailnet, as it was made.\n{\n\t// Declare static groups of users. Use autogroups for all users or users with a specific role.\n\t// \"groups\": {\n\t//  \t\"group:example\": [\"alice@example.com\", \"bob@example.com\"],\n\t// },\n\n\t\"grants\": [\n\t\t// Allow all connections.\n\t\t// Comment this section out if you want to define specific restrictions.\n\t\t{\"src\": [\"*\"], \"dst\": [\"*\"], \"ip\": [\"*\"]},\n\t],\n\n\t// Users may open terminals on their own devices, in check mode.\n\t\"ssh\": [\n\t\t{\n\t\t\t\"action\": \"check\",\n\t\t\t\"src\":    [\"autogroup:member\"],\n\t\t\t\"dst\":    [\"autogroup:self\"],\n\t\t\t\"users\":  [\"autogroup:nonroot\", \"root\"],\n\t\t},\n\t],\n}\n";

/// A device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// `n…CNTRL`.
    pub id: String,
    /// The name that it gave itself.
    pub hostname: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// The login of whoever it belongs to; empty with tags.
    pub user: String,
    /// Its addresses.
    pub addresses: Vec<String>,
    /// Networks that it leads to for others.
    #[serde(default)]
    pub routes: Vec<String>,
    /// Whether it was approved.
    pub authorized: bool,
    /// When its key ends; tagged devices have none by default.
    pub expires: Option<Timestamp>,
}

/// An auth key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// `k…CNTRL`.
    pub id: String,
    /// What a device shows: kept only as its digest, as it can be had once.
    pub digest: String,
    /// Tags of devices that join with it.
    pub tags: Vec<String>,
    /// Whether it may be used several times.
    pub reusable: bool,
    /// Whether devices go with their connection.
    pub ephemeral: bool,
    /// Whether devices need no approval.
    pub preauthorized: bool,
    /// When it was made.
    pub created: Timestamp,
    /// When it ends.
    pub expires: Timestamp,
    /// What it is for.
    pub description: String,
    /// When it was taken back.
    pub revoked: Option<Timestamp>,
    /// Whether a device has used it.
    pub used: bool,
}

/// A tailnet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tailnet {
    /// An API access token that may do everything.
    pub token: String,
    /// One that may only read.
    pub reader: String,
    /// The secret of an OAuth client.
    pub client: String,
    /// What the OAuth client was given last.
    pub access: String,
    /// The policy as it was written.
    pub policy: String,
    /// Whether nobody has ever written it.
    pub untouched: bool,
    /// Devices.
    pub devices: Vec<Device>,
    /// Auth keys.
    pub keys: Vec<Key>,
    /// Counts what was made.
    pub made: u32,
}

fn secret(prefix: &str) -> String {
    let mut dice = fastrand::Rng::new();
    let word: String = (0..32).map(|_| dice.alphanumeric()).collect();
    format!("{prefix}-k{}CNTRL-{word}", dice.u32(1000..))
}

impl Tailnet {
    /// A new one, with the policy that every tailnet begins with.
    #[must_use]
    pub fn new() -> Self {
        Self {
            token: secret("tskey-api"),
            reader: secret("tskey-api"),
            client: secret("tskey-client"),
            access: String::new(),
            policy: DEFAULT.to_owned(),
            untouched: true,
            devices: Vec::new(),
            keys: Vec::new(),
            made: 0,
        }
    }

    /// The tag of the policy that is in force, with its quotation marks.
    #[must_use]
    pub fn etag(&self) -> String {
        format!("\"{}\"", hex(&self.policy))
    }

    /// Adds a device that somebody has brought, such as a phone.
    pub fn add(&mut self, hostname: &str, tags: &[&str], user: &str) -> &Device {
        self.made += 1;
        let number = self.made;
        self.devices.push(Device {
            id: format!("n{number:04}lab11CNTRL"),
            hostname: hostname.to_owned(),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            user: user.to_owned(),
            addresses: vec![
                format!("100.64.{}.{}", number / 250, number % 250 + 1),
                format!("fd7a:115c:a1e0::{:x}", number + 1),
            ],
            routes: Vec::new(),
            authorized: true,
            expires: None,
        });
        self.devices.last().expect("one was just added")
    }

    /// A device shows an auth key: what it becomes, or what `tailscale up` prints.
    ///
    /// # Errors
    /// When the key is unknown, used, taken back or past its time, or its tags have no owner any more.
    pub fn join(&mut self, hostname: &str, key: &str, now: Timestamp) -> Result<Device, String> {
        let (tags, authorized) = self.show(key, now)?;
        let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
        self.add(hostname, &tags, "");
        let device = self.devices.last_mut().expect("one was just added");
        device.authorized = authorized;
        Ok(device.clone())
    }

    /// A device that is listed shows an auth key: it stays what it is called, and has the key's tags and no end.
    ///
    /// # Errors
    /// As [`join`](Self::join).
    pub fn join_again(&mut self, id: &str, hostname: &str, key: &str, now: Timestamp) -> Result<Device, String> {
        let (tags, authorized) = self.show(key, now)?;
        let device = self.devices.iter_mut().find(|device| device.id == id).ok_or("node not found")?;
        let (hostname, user) = (hostname.to_owned(), String::new());
        *device = Device { tags, authorized, hostname, user, expires: None, ..device.clone() };
        Ok(device.clone())
    }

    /// The key of a device ends now: it was logged out.
    pub fn end_key(&mut self, id: &str, now: Timestamp) {
        if let Some(device) = self.devices.iter_mut().find(|device| device.id == id) {
            device.expires = Some(now);
        }
    }

    /// Uses a key up: the tags that it gives, and whether who shows it needs no approval.
    fn show(&mut self, key: &str, now: Timestamp) -> Result<(Vec<String>, bool), String> {
        let digest = hex(key);
        let invalid = || "invalid key: unable to validate API key".to_owned();
        let known = self.keys.iter().position(|key| key.digest == digest).ok_or_else(invalid)?;
        let key = &self.keys[known];
        if key.revoked.is_some() || key.expires <= now || (key.used && !key.reusable) {
            return Err(invalid());
        }
        let (tags, authorized) = (key.tags.clone(), key.preauthorized);
        let owned = judge::tags(&self.policy);
        if let Some(tag) = tags.iter().find(|tag| !owned.contains(*tag)) {
            return Err(format!("requested tags [{tag}] are invalid or not permitted"));
        }
        self.keys[known].used = true;
        Ok((tags, authorized))
    }
}

impl Default for Tailnet {
    fn default() -> Self {
        Self::new()
    }
}

/// SHA-256 in hex.
pub(super) fn hex(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}
