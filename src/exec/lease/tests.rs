//! Leases on a made-up pmxcfs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use super::*;
use crate::client::testing::{FakeClock, FakeShell, batch_reply, output};
use crate::exec::lease::ProcessId;

/// Directories and files of one host, behind a shell. Its clock is 1000 s ahead of ours.
#[derive(Default)]
struct Pmxcfs {
    dirs: BTreeSet<String>,
    files: BTreeMap<String, String>,
}

const AHEAD: i64 = 1000;
const LOCK: &str = "/etc/pve/priv/lock/infra-t";
const RECORD: &str = "/etc/pve/priv/infra-t.lease";

fn run(disk: &mut Pmxcfs, now: i64, argv: &[&str], stdin: &[u8]) -> Output {
    let missing = |path: &str| output(1, "", &format!("{}: {path}: No such file or directory\n", argv[0]));
    match argv {
        ["date", "+%s"] => output(0, &format!("{now}\n"), ""),
        ["mkdir", path] if disk.dirs.insert((*path).to_owned()) => output(0, "", ""),
        ["mkdir", path] => output(1, "", &format!("mkdir: cannot create directory '{path}': File exists\n")),
        ["rmdir", path] if disk.dirs.remove(*path) => output(0, "", ""),
        ["rmdir", path] => missing(path),
        ["cat", path] => disk.files.get(*path).map_or_else(|| missing(path), |text| output(0, text, "")),
        ["rm", "-f", path] => {
            disk.files.remove(*path);
            output(0, "", "")
        }
        ["dd", into, ..] => {
            disk.files.insert(into[3..].to_owned(), String::from_utf8(stdin.to_vec()).unwrap());
            output(0, "", "")
        }
        ["mv", "-T", from, to] => {
            let text = disk.files.remove(*from).unwrap();
            disk.files.insert((*to).to_owned(), text);
            output(0, "", "")
        }
        other => output(127, "", &format!("sh: {}: not found\n", other[0])),
    }
}

struct World {
    disk: Arc<Mutex<Pmxcfs>>,
    shell: Arc<FakeShell>,
    clock: Arc<FakeClock>,
}

fn world() -> World {
    let disk: Arc<Mutex<Pmxcfs>> = Arc::default();
    let clock = FakeClock::new();
    let (behind, time) = (Arc::clone(&disk), Arc::clone(&clock));
    let shell = FakeShell::rule(move |command| {
        let now = time.now().as_second() + AHEAD;
        let one = |line: &str| {
            let argv: Vec<&str> = line.split(' ').collect();
            run(&mut behind.lock().unwrap(), now, &argv, b"")
        };
        if command.argv == ["sh", "-s"] {
            return Ok(batch_reply(command, one));
        }
        let argv: Vec<&str> = command.argv.iter().map(String::as_str).collect();
        Ok(run(&mut behind.lock().unwrap(), now, &argv, &command.stdin))
    });
    World { disk, shell, clock }
}

fn owner(run: &str, process: Option<ProcessId>) -> Owner {
    Owner { who: format!("{run}@laptop"), process, run: run.into(), reason: "apply".into() }
}

async fn take(world: &World, owner: &Owner, wait_s: u64) -> Result<(Held, Option<String>), LeaseError> {
    let (shell, clock) = (Arc::clone(&world.shell) as Arc<dyn Shell>, Arc::clone(&world.clock) as Arc<dyn Clock>);
    let ask = Ask { inventory: "t".parse().unwrap(), owner: owner.clone(), wait: Duration::from_secs(wait_s) };
    acquire(shell, clock, &ask, &mut |_| {}).await
}

fn signed(world: &World) -> Record {
    serde_json::from_str(&world.disk.lock().unwrap().files[RECORD]).unwrap()
}

#[tokio::test]
async fn a_lease_is_signed_with_the_host_s_time_and_given_back_without_a_trace() {
    let world = world();
    let (held, note) = take(&world, &owner("a", ProcessId::this()), 0).await.unwrap();
    assert_eq!(note, None);
    assert_eq!(signed(&world).heard, world.clock.now().as_second() + AHEAD);
    world.clock.advance(Duration::from_secs(15));
    held.beat().await.unwrap();
    assert_eq!(signed(&world).heard, world.clock.now().as_second() + AHEAD);
    held.release().await.unwrap();
    let disk = world.disk.lock().unwrap();
    assert!(disk.dirs.is_empty() && disk.files.is_empty(), "{:?} {:?}", disk.dirs, disk.files);
}

#[tokio::test]
async fn a_living_owner_is_named_and_respected() {
    let world = world();
    let _held = take(&world, &owner("a", ProcessId::this()), 0).await.unwrap();
    let error = take(&world, &owner("b", None), 0).await.unwrap_err();
    assert!(
        matches!(&error, LeaseError::Held { owner } if owner.contains("a@laptop") && owner.contains("apply")),
        "{error}"
    );
    assert_eq!(signed(&world).owner.run, "a");
}

#[tokio::test]
async fn an_owner_whose_process_died_on_this_machine_is_replaced_at_once() {
    let Some(this) = ProcessId::this() else {
        println!("not run: there is no /proc here");
        return;
    };
    let world = world();
    let dead = ProcessId { started: this.started + 1, ..this };
    let _held = take(&world, &owner("a", Some(dead)), 0).await.unwrap();
    let before = world.clock.slept();
    let (_, note) = take(&world, &owner("b", None), 0).await.unwrap();
    assert!(note.unwrap().contains("process is gone"));
    assert_eq!(world.clock.slept(), before, "nothing was waited for");
    assert_eq!(signed(&world).owner.run, "b");
    assert_eq!(world.disk.lock().unwrap().dirs, BTreeSet::from([LOCK.to_owned()]));
}

#[tokio::test]
async fn an_owner_not_heard_of_is_replaced_when_the_lease_expires_and_learns_of_it() {
    let world = world();
    let (first, _) = take(&world, &owner("a", None), 0).await.unwrap();
    world.clock.advance(Duration::from_secs(TTL_S));
    assert!(matches!(take(&world, &owner("b", None), 0).await, Err(LeaseError::Held { .. })));
    world.clock.advance(Duration::from_secs(1));
    let (_, note) = take(&world, &owner("b", None), 0).await.unwrap();
    assert!(note.unwrap().contains("not heard of for 61 s"));
    assert!(matches!(first.beat().await, Err(BeatError::Lost(why)) if why.contains("b@laptop")));
    first.release().await.unwrap();
    assert_eq!(signed(&world).owner.run, "b", "giving back a lost lease does not take it from its new owner");
}

#[tokio::test]
async fn waiting_for_a_lease_ends_when_it_expires() {
    let world = world();
    let _held = take(&world, &owner("a", None), 0).await.unwrap();
    let (_, note) = take(&world, &owner("b", None), 300).await.unwrap();
    assert!(note.is_some());
    assert!(world.clock.slept() < Duration::from_secs(70));
}

#[tokio::test]
async fn a_lock_that_was_never_signed_is_respected_for_a_moment_only() {
    let world = world();
    world.disk.lock().unwrap().dirs.insert(LOCK.to_owned());
    let (_, note) = take(&world, &owner("b", None), 0).await.unwrap();
    assert!(note.unwrap().contains("never signed"));
    assert!(world.clock.slept() >= GRACE);
}

#[tokio::test]
async fn a_takeover_that_was_killed_midway_does_not_block_for_ever() {
    let world = world();
    let _held = take(&world, &owner("a", None), 0).await.unwrap();
    world.disk.lock().unwrap().dirs.insert(format!("{LOCK}.takeover"));
    let (_, note) = take(&world, &owner("b", None), 300).await.unwrap();
    assert!(note.is_some());
    assert_eq!(world.disk.lock().unwrap().dirs, BTreeSet::from([LOCK.to_owned()]));
}

#[tokio::test]
async fn a_stale_lease_goes_to_one_of_two_that_judge_at_the_same_time() {
    let world = world();
    let _held = take(&world, &owner("a", None), 0).await.unwrap();
    world.clock.advance(Duration::from_secs(TTL_S + 1));
    let (b, c) = (owner("b", None), owner("c", None));
    let (b, c) = tokio::join!(take(&world, &b, 0), take(&world, &c, 0));
    assert_eq!(usize::from(b.is_ok()) + usize::from(c.is_ok()), 1, "{b:?} {c:?}");
}

#[tokio::test]
async fn what_the_host_cannot_do_is_said_in_its_words() {
    let world = world();
    let shell = FakeShell::rule(|command| {
        Ok(batch_reply(command, |line| match line {
            "date +%s" => output(0, "5\n", ""),
            _ => output(1, "", "mkdir: cannot create directory '/etc/pve/priv/lock/infra-t': Read-only file system\n"),
        }))
    });
    let error = take(&World { shell, ..world }, &owner("a", None), 0).await.unwrap_err();
    assert!(error.to_string().contains("Read-only file system"), "{error}");
}
