//! A record of hardware that somebody edited: it is read or refused, and what is read is written as it was read.
#![no_main]

use infra::model::hardware_lock::HardwareLock;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(lock) = serde_json::from_slice::<HardwareLock>(data) else { return };
    let text = serde_json::to_vec(&lock).expect("a record has a form in JSON");
    assert_eq!(serde_json::from_slice::<HardwareLock>(&text).expect("it reads back"), lock);
    for was in lock.hosts.values() {
        assert!(was.changes(was).is_empty(), "nothing changes against itself");
    }
});
