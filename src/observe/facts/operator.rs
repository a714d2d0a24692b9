//! From where the host sees us come.

use std::net::IpAddr;

use crate::diag::Invalid;
use crate::ports::Output;

/// sshd says it: address and port of the client, address and port of the server.
pub const COMMAND: [&str; 2] = ["printenv", "SSH_CONNECTION"];

/// Reads it. An IPv4 address in IPv6's clothes is one of IPv4, as the firewall sees it.
///
/// # Errors
/// When it is not said, or no address.
pub fn read(output: &Output) -> Result<IpAddr, Invalid> {
    let text = String::from_utf8_lossy(&output.stdout);
    let Some(first) = text.split_whitespace().next() else {
        return Err(Invalid::new("sshd does not say where the connection comes from (SSH_CONNECTION)"));
    };
    let plain = first.split('%').next().unwrap_or(first);
    let address: IpAddr = plain.parse().map_err(|_| Invalid::new(format!("`{first}` is not an address")))?;
    Ok(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::output;

    #[test]
    fn the_client_is_the_first_of_four() {
        let read = |text: &str| read(&output(0, text, "")).map(|address| address.to_string()).ok();
        assert_eq!(read("203.0.113.7 50022 192.168.10.2 22\n").as_deref(), Some("203.0.113.7"));
        assert_eq!(read("::ffff:203.0.113.7 1 ::1 22\n").as_deref(), Some("203.0.113.7"));
        assert_eq!(read("fe80::1%vmbr0 1 fe80::2%vmbr0 22\n").as_deref(), Some("fe80::1"));
        assert_eq!(read(""), None);
    }
}
