//! The programs that a lab host has: one file each, in this list.
//!
//! A program prints what the real one prints, for the options that this project sends; for any other
//! option it fails and says so. The entry is [`program`].

mod api;
mod cat;
mod chmod;
mod chown;
mod cmp;
mod cp;
mod date;
mod dd;
mod dmesg;
mod echo;
mod find;
mod findmnt;
mod grep;
mod guest;
mod head;
mod hostname;
mod id;
mod install;
mod listsnapshot;
mod ls;
mod mkdir;
mod modinfo;
mod mv;
mod pct;
mod printenv;
mod printf;
mod pvecm;
mod pvesh;
mod pvesm;
mod pveum;
mod qm;
mod readlink;
mod rm;
mod rmdir;
mod sha256sum;
mod sleep;
mod stat;
mod systemctl;
mod tee;
mod test;
mod touch;
mod uname;
mod zfs;
mod zfs_list;
mod zfs_property;
mod zpool;

use super::call::Program;

/// Every program by name, in the order of their names.
pub const PROGRAMS: &[(&str, Program)] = &[
    ("[", test::run),
    ("cat", cat::run),
    ("chmod", chmod::run),
    ("chown", chown::run),
    ("cmp", cmp::run),
    ("cp", cp::run),
    ("date", date::run),
    ("dd", dd::run),
    ("dmesg", dmesg::run),
    ("echo", echo::run),
    ("false", |_| 1),
    ("find", find::run),
    ("findmnt", findmnt::run),
    ("grep", grep::run),
    ("head", head::run),
    ("hostname", hostname::run),
    ("id", id::run),
    ("install", install::run),
    ("ls", ls::run),
    ("mkdir", mkdir::run),
    ("modinfo", modinfo::run),
    ("mv", mv::run),
    ("pct", pct::run),
    ("printenv", printenv::run),
    ("printf", printf::run),
    ("pvecm", pvecm::run),
    ("pvesh", pvesh::run),
    ("pvesm", pvesm::run),
    ("pveum", pveum::run),
    ("qm", qm::run),
    ("readlink", readlink::run),
    ("rm", rm::run),
    ("rmdir", rmdir::run),
    ("sha256sum", sha256sum::run),
    ("sleep", sleep::run),
    ("stat", stat::run),
    ("sync", |_| 0),
    ("systemctl", systemctl::run),
    ("tee", tee::run),
    ("test", test::run),
    ("touch", touch::run),
    ("true", |_| 0),
    ("uname", uname::run),
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
