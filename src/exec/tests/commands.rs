//! Commands over SSH.

use super::*;

/// `pct` on a host whose exit codes lie and whose connection breaks.
fn command_step(host: &mut Host, replies: Vec<Ran>) -> Step {
    let (replies, done) = (Mutex::new(replies.into_iter()), Mutex::new(false));
    host.shell = Some(FakeShell::rule(move |command| match command.argv[0].as_str() {
        "pct" => {
            let reply = replies.lock().unwrap().next().expect("a reply is left")?;
            *done.lock().unwrap() |= reply.1;
            Ok(output(reply.0, "", if reply.0 == 0 { "" } else { "explosion" }))
        }
        _ => Ok(output(0, if *done.lock().unwrap() { "yes\n" } else { "no\n" }, "")),
    }));
    let condition = Condition::Output { argv: vec!["look".into()], stdout: "yes".into() };
    let exec = Op::Exec { argv: vec!["pct".into(), "set".into(), "104".into()] };
    step("set", vec![exec, Op::Await { condition, within_s: 0, otherwise: "it was not set".into(), or_warn: false }])
}

#[tokio::test]
async fn exit_codes_are_evidence_and_what_is_read_back_is_the_verdict() {
    let lost = || TransportError::Uncertain { peer: "hq:22".into(), why: "connection reset".into() };
    let cases: [(&str, Vec<Ran>, Ended); 6] = [
        ("fine", vec![Ok((0, true))], Ended::Done),
        ("exit 0, not done", vec![Ok((0, false))], Ended::Failed),
        ("exit 255, done", vec![Ok((255, true))], Ended::Done),
        ("exit 255, not done", vec![Ok((255, false))], Ended::Failed),
        ("lost, then sent again", vec![Err(lost()), Ok((0, true))], Ended::Done),
        ("lost for ever", vec![Err(lost()), Err(lost()), Err(lost())], Ended::Failed),
    ];
    for (name, replies, ended) in cases {
        let mut host = Host::new(&[]);
        let step = command_step(&mut host, replies);
        let seen = host.apply(vec![step], OnFailure::Keep).await;
        assert_eq!(seen.applied.ended, ended, "{name}");
        if name == "exit 255, not done" {
            assert!(seen.why("set").contains("explosion"));
        }
        if name == "exit 255, done" {
            assert!(matches!(seen.outcome("set"), Outcome::Warning { .. }));
        }
    }
}

#[tokio::test]
async fn a_command_without_ssh_says_what_is_missing() {
    let mut host = Host::new(&[]);
    let step = command_step(&mut host, Vec::new());
    host.shell = None;
    let seen = host.apply(vec![step], OnFailure::Keep).await;
    assert!(matches!(seen.outcome("set"), Outcome::Failed { hint: Some(hint), .. } if hint.contains("`ssh`")));
}
