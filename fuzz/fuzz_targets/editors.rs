//! The editors of a host's files: whatever is in a file, an edit ends, does what it says, and is done once.
//!
//! The first byte says which words are unwanted, so that small inputs reach every editor.
#![no_main]

use infra::resources::host::{cmdline_file, grub_file, modprobe_file, module_list};
use libfuzzer_sys::fuzz_target;

const WORDS: [&str; 4] = ["intel_iommu=off", "quiet", "a", "vfio_virqfd"];

fuzz_target!(|data: &[u8]| {
    let Some((first, rest)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    let word = WORDS[usize::from(*first) % WORDS.len()];
    let unwanted = |other: &str| other == word;

    if let Ok(once) = grub_file::without(text, &unwanted) {
        assert_eq!(grub_file::without(&once, &unwanted).as_ref(), Ok(&once), "an edit is done once");
    }
    let missing = ["iommu=pt".to_owned()];
    if let Ok(edited) = cmdline_file::edit(text, &unwanted, &missing) {
        assert!(!edited.split_whitespace().any(unwanted), "nothing unwanted stays");
        assert!(edited.split_whitespace().any(|word| word == missing[0]), "nothing missing is left out");
    }
    let before = modprobe_file::values(text, "zfs", "zfs_arc_max").len();
    let set = modprobe_file::set(text, "zfs", "zfs_arc_max", "4096");
    let values = modprobe_file::values(&set, "zfs", "zfs_arc_max");
    assert_eq!(values.len(), before, "a value is exchanged, not added");
    assert!(values.iter().all(|value| *value == "4096"));
    let listed = module_list::without(text, "vfio_virqfd");
    assert_eq!(module_list::without(&listed, "vfio_virqfd"), listed);
});
