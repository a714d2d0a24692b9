//! Proxmox's API for a machine that is no Proxmox host: a lab, with SSH led to the machine.
//!
//! What a host is (kernel, devices, files, ZFS) is the machine's own answer; what only Proxmox knows (guests,
//! storages, privileges) is the lab's.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::infra::Infra;
use super::machine::Machine;
use super::ssh::Keys;

const INVENTORY: &str = include_str!("inventory.yaml");

/// A running lab and the inventory that leads to it and to the machine. Dropping it ends the lab.
pub struct Lab {
    child: Child,
    directory: PathBuf,
    files: Vec<String>,
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Lab {
    /// Starts one with a new world in an empty directory.
    pub fn start(directory: &Path, infra: &Infra, machine: &Machine, keys: &Keys) -> Result<Self> {
        if directory.exists() {
            fs::remove_dir_all(directory)?;
        }
        fs::create_dir_all(directory)?;
        let key = fs::read_to_string(keys.identity().with_extension("pub"))?;
        let own = format!("{INVENTORY}ssh_keys: [{:?}]\n", key.trim());
        fs::write(directory.join("inventory.yaml"), own)?;
        let ssh = format!(
            "hosts:\n  vm:\n    ssh: {{ host: 127.0.0.1, port: {}, user: root, host_key: {:?}, identity: {:?} }}\n",
            machine.port(),
            keys.host_key()?,
            keys.identity().display().to_string(),
        );
        fs::write(directory.join("machine.yaml"), ssh)?;

        let mut command = infra.command(directory);
        command.args(["lab", "serve", "-i", "inventory.yaml"]);
        let errors = directory.join("lab.log");
        let child = command.stdout(Stdio::piped()).stderr(fs::File::create(&errors)?).spawn();
        let mut lab =
            Self { child: child.context("infra does not start")?, directory: directory.to_owned(), files: Vec::new() };
        let mut ready = String::new();
        let stdout = lab.child.stdout.take().context("its stdout is ours")?;
        BufReader::new(stdout).read_line(&mut ready)?;
        let ready: Value = serde_json::from_str(&ready).with_context(|| {
            format!("the lab does not start: {}", fs::read_to_string(&errors).unwrap_or_default().trim())
        })?;
        let Some(overlay) = ready["inventory"].as_str() else { bail!("the lab names no inventory: {ready}") };
        for file in ["inventory.yaml", overlay, "machine.yaml"] {
            lab.files.extend(["-i".to_owned(), file.to_owned()]);
        }
        Ok(lab)
    }

    /// Where `infra` is to be called, as its state is there.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// A verb and its flags with the inventory.
    pub fn arguments<'a>(&'a self, words: &[&'a str]) -> Vec<&'a str> {
        let mut words = words.to_vec();
        words.extend(self.files.iter().map(String::as_str));
        words
    }
}
