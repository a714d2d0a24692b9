//! Property strings: `virtio=AA:…,bridge=vmbr0,firewall=1`.

/// Fields in the order they were written; a field without `=` has an empty key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Properties(pub Vec<(String, String)>);

impl Properties {
    /// Reads a property string; never fails, since PVE's own checks come later.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let fields = text.split(',').filter(|part| !part.is_empty());
        Self(
            fields
                .map(|part| match part.split_once('=') {
                    Some((key, value)) => (key.to_owned(), value.to_owned()),
                    None => (String::new(), part.to_owned()),
                })
                .collect(),
        )
    }

    /// Value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }

    /// Value of the field that needs no key, or of that key.
    #[must_use]
    pub fn head(&self, key: &str) -> Option<&str> {
        self.get("").or_else(|| self.get(key))
    }

    /// Whether a key is on: PVE takes `1`, `on`, `yes`, `true`.
    #[must_use]
    pub fn is_on(&self, key: &str) -> bool {
        self.get(key).is_some_and(truth)
    }

    /// Removes a key and gives its value back.
    pub fn take(&mut self, key: &str) -> Option<String> {
        let at = self.0.iter().position(|(k, _)| k == key)?;
        Some(self.0.remove(at).1)
    }

    /// Sets a key.
    pub fn set(&mut self, key: &str, value: impl Into<String>) {
        let value = value.into();
        match self.0.iter_mut().find(|(k, _)| k == key) {
            Some((_, old)) => *old = value,
            None => self.0.push((key.to_owned(), value)),
        }
    }

    /// Prints `head` and then the rest by key, as PVE's own printer does; `first` come before the others.
    #[must_use]
    pub fn print(&self, head: &str, first: &[&str]) -> String {
        let mut rest: Vec<&(String, String)> = self.0.iter().filter(|(k, _)| !k.is_empty()).collect();
        rest.sort_by_key(|(key, _)| (first.iter().position(|f| f == key).unwrap_or(first.len()), key.clone()));
        let mut out = head.to_owned();
        for (key, value) in rest {
            if !out.is_empty() {
                out.push(',');
            }
            out.push_str(key);
            out.push('=');
            out.push_str(value);
        }
        out
    }
}

/// What PVE takes for true inside a property string.
#[must_use]
pub fn truth(value: &str) -> bool {
    ["1", "on", "yes", "true"].iter().any(|t| value.eq_ignore_ascii_case(t))
}

/// Splits `net12` into `net` and 12.
#[must_use]
pub fn indexed(key: &str) -> Option<(&str, u32)> {
    let digits = key.len() - key.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let (stem, number) = key.split_at(key.len() - digits);
    let padded = number.len() > 1 && number.starts_with('0');
    if stem.is_empty() || padded { None } else { Some((stem, number.parse().ok()?)) }
}

/// Whether a key of a VM names a disk.
#[must_use]
pub fn is_disk(key: &str) -> bool {
    indexed(key).is_some_and(|(stem, n)| match stem {
        "ide" => n < 4,
        "sata" => n < 6,
        "scsi" => n < 31,
        "virtio" => n < 16,
        "efidisk" | "tpmstate" => n == 0,
        _ => false,
    })
}

/// Whether a key of a container names a volume.
#[must_use]
pub fn is_mount(key: &str) -> bool {
    key == "rootfs" || indexed(key).is_some_and(|(stem, n)| stem == "mp" && n < 256)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_printed_in_the_order_of_their_names() {
        let mut properties = Properties::parse("local:1,ssd=1,discard=on");
        properties.take("");
        assert_eq!(properties.print("local:vm-1-disk-0", &[]), "local:vm-1-disk-0,discard=on,ssd=1");
    }

    #[test]
    fn indexed_keys_are_told_apart() {
        assert_eq!(indexed("net12"), Some(("net", 12)));
        assert_eq!(indexed("name"), None);
        assert!(is_disk("scsi30") && !is_disk("scsi31") && !is_disk("scsihw"));
    }
}
