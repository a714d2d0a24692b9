//! Snapshots of real datasets through our door and our batches, and how real ZFS rolls back.

use infra::observe::facts::datasets;
use infra::ports::Command;
use infra::ports::Shell;

use crate::machine::{all, door, good, on_runtime};

const PARENT: &str = "tank/snapshots";
const A: &str = "tank/snapshots/a";
const B: &str = "tank/snapshots/b c";
const LIST: &[&str] = &["zfs", "list", "-Hp", "-t", "snapshot", "-o", "name", "-s", "createtxg", "-r", PARENT];

#[test]
fn snapshots_of_two_datasets_are_one_operation_and_rollback_is_none() {
    let Some(door) = door() else { return };
    on_runtime(async {
        good(
            &door,
            &[
                &["zfs", "create", PARENT],
                &["zfs", "create", A],
                &["zfs", "create", B],
                &["cp", "/etc/hostname", "/tank/snapshots/a/kept"],
                &["zfs", "snapshot", "tank/snapshots/a@one two", "tank/snapshots/b c@one two"],
                &["rm", "/tank/snapshots/a/kept"],
                &["zfs", "snapshot", "tank/snapshots/a@three"],
                &["zfs", "snapshot", "tank/snapshots/a@four"],
            ],
        )
        .await;
        let listed = door.run(&Command::new(datasets::COMMAND)).await.unwrap();
        let read = datasets::read(&listed).unwrap();
        assert!(read[&A.parse().unwrap()].mounted, "our own reader reads what real ZFS prints: {read:?}");

        let snapshots = good(&door, &[LIST]).await.remove(0);
        println!("machine: snapshots made: {}", snapshots.trim().replace('\n', ", "));
        assert_eq!(
            snapshots,
            "tank/snapshots/a@one two\ntank/snapshots/b c@one two\ntank/snapshots/a@three\ntank/snapshots/a@four\n"
        );

        // One name that is taken, and neither is made.
        let twice = all(&door, &[&["zfs", "snapshot", "tank/snapshots/b c@four", "tank/snapshots/a@four"]]).await;
        assert_eq!(twice[0].code, 1);
        assert_eq!(good(&door, &[LIST]).await[0], snapshots, "snapshots of one pool are made together or not at all");

        // A rollback over a held snapshot destroys the newer ones and then fails.
        good(&door, &[&["zfs", "hold", "keep", "tank/snapshots/a@three"]]).await;
        let busy = all(&door, &[&["zfs", "rollback", "-r", "tank/snapshots/a@one two"]]).await;
        let said = String::from_utf8_lossy(&busy[0].stderr).into_owned();
        println!("machine: rollback over a held snapshot: exit code {}: {}", busy[0].code, said.trim());
        assert_eq!(busy[0].code, 1);
        let left = good(&door, &[LIST]).await.remove(0);
        println!("machine: snapshots left by it: {}", left.trim().replace('\n', ", "));
        assert!(left.contains("a@three") && !left.contains("a@four"), "it is not atomic: {left}");

        good(&door, &[&["zfs", "release", "keep", "tank/snapshots/a@three"]]).await;
        good(&door, &[&["zfs", "rollback", "-r", "tank/snapshots/a@one two"]]).await;
        let kept = good(&door, &[&["cat", "/tank/snapshots/a/kept"]]).await.remove(0);
        println!("machine: after the rollback the removed file says {}", kept.trim());
        assert_eq!(kept, good(&door, &[&["cat", "/etc/hostname"]]).await[0]);
        good(&door, &[&["zfs", "destroy", "-r", PARENT]]).await;
    });
}
