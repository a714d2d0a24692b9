//! Who listens in a guest: `/proc/net/tcp` and `tcp6`, which every Linux has (proc(5)).

use std::collections::BTreeSet;

/// Prints both; a guest without IPv6 has only the first.
pub const SCRIPT: &str = "cat /proc/net/tcp && cat /proc/net/tcp6 2>/dev/null; true";

/// State of a socket that listens.
const LISTEN: &str = "0A";

/// Ports on which something listens for more than the guest's own loopback.
///
/// # Errors
/// If this is no such table.
pub fn listening(text: &str) -> Result<BTreeSet<u16>, String> {
    if !text.lines().any(|line| line.contains("local_address")) {
        return Err("its /proc/net/tcp cannot be read".to_owned());
    }
    let port = |line: &str| {
        let mut words = line.split_whitespace().skip(1);
        let (address, port) = words.next()?.split_once(':')?;
        let state = words.nth(1)?;
        (state == LISTEN && !is_loopback(address)).then(|| u16::from_str_radix(port, 16).ok())?
    };
    Ok(text.lines().filter_map(port).collect())
}

/// Addresses are words of four bytes, each in the machine's own order: 127.0.0.1 ends in `7F` on x86.
fn is_loopback(address: &str) -> bool {
    match address.len() {
        8 => address.ends_with("7F"),
        _ => {
            address == "00000000000000000000000001000000"
                || (address.starts_with("0000000000000000FFFF0000") && address.ends_with("7F"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid
   0: 0100007F:0CEA 00000000:0000 0A 00000000:00000000 00:00000000 00000000   110        0 23
   1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 24
   2: 0A00000A:0016 0200000A:D431 01 00000000:00000000 02:000A 00000000     0        0 25
  sl  local_address                         remote_address                        st tx_queue
   0: 00000000000000000000000000000000:0FA0 00000000000000000000000000000000:0000 0A 00000000:00000000
   1: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000
   2: 0000000000000000FFFF00000100007F:1F91 0000000000000000FFFF000000000000:0000 0A 00000000:00000000
";

    #[test]
    fn loopback_and_connections_are_no_listeners_for_others() {
        assert_eq!(listening(TABLE), Ok([22, 4000].into()));
        assert!(listening("").is_err());
    }

    #[test]
    fn own_table_is_read() {
        let listener = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
        let text = std::fs::read_to_string("/proc/net/tcp").unwrap();
        assert!(listening(&text).unwrap().contains(&listener.local_addr().unwrap().port()));
    }
}
