//! Images of the catalogue's names, each with the same one layer: the stand-in for its programs, a BusyBox and a Bash.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::images::Family;

/// Programs of images that the stand-in stands in for.
const PROGRAMS: [&str; 14] = [
    "curl",
    "python3",
    "ollama",
    "mc",
    "pg_isready",
    "redis-cli",
    "valkey-cli",
    "ak",
    "find",
    "gosu",
    "pg_basebackup",
    "docker-entrypoint.sh",
    "vllm",
    "stand-in",
];

/// What the registry of the suite has.
pub struct Registry {
    folder: PathBuf,
    layer: (String, String, u64),
    known: Mutex<BTreeMap<String, String>>,
}

fn digest(bytes: &[u8]) -> String {
    let sum = Sha256::digest(bytes);
    sum.iter().fold("sha256:".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

impl Registry {
    /// Compiles the stand-in and makes the layer of it.
    pub fn make(folder: &Path) -> Result<Self, String> {
        let program = folder.join("stand-in");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/engine_real/stand_in.rs");
        let compiled = Command::new("rustc")
            .args(["--edition", "2024", "-O", "-C", "target-feature=+crt-static", "-C", "strip=symbols", "-o"])
            .arg(&program)
            .arg(source)
            .output()
            .map_err(|error| format!("rustc: {error}"))?;
        if !compiled.status.success() {
            return Err(format!("rustc: {}", String::from_utf8_lossy(&compiled.stderr)));
        }
        let own = folder.join("registry");
        fs::create_dir_all(&own).unwrap();
        let tree = folder.join("layer");
        tree_of(&tree, &program);
        let tar =
            Command::new("tar").args(["--sort=name", "--mtime=@0", "-cf", "-", "-C"]).arg(&tree).arg(".").output();
        let tar = tar.map_err(|error| format!("tar: {error}"))?;
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(&tar.stdout).unwrap();
        let packed = packed.finish().unwrap();
        let name = digest(&packed);
        fs::write(own.join(&name), &packed).unwrap();
        let layer = (digest(&tar.stdout), name, packed.len() as u64);
        Ok(Self { folder: own, layer, known: Mutex::default() })
    }

    /// Offers an image under a name; what it was before under that name is gone. Gives its digest.
    pub fn offer(&self, name: &str, family: &Family, more: &[(&str, &str)]) -> String {
        let said = |line: &String| more.iter().any(|(key, _)| line.starts_with(&format!("{key}=")));
        let own = family.environment(name).into_iter().filter(|line| !said(line));
        let environment = own.chain(more.iter().map(|(key, value)| format!("{key}={value}")));
        let config = json!({
            "architecture": "amd64",
            "os": "linux",
            "config": {
                "Env": environment.collect::<Vec<_>>(),
                "Entrypoint": ["/bin/stand-in"],
                "User": family.user,
                "WorkingDir": family.directory,
                // The first process of a container hears no other signal unless it asks for it.
                "StopSignal": "SIGKILL",
            },
            "rootfs": { "type": "layers", "diff_ids": [self.layer.0] },
        });
        let (config_digest, config_size) = self.keep(&config);
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "config": {
                "mediaType": "application/vnd.docker.container.image.v1+json",
                "size": config_size,
                "digest": config_digest,
            },
            "layers": [{
                "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
                "size": self.layer.2,
                "digest": self.layer.1,
            }],
        });
        let (manifest, _) = self.keep(&manifest);
        let mut known = self.known.lock().unwrap();
        known.insert(full(name), manifest.clone());
        let lines: String = known.iter().map(|(name, digest)| format!("{name} {digest}\n")).collect();
        fs::write(self.folder.join("manifests.new"), lines).unwrap();
        fs::rename(self.folder.join("manifests.new"), self.folder.join("manifests")).unwrap();
        manifest
    }

    fn keep(&self, value: &Value) -> (String, usize) {
        let bytes = value.to_string().into_bytes();
        let name = digest(&bytes);
        fs::write(self.folder.join(&name), &bytes).unwrap();
        (name, bytes.len())
    }
}

/// A name with everything that Docker adds to it.
fn full(name: &str) -> String {
    let name = name.split('@').next().unwrap();
    match name.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) => name.to_owned(),
        Some(_) => format!("docker.io/{name}"),
        None => format!("docker.io/library/{name}"),
    }
}

fn tree_of(tree: &Path, program: &Path) {
    let guest = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/engine-real/guest");
    for directory in ["bin", "etc", "tmp", "app/extra", "root"] {
        fs::create_dir_all(tree.join(directory)).unwrap();
    }
    fs::set_permissions(tree.join("tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
    fs::copy(guest.join("usr/bin/busybox"), tree.join("bin/busybox")).unwrap();
    fs::copy(guest.join("usr/bin/bash-static"), tree.join("bin/bash")).unwrap();
    fs::copy(program, tree.join("bin/stand-in")).unwrap();
    let names = Command::new(guest.join("usr/bin/busybox")).arg("--list").output().unwrap();
    for name in String::from_utf8_lossy(&names.stdout).lines().filter(|name| !PROGRAMS.contains(name)) {
        let _ = symlink("busybox", tree.join("bin").join(name));
    }
    for name in PROGRAMS.iter().filter(|name| **name != "stand-in") {
        symlink("stand-in", tree.join("bin").join(name)).unwrap();
    }
    symlink("/bin/stand-in", tree.join("app/extra/healthcheck")).unwrap();
    let users = "root:x:0:0::/root:/bin/sh\npostgres:x:999:999::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n";
    fs::write(tree.join("etc/passwd"), users).unwrap();
    fs::write(tree.join("etc/group"), "root:x:0:\npostgres:x:999:\nnogroup:x:65534:\n").unwrap();
    // A new volume takes its owner from the directory that it covers.
    for family in super::images::FAMILIES {
        for directory in family.writes {
            let path = tree.join(directory.trim_start_matches('/'));
            fs::create_dir_all(&path).unwrap();
            if let Ok(user) = family.user.parse() {
                fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
                chown(&path, Some(user), Some(user)).unwrap();
            }
        }
    }
}
