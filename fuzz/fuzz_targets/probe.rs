//! Whatever the commands of a probe print, reading it gives facts or reasons, and never a panic.
//!
//! The input is cut at byte 0x1e: each piece is what one command prints, its first byte the exit code. The first two
//! bytes say with which command it begins, so that a small input reaches every reader.
#![no_main]

use infra::observe::{Asked, Probe, Question};
use infra::ports::{Batch, OnFailure, Output};
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let question = Question {
        addresses: ["127.0.0.1".parse().expect("an address"), "fe80::1".parse().expect("an address")].into(),
        device_nodes: ["/dev/null".to_owned(), "/dev/net/tun".to_owned()].into(),
        ..Question::default()
    };
    let mut batch = Batch::new(1, OnFailure::Continue);
    let probe = Probe::push(&mut batch, &question);
    let (start, rest) = match data {
        [high, low, rest @ ..] => (usize::from(u16::from_be_bytes([*high, *low])) % batch.len(), rest),
        _ => (0, data),
    };
    let mut outputs = vec![Output { code: 0, stdout: Vec::new(), stderr: Vec::new() }; batch.len()];
    for (nth, piece) in rest.split(|byte| *byte == 0x1e).take(batch.len()).enumerate() {
        let output = &mut outputs[(start + nth) % batch.len()];
        let (code, text) = piece.split_first().unwrap_or((&b'0', &[]));
        output.code = i32::from(code.wrapping_sub(b'0'));
        output.stdout = text.to_vec();
        if output.code != 0 {
            output.stderr = text.to_vec();
        }
    }
    let asked = Asked { before: Timestamp::UNIX_EPOCH, after: Timestamp::UNIX_EPOCH };
    let _ = probe.read(&outputs, asked);
});
