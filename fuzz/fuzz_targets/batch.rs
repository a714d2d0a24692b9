//! Whatever comes back from a host, a batch takes it apart or says why it cannot.
#![no_main]

use infra::ports::{Batch, OnFailure, Output};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    for on_failure in [OnFailure::Continue, OnFailure::Stop] {
        let mut batch = Batch::new(0, on_failure);
        batch.push(["a"]);
        batch.push(["b"]);
        let cut = data.iter().position(|byte| *byte == 0x1e).unwrap_or(data.len());
        let output = Output { code: 0, stdout: data[..cut].to_vec(), stderr: data[cut..].to_vec() };
        if let Ok(parts) = batch.read(&output) {
            assert!(parts.len() <= batch.len());
        }
    }
});
