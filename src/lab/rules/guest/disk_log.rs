//! What the programs that make volumes say, as task logs have it.

use crate::lab::world::{World, split_volid};

/// What `qemu-img create` says of a new image; nothing for devices and file systems.
#[must_use]
pub fn formatting(world: &World, node: &str, volid: &str) -> Vec<String> {
    let Some(volume) = world.volume(node, volid) else { return Vec::new() };
    let Some((storage, name)) = split_volid(volid).filter(|(storage, _)| !world.is_block(storage)) else {
        return Vec::new();
    };
    let own = format!("{storage}:{}", world.kept_name(storage, name));
    let (path, size) = (world.volume_path(&own).unwrap_or_default(), volume.size);
    let clone = volume.base.is_some();
    let more = match (volume.format.as_str(), &volume.base) {
        ("raw", _) => format!("fmt=raw size={size} preallocation=off"),
        ("qcow2", base) => {
            let (cluster, extended) = if clone { (131_072, "on") } else { (65_536, "off") };
            let backing = base.as_ref().map_or(String::new(), |base| {
                let format = if base.ends_with(".raw") { "raw" } else { "qcow2" };
                format!("backing_file=../{base} backing_fmt={format} ")
            });
            format!(
                "fmt=qcow2 cluster_size={cluster} extended_l2={extended} preallocation=metadata \
                 compression_type=zlib size={size} {backing}lazy_refcounts=off refcount_bits=16"
            )
        }
        (format, _) => format!("fmt={format} size={size}"),
    };
    vec![format!("Formatting '{path}', {more}")]
}

/// What `qemu-img dd` and `convert` say of their progress, first and last.
#[must_use]
pub fn transferred(size: u64) -> Vec<String> {
    let total = human(size);
    vec![format!("transferred 0.0 B of {total} (0.00%)"), format!("transferred {total} of {total} (100.00%)")]
}

/// What `mkfs.ext4` says of a container's image; nothing for file systems of ZFS.
#[must_use]
pub fn filesystem(world: &World, node: &str, volid: &str, uuid: &str) -> Vec<String> {
    let Some(volume) = world.volume(node, volid).filter(|volume| volume.format == "raw") else { return Vec::new() };
    let blocks = volume.size / 4096;
    let mut lines = vec![
        format!("Creating filesystem with {blocks} 4k blocks and {} inodes", volume.size / 16384),
        format!("Filesystem UUID: {uuid}"),
    ];
    // Copies of the superblock are in the groups 1 and all powers of 3, 5 and 7.
    let mut groups: Vec<u64> = [3_u64, 5, 7]
        .iter()
        .flat_map(|base| std::iter::successors(Some(*base), move |n| n.checked_mul(*base)).take(20))
        .chain([1])
        .filter(|group| group.saturating_mul(32_768) < blocks)
        .collect();
    groups.sort_unstable();
    groups.dedup();
    if !groups.is_empty() {
        let at: Vec<String> = groups.iter().map(|group| (group * 32_768).to_string()).collect();
        lines.push("Superblock backups stored on blocks: ".to_owned());
        lines.push(format!("\t{}", at.join(", ")));
    }
    lines
}

fn human(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "one decimal for people")]
    let (mut value, mut unit) = (bytes as f64, "B");
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    format!("{value:.1} {unit}")
}
