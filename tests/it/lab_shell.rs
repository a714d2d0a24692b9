//! The lab's shell against a real `sh` with real programs: the same commands, the same answers.

use std::collections::BTreeMap;
use std::time::Duration;

use infra::lab::shell::run_line;
use infra::lab::world::{Dataset, Node, World, Zpool};
use infra::ports::{Batch, Command, OnFailure, Output, Shell, put};

use crate::sh_real::{LocalSh, batch_cases, blocking};

fn world() -> World {
    let mut node = Node { online: true, ..Node::default() };
    node.zfs.pools.insert("rpool".into(), Zpool { size: 1 << 40, health: "ONLINE".into() });
    node.zfs.datasets.insert("rpool".into(), Dataset { mounted: true, mode: 0o755, ..Dataset::default() });
    World { nodes: BTreeMap::from([("pve1".to_owned(), node)]), now_ms: 1_795_254_063_000, ..World::default() }
}

fn run(world: &mut World, line: &str) -> Output {
    run_line(world, "pve1", line, b"")
}

#[test]
fn batches_come_back_as_from_a_real_sh() {
    let world = std::cell::RefCell::new(world());
    batch_cases(&|command| run_line(&mut world.borrow_mut(), "pve1", &command.line(), &command.stdin));
}

/// Commands on files below `DIR`, one batch after the other on the same files.
const FILES: &[&[&str]] = &[
    &["mkdir", "DIR/a"],
    &["mkdir", "DIR/a"],
    &["mkdir", "-p", "DIR/a/b/c"],
    &["mkdir", "-p", "DIR/a/b/c"],
    &["mkdir", "DIR/no/parent"],
    &["touch", "DIR/a/empty"],
    &["stat", "-c", "%n %s %F %a %u:%g", "DIR/a/empty", "DIR/a", "DIR/ghost"],
    &["rmdir", "DIR/a"],
    &["rmdir", "DIR/ghost"],
    &["rmdir", "DIR/a/empty"],
    &["rmdir", "DIR/a/b/c"],
    &["install", "-m", "0640", "-T", "/dev/null", "DIR/a/file"],
    &["stat", "-c", "%n %a %s", "DIR/a/file"],
    &["chmod", "0600", "DIR/a/file"],
    &["stat", "-c", "%a", "DIR/a/file"],
    &["chmod", "0600", "DIR/ghost"],
    &["chown", "100000:100000", "DIR/a"],
    &["stat", "-c", "%n %u %g", "DIR/a"],
    &["chown", "100000:100000", "DIR/ghost"],
    &["mv", "-T", "DIR/a/file", "DIR/moved"],
    &["mv", "-T", "DIR/ghost", "DIR/moved"],
    &["mv", "-T", "DIR/moved", "DIR/no/where"],
    &["cat", "DIR/moved", "DIR/ghost", "DIR/a"],
    &["sha256sum", "DIR/moved", "DIR/ghost"],
    &["cp", "DIR/moved", "DIR/copy"],
    &["cp", "-p", "DIR/moved", "DIR/a/kept"],
    &["stat", "-c", "%n %a %s", "DIR/copy", "DIR/a/kept"],
    &["cp", "DIR/ghost", "DIR/copy"],
    &["cp", "DIR/a", "DIR/copy"],
    &["cp", "DIR/moved", "DIR/no/where"],
    &["cmp", "-s", "DIR/moved", "DIR/copy"],
    &["cmp", "-s", "DIR/moved", "DIR/ghost"],
    &["printf", "x"],
    &["ls", "-1R", "DIR"],
    &["ls", "-1R", "DIR/ghost"],
    &["sync"],
    &["rm", "DIR/copy", "DIR/a/kept"],
    &["test", "-f", "DIR/moved"],
    &["test", "-d", "DIR/moved"],
    &["test", "!", "-e", "DIR/ghost"],
    &["test", "DIR", "!=", "x"],
    &["[", "1", "-lt", "2", "]"],
    &["rm", "DIR/ghost"],
    &["rm", "-f", "DIR/ghost", "DIR/moved"],
    &["rm", "DIR/a"],
    &["ls", "DIR", "DIR/a"],
    &["ls", "DIR/ghost"],
    &["printf", "%05d|%3s|%x\\n", "42", "a", "255"],
    &["echo", "-n", "two  words"],
    &["true"],
    &["false"],
];

#[test]
fn programs_on_files_print_what_real_ones_print() {
    let dir = tempfile::tempdir().unwrap();
    let real_dir = dir.path().to_str().unwrap();
    let is_root = std::fs::metadata(dir.path()).map(|m| std::os::unix::fs::MetadataExt::uid(&m)).unwrap() == 0;
    let mut world = world();
    assert_eq!(run(&mut world, "mkdir /tmp/lab").code, 0);
    let batch = |at: &str| {
        let mut batch = Batch::new(0x1ab, OnFailure::Continue);
        // only root may give files away
        let commands = FILES.iter().filter(|argv| is_root || argv[0] != "chown");
        commands.for_each(|argv| {
            batch.push(argv.iter().map(|word| word.replace("DIR", at)));
        });
        batch
    };
    let limit = Duration::from_secs(20);
    let real = batch(real_dir);
    let real = real.read(&blocking(LocalSh.run(&real.command(limit))).unwrap()).unwrap();
    let lab = batch("/tmp/lab");
    let command = lab.command(limit);
    let lab = lab.read(&run_line(&mut world, "pve1", &command.line(), &command.stdin)).unwrap();
    let text = |bytes: &[u8], at: &str| String::from_utf8_lossy(bytes).replace(at, "DIR");
    for ((argv, real), lab) in FILES.iter().filter(|argv| is_root || argv[0] != "chown").zip(&real).zip(&lab) {
        let real = (real.code, text(&real.stdout, real_dir), text(&real.stderr, real_dir));
        let lab = (lab.code, text(&lab.stdout, "/tmp/lab"), text(&lab.stderr, "/tmp/lab"));
        assert_eq!(lab, real, "{argv:?}");
    }
}

struct InWorld(std::sync::Mutex<World>);

impl Shell for InWorld {
    fn run<'a>(
        &'a self,
        command: &'a Command,
    ) -> infra::ports::BoxFuture<'a, Result<Output, infra::ports::TransportError>> {
        let output = run_line(&mut self.0.lock().unwrap(), "pve1", &command.line(), &command.stdin);
        Box::pin(async move { Ok(output) })
    }
}

#[test]
fn files_are_put_below_and_outside_of_the_cluster_file_system() {
    let shell = InWorld(std::sync::Mutex::new(world()));
    blocking(put(&shell, "/var/lib/vz/x.txt", b"hello\n", 0o600)).unwrap();
    blocking(put(&shell, "/etc/pve/priv/lease.json", b"{}", 0o600)).unwrap();
    let mut world = shell.0.into_inner().unwrap();
    assert_eq!(run(&mut world, "cat /var/lib/vz/x.txt /etc/pve/priv/lease.json").stdout, b"hello\n{}");
    let bits = run(&mut world, "stat -c '%n %a %u:%g' /var/lib/vz/x.txt /etc/pve/priv/lease.json").stdout;
    assert_eq!(bits, b"/var/lib/vz/x.txt 600 0:0\n/etc/pve/priv/lease.json 600 0:33\n");
    assert_eq!(run(&mut world, "ls -A /etc/pve/priv").stdout, b"lease.json\nlock\n");
}

#[test]
fn the_lock_directory_is_atomic_for_the_whole_cluster() {
    let mut world = world();
    world.nodes.insert("pve0".to_owned(), Node { online: true, ..Node::default() });
    assert_eq!(run(&mut world, "mkdir /etc/pve/priv/lock/infra-hq").code, 0);
    let second = run_line(&mut world, "pve0", "mkdir /etc/pve/priv/lock/infra-hq", b"");
    assert_eq!(second.code, 1);
    assert_eq!(second.stderr, b"mkdir: cannot create directory '/etc/pve/priv/lock/infra-hq': File exists\n");
    assert_eq!(run_line(&mut world, "pve0", "rmdir /etc/pve/priv/lock/infra-hq", b"").code, 0);
    assert_eq!(run(&mut world, "mkdir /etc/pve/priv/lock/infra-hq").code, 0);
}

#[test]
fn bits_and_owners_below_etc_pve_are_fixed() {
    let mut world = world();
    assert_eq!(run(&mut world, "touch /etc/pve/x").code, 0);
    let output = run(&mut world, "chmod 0644 /etc/pve/x");
    assert_eq!(
        (output.code, &output.stderr[..]),
        (1, &b"chmod: changing permissions of '/etc/pve/x': Operation not permitted\n"[..])
    );
    world.without_quorum = true;
    assert_eq!(run(&mut world, "mkdir /etc/pve/priv/lock/y").code, 1);
}

#[test]
fn datasets_are_made_set_read_and_destroyed() {
    let mut world = world();
    let created =
        "zfs create -p -o infra:owner=hq -o quota=20G -o compression=zstd -o recordsize=1M rpool/containers/proj-x";
    assert_eq!(run(&mut world, created), Output { code: 0, stdout: Vec::new(), stderr: Vec::new() });
    let list = "zfs list -Hp -t filesystem -o name,mountpoint,mounted,quota,recordsize,compression,used,infra:owner";
    assert_eq!(
        String::from_utf8(run(&mut world, list).stdout).unwrap(),
        "rpool\t/rpool\tyes\t0\t131072\ton\t196608\t-\n\
         rpool/containers\t/rpool/containers\tyes\t0\t131072\ton\t196608\t-\n\
         rpool/containers/proj-x\t/rpool/containers/proj-x\tyes\t21474836480\t1048576\tzstd\t98304\thq\n"
    );
    assert_eq!(run(&mut world, "zfs set quota=40GiB rpool/containers/proj-x").code, 0);
    let quota = run(&mut world, "zfs get -Hp -o value quota rpool/containers/proj-x");
    assert_eq!(quota.stdout, b"42949672960\n");
    let source = run(&mut world, "zfs get -Hp compression,atime rpool/containers/proj-x");
    let expected = "rpool/containers/proj-x\tcompression\tzstd\tlocal\nrpool/containers/proj-x\tatime\ton\tdefault\n";
    assert_eq!(String::from_utf8(source.stdout).unwrap(), expected);
    assert_eq!(run(&mut world, "chown 100000:100000 /rpool/containers/proj-x").code, 0);
    let owner = run(&mut world, "stat -c '%n %u %g' /rpool/containers/proj-x");
    assert_eq!(owner.stdout, b"/rpool/containers/proj-x 100000 100000\n");
    assert_eq!(run(&mut world, "zfs destroy rpool/containers").code, 1);
    assert_eq!(run(&mut world, "zfs destroy rpool/containers/proj-x").code, 0);
    let gone = run(&mut world, "zfs get -Hp -o value quota rpool/containers/proj-x");
    assert_eq!(gone.stderr, b"cannot open 'rpool/containers/proj-x': dataset does not exist\n");
}

/// Recorded on ZFS 2.3 (Debian 13): command, exit code, standard error.
const ZFS_ERRORS: &[(&str, i32, &str)] = &[
    ("zfs list -Hp rpool/a", 1, "cannot open 'rpool/a': dataset does not exist\n"),
    ("zfs create rpool/data", 1, "cannot create 'rpool/data': dataset already exists\n"),
    ("zfs create nopool/x", 1, "cannot create 'nopool/x': no such pool 'nopool'\n"),
    ("zfs create rpool/bad@name", 1, "cannot create 'rpool/bad@name': snapshot delimiter '@' is not expected here\n"),
    ("zfs create rpool/no/parent", 1, "cannot create 'rpool/no/parent': parent does not exist\n"),
    ("zfs create -o nosuchprop=1 rpool/p", 1, "cannot create 'rpool/p': invalid property 'nosuchprop'\n"),
    ("zfs create -o quota=banana rpool/q", 1, "cannot create 'rpool/q': bad numeric value 'banana'\n"),
    (
        "zfs set quota=1K rpool/data",
        255,
        "cannot set property for 'rpool/data': size is less than current used or reserved space\n",
    ),
    ("zfs set readonly=on rpool/absent", 1, "cannot open 'rpool/absent': dataset does not exist\n"),
    (
        "zfs set mountpoint=relative rpool/data",
        255,
        "cannot set property for 'rpool/data': 'mountpoint' must be an absolute path, 'none', or 'legacy'\n",
    ),
    ("zfs snapshot rpool/data@s1", 1, "cannot create snapshot 'rpool/data@s1': dataset already exists\n"),
    (
        "zfs snapshot rpool/data@m2 rpool/data@s1",
        1,
        "cannot create snapshot 'rpool/data@s1': dataset already exists\nno snapshots were created\n",
    ),
    (
        "zfs rollback rpool/data@s1",
        1,
        "cannot rollback to 'rpool/data@s1': more recent snapshots or bookmarks exist\nuse '-r' to force deletion of the following snapshots and bookmarks:\nrpool/data@s2\n",
    ),
    ("zfs rollback rpool/data@nosuch", 1, "cannot open 'rpool/data@nosuch': dataset does not exist\n"),
    ("zfs rollback rpool/data", 1, "cannot open 'rpool/data': missing '@' delimiter in snapshot name\n"),
    ("zfs hold keep rpool/absent@s", 1, "cannot hold snapshot 'rpool/absent@s': dataset does not exist\n"),
    (
        "zfs mount rpool/legacy",
        1,
        "cannot mount 'rpool/legacy': legacy mountpoint\nuse mount(8) to mount this filesystem\n",
    ),
    ("zfs destroy rpool/absent", 1, "cannot open 'rpool/absent': dataset does not exist\n"),
    ("zpool list -Hp tank", 1, "cannot open 'tank': no such pool\n"),
];

#[test]
fn zfs_fails_in_the_words_of_zfs() {
    let mut world = world();
    for line in [
        "zfs create rpool/data",
        "zfs create -o mountpoint=legacy rpool/legacy",
        "zfs snapshot rpool/data@s1",
        "zfs snapshot rpool/data@s2",
    ] {
        assert_eq!(run(&mut world, line).code, 0, "{line}");
    }
    for (line, code, stderr) in ZFS_ERRORS {
        let output = run(&mut world, line);
        assert_eq!((output.code, String::from_utf8(output.stderr).unwrap().as_str()), (*code, *stderr), "{line}");
    }
}

#[test]
fn what_the_lab_does_not_know_fails_loudly() {
    let mut world = world();
    for (line, code) in [
        ("nft list ruleset", 127),
        ("cat /etc/hostname | wc", 127),
        ("echo $(id)", 2),
        ("cat *", 2),
        ("zfs list", 2),
        ("zfs send rpool@x", 2),
        ("stat -f /", 2),
        ("dd if=/dev/zero of=/tmp/x", 2),
        ("rm -rf /", 2),
    ] {
        let output = run(&mut world, line);
        assert_eq!(output.code, code, "{line}");
        assert!(!output.stderr.is_empty(), "{line}");
    }
}
