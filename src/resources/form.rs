//! How PVE prints the value of a key, and which texts mean the same.
//!
//! Owns the one table of it, for VMs and containers alike, as far as we set a key. PVE keeps most values byte for byte and
//! re-prints some (`config-round-trip`, 9.2.11), and a person may write the same thing in another way:
//! `agent: 1` is `agent: enabled=1`. Entry: [`Form::of`].

use std::collections::BTreeSet;

use crate::proxmox::options::{Options, truthy, words};

/// How a value is compared and shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As it is, without white space around it.
    Text,
    /// As a boolean: `1`, `yes` and `on` are the same.
    Flag,
    /// As a number: `02` is 2.
    Number,
    /// As an option string in any order; what has no name is the option of this one.
    Options(&'static str),
    /// As a set of words, whatever separates them.
    Words,
    /// As a list of words, whatever separates them: the first is asked first.
    List,
    /// As MiB.
    Mib,
    /// Without white space at its end.
    Notes,
}

/// Options of option strings that are booleans.
const FLAGS: [&str; 22] = [
    "acl",
    "backup",
    "enabled",
    "firewall",
    "force_rw_sys",
    "freeze-fs-on-backup",
    "fstrim_cloned_disks",
    "fuse",
    "iothread",
    "keyctl",
    "link_down",
    "mknod",
    "nesting",
    "pcie",
    "quota",
    "replicate",
    "ro",
    "rombar",
    "shared",
    "ssd",
    "x-vga",
    "deny-write",
];

impl Form {
    /// The form of a key's whole value.
    pub fn of(key: &str) -> Self {
        match key.trim_end_matches(|c: char| c.is_ascii_digit()) {
            "onboot" | "protection" | "allow-ksm" => Self::Flag,
            "balloon" | "cores" | "cpulimit" | "cpuunits" => Self::Number,
            "memory" | "swap" => Self::Mib,
            "description" => Self::Notes,
            "tags" => Self::Words,
            "nameserver" | "searchdomain" => Self::List,
            "agent" => Self::Options("enabled"),
            "cpu" => Self::Options("cputype"),
            "hostpci" => Self::Options("host"),
            "machine" => Self::Options("type"),
            "startup" => Self::Options("order"),
            "cicustom" | "features" | "ipconfig" => Self::Options(""),
            _ => Self::Text,
        }
    }

    /// The form of one option of an option string.
    pub fn of_option(option: &str) -> Self {
        if FLAGS.contains(&option) { Self::Flag } else { Self::Text }
    }

    /// A value as it is compared and shown: what means the same is the same text.
    pub fn show(self, raw: &str) -> String {
        match self {
            Self::Text => raw.trim().to_owned(),
            Self::Flag => i32::from(truthy(raw)).to_string(),
            Self::Number => raw.trim().parse::<f64>().map_or_else(|_| raw.trim().to_owned(), |n| n.to_string()),
            Self::Options(head) => options(raw.trim(), head).to_string(),
            Self::Words => words(raw).into_iter().collect::<Vec<_>>().join(" "),
            Self::List => {
                let mut seen = BTreeSet::new();
                let list = raw.split([';', ',', ' ']).filter(|word| !word.is_empty()).map(str::to_lowercase);
                list.filter(|word| seen.insert(word.clone())).collect::<Vec<_>>().join(" ")
            }
            Self::Mib => {
                let number = raw.trim().trim_start_matches("current=").trim_start_matches('0');
                format!("{} MiB", if number.is_empty() { "0" } else { number })
            }
            Self::Notes => raw.trim_end().to_owned(),
        }
    }
}

/// Options with the default one in front, without its name, and booleans as PVE's own screens write them.
fn options(raw: &str, head: &str) -> Options {
    let mut options = Options::parse(raw);
    if let Some(value) = options.named.remove(head) {
        options.head.get_or_insert(value);
    }
    let flag = |value: &mut String| *value = i32::from(truthy(value)).to_string();
    if FLAGS.contains(&head)
        && let Some(value) = &mut options.head
    {
        flag(value);
    }
    options.named.iter_mut().filter(|(name, _)| FLAGS.contains(&name.as_str())).for_each(|(_, value)| flag(value));
    options
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde_json::Value;

    use super::*;
    use crate::model::observed::GuestConfig;
    use crate::resources::setting::{Setting, Settled, settle};

    #[derive(Deserialize)]
    struct Row {
        kind: String,
        key: String,
        put: String,
        status: u16,
        #[serde(default)]
        get: Value,
    }

    /// Keys whose value names a volume or carries a MAC: they are never compared as a whole, only by
    /// the options that we set.
    const BY_OPTION: [&str; 4] = ["ide2", "net0", "scsi0", "tpmstate0"];

    /// Texts that say the same in two ways, by key. All others differ.
    const SAME: &[(&str, &[&str])] = &[
        ("agent", &["1", "enabled=1"]),
        ("cpu", &["host", "cputype=host"]),
        ("description", &["x", "x\n", "x\n\n"]),
        ("machine", &["q35", "type=q35"]),
        ("memory", &["512", "current=512", "0512"]),
        ("nameserver", &["1.1.1.1 8.8.8.8", "1.1.1.1,8.8.8.8"]),
        ("startup", &["1", "order=1"]),
        ("tags", &["a;b", "a,b"]),
    ];

    fn rows() -> Option<Vec<Row>> {
        let root = std::env::var_os("INFRA_SHARED").map(std::path::PathBuf::from);
        let root = root.unwrap_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/../shared").into());
        let text = std::fs::read(root.join("pve/config-round-trip-9.2.json")).ok()?;
        let rows: Vec<Row> = serde_json::from_slice(&text).unwrap();
        Some(rows.into_iter().filter(|row| row.status == 200).collect())
    }

    fn text(value: &Value) -> String {
        value.as_str().map_or_else(|| value.to_string(), str::to_owned)
    }

    /// What we would ask for with this value: the whole of it, or option by option.
    fn wanted(key: &str, put: &str) -> Vec<Setting> {
        if !BY_OPTION.contains(&key) {
            return vec![Setting::live(key, put, None)];
        }
        // Volume, size, model and MAC are given at creation and are PVE's from then on.
        let not_ours = |name: &str| ["size", "file", "virtio", "model", "macaddr", "hwaddr"].contains(&name);
        let named = Options::parse(put).named.into_iter().filter(|(name, _)| !not_ours(name));
        named.map(|(name, value)| Setting::option(key, &name, Some(value), None)).collect()
    }

    fn against(key: &str, put: &str, get: &str) -> Settled {
        let current = BTreeMap::from([(key.to_owned(), get.to_owned())]);
        settle(&wanted(key, put), &GuestConfig { current, ..GuestConfig::default() }, true)
    }

    /// What a text says, as far as it is ours.
    fn says(key: &str, text: &str) -> Vec<String> {
        if BY_OPTION.contains(&key) {
            return wanted(key, text).iter().map(|s| format!("{} {:?}", s.path, s.desired())).collect();
        }
        let same = SAME.iter().find(|(of, texts)| *of == key && texts.contains(&text));
        vec![same.map_or_else(|| text.to_owned(), |(_, texts)| texts[0].to_owned())]
    }

    #[test]
    fn what_pve_reprints_is_never_a_difference_and_what_differs_always_is() {
        let Some(rows) = rows() else {
            println!("not run: the recorded round trips are not here (set INFRA_SHARED)");
            return;
        };
        let (mut same, mut different) = (0, 0);
        for row in &rows {
            let settled = against(&row.key, &row.put, &text(&row.get));
            assert_eq!(settled, Settled::default(), "{} {}={}", row.kind, row.key, row.put);
            same += 1;
            for other in rows.iter().filter(|other| (&other.kind, &other.key) == (&row.kind, &row.key)) {
                let (ours, theirs) = (text(&row.get), text(&other.get));
                let (ours, theirs) = (says(&row.key, &ours), says(&row.key, &theirs));
                let differs = if BY_OPTION.contains(&row.key.as_str()) {
                    ours.iter().any(|said| !theirs.contains(said))
                } else {
                    ours != theirs
                };
                let settled = against(&row.key, &row.put, &text(&other.get));
                assert_eq!(
                    !settled.differences.is_empty(),
                    differs,
                    "{} {}={} against {}",
                    row.kind,
                    row.key,
                    row.put,
                    other.get
                );
                different += u32::from(differs);
            }
        }
        println!("{same} values read back without a difference, {different} pairs of different values differ");
        assert!(same > 130 && different > 200);
    }

    #[test]
    fn a_mac_stays_when_a_nic_is_rewritten() {
        for (nic, mac) in [
            ("virtio=BC:24:11:AA:BB:01,bridge=vmbr0", "virtio=BC:24:11:AA:BB:01"),
            ("name=eth0,bridge=vmbr0,hwaddr=BC:24:11:AA:BB:02,type=veth", "hwaddr=BC:24:11:AA:BB:02"),
        ] {
            let current = BTreeMap::from([("net0".to_owned(), nic.to_owned())]);
            let wanted = [Setting::option("net0", "tag", Some("7".into()), None)];
            let settled = settle(&wanted, &GuestConfig { current, ..GuestConfig::default() }, true);
            let written = settled.write["net0"].clone().unwrap();
            assert!(written.contains(mac) && written.contains("tag=7"), "{written}");
        }
    }

    #[test]
    fn what_is_asked_first_is_part_of_a_list_of_name_servers() {
        let list = Form::of("nameserver");
        assert_eq!(list.show("192.0.2.1,192.0.2.2"), list.show("192.0.2.1 192.0.2.2"));
        assert_ne!(list.show("192.0.2.1 192.0.2.2"), list.show("192.0.2.2 192.0.2.1"));
    }
}
