//! What listens on a host: who would miss it once its firewall drops what nobody allowed.

use std::collections::BTreeSet;

use super::text;
use crate::diag::Invalid;
use crate::model::Transport;
use crate::model::entrance::Listener;
use crate::ports::Output;

/// Sockets that wait for somebody, without a headline and with the program (iproute2 is part of Proxmox VE).
pub const COMMAND: [&str; 2] = ["ss", "-Hlntup"];

/// Reads them, but for those on loopback, which no firewall stands before.
///
/// # Errors
/// When it failed, or a line is none of it.
pub fn read(output: &Output) -> Result<BTreeSet<Listener>, Invalid> {
    let said = text::good(output, "ss")?;
    let mut listeners = BTreeSet::new();
    for line in said.lines().filter(|line| !line.trim().is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let no_line = || Invalid::new(format!("`{line}` is no line of `ss`"));
        let [protocol, _, _, _, local, _, rest @ ..] = &words[..] else { return Err(no_line()) };
        let transport = match *protocol {
            "tcp" => Transport::Tcp,
            "udp" => Transport::Udp,
            _ => continue,
        };
        let (address, port) = local.rsplit_once(':').ok_or_else(no_line)?;
        let port = port.parse().map_err(|_| no_line())?;
        let address = address.trim_start_matches('[').trim_end_matches(']');
        let address = address.split('%').next().unwrap_or(address).trim_end_matches(']');
        let address = match address {
            "*" => None,
            text => Some(text.parse::<std::net::IpAddr>().map_err(|_| no_line())?.to_canonical()),
        };
        if address.is_some_and(|address| address.is_loopback()) {
            continue;
        }
        // `users:(("sshd",pid=1,fd=3),…`: the first is enough.
        let program = rest.join(" ").split('"').nth(1).map(str::to_owned);
        listeners.insert(Listener { transport, port, program });
    }
    Ok(listeners)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::output;

    #[test]
    fn listeners_are_read_with_their_programs_and_without_loopback() {
        let said = "udp   UNCONN 0      0            0.0.0.0:111        0.0.0.0:*    users:((\"rpcbind\",pid=1,fd=5),(\"systemd\",pid=1,fd=36))\n\
                    udp   UNCONN 0      0          127.0.0.1:323        0.0.0.0:*    users:((\"chronyd\",pid=2,fd=5))\n\
                    udp   UNCONN 0      0       [fe80::1]%vmbr0:546           [::]:*\n\
                    tcp   LISTEN 0      4096               *:8006             *:*    users:((\"pveproxy worker\",pid=3,fd=6))\n\
                    tcp   LISTEN 0      128             [::]:22             [::]:*    users:((\"sshd\",pid=4,fd=4))\n\
                    tcp   LISTEN 0      100             [::1]:25            [::]:*    users:((\"master\",pid=5,fd=14))\n";
        let listeners = read(&output(0, said, "")).unwrap();
        let shown: Vec<String> = listeners.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["tcp 22 (sshd)", "tcp 8006 (pveproxy worker)", "udp 111 (rpcbind)", "udp 546"]);
        assert!(read(&output(0, "nonsense\n", "")).is_err());
        assert!(read(&output(127, "", "sh: ss: not found\n")).is_err());
    }
}
