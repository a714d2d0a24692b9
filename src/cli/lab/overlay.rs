//! An inventory file that leads to a running lab.
//!
//! Given after an inventory's own files it overrides how hosts are reached and nothing else. For a lab
//! without an inventory it describes the hosts in full, and only guests and images are missing. The token is
//! not in it but in a file of its own beside it, where secrets are looked for.

use std::os::unix::fs::DirBuilderExt;

use camino::Utf8PathBuf;
use russh::keys::ssh_key::PrivateKey;
use secrecy::ExposeSecret;

use super::described::{self, quoted};
use super::world::{LabWorld, OpnSenseReach, Reach, TailnetReach, write_private};
use crate::blueprint::{Blueprint, Host, OpnSense, Tailnet, Trust};
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
    let mut text = match blueprint {
        Some(_) => "# How the running lab is reached: `-i YOUR_INVENTORY -i THIS_FILE`.\n".to_owned(),
        None => alone(world, directory.file_name().unwrap_or("lab"))?,
    };
    text.push_str("hosts:\n");
    for (name, reach) in &world.hosts {
        let host = blueprint.and_then(|blueprint| blueprint.hosts.get(name));
        // A scenario may have hosts that the inventory does not know.
        if blueprint.is_some() && host.is_none() {
            continue;
        }
        text.push_str(&block(name, reach, host));
        let hosts = scenario.sites.iter().flat_map(|site| site.hosts.iter().map(move |host| (site, host)));
        if let (None, Some((site, host))) = (blueprint, hosts.into_iter().find(|(_, host)| host.name == name.as_str()))
        {
            text.push_str(&described::keys(site, host));
        }
    }
    if let Some((tailnet, reach)) = blueprint.and_then(|blueprint| blueprint.tailnet.as_ref()).zip(world.tailnet()) {
        text.push_str(&tailnet_block(tailnet, reach));
        let path = secrets.join(TAILNET_KEY);
        write_private(&path, &reach.key).map_err(|e| file("written", &path, &e))?;
    }
    let router = blueprint.and_then(|blueprint| blueprint.dns.opnsense.as_ref());
    if let Some((router, reach)) = router.zip(world.opnsense()) {
        text.push_str(&opnsense_block(router, reach));
        for (name, value) in [(OPNSENSE_KEY, &reach.key), (OPNSENSE_SECRET, &reach.secret)] {
            let path = secrets.join(name);
            write_private(&path, value).map_err(|e| file("written", &path, &e))?;
        }
    }
    let path = directory.join("inventory.yaml");
    write_private(&path, &text).map_err(|e| file("written", &path, &e))?;
    Ok(path)
}

/// The name of the secret that opens the lab's tailnet.
const TAILNET_KEY: &str = "lab-tailnet";

/// The names of the secrets that open the lab's OPNsense.
const OPNSENSE_KEY: &str = "lab-opnsense-key";
const OPNSENSE_SECRET: &str = "lab-opnsense-secret";

fn opnsense_block(router: &OpnSense, reach: &OpnSenseReach) -> String {
    let ca = if matches!(router.trust, Some(Trust::CaFile(_))) { "    ca_file: null\n" } else { "" };
    format!(
        "dns:\n  opnsense:\n    url: {}\n    key: secret:{OPNSENSE_KEY}\n    secret: secret:{OPNSENSE_SECRET}\n    fingerprint: {}\n{ca}",
        quoted(&reach.url),
        quoted(&reach.fingerprint.to_string()),
    )
}

fn tailnet_block(tailnet: &Tailnet, reach: &TailnetReach) -> String {
    let ca = if matches!(tailnet.trust, Some(Trust::CaFile(_))) { "  ca_file: null\n" } else { "" };
    format!(
        "tailnet:\n  name: \"-\"\n  control: tailscale\n  url: {}\n  key: secret:{TAILNET_KEY}\n  fingerprint: {}\n{ca}",
        quoted(&reach.url),
        quoted(&reach.fingerprint.to_string()),
    )
}

/// What an inventory begins with, where this file is all that is said of its hosts. Guests let in whoever
/// the lab's hosts let in.
fn alone(world: &LabWorld, name: &str) -> Result<String, CommandError> {
    let mut text = format!(
        "# The running lab: `-i THIS_FILE -i YOUR_GUESTS`, where yours says `images:` and `guests:`.\nschema: 1\nname: {}\n",
        quoted(name)
    );
    if let Some(reach) = world.hosts.values().next() {
        let identity = &reach.ssh.identity_file;
        let key = PrivateKey::read_openssh_file(identity.as_std_path()).and_then(|key| key.public_key().to_openssh());
        let key = key.map_err(|e| file("read", identity, &std::io::Error::other(e)))?;
        text.push_str(&format!("ssh_keys: [{}]\n", quoted(&key)));
    }
    Ok(text)
}

fn secret(name: &HostName) -> String {
    format!("lab-{name}")
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
    // Where the lab is reached says nothing about the host: what it opens stays what the inventory says.
    if let Some(firewall) = host.and_then(|host| host.firewall.as_ref()) {
        let ports: Vec<String> = firewall.ports.iter().map(u16::to_string).collect();
        text.push_str(&format!("    firewall:\n      ports: [{}]\n", ports.join(", ")));
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
