//! The programs that a lab host has: one file each, in this list.
//!
//! A program prints what the real one prints, for the options that this project sends; for any other
//! option it fails and says so. The entry is [`program`].

mod api;
mod apt_get;
mod cat;
mod chmod;
mod chown;
mod cmp;
mod cp;
mod date;
mod dd;
mod df;
mod dmesg;
mod dpkg_query;
mod echo;
mod efibootmgr;
mod env;
mod find;
mod findmnt;
mod grep;
mod guest;
mod head;
mod hostname;
mod id;
mod install;
mod ip;
mod iptables_save;
mod listsnapshot;
mod ls;
mod lsmod;
mod mkdir;
mod modinfo;
mod modprobe;
mod mv;
mod openssl;
mod pct;
mod pgrep;
mod ping;
mod printenv;
mod printf;
mod proxmox_boot_tool;
mod ps;
mod pvecm;
mod pvesh;
mod pvesm;
mod pveum;
mod pveversion;
mod qm;
mod readlink;
mod reboot;
mod rm;
mod rmdir;
mod sha256sum;
mod sleep;
mod ss;
mod stat;
mod sysctl;
mod systemctl;
mod tail;
mod tee;
mod test;
mod timedatectl;
mod touch;
mod uname;
mod update_grub;
mod update_initramfs;
mod zfs;
mod zfs_list;
mod zfs_property;
mod zpool;

use super::call::Program;

/// Every program by name, in the order of their names.
pub const PROGRAMS: &[(&str, Program)] = &[
    ("[", test::run),
    ("apt-get", apt_get::run),
    ("cat", cat::run),
    ("chmod", chmod::run),
    ("chown", chown::run),
    ("cmp", cmp::run),
    ("cp", cp::run),
    ("date", date::run),
    ("dd", dd::run),
    ("df", df::run),
    ("dmesg", dmesg::run),
    ("dpkg-query", dpkg_query::run),
    ("echo", echo::run),
    ("efibootmgr", efibootmgr::run),
    ("env", env::run),
    ("false", |_| 1),
    ("find", find::run),
    ("findmnt", findmnt::run),
    ("grep", grep::run),
    ("head", head::run),
    ("hostname", hostname::run),
    ("id", id::run),
    ("install", install::run),
    ("ip", ip::run),
    ("iptables-save", iptables_save::run),
    ("ls", ls::run),
    ("lsmod", lsmod::run),
    ("mkdir", mkdir::run),
    ("modinfo", modinfo::run),
    ("modprobe", modprobe::run),
    ("mv", mv::run),
    ("openssl", openssl::run),
    ("pct", pct::run),
    ("pgrep", pgrep::run),
    ("ping", ping::run),
    ("printenv", printenv::run),
    ("printf", printf::run),
    ("proxmox-boot-tool", proxmox_boot_tool::run),
    ("ps", ps::run),
    ("pvecm", pvecm::run),
    ("pvesh", pvesh::run),
    ("pvesm", pvesm::run),
    ("pveum", pveum::run),
    ("pveversion", pveversion::run),
    ("qm", qm::run),
    ("readlink", readlink::run),
    ("reboot", reboot::run),
    ("rm", rm::run),
    ("rmdir", rmdir::run),
    ("sha256sum", sha256sum::run),
    ("sleep", sleep::run),
    ("ss", ss::run),
    ("stat", stat::run),
    ("sync", |_| 0),
    ("sysctl", sysctl::run),
    ("systemctl", systemctl::run),
    ("tail", tail::run),
    ("tee", tee::run),
    ("test", test::run),
    ("timedatectl", timedatectl::run),
    ("touch", touch::run),
    ("true", |_| 0),
    ("uname", uname::run),
    ("update-grub", update_grub::run),
    ("update-initramfs", update_initramfs::run),
    ("wait", |_| 0),
    ("zfs", zfs::run),
    ("zpool", zpool::run),
];

/// ZFS's own properties that `zfs set` takes.
#[must_use]
pub fn zfs_properties() -> Vec<&'static str> {
    zfs_property::settable()
}

/// The program of that name.
#[must_use]
pub fn program(name: &str) -> Option<Program> {
    PROGRAMS.iter().find(|(known, _)| *known == name).map(|(_, program)| *program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_in_the_order_of_their_names() {
        assert!(PROGRAMS.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}
