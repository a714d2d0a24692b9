//! Which VM has which PCI function.

use super::super::text;
use crate::diag::Invalid;
use crate::model::machine::{PciReservation, ReservationHolds};
use crate::ports::Output;

/// Asks for them.
pub const COMMANDS: &[&[&str]] = &[&["cat", "/run/qemu-server/pci-id-reservations"]];

/// Reads them: lines such as `0000:01:00.0 100 pid:4242`. There is no file before the first VM with a device started.
///
/// # Errors
/// When the file could not be read. Lines that PVE would not understand are left out, as PVE does.
pub fn read(outputs: &[Output]) -> Result<Vec<PciReservation>, Invalid> {
    let [file] = outputs else { return Err(Invalid::new("not asked for")) };
    let text = text::file(file)?.unwrap_or_default();
    Ok(text.lines().filter_map(line).collect())
}

fn line(line: &str) -> Option<PciReservation> {
    let mut parts = line.split_whitespace();
    let (address, vmid, holds) = (parts.next()?, parts.next()?, parts.next()?);
    let holds = match holds.split_once(':')? {
        ("pid", pid) => ReservationHolds::Process(pid.parse().ok()?),
        ("time", time) => ReservationHolds::Until(time.parse().ok()?),
        _ => return None,
    };
    Some(PciReservation { address: address.parse().ok()?, vmid: vmid.parse().ok()?, holds })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::output;

    #[test]
    fn no_file_is_no_reservation_and_a_directory_that_is_denied_is_unknown() {
        let none = output(1, "", "cat: /run/qemu-server/pci-id-reservations: No such file or directory\n");
        assert_eq!(read(&[none]).unwrap(), []);
        let text = "0000:01:00.0 100 pid:4242\n0000:01:00.1 100 time:1763748000\nnonsense\n0000:02:00.0 x pid:1\n";
        let found = read(&[output(0, text, "")]).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].holds, ReservationHolds::Process(4242));
        assert_eq!(found[1].holds, ReservationHolds::Until(1_763_748_000));
        assert!(read(&[output(1, "", "cat: /run/qemu-server/x: Permission denied\n")]).is_err());
    }
}
