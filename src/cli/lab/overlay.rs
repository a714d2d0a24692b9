//! An inventory file that leads to a running lab.
//!
//! Given after an inventory's own files it overrides how hosts are reached and nothing else. The token
//! is not in it but in a file of its own beside it, where secrets are looked for.

use std::os::unix::fs::DirBuilderExt;

use camino::Utf8PathBuf;
use secrecy::ExposeSecret;

use super::world::{LabWorld, Reach, write_private};
use crate::blueprint::{Blueprint, Host, Trust};
use crate::cli::CommandError;
use crate::cli::error::file;
use crate::lab::Scenario;
use crate::model::HostName;

/// Writes the file and the tokens, and gives its path.
pub(in crate::cli) fn write(
    world: &LabWorld,
    blueprint: Option<&Blueprint>,
    scenario: &Scenario,
) -> Result<Utf8PathBuf, CommandError> {
    let directory = world.directory.canonicalize_utf8().map_err(|e| file("found", &world.directory, &e))?;
    let secrets = directory.join("secrets");
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700).create(&secrets).map_err(|e| file("made", &secrets, &e))?;
    for (name, token) in &world.tokens {
        let path = secrets.join(secret(name));
        write_private(&path, token.expose_secret()).map_err(|e| file("written", &path, &e))?;
    }
    let mut text = String::from("# How the running lab is reached: `-i YOUR_INVENTORY -i THIS_FILE`.\n");
    if blueprint.is_none() {
        let name = directory.file_name().unwrap_or("lab");
        text.push_str(&format!("schema: 1\nname: {}\n", quoted(name)));
    }
    text.push_str("hosts:\n");
    for (name, reach) in &world.hosts {
        let host = match blueprint {
            // A scenario may have hosts that the inventory does not know.
            Some(blueprint) => match blueprint.hosts.get(name) {
                Some(host) => Some(host),
                None => continue,
            },
            None => None,
        };
        text.push_str(&block(name, reach, host));
        if host.is_none() {
            text.push_str(&rest(name, scenario));
        }
    }
    let path = directory.join("inventory.yaml");
    write_private(&path, &text).map_err(|e| file("written", &path, &e))?;
    Ok(path)
}

fn secret(name: &HostName) -> String {
    format!("lab-{name}")
}

/// A text as YAML reads it back; JSON's quotes are YAML's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn block(name: &HostName, reach: &Reach, host: Option<&Host>) -> String {
    let Reach { api, ssh } = reach;
    let mut text = format!(
        "  {name}:\n    api:\n      host: {}\n      port: {}\n      token_id: {}\n      token: secret:{}\n      fingerprint: {}\n",
        quoted(&api.host),
        api.port,
        quoted(&api.token_id),
        secret(name),
        quoted(&api.fingerprint.to_string()),
    );
    if host.is_some_and(|host| matches!(host.access.api.trust, Trust::CaFile(_))) {
        text.push_str("      ca_file: null\n");
    }
    let access = host.map(|host| host.access.ssh.as_ref());
    if matches!(access, Some(None)) {
        return text;
    }
    text.push_str(&format!(
        "    ssh:\n      host: {}\n      port: {}\n      user: {}\n      host_key: {}\n      identity: {}\n",
        quoted(&ssh.host),
        ssh.port,
        quoted(&ssh.user),
        quoted(&ssh.host_key),
        quoted(ssh.identity_file.as_str()),
    ));
    if access.flatten().is_some_and(|access| access.jump.is_some()) {
        text.push_str("      jump: null\n");
    }
    text
}

/// What an inventory must say of a host beside how it is reached, for a lab without one.
fn rest(name: &HostName, scenario: &Scenario) -> String {
    let spec = scenario.sites.iter().flat_map(|site| &site.hosts).find(|host| host.name == name.as_str());
    let (node, address) = spec.map_or((name.as_str(), "127.0.0.1"), |host| (&host.node, &host.address));
    format!(
        "    address: {}\n    node: {}\n    storage: {{ guests: local-zfs, files: local, datasets: rpool/containers }}\n    \
         network: {{ bridge: vmbr0, subnet: 10.0.0.0/24, gateway: 10.0.0.1 }}\n",
        quoted(address),
        quoted(node),
    )
}
