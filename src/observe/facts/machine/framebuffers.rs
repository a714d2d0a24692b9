//! Where the firmware's console is drawn.

use super::super::text;
use crate::diag::Invalid;
use crate::model::PciAddress;
use crate::model::machine::BootFramebuffer;
use crate::ports::Output;

/// Asks for it.
pub const COMMANDS: &[&[&str]] = &[&["cat", "/proc/iomem"]];

/// Reads it: whose memory a range is in, is told by how far it is indented.
///
/// # Errors
/// When the file could not be read.
pub fn read(outputs: &[Output]) -> Result<Vec<BootFramebuffer>, Invalid> {
    let [map] = outputs else { return Err(Invalid::new("not asked for")) };
    let map = text::good(map, "cat")?;
    let mut around: Vec<(usize, Option<PciAddress>)> = Vec::new();
    let mut found = Vec::new();
    for line in map.lines() {
        let Some((range, name)) = line.split_once(" : ") else { continue };
        let depth = range.len() - range.trim_start().len();
        around.retain(|(other, _)| *other < depth);
        if matches!(name, "BOOTFB" | "efifb" | "vesafb" | "simplefb" | "simple-framebuffer") {
            found.push(BootFramebuffer {
                name: name.to_owned(),
                range: range.trim().to_owned(),
                function: around.iter().rev().find_map(|(_, function)| function.clone()),
            });
        }
        around.push((depth, name.parse().ok()));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::output;

    #[test]
    fn a_framebuffer_is_in_the_memory_of_a_function() {
        let map = "00000000-00000fff : Reserved\n\
                   a0000000-efffffff : PCI Bus 0000:00\n\
                   \x20 c0000000-d1ffffff : PCI Bus 0000:01\n\
                   \x20   c0000000-cfffffff : 0000:01:00.0\n\
                   \x20     c0000000-c03e7fff : BOOTFB\n\
                   \x20   d0000000-d1ffffff : 0000:01:00.0\n\
                   fd000000-fdffffff : efifb\n";
        let found = read(&[output(0, map, "")]).unwrap();
        let of = |at: usize| found[at].function.as_ref().map(ToString::to_string);
        assert_eq!((found[0].name.as_str(), of(0).as_deref()), ("BOOTFB", Some("0000:01:00.0")));
        assert_eq!((found[1].name.as_str(), of(1)), ("efifb", None));
        assert!(read(&[output(1, "", "cat: /proc/iomem: Permission denied\n")]).is_err());
    }
}
