//! Packages in guests: what their distribution has, what Docker's and NVIDIA's repositories have, `apt-get` and `dpkg`.
//!
//! Versions are those of 2025 (packages.ubuntu.com, packages.debian.org, download.docker.com, nvidia.github.io). A package
//! of a repository of its own can be had once its list is there, its key is where the list says, and `apt-get update` ran.
//! Tailscale's is `guest_tailscale`'s. What a package brings to run is made in [`brought`].

use super::docker::registry_reach;
use super::shell::{Call, Program};
use super::world::{Docker, Guest, GuestKind, World};
use super::{guest_edge, guest_tailscale, guests};

/// A package that can be had: name (a trailing `*` stands for any text), release (`-` = every), repository (empty = the
/// distribution's), version.
type Offer = (&'static str, &'static str, &'static str, &'static str);

const DOCKER: &str = "download.docker.com/linux";
const NVIDIA: &str = "nvidia.github.io/libnvidia-container";
const CUDA: &str = "developer.download.nvidia.com/compute/cuda/repos";
const NON_FREE: &str = "non-free";

const OFFERS: &[Offer] = &[
    ("docker.io", "noble", "", "28.2.2-0ubuntu1~24.04.1"),
    ("docker.io", "jammy", "", "28.2.2-0ubuntu1~22.04.1"),
    ("docker.io", "bookworm", "", "20.10.24+dfsg1-1+deb12u1"),
    ("docker.io", "trixie", "", "26.1.5+dfsg1-9+b9"),
    ("docker-compose-v2", "noble", "", "2.37.1+ds1-0ubuntu2~24.04.1"),
    ("docker-compose-v2", "jammy", "", "2.37.1+ds1-0ubuntu2~22.04.1"),
    ("docker-compose", "bookworm", "", "1.29.2-3"),
    ("docker-compose", "trixie", "", "2.26.1-4"),
    ("docker-cli", "trixie", "", "26.1.5+dfsg1-9+b9"),
    ("docker-buildx", "noble", "", "0.20.1-0ubuntu2~24.04.1"),
    ("containerd", "noble", "", "1.7.28-0ubuntu1~24.04.1"),
    ("containerd", "jammy", "", "1.7.28-0ubuntu1~22.04.1"),
    ("containerd", "bookworm", "", "1.6.20~ds1-1+deb12u1"),
    ("containerd", "trixie", "", "1.7.24~ds1-6"),
    ("runc", "noble", "", "1.3.3-0ubuntu1~24.04.2"),
    ("runc", "jammy", "", "1.3.3-0ubuntu1~22.04.2"),
    ("runc", "bookworm", "", "1.1.5+ds1-1+deb12u1"),
    ("runc", "trixie", "", "1.1.15+ds1-2"),
    ("docker-ce", "-", DOCKER, "5:28.5.2-1"),
    ("docker-ce-cli", "-", DOCKER, "5:28.5.2-1"),
    ("docker-ce-rootless-extras", "-", DOCKER, "5:28.5.2-1"),
    ("containerd.io", "-", DOCKER, "1.7.29-1"),
    ("docker-buildx-plugin", "-", DOCKER, "0.29.1-1"),
    ("docker-compose-plugin", "-", DOCKER, "2.40.3-1"),
    ("nvidia-container-toolkit", "-", NVIDIA, "1.17.8-1"),
    ("nvidia-container-toolkit-base", "-", NVIDIA, "1.17.8-1"),
    ("libnvidia-container-tools", "-", NVIDIA, "1.17.8-1"),
    ("libnvidia-container1", "-", NVIDIA, "1.17.8-1"),
    ("cuda-drivers", "-", CUDA, "570.172.08-1"),
    ("nvidia-open", "-", CUDA, "570.172.08-1"),
    ("nvidia-driver", "bookworm", NON_FREE, "535.247.01-1~deb12u1"),
    ("nvidia-driver", "trixie", NON_FREE, "550.163.01-2"),
    ("nvidia-kernel-dkms", "bookworm", NON_FREE, "535.247.01-1~deb12u1"),
    ("nvidia-kernel-dkms", "trixie", NON_FREE, "550.163.01-2"),
    ("nvidia-smi", "bookworm", NON_FREE, "535.247.01-1~deb12u1"),
    ("nvidia-smi", "trixie", NON_FREE, "550.163.01-2"),
    ("ubuntu-drivers-common", "noble", "", "1:0.9.7.6ubuntu3.2"),
    ("ubuntu-drivers-common", "jammy", "", "1:0.9.6.2~0.22.04.8"),
    ("ca-certificates", "-", "", "20240203"),
    ("curl", "-", "", "8.5.0-2ubuntu10.6"),
    ("gnupg", "-", "", "2.4.4-2ubuntu17.3"),
    ("jq", "-", "", "1.7.1-3build1"),
    ("mokutil", "-", "", "0.6.0-2build3"),
    ("nfs-common", "-", "", "1:2.6.4-3ubuntu5.1"),
    ("pciutils", "-", "", "1:3.10.0-2build1"),
    ("linux-headers-*", "-", "", "6.8.0-60.63"),
    ("linux-image-amd64", "-", "", "6.1.137-1"),
    ("dkms", "-", "", "3.0.11-1ubuntu13"),
];

/// Branches of NVIDIA's driver that Ubuntu has.
const BRANCHES: [(&str, &str); 4] =
    [("535", "535.247.01"), ("550", "550.163.01"), ("570", "570.158.01"), ("580", "580.65.06")];

/// What every system has: a cloud image, and a container's template.
const BASE: [(&str, &str); 4] = [
    ("apt", "2.7.14"),
    ("openssh-server", "1:9.6p1-3ubuntu13"),
    ("python3", "3.12.3-0ubuntu2"),
    ("systemd", "255.4-1ubuntu8"),
];

/// A guest's release by its code name.
#[must_use]
pub fn codename(guest: &Guest) -> &'static str {
    let told = guest.config.get("ostype").map(String::as_str).unwrap_or_default();
    let system = if guest.inside.system.is_empty() { told } else { &guest.inside.system };
    let has = |part: &str| system.contains(part);
    match () {
        () if has("22.04") || has("jammy") => "jammy",
        () if has("ubuntu") || has("noble") => "noble",
        () if has("debian-13") || has("trixie") => "trixie",
        () => "bookworm",
    }
}

/// Whether it is Ubuntu.
#[must_use]
pub fn is_ubuntu(guest: &Guest) -> bool {
    ["jammy", "noble"].contains(&codename(guest))
}

/// A package that a guest has, with its version.
#[must_use]
pub fn version(guest: &Guest, package: &str) -> Option<String> {
    if let Some(version) = guest.inside.packages.get(package) {
        return Some(version.clone());
    }
    let file = match package {
        "tailscale" => guest_tailscale::TAILSCALE,
        "caddy" => super::guest_files::CADDY,
        "bind9" => guest_edge::NAMED,
        "curl" | "mokutil" if guest.kind == GuestKind::Qemu && is_ubuntu(guest) => {
            return offered(guest, package).map(|(_, version)| version);
        }
        "qemu-guest-agent" if guest.kind == GuestKind::Qemu => return Some("1:8.2.2+ds-0ubuntu1".to_owned()),
        _ => return BASE.iter().find(|(name, _)| *name == package).map(|(_, version)| (*version).to_owned()),
    };
    guest.text(file)
}

/// The repository and version of a package that can be had.
fn offered(guest: &Guest, package: &str) -> Option<(String, String)> {
    let code = codename(guest);
    let fits = |pattern: &str| match pattern.strip_suffix('*') {
        Some(start) => package.starts_with(start),
        None => package == pattern,
    };
    if let Some((_, _, from, version)) =
        OFFERS.iter().find(|(name, release, ..)| fits(name) && (*release == "-" || *release == code))
    {
        let suffix = match *from {
            DOCKER if is_ubuntu(guest) => format!("~ubuntu.{}~{code}", if code == "jammy" { "22.04" } else { "24.04" }),
            DOCKER => format!("~debian.{}~{code}", if code == "trixie" { "13" } else { "12" }),
            _ => String::new(),
        };
        return Some(((*from).to_owned(), format!("{version}{suffix}")));
    }
    if !is_ubuntu(guest) {
        return None;
    }
    let starts = [
        "nvidia-driver-",
        "nvidia-headless-no-dkms-",
        "nvidia-headless-",
        "nvidia-utils-",
        "nvidia-dkms-",
        "linux-modules-nvidia-",
        "libnvidia-compute-",
        "nvidia-firmware-",
        "nvidia-compute-utils-",
        "libnvidia-encode-",
        "libnvidia-decode-",
    ];
    let rest = starts.iter().find_map(|start| package.strip_prefix(start))?;
    let (branch, version) = BRANCHES.iter().find(|(branch, _)| rest.starts_with(branch))?;
    let ends = rest[branch.len()..].trim_end_matches("-generic").trim_end_matches("-virtual");
    let release = if code == "jammy" { "22.04" } else { "24.04" };
    ["", "-server", "-open", "-server-open"]
        .contains(&ends)
        .then(|| (String::new(), format!("{version}-0ubuntu0.{release}.1")))
}

/// What a package takes along, as far as it matters here.
fn needs(guest: &Guest, package: &str) -> Vec<String> {
    let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    match package {
        "docker.io" if codename(guest) == "trixie" => list(&["containerd", "runc", "docker-cli"]),
        "docker.io" => list(&["containerd", "runc"]),
        "docker-ce" => list(&["containerd.io", "docker-ce-cli"]),
        "nvidia-container-toolkit" => {
            list(&["nvidia-container-toolkit-base", "libnvidia-container-tools", "libnvidia-container1"])
        }
        "nvidia-driver" => list(&["nvidia-kernel-dkms", "nvidia-smi"]),
        name => match name.strip_prefix("nvidia-driver-") {
            Some(branch) => vec![format!("nvidia-utils-{branch}"), format!("nvidia-dkms-{branch}")],
            None => Vec::new(),
        },
    }
}

/// Packages that cannot be there together.
const RIVALS: [(&str, &str); 4] = [
    ("docker.io", "docker-ce"),
    ("containerd", "containerd.io"),
    ("runc", "containerd.io"),
    ("docker-compose-v2", "docker-compose-plugin"),
];

/// The programs; what this room does not know of is Tailscale's.
#[must_use]
pub fn find(name: &str) -> Option<Program> {
    match name {
        "apt-get" => Some(apt_get),
        "apt-cache" => Some(apt_cache),
        "dpkg-query" => Some(dpkg_query),
        "/usr/lib/apt/apt-helper" => Some(apt_helper),
        _ => None,
    }
}

fn own<'w>(call: &'w Call<'_>) -> Option<(u32, &'w Guest)> {
    let vmid = guests::own(call.world, call.node)?;
    Some((vmid, call.world.guests.get(&vmid)?))
}

fn apt_get(call: &mut Call<'_>) -> i32 {
    let mut words = Vec::new();
    let mut args = call.args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "-q"
            | "-qq"
            | "-y"
            | "--yes"
            | "--no-install-recommends"
            | "--no-remove"
            | "--allow-downgrades"
            | "--allow-change-held-packages" => {}
            "-o" => drop(args.next()),
            option if option.starts_with("-o") || option.starts_with("-q") => {}
            option if option.starts_with('-') => return call.unknown(option),
            word => words.push(word.to_owned()),
        }
    }
    let Some((verb, packages)) = words.split_first() else { return call.unknown("nothing") };
    match verb.as_str() {
        "update" => update(call),
        "install" => install(call, packages),
        "purge" | "remove" | "autoremove" => {
            if packages.iter().any(|package| package == "tailscale") {
                return guest_tailscale::find("apt-get").map_or(0, |program| program(call));
            }
            let Some((vmid, _)) = own(call) else { return 1 };
            packages.iter().for_each(|package| removed(call.world, vmid, package));
            0
        }
        _ => call.unknown(verb),
    }
}

/// Lists of repositories: the text of each `*.list` and `*.sources`, one entry per line: address, key.
fn lists(guest: &Guest) -> Vec<(String, Option<String>)> {
    let mut found = Vec::new();
    for (path, file) in guest.files.iter().filter(|(path, _)| path.starts_with("/etc/apt/sources.list")) {
        let text = String::from_utf8_lossy(&file.content).into_owned();
        if path.ends_with(".sources") {
            for block in text.split("\n\n") {
                let key = |name: &str| {
                    block.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned())
                };
                if let Some(address) = key("URIs:") {
                    let parts = format!(
                        "{address} {} {}",
                        key("Suites:").unwrap_or_default(),
                        key("Components:").unwrap_or_default()
                    );
                    found.push((parts, key("Signed-By:")));
                }
            }
            continue;
        }
        for line in text.lines().filter_map(|line| line.trim().strip_prefix("deb ")) {
            let (options, rest) = match line.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
                Some((options, rest)) => (options, rest),
                None => ("", line),
            };
            let key = options.split_whitespace().find_map(|option| option.strip_prefix("signed-by="));
            found.push((rest.trim().to_owned(), key.map(str::to_owned)));
        }
    }
    found
}

fn update(call: &mut Call<'_>) -> i32 {
    // Tailscale's own list first: what it finds is kept beside.
    let code = guest_tailscale::find("apt-get").map_or(0, |program| program(call));
    if code != 0 {
        return code;
    }
    let Some((vmid, guest)) = own(call) else { return 1 };
    if !registry_reach(call.world, vmid) {
        return 0;
    }
    let (code_name, lists) = (codename(guest), lists(guest));
    let mut found = std::collections::BTreeSet::new();
    let mut wrong = Vec::new();
    for (entry, key) in lists {
        let address = entry.split_whitespace().next().unwrap_or_default();
        let bare = address.trim_start_matches("https://").trim_start_matches("http://");
        let Some(known) = [DOCKER, NVIDIA, CUDA].into_iter().find(|known| bare.starts_with(known)) else {
            if entry.contains("non-free") && entry.split_whitespace().any(|word| word == NON_FREE) {
                found.insert(NON_FREE.to_owned());
            }
            continue;
        };
        let system = if is_ubuntu(guest) { "ubuntu" } else { "debian" };
        if known == DOCKER
            && (!bare.contains(&format!("linux/{system}")) || !entry.split_whitespace().any(|word| word == code_name))
        {
            wrong.push(format!(
                "E: The repository '{address} {}' does not have a Release file.",
                entry.split_whitespace().nth(1).unwrap_or_default()
            ));
            continue;
        }
        let Some(content) = key.as_deref().and_then(|key| guest.text(key)) else {
            wrong.push(format!("W: GPG error: {address}: The following signatures couldn't be verified because the public key is not available\nE: The repository '{address} InRelease' is not signed."));
            continue;
        };
        let signer = if known == DOCKER { "docker" } else { "nvidia" };
        if !content.to_lowercase().contains(signer) {
            wrong.push(format!("E: The repository '{address} InRelease' is not signed."));
            continue;
        }
        found.insert(known.to_owned());
    }
    if let Some(guest) = call.world.guests.get_mut(&vmid) {
        guest.inside.repositories = found;
        guest.inside.updated = true;
    }
    for line in &wrong {
        call.warn(line);
    }
    if wrong.is_empty() { 0 } else { 100 }
}

fn install(call: &mut Call<'_>, packages: &[String]) -> i32 {
    if packages.iter().any(|package| package == "tailscale") {
        return guest_tailscale::find("apt-get").map_or(0, |program| program(call));
    }
    let Some((vmid, guest)) = own(call) else { return 1 };
    let mut wanted: Vec<(String, Option<String>)> = Vec::new();
    for word in packages {
        let (name, version) =
            word.split_once('=').map_or((word.as_str(), None), |(name, version)| (name, Some(version.to_owned())));
        wanted.push((name.to_owned(), version));
    }
    let mut at = 0;
    while let Some((name, _)) = wanted.get(at).cloned() {
        let more: Vec<String> =
            needs(guest, &name).into_iter().filter(|more| wanted.iter().all(|(name, _)| name != more)).collect();
        wanted.extend(more.into_iter().map(|name| (name, None)));
        at += 1;
    }
    let new: Vec<_> =
        wanted.into_iter().filter(|(name, asked)| asked.is_some() || version(guest, name).is_none()).collect();
    let mut chosen = Vec::new();
    for (name, asked) in &new {
        let found =
            offered(guest, name).filter(|(from, _)| from.is_empty() || guest.inside.repositories.contains(from));
        // Lists of a fresh image are not there before the first update.
        let Some((_, own)) = found.filter(|_| guest.inside.updated || name == "ca-certificates") else {
            call.warn(format!("E: Unable to locate package {name}"));
            return 100;
        };
        if let Some(asked) = asked.as_ref().filter(|asked| {
            own != **asked && !asked.trim_end_matches('*').is_empty() && !own.starts_with(asked.trim_end_matches('*'))
        }) {
            call.warn(format!("E: Version '{asked}' for '{name}' was not found"));
            return 100;
        }
        chosen.push((name.clone(), own));
    }
    for (one, other) in RIVALS {
        for (new, there) in [(one, other), (other, one)] {
            let both = chosen.iter().any(|(name, _)| name == new) && chosen.iter().any(|(name, _)| name == there);
            if both {
                call.warn(format!(
                    "E: Unable to correct problems, you have held broken packages.\n {new} : Conflicts: {there}"
                ));
                return 100;
            }
        }
    }
    if chosen.is_empty() {
        return 0;
    }
    if !registry_reach(call.world, vmid) {
        call.warn("E: Failed to fetch http://archive.ubuntu.com/ubuntu/pool  Temporary failure resolving 'archive.ubuntu.com'\nE: Unable to fetch some archives, maybe run apt-get update or try with --fix-missing?");
        return 100;
    }
    if super::guest_disk::free(call.world, vmid) < 200 << 20 {
        call.warn("E: You don't have enough free space in /var/cache/apt/archives/.");
        return 100;
    }
    call.print("Reading package lists...\nBuilding dependency tree...\nReading state information...");
    call.world.now_ms += i64::try_from(chosen.len()).unwrap_or(1) * 4_000 * i64::from(call.world.pace) / 100;
    for (name, version) in chosen {
        for (one, other) in RIVALS {
            let rival = if one == name {
                other
            } else if other == name {
                one
            } else {
                continue;
            };
            removed(call.world, vmid, rival);
        }
        call.print(format!("Setting up {name} ({version}) ..."));
        if let Some(guest) = call.world.guests.get_mut(&vmid) {
            guest.inside.packages.insert(name.clone(), version.clone());
        }
        brought(call.world, vmid, &name, &version);
    }
    0
}

/// Versions of what runs below Docker, by its packages.
fn upstream(version: &str) -> String {
    let version = version.split_once(':').map_or(version, |(_, rest)| rest);
    version.split(['-', '+', '~']).next().unwrap_or_default().to_owned()
}

/// What comes with a package beside its files: programs that run, units that are enabled.
fn brought(world: &mut World, vmid: u32, package: &str, version: &str) {
    let Some(guest) = world.guests.get_mut(&vmid) else { return };
    let docker = guest.docker.get_or_insert_with(Docker::default);
    match package {
        "containerd" => docker.containerd = upstream(version),
        "runc" => docker.runc = upstream(version),
        "containerd.io" => {
            docker.containerd = upstream(version);
            // Docker's package has a runc of its own.
            docker.runc = "1.3.3".to_owned();
        }
        "docker-compose-v2" | "docker-compose-plugin" => {
            docker.compose = Some(if package == "docker-compose-v2" { version.to_owned() } else { upstream(version) });
        }
        "docker-compose" if version.starts_with("2.") => docker.compose = Some(version.to_owned()),
        "docker.io" | "docker-ce" => {
            docker.engine = upstream(version);
            let units = &mut guest.inside.units.enabled;
            units.extend(["docker.service", "docker.socket", "containerd.service"].map(str::to_owned));
            // Debian's packages start what they bring.
            let _ = super::docker::daemon::start(world, vmid);
            return;
        }
        _ => {}
    }
    if guest.docker.as_ref().is_some_and(|docker| *docker == Docker::default()) {
        guest.docker = None;
    }
}

fn removed(world: &mut World, vmid: u32, package: &str) {
    let Some(guest) = world.guests.get_mut(&vmid) else { return };
    if guest.inside.packages.remove(package).is_none() {
        return;
    }
    if ["docker.io", "docker-ce"].contains(&package) {
        super::docker::daemon::stop(world, vmid);
        let Some(guest) = world.guests.get_mut(&vmid) else { return };
        guest.inside.units.enabled.remove("docker.service");
        if let Some(docker) = guest.docker.as_mut() {
            docker.engine.clear();
        }
    } else if ["docker-compose-v2", "docker-compose-plugin", "docker-compose"].contains(&package)
        && let Some(docker) = guest.docker.as_mut()
    {
        docker.compose = None;
    }
}

/// `apt-cache policy PACKAGE…`.
fn apt_cache(call: &mut Call<'_>) -> i32 {
    let Some(("policy", packages)) = call.args.split_first().map(|(verb, rest)| (verb.as_str(), rest)) else {
        return call.unknown(&call.args.join(" "));
    };
    let Some((_, guest)) = own(call) else { return 1 };
    let mut lines = Vec::new();
    for package in packages {
        let candidate =
            offered(guest, package).filter(|(from, _)| from.is_empty() || guest.inside.repositories.contains(from));
        let (here, candidate) = (version(guest, package), candidate.map(|(_, version)| version));
        if here.is_none() && candidate.is_none() {
            continue;
        }
        let none = || "(none)".to_owned();
        lines.push(format!(
            "{package}:\n  Installed: {}\n  Candidate: {}\n  Version table:",
            here.clone().unwrap_or_else(none),
            candidate.or(here).unwrap_or_else(none)
        ));
    }
    lines.iter().for_each(|line| call.print(line));
    0
}

/// `dpkg-query -W [-f FORMAT] PACKAGE…`.
fn dpkg_query(call: &mut Call<'_>) -> i32 {
    let mut format = "${Package}\\t${Version}\\n".to_owned();
    let mut names = Vec::new();
    let mut args = call.args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "-W" | "--show" => {}
            "-f" => format = args.next().cloned().unwrap_or_default(),
            arg if arg.starts_with("-f=") => format = arg[3..].to_owned(),
            arg if arg.starts_with("-Wf=") => format = arg[4..].to_owned(),
            arg if arg.starts_with("--showformat=") => format = arg[13..].to_owned(),
            arg if arg.starts_with('-') => return call.unknown(arg),
            name => names.push(name.to_owned()),
        }
    }
    let Some((_, guest)) = own(call) else { return 1 };
    let found: Vec<(String, Option<String>)> = names.iter().map(|name| (name.clone(), version(guest, name))).collect();
    let mut code = 0;
    for (name, version) in found {
        let Some(version) = version else {
            call.warn(format!("dpkg-query: no packages found matching {name}"));
            code = 1;
            continue;
        };
        let line = format
            .replace("${binary:Package}", &name)
            .replace("${Package}", &name)
            .replace("${Version}", &version)
            .replace("${db:Status-Status}", "installed")
            .replace("${Status}", "install ok installed")
            .replace("\\t", "\t")
            .replace("\\n", "\n");
        call.stdout.extend(line.into_bytes());
    }
    code
}

/// SHA-256 of the keys that sign repositories, as they are served: what `apt-helper` compares.
const KEYS: [(&str, &str, &str); 2] = [
    (
        "https://download.docker.com/linux/",
        "1500c1f56fa9e26b9b8f42452a553675796ade0807cdce11975eb98170b3a570",
        "-----BEGIN PGP PUBLIC KEY BLOCK-----\nDocker Release (CE deb) <docker@docker.com>\n",
    ),
    (
        "https://nvidia.github.io/libnvidia-container/gpgkey",
        "c880576d6cf75a48e5027a871bac70fd0421ab07d2b55f30877b21f1c87959c9",
        "-----BEGIN PGP PUBLIC KEY BLOCK-----\nNVIDIA CORPORATION (Open Source Projects) <cudatools@nvidia.com>\n",
    ),
];

/// `download-file URL TARGET [SHA256:…]`.
fn apt_helper(call: &mut Call<'_>) -> i32 {
    let words: Vec<&str> = call.args.iter().map(String::as_str).collect();
    let (url, target, digest) = match words[..] {
        ["download-file", url, target] => (url, target, None),
        ["download-file", url, target, digest] => (url, target, Some(digest)),
        _ => return call.unknown(&words.join(" ")),
    };
    let Some((_, sha256, text)) =
        KEYS.iter().find(|(start, ..)| url.starts_with(start) && (url.ends_with("gpg") || url.ends_with("gpgkey")))
    else {
        return guest_tailscale::find("/usr/lib/apt/apt-helper").map_or(100, |program| program(call));
    };
    let Some(vmid) = guests::own(call.world, call.node) else { return 1 };
    if !registry_reach(call.world, vmid) {
        call.warn(format!("E: Failed to fetch {url}  Temporary failure resolving\nE: Download Failed"));
        return 100;
    }
    if digest.is_some_and(|digest| digest != format!("SHA256:{sha256}")) {
        call.warn(format!("E: Failed to fetch {url}  Hash Sum mismatch\nE: Download Failed"));
        return 100;
    }
    let node = call.node.to_owned();
    if let Err(error) = super::shell::write(call.world, &node, target, text.as_bytes().to_vec(), 0o644) {
        call.warn(format!("E: Could not open file {target} - open ({error})\nE: Download Failed"));
        return 100;
    }
    0
}

/// The text of `/etc/os-release`.
#[must_use]
pub fn os_release(guest: &Guest) -> &'static str {
    match codename(guest) {
        "noble" => {
            "PRETTY_NAME=\"Ubuntu 24.04.2 LTS\"\nNAME=\"Ubuntu\"\nVERSION_ID=\"24.04\"\nVERSION_CODENAME=noble\nID=ubuntu\nID_LIKE=debian\n"
        }
        "jammy" => {
            "PRETTY_NAME=\"Ubuntu 22.04.5 LTS\"\nNAME=\"Ubuntu\"\nVERSION_ID=\"22.04\"\nVERSION_CODENAME=jammy\nID=ubuntu\nID_LIKE=debian\n"
        }
        "trixie" => {
            "PRETTY_NAME=\"Debian GNU/Linux 13 (trixie)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"13\"\nVERSION_CODENAME=trixie\nID=debian\n"
        }
        _ => {
            "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\nID=debian\n"
        }
    }
}

/// Which system an image or template installs, by its name.
#[must_use]
pub fn system_of(image: &str) -> Option<String> {
    let name = image.rsplit('/').next().unwrap_or(image).to_lowercase();
    ["ubuntu-22.04", "ubuntu-24.04", "debian-12", "debian-13", "jammy", "noble", "bookworm", "trixie"]
        .into_iter()
        .find(|known| name.contains(known))
        .map(str::to_owned)
}
