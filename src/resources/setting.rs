//! One setting of a guest's configuration: what it shall be, and how it reads back.
//!
//! PVE re-prints some of what it is given and keeps the rest byte for byte (`config-round-trip`,
//! 9.2.11), so a setting is compared by meaning ([`Form`]): a whole value, or one option of an option string.
//! What we do not manage in an option string (a MAC, a volume id) stays as it is when we rewrite it.

use std::collections::BTreeMap;

use super::difference::Difference;
use super::form::Form;
use crate::model::observed::GuestConfig;
use crate::proxmox::options::Options;

/// One managed setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its name in the plan, such as `memory` or `net0.bridge`.
    pub path: String,
    /// Its key in the configuration.
    pub key: String,
    /// Which option of the key's option string; the whole value otherwise.
    pub option: Option<String>,
    /// What it shall be; `None` for "not set".
    pub want: Option<String>,
    /// What PVE means where it is not set.
    pub default: Option<&'static str>,
    /// How it is compared and shown.
    pub form: Form,
    /// Whether a running guest takes it only with a restart.
    pub restart: bool,
    /// What an option string begins with where there is none at all, such as a NIC's model.
    pub base: &'static str,
}

impl Setting {
    /// A whole value that a running guest takes at once.
    pub fn live(key: &str, want: impl ToString, default: Option<&'static str>) -> Self {
        Self {
            path: key.to_owned(),
            key: key.to_owned(),
            option: None,
            want: Some(want.to_string()),
            default,
            form: Form::of(key),
            restart: false,
            base: "",
        }
    }

    /// A whole value that a running guest takes only with a restart.
    pub fn cold(key: &str, want: impl ToString, default: Option<&'static str>) -> Self {
        Self { restart: true, ..Self::live(key, want, default) }
    }

    /// One option of an option string.
    pub fn option(key: &str, option: &str, want: Option<String>, default: Option<&'static str>) -> Self {
        Self {
            path: format!("{key}.{option}"),
            key: key.to_owned(),
            option: Some(option.to_owned()),
            want,
            default,
            form: Form::of_option(option),
            restart: false,
            base: "",
        }
    }

    /// Beginning like this, where the whole option string is gone.
    pub fn based_on(self, base: &'static str) -> Self {
        Self { base, ..self }
    }

    /// Wanted only if there is a value; "not set" otherwise.
    pub fn maybe(self, want: Option<String>) -> Self {
        Self { want, ..self }
    }

    /// Taken only with a restart.
    pub fn restart(self) -> Self {
        Self { restart: true, ..self }
    }

    fn shown(&self, raw: Option<&str>) -> Option<String> {
        let raw = raw.filter(|raw| !raw.trim().is_empty()).or(self.default)?;
        Some(self.form.show(raw))
    }

    /// What it shall be, as it is shown.
    pub fn desired(&self) -> Option<String> {
        self.shown(self.want.as_deref())
    }

    fn read(&self, value: Option<&str>) -> Option<String> {
        match &self.option {
            None => self.shown(value),
            Some(option) => self.shown(value.map(Options::parse).as_ref().and_then(|o| o.get(option))),
        }
    }

    /// What it is right now, as it is shown.
    pub fn active(&self, config: &GuestConfig) -> Option<String> {
        self.read(config.active(&self.key))
    }

    /// What it will be after the next start, as it is shown.
    pub fn coming(&self, config: &GuestConfig) -> Option<String> {
        self.read(config.coming(&self.key))
    }
}

/// What of the settings differs, and what has to be written to mend it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settled {
    /// What differs from what is active.
    pub differences: Vec<Difference>,
    /// Keys to write: a value, or `None` to delete.
    pub write: BTreeMap<String, Option<String>>,
}

/// Holds settings against a configuration.
pub fn settle(settings: &[Setting], config: &GuestConfig, running: bool) -> Settled {
    let mut settled = Settled::default();
    for setting in settings {
        let (want, coming) = (setting.desired(), setting.coming(config));
        // A guest that does not run has nothing active: PVE keeps what was pending until the next start.
        let active = if running { setting.active(config) } else { coming.clone() };
        if want == active && want == coming {
            continue;
        }
        let waits = want == coming;
        let revoked = want == active;
        settled.differences.push(Difference {
            path: setting.path.clone(),
            from: if revoked { coming } else { active },
            to: want.clone(),
            restart: running && !revoked && (setting.restart || waits),
        });
        if waits {
            continue;
        }
        let value = match &setting.option {
            None => setting.want.clone(),
            Some(option) => {
                let before = match settled.write.get(&setting.key) {
                    Some(written) => written.as_deref(),
                    None => config.coming(&setting.key),
                };
                let mut options = Options::parse(before.unwrap_or(setting.base));
                match &setting.want {
                    Some(want) => options.named.insert(option.clone(), want.clone()),
                    None => options.named.remove(option),
                };
                Some(options.to_string()).filter(|text| !text.is_empty())
            }
        };
        settled.write.insert(setting.key.clone(), value);
    }
    settled
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(current: &[(&str, &str)], pending: &[(&str, Option<&str>)]) -> GuestConfig {
        GuestConfig {
            current: current.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            pending: pending.iter().map(|(k, v)| ((*k).to_owned(), v.map(str::to_owned))).collect(),
            digest: None,
        }
    }

    #[test]
    fn what_pve_merely_reprinted_is_no_difference() {
        let settings = [
            Setting::option("net0", "bridge", Some("vmbr0".into()), None),
            Setting::live("tags", "zeta;alpha;Beta", None),
            Setting::live("onboot", 0, Some("0")),
            Setting::live("description", "one", None),
            Setting::live("nameserver", "192.0.2.1,1.1.1.1", None),
        ];
        let config = config(
            &[
                ("net0", "virtio=BC:24:11:00:00:01,bridge=vmbr0,firewall=1"),
                ("tags", "alpha;beta;zeta"),
                ("description", "one\n"),
                ("nameserver", "192.0.2.1 1.1.1.1"),
            ],
            &[],
        );
        assert_eq!(settle(&settings, &config, true), Settled::default());
    }

    #[test]
    fn what_is_not_ours_in_an_option_string_stays() {
        let settings =
            [Setting::option("net0", "bridge", Some("vmbr1".into()), None), Setting::option("net0", "tag", None, None)];
        let config = config(&[("net0", "virtio=BC:24:11:00:00:01,bridge=vmbr0,rate=5,tag=20")], &[]);
        let settled = settle(&settings, &config, true);
        assert_eq!(settled.write["net0"].as_deref(), Some("bridge=vmbr1,rate=5,virtio=BC:24:11:00:00:01"));
        assert_eq!(settled.differences.len(), 2);
    }

    #[test]
    fn a_nic_that_is_gone_is_made_whole_again() {
        let settings = [Setting::option("net0", "bridge", Some("vmbr1".into()), None).based_on("virtio")];
        let settled = settle(&settings, &config(&[], &[]), false);
        assert_eq!(settled.write["net0"].as_deref(), Some("virtio,bridge=vmbr1"));
    }

    #[test]
    fn what_waits_for_a_restart_is_not_written_again() {
        let settings = [Setting::cold("memory", 2048, None)];
        let waiting = config(&[("memory", "1024")], &[("memory", Some("2048"))]);
        let settled = settle(&settings, &waiting, true);
        assert!(settled.write.is_empty());
        assert!(settled.differences[0].restart);
        assert_eq!(settled.differences[0].from.as_deref(), Some("1024 MiB"));
    }

    #[test]
    fn stopped_guest_is_what_it_will_be() {
        let settings = [Setting::cold("memory", 2048, None)];
        let waiting = config(&[("memory", "1024")], &[("memory", Some("2048"))]);
        assert_eq!(settle(&settings, &waiting, false), Settled::default());
    }

    #[test]
    fn pending_change_that_nobody_wants_is_written_over() {
        let settings = [Setting::cold("memory", 1024, None)];
        let waiting = config(&[("memory", "1024")], &[("memory", Some("2048"))]);
        assert_eq!(settle(&settings, &waiting, true).write["memory"].as_deref(), Some("1024"));
    }
}
