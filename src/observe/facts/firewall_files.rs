//! Every firewall file of a cluster but the datacenter's: of nodes, of guests whoever they are of, of VNets.

use std::collections::BTreeMap;

use super::text;
use crate::diag::Invalid;
use crate::model::observed::GuestFirewall;
use crate::ports::Output;
use crate::proxmox::firewall_file;

/// Prints every line with its file. Nothing but firewall files is opened: there are private keys beside them.
pub const COMMAND: [&str; 5] = ["grep", "-rH", "--include=*.fw", "", "/etc/pve"];

const DATACENTER: &str = "/etc/pve/firewall/cluster.fw";

/// Reads them, by path.
///
/// # Errors
/// When a file or directory could not be read.
pub fn read(output: &Output) -> Result<BTreeMap<String, GuestFirewall>, Invalid> {
    // 1 is "no line at all".
    if output.code > 1 || (output.code == 1 && !output.stdout.is_empty()) {
        return Err(text::failed(output, "grep"));
    }
    let mut files: BTreeMap<&str, String> = BTreeMap::new();
    let said = String::from_utf8_lossy(&output.stdout);
    for line in said.lines() {
        let Some((path, rest)) = line.split_once(".fw:") else {
            return Err(Invalid::new(format!("`{line}` is no line of a firewall file")));
        };
        let path = &line[..path.len() + ".fw".len()];
        let text = files.entry(path).or_default();
        text.push_str(rest);
        text.push('\n');
    }
    files.remove(DATACENTER);
    Ok(files.into_iter().map(|(path, text)| (path.to_owned(), firewall_file::read_guest(&text))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::output;

    #[test]
    fn each_file_is_read_with_its_lines_in_their_order() {
        let said = "/etc/pve/firewall/cluster.fw:[OPTIONS]\n/etc/pve/firewall/900.fw:[OPTIONS]\n\
                    /etc/pve/firewall/900.fw:\n/etc/pve/firewall/900.fw:enable: 1\n\
                    /etc/pve/nodes/pve2/host.fw:[RULES]\n/etc/pve/nodes/pve2/host.fw:GROUP g # see x.fw: there\n";
        let files = read(&output(0, said, "")).unwrap();
        assert_eq!(files.keys().collect::<Vec<_>>(), ["/etc/pve/firewall/900.fw", "/etc/pve/nodes/pve2/host.fw"]);
        assert_eq!(files["/etc/pve/firewall/900.fw"].options["enable"], "1");
        assert_eq!(files["/etc/pve/nodes/pve2/host.fw"].rules[0].0["action"], "g");
    }

    #[test]
    fn no_file_at_all_is_none_and_one_that_cannot_be_read_is_no_answer() {
        assert_eq!(read(&output(1, "", "")), Ok(BTreeMap::new()));
        let denied = output(2, "/etc/pve/firewall/900.fw:[OPTIONS]\n", "grep: /etc/pve/nodes: Permission denied\n");
        assert!(read(&denied).is_err());
    }
}
