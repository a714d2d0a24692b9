//! Files of Proxmox VE and option strings, whatever is in them.
#![no_main]

use infra::proxmox::{firewall_file, options, storage_file};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let entries = storage_file::entries(&text);
    let _ = storage_file::paths(&entries);
    let _ = firewall_file::read_cluster(&text);
    let _ = firewall_file::read_guest(&text);
    let _ = options::words(&text);
});
