//! What `update-grub`, `proxmox-boot-tool refresh` and `update-initramfs` do: take over what stands in `/etc`.

use super::running::modprobe_files;
use super::{Image, Loader};
use crate::lab::world::Node;

/// The command line that stands in the place which the host's loader is made from.
#[must_use]
pub fn kernel_command_line(node: &Node) -> String {
    let text = |path: &str| node.files.get(path).map(|file| String::from_utf8_lossy(&file.content).into_owned());
    let boot = &node.machine.boot;
    match boot.loader {
        // More than one line is taken as one: proxmox-boot-tool reads the file into an array of words.
        Loader::SystemdBoot => {
            text("/etc/kernel/cmdline").unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
        }
        Loader::Grub => {
            let mut files = vec![text("/etc/default/grub").unwrap_or_default()];
            files.extend(
                node.files
                    .iter()
                    .filter(|(path, _)| path.starts_with("/etc/default/grub.d/") && path.ends_with(".cfg"))
                    .map(|(_, file)| String::from_utf8_lossy(&file.content).into_owned()),
            );
            let (mut always, mut usually) = (String::new(), String::new());
            for line in files.iter().flat_map(|file| file.lines()) {
                if let Some(value) = line.trim().strip_prefix("GRUB_CMDLINE_LINUX=") {
                    always = shell_value(value, &always);
                } else if let Some(value) = line.trim().strip_prefix("GRUB_CMDLINE_LINUX_DEFAULT=") {
                    usually = shell_value(value, &usually);
                }
            }
            let root = match boot.root.strip_prefix("ZFS=") {
                Some(dataset) => format!("root=ZFS=/{}", dataset.split_once('/').map_or("", |(_, rest)| rest)),
                None => format!("root={}", boot.root),
            };
            [&root, "ro", &always, &usually]
                .map(str::trim)
                .into_iter()
                .filter(|p| !p.is_empty())
                .collect::<Vec<_>>()
                .join(" ")
        }
    }
}

/// The value of an assignment as `sh` reads it, as far as people write one into `/etc/default/grub`.
fn shell_value(text: &str, before: &str) -> String {
    let text = text.trim();
    let inner = match text.chars().next() {
        Some(quote @ ('"' | '\'')) => text[1..].split(quote).next().unwrap_or_default(),
        _ => text.split_whitespace().next().unwrap_or_default(),
    };
    let itself = [
        "$GRUB_CMDLINE_LINUX_DEFAULT",
        "${GRUB_CMDLINE_LINUX_DEFAULT}",
        "$GRUB_CMDLINE_LINUX",
        "${GRUB_CMDLINE_LINUX}",
    ];
    itself.iter().fold(inner.to_owned(), |text, name| text.replace(name, before))
}

/// Gives the loader what stands in `/etc` now, and the kernels that are installed.
pub fn refresh_loader(node: &mut Node) {
    let line = kernel_command_line(node);
    let pinned = node
        .files
        .get("/etc/kernel/proxmox-boot-pin")
        .map(|file| String::from_utf8_lossy(&file.content).trim().to_owned());
    let boot = &mut node.machine.boot;
    boot.given.command_line = line;
    boot.given.kernels = boot.kernels.clone();
    boot.given.pinned = pinned.filter(|release| !release.is_empty());
}

/// Makes the initial RAM disks of these kernels anew; of all, if none is named.
pub fn refresh_images(node: &mut Node, kernels: &[String], now_ms: i64) {
    let image = Image {
        modprobe: modprobe_files(node),
        modules: node
            .files
            .get("/etc/initramfs-tools/modules")
            .map(|file| String::from_utf8_lossy(&file.content).into_owned())
            .unwrap_or_default(),
        made_ms: now_ms,
    };
    let boot = &mut node.machine.boot;
    for kernel in boot.kernels.iter().filter(|kernel| kernels.is_empty() || kernels.contains(kernel)) {
        boot.images.insert(kernel.clone(), image.clone());
        boot.half_written.remove(kernel);
    }
}
