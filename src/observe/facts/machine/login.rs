//! How we are logged in, and who the host says that it is.

use std::collections::BTreeSet;

use super::super::text;
use crate::diag::Invalid;
use crate::model::machine::Login;
use crate::ports::Output;

/// Asks for it. `printenv` says nothing and ends with 1 where the variable is not set.
pub const COMMANDS: &[&[&str]] = &[
    &["id", "-u"],
    &["printenv", "SSH_CONNECTION"],
    &["find", "/etc/ssh", "-name", "ssh_host_*_key.pub", "-exec", "cat", "{}", "+"],
];

/// Reads it.
///
/// # Errors
/// When not even our user id is known.
pub fn read(outputs: &[Output]) -> Result<Login, Invalid> {
    let [id, connection, keys] = outputs else { return Err(Invalid::new("not asked for")) };
    let id = text::good(id, "id")?;
    let connection = String::from_utf8_lossy(&connection.stdout).into_owned();
    let without_comment = |line: &str| {
        let mut words = line.split_whitespace();
        Some(format!("{} {}", words.next()?, words.next()?))
    };
    let host_keys: BTreeSet<String> =
        String::from_utf8_lossy(&keys.stdout).lines().filter_map(without_comment).collect();
    Ok(Login {
        uid: id.trim().parse().map_err(|_| Invalid::new(format!("`id -u` printed `{}`", id.trim())))?,
        source: connection.split_whitespace().next().and_then(|address| address.parse().ok()),
        host_keys,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::output;

    #[test]
    fn who_we_are_and_where_we_come_from() {
        let outputs = [
            output(0, "0\n", ""),
            output(0, "192.0.2.7 50122 192.168.10.2 22\n", ""),
            output(0, "ssh-ed25519 AAAAC3Nz root@hq\necdsa-sha2-nistp256 AAAAE2Vj root@hq\n\n", ""),
        ];
        let login = read(&outputs).unwrap();
        assert_eq!((login.uid, login.source), (0, Some("192.0.2.7".parse().unwrap())));
        assert!(login.host_keys.contains("ssh-ed25519 AAAAC3Nz") && login.host_keys.len() == 2);
        let bare = read(&[output(0, "0\n", ""), output(1, "", ""), output(1, "", "find: no\n")]).unwrap();
        assert_eq!((bare.source, bare.host_keys.len()), (None, 0));
        assert!(read(&[output(0, "root\n", ""), output(1, "", ""), output(1, "", "")]).is_err());
    }
}
