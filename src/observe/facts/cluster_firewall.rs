//! The datacenter's firewall.

use super::text;
use crate::diag::Invalid;
use crate::model::observed::ClusterFirewall;
use crate::ports::Output;
use crate::proxmox::firewall_file;

/// Prints PVE's own file, which tells in one go what the API would need a call per group for.
pub const COMMAND: [&str; 2] = ["cat", "/etc/pve/firewall/cluster.fw"];

/// Reads it; a site that never had a rule has no such file.
///
/// # Errors
/// When the file cannot be read.
pub fn read(output: &Output) -> Result<ClusterFirewall, Invalid> {
    Ok(text::file(output)?.map(|text| firewall_file::read_cluster(&text)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::output;

    #[test]
    fn no_file_is_no_rule_but_no_permission_is_no_answer() {
        let missing = output(1, "", "cat: /etc/pve/firewall/cluster.fw: No such file or directory\n");
        assert_eq!(read(&missing), Ok(ClusterFirewall::default()));
        assert!(read(&output(1, "", "cat: /etc/pve/firewall/cluster.fw: Permission denied\n")).is_err());
        assert!(
            read(&output(1, "", "cat: /etc/pve/firewall/cluster.fw: Transport endpoint is not connected\n")).is_err()
        );
    }
}
