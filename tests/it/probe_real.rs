//! The whole probe, run by a real `sh` with real tools on whatever Linux this is: it ends, and every fact is there
//! or says why it is not.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use infra::observe::{Asked, Probe, Question};
use infra::ports::{Batch, OnFailure, Shell};
use jiff::Timestamp;
use serde_json::Value;

use crate::sh_real::{LocalSh, blocking};

#[test]
fn the_probe_ends_and_every_fact_is_there_or_says_why_not() {
    let question = Question {
        addresses: ["127.0.0.1".parse().unwrap()].into(),
        device_nodes: BTreeSet::from(["/dev/null".to_owned(), "/dev/no-such-node".to_owned()]),
        ..Question::default()
    };
    let mut batch = Batch::new(0x0b5e_55ed, OnFailure::Continue);
    let probe = Probe::push(&mut batch, &question);
    let start = Instant::now();
    let before = Timestamp::now();
    let output = blocking(LocalSh.run(&batch.command(Duration::from_secs(60)))).unwrap();
    let asked = Asked { before, after: Timestamp::now() };
    assert!(start.elapsed() < Duration::from_secs(60), "the probe took {:?}", start.elapsed());
    let outputs = batch.read(&output).expect("every command came back");
    let machine = probe.read(&outputs, asked);

    // What a shell says of a syntax that it does not know would be ours, not the host's.
    for output in &outputs {
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!said.contains("yntax error") && !said.contains("Illegal option"), "{said}");
    }
    // A real Linux has these.
    let kernel = machine.kernel.value().expect("a kernel");
    assert!(!kernel.release.is_empty() && !kernel.boot_id.is_empty());

    let Value::Object(facts) = serde_json::to_value(&machine).unwrap() else { panic!("a machine is an object") };
    for (name, fact) in facts {
        let why = fact["why"].as_str();
        match fact["fact"].as_str() {
            Some("complete") => assert!(why.is_none(), "{name}"),
            Some("partial" | "unavailable") => {
                assert!(why.is_some_and(|why| !why.trim().is_empty() && why != "was not asked for"), "{name}: {fact}");
            }
            _ => panic!("{name} is no fact: {fact}"),
        }
    }
}

/// What only reads leaves nothing behind: no command of the probe is one that could change a host.
#[test]
fn no_command_of_the_probe_can_change_anything() {
    let mut batch = Batch::new(1, OnFailure::Continue);
    let question = Question {
        addresses: ["10.0.0.1".parse().unwrap()].into(),
        device_nodes: ["/dev/null".to_owned()].into(),
        ..Question::default()
    };
    Probe::push(&mut batch, &question);
    let script = String::from_utf8(batch.command(Duration::from_secs(1)).stdin).unwrap();
    for line in script.lines() {
        let first = line.split(' ').next().unwrap_or_default();
        assert!(
            !["rm", "mv", "cp", "tee", "dd", "install", "modprobe", "rmmod", "update-grub", "apt", "apt-get", "sed"]
                .contains(&first),
            "{line}"
        );
        for word in ["-delete", "-exec rm", "systemctl start", "systemctl stop", "systemctl restart", "zpool scrub"] {
            assert!(!line.contains(word), "{line}");
        }
    }
}

/// Answers that no host would give: real ones, cut, doubled, swapped and littered. Nothing may be made of them but
/// facts, or reasons why there are none.
#[test]
fn no_answer_breaks_the_readers() {
    let question = Question {
        addresses: ["127.0.0.1".parse().unwrap()].into(),
        device_nodes: ["/dev/null".to_owned()].into(),
        ..Question::default()
    };
    let mut batch = Batch::new(2, OnFailure::Continue);
    let probe = Probe::push(&mut batch, &question);
    let real = batch.read(&blocking(LocalSh.run(&batch.command(Duration::from_secs(60)))).unwrap()).unwrap();
    let asked = Asked { before: Timestamp::UNIX_EPOCH, after: Timestamp::UNIX_EPOCH };
    let mut random = fastrand::Rng::with_seed(0x5eed);
    for _ in 0..400 {
        let mut outputs = real.clone();
        for at in 0..outputs.len() {
            if random.u8(..) < 40 {
                outputs[at] = outputs[random.usize(..real.len())].clone();
            }
            let output = &mut outputs[at];
            if random.u8(..) < 60 {
                output.code = *random.choice(&[0, 0, 1, 2, 127, 255, -1, i32::MIN]).unwrap();
            }
            let tables: &[&[u8]] =
                &[b"\0", b"\xff\xfe", b":", b"=", b"\n\n", b"/", b"99999999999999999999", b"-1", b"\t", b"[", b"\xc3"];
            for _ in 0..random.usize(..6) {
                let text = &mut output.stdout;
                let (from, to) = (random.usize(..=text.len()), random.usize(..=text.len()));
                match random.u8(..4) {
                    0 => text.truncate(from),
                    1 => drop(text.drain(from.min(to)..from.max(to))),
                    2 => {
                        let piece = text[from.min(to)..from.max(to)].to_vec();
                        text.splice(from..from, piece);
                    }
                    _ => {
                        let litter = tables[random.usize(..tables.len())];
                        text.splice(from..from, litter.iter().copied());
                    }
                }
                text.truncate(1 << 20);
            }
        }
        // What is read must have a form in JSON as well: it goes into saved observations.
        serde_json::to_string(&probe.read(&outputs, asked)).unwrap();
    }
}
