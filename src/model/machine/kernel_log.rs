//! What the kernel said.

use serde::{Deserialize, Serialize};

use crate::model::PciAddress;

/// Lines of the kernel's log since boot that are about devices, oldest first, without those that never matter.
///
/// Complete only as long as the ring buffer still holds the first line of the boot: on a host that is up for weeks
/// what is not in it may have been in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelLog {
    /// The lines, with their time stamps.
    pub lines: Vec<String>,
}

impl KernelLog {
    /// Lines that hold a text, whatever its case.
    pub fn about<'a>(&'a self, text: &'a str) -> impl Iterator<Item = &'a str> {
        let text = text.to_ascii_lowercase();
        self.lines.iter().map(String::as_str).filter(move |line| line.to_ascii_lowercase().contains(&text))
    }

    /// Lines about a function, or about any function of a device.
    pub fn of<'a>(&'a self, address: &'a PciAddress) -> impl Iterator<Item = &'a str> {
        let text = address.to_string();
        self.lines.iter().map(String::as_str).filter(move |line| {
            line.match_indices(&text).any(|(at, _)| {
                let after = line[at + text.len()..].bytes().next();
                let before = line[..at].bytes().next_back();
                // `0000:01:00.1` is no `0000:01:00.10`, and `10000:01:00` is no `0000:01:00`.
                !before.is_some_and(|b| b.is_ascii_hexdigit()) && !after.is_some_and(|b| b.is_ascii_hexdigit())
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_device_are_not_those_of_its_neighbour() {
        let log = KernelLog {
            lines: vec![
                "[1.0] vfio-pci 0000:01:00.0: one".into(),
                "[2.0] vfio-pci 0000:01:00.1: two".into(),
                "[3.0] nvme 10000:01:00.0: three".into(),
            ],
        };
        let lines = |address: &str| log.of(&address.parse().unwrap()).count();
        assert_eq!((lines("0000:01:00"), lines("0000:01:00.1"), lines("0000:01:00.2")), (2, 1, 0));
        assert_eq!(log.about("VFIO").count(), 2);
    }
}
