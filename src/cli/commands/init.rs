//! `infra init`: the first files of an inventory, or of a service of one's own.

use camino::{Utf8Path, Utf8PathBuf};

use crate::blueprint;
use crate::cli::{CommandError, Exit, error};
use crate::diag::{Diagnostic, Diagnostics};
use crate::inventory::{self, InventoryFiles, Layer, SourceFile};
use crate::model::ServiceName;
use crate::ui::{Writer, ask};

/// Write the first files of an inventory, or with --service those of a service of your own
///
/// What is written validates at once; what only you know is marked REPLACE. What no flag says is asked for where there
/// is a terminal. Nothing that is there is written over.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: infra init inventories/home --address 192.168.10.2\n\n\
         Example: infra init --service wiki --image ghcr.io/requarks/wiki:2.5.308 --port 3000")]
pub struct Args {
    /// Directory of the inventory, `inventories/NAME` unless given; with --service the one that holds `templates/`
    #[arg(value_name = "DIR")]
    directory: Option<Utf8PathBuf>,
    /// A folder `templates/NAME` for a service of your own
    #[arg(long, value_name = "NAME", conflicts_with_all = ["name", "address", "host", "node", "bridge", "subnet", "gateway", "ssh_key"])]
    service: Option<ServiceName>,
    /// The image that the service runs as, pinned
    #[arg(long, value_name = "REPOSITORY:TAG", requires = "service")]
    image: Option<String>,
    /// The port that the service listens on
    #[arg(long, value_name = "PORT", requires = "service", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// Name of the environment; that of the directory unless given
    #[arg(long)]
    name: Option<String>,
    /// Address of the Proxmox VE host
    #[arg(long)]
    address: Option<String>,
    /// What the inventory calls the host [default: hq]
    #[arg(long)]
    host: Option<String>,
    /// What `hostname` prints on the host [default: pve]
    #[arg(long)]
    node: Option<String>,
    /// The bridge that guests are connected to [default: vmbr0]
    #[arg(long)]
    bridge: Option<String>,
    /// The guests' network [default: 10.0.0.0/24]
    #[arg(long, value_name = "CIDR")]
    subnet: Option<String>,
    /// The host's own address in it [default: the first one]
    #[arg(long)]
    gateway: Option<String>,
    /// File with the public SSH key of whoever may log in to guests [default: ~/.ssh/id_ed25519.pub if there is one]
    #[arg(long, value_name = "FILE")]
    ssh_key: Option<Utf8PathBuf>,
}

pub fn run(args: &Args, writer: &mut Writer) -> Result<Exit, CommandError> {
    match &args.service {
        Some(service) => own_service(args, service, writer),
        None => own_inventory(args, writer),
    }
}

/// What a flag says, else what somebody answers, else `default`.
fn given(
    flag: (&str, Option<&String>),
    question: &str,
    default: Option<&str>,
    writer: &Writer,
) -> Result<String, CommandError> {
    match (flag.1, default) {
        (Some(value), _) => Ok(value.clone()),
        (None, Some(default)) if !writer.is_interactive() => Ok(default.to_owned()),
        (None, default) => Ok(ask(writer, question, default, flag.0)?),
    }
}

fn own_inventory(args: &Args, writer: &mut Writer) -> Result<Exit, CommandError> {
    let named = args.directory.as_deref().and_then(Utf8Path::file_name);
    let name = given(("--name", args.name.as_ref()), "Name of the environment", named, writer)?;
    let directory = args.directory.clone().unwrap_or_else(|| Utf8Path::new("inventories").join(&name));
    let path = directory.join("inventory.yaml");
    let taken = directory.read_dir_utf8().is_ok_and(|mut entries| entries.next().is_some());
    if taken {
        return Err(there_already(&directory));
    }
    let address = given(("--address", args.address.as_ref()), "Address of the Proxmox VE host", None, writer)?;
    let host = given(("--host", args.host.as_ref()), "What shall it be called here", Some("hq"), writer)?;
    let node = given(("--node", args.node.as_ref()), "What `hostname` prints on it", Some("pve"), writer)?;
    let bridge = given(("--bridge", args.bridge.as_ref()), "Bridge of the guests", Some("vmbr0"), writer)?;
    let subnet = given(("--subnet", args.subnet.as_ref()), "Network of the guests", Some("10.0.0.0/24"), writer)?;
    // What is no network is told with its place when the whole is looked at.
    let first = first_address(&subnet).unwrap_or_else(|| subnet.clone());
    let gateway = given(("--gateway", args.gateway.as_ref()), "Address of the host in it", Some(&first), writer)?;
    let guest = guest_address(&subnet).unwrap_or_else(|| gateway.clone());
    let key = ssh_key(args)?;
    let values = Values { name, address, host, node, bridge, subnet, gateway, guest, key };
    let text = inventory_text(&values);
    sound(&path, &text)?;
    write(&path, &text)?;
    writer.answer(&format!("{path}\n"))?;
    writer.tell(&format!(
        "next: replace what is marked REPLACE, then `infra validate -i {directory}` and `infra plan --lab -i {directory}`\n"
    ));
    Ok(Exit::Fine)
}

fn there_already(path: &Utf8Path) -> CommandError {
    Diagnostic::error("init.there", format!("`{path}` is there already"))
        .hint("name another directory, or change what is there; nothing is written over")
        .into()
}

fn write(path: &Utf8Path, text: &str) -> Result<(), CommandError> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(|problem| error::file("made", parent, &problem))?;
    }
    std::fs::write(path, text).map_err(|problem| error::file("written", path, &problem))
}

/// The key's line; nothing if nobody named one and there is none where they usually are.
fn ssh_key(args: &Args) -> Result<Option<String>, CommandError> {
    let usual = || std::env::var("HOME").ok().map(|home| Utf8Path::new(&home).join(".ssh/id_ed25519.pub"));
    let read = |path: &Utf8Path| std::fs::read_to_string(path).map(|text| text.trim().to_owned());
    match &args.ssh_key {
        Some(path) => read(path).map(Some).map_err(|problem| error::file("read", path, &problem)),
        None => Ok(usual().and_then(|path| read(&path).ok())),
    }
}

fn network(subnet: &str) -> Option<ipnet::IpNet> {
    subnet.parse().ok()
}

fn first_address(subnet: &str) -> Option<String> {
    network(subnet)?.hosts().next().map(|address| address.to_string())
}

fn guest_address(subnet: &str) -> Option<String> {
    network(subnet)?.hosts().nth(9).map(|address| address.to_string())
}

/// What the first inventory is made of.
struct Values {
    name: String,
    address: String,
    host: String,
    node: String,
    bridge: String,
    subnet: String,
    gateway: String,
    guest: String,
    key: Option<String>,
}

/// A text as YAML takes it wherever it stands.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    let number = text.parse::<f64>().is_ok();
    if !text.is_empty() && text.chars().all(plain) && !number { text.to_owned() } else { format!("{text:?}") }
}

fn inventory_text(values: &Values) -> String {
    let Values { name, address, host, node, bridge, subnet, gateway, guest, key } = values;
    let placeholder = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA REPLACE";
    let key_line = match key {
        Some(key) => format!("ssh_keys:\n  - {}\n", quoted(key)),
        None => format!("# REPLACE with the content of your `~/.ssh/id_ed25519.pub`.\nssh_keys:\n  - {placeholder}\n"),
    };
    let token = format!("{host}-token");
    let (name, address, node) = (quoted(name), quoted(address), quoted(node));
    let (host, bridge, subnet) = (quoted(host), quoted(bridge), quoted(subnet));
    let (gateway, guest, token) = (quoted(gateway), quoted(guest), quoted(&format!("secret:{token}")));
    format!(
        "# What shall be on this host. `infra schema inventory` says every key that there is.\n\
         schema: 1\n\
         name: {name} # marks every guest that this inventory owns\n\
         \n\
         hosts:\n\
         \x20 {host}:\n\
         \x20   address: {address}\n\
         \x20   node: {node} # what `hostname` prints on the host\n\
         \x20   api:\n\
         \x20     # On the host: pveum user add infra@pve, grant it a role, pveum user token add infra@pve laptop\n\
         \x20     token_id: infra@pve!laptop\n\
         \x20     token: {token} # the name of a secret; its value never stands in a file\n\
         \x20     # REPLACE with what `pvenode cert info` shows for pve-ssl.pem (or use `ca_file`).\n\
         \x20     fingerprint: 00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00\n\
         \x20   ssh:\n\
         \x20     user: root\n\
         \x20     # REPLACE with the line of `ssh-keyscan -t ed25519 HOST`, from `ssh-ed25519` on.\n\
         \x20     host_key: {placeholder}\n\
         \x20   storage: {{ guests: local-zfs, files: local }}\n\
         \x20   network: {{ bridge: {bridge}, subnet: {subnet}, gateway: {gateway} }}\n\
         \n\
         {key_line}\
         \n\
         images:\n\
         \x20 debian-12: {{ template: debian-12-standard_12.12-1_amd64.tar.zst }} # REPLACE with one that `pveam available` lists\n\
         \n\
         # What nobody declares is closed: guests reach one another only where one `uses` what the other has.\n\
         guests:\n\
         \x20 ops:\n\
         \x20   kind: container\n\
         \x20   host: {host}\n\
         \x20   vmid: 100\n\
         \x20   address: {guest}\n\
         \x20   image: debian-12\n\
         \x20   cores: 2\n\
         \x20   memory: 2GiB\n\
         \x20   disk: 16GiB\n\
         \x20   services: [node-exporter] # docs/catalogue.md lists what there is; `infra init --service` makes your own\n"
    )
}

/// Refuses values that no inventory may hold, with their places in what would be written.
fn sound(path: &Utf8Path, text: &str) -> Result<(), CommandError> {
    let layer = Layer { path: path.to_owned(), files: vec![SourceFile::new(path, text)] };
    let loaded = inventory::load(&InventoryFiles { layers: vec![layer], ..InventoryFiles::default() });
    let mut problems = loaded.diagnostics;
    if let Some(inventory) = &loaded.inventory {
        problems.extend(blueprint::resolve(inventory).1);
    }
    if problems.has_errors() { Err(CommandError::in_files(problems, loaded.sources)) } else { Ok(()) }
}

fn own_service(args: &Args, service: &ServiceName, writer: &mut Writer) -> Result<Exit, CommandError> {
    let root = args.directory.clone().unwrap_or_else(|| Utf8PathBuf::from("."));
    let folder = root.join("templates").join(service.as_str());
    if folder.exists() {
        return Err(there_already(&folder));
    }
    let image = args.image.clone().unwrap_or_else(|| format!("registry.example/{service}:0.1.0"));
    let port = args.port.unwrap_or(8080);
    let files = [
        ("template.yaml".to_owned(), template_text(service, &image, port, args)),
        ("compose.yaml.j2".to_owned(), compose_text(service)),
        (format!("env.{service}.j2"), "LOG_LEVEL={{ variables.log_level }}\n".to_owned()),
    ];
    let written: Vec<(Utf8PathBuf, String)> = files.into_iter().map(|(file, text)| (folder.join(file), text)).collect();
    sound_service(&written)?;
    for (path, text) in &written {
        write(path, text)?;
    }
    let paths: String = written.iter().map(|(path, _)| format!("{path}\n")).collect();
    writer.answer(&paths)?;
    writer.tell(&format!(
        "next: replace what is marked REPLACE, list it at a guest (`services: [{service}]`), then `infra render`\n"
    ));
    Ok(Exit::Fine)
}

/// Refuses what no folder of a service may hold.
fn sound_service(written: &[(Utf8PathBuf, String)]) -> Result<(), CommandError> {
    let layer = Layer { path: "x.yaml".into(), files: vec![SourceFile::new("x.yaml", "name: x\n")] };
    let templates: Vec<SourceFile> = written.iter().map(|(path, text)| SourceFile::new(path, text.as_str())).collect();
    let loaded = inventory::load(&InventoryFiles { layers: vec![layer], templates, ..InventoryFiles::default() });
    let mut problems = loaded.diagnostics;
    if let Some(inventory) = &loaded.inventory {
        problems.extend(blueprint::resolve(inventory).1);
    }
    // The inventory around it is none; only what is said of the folder counts.
    let own = problems.iter().filter(|problem| {
        problem.primary.as_ref().is_some_and(|label| {
            let path = loaded.sources.path(label.span.file);
            written.iter().any(|(own, _)| own == path)
        })
    });
    let own: Diagnostics = own.cloned().collect();
    if own.has_errors() { Err(CommandError::in_files(own, loaded.sources)) } else { Ok(()) }
}

fn template_text(service: &ServiceName, image: &str, port: u16, args: &Args) -> String {
    let mark = if args.image.is_some() { "" } else { " # REPLACE: repository and tag; `latest` is refused" };
    let image = quoted(image);
    let image = if image.starts_with('"') { image.trim_matches('"').to_owned() } else { image };
    format!(
        "# What `{service}` is. `infra schema service` says every key that there is.\n\
         description: REPLACE with what it is for\n\
         image: {image}{mark}\n\
         ports:\n\
         \x20 # inside: the guest alone; guests: also those that `uses` it; people: also `exposes`, `routes` and `access`\n\
         \x20 http: {{ port: {port}, audience: guests }}\n\
         variables: # what an inventory may set: `services: [{{ name: {service}, with: {{ log_level: debug }} }}]`\n\
         \x20 log_level: {{ type: enum, values: [debug, info, warning, error], default: info }}\n\
         volumes:\n\
         \x20 data: {{ mount: /data, holds: REPLACE with what is in it }}\n\
         needs: {{ memory: 256MiB, memory_limit: 512MiB, disk: 2GiB }}\n\
         # The probe is a program that the image has: curl, wget, python or bash; or `command: […]` instead of both.\n\
         health: {{ path: /, probe: wget, grace: 60s }}\n\
         secrets: # a file in the container, named by a variable; `env: NAME` where the image reads no file\n\
         \x20 api_key: {{ generate: 40, file: API_KEY_FILE }}\n"
    )
}

fn compose_text(service: &ServiceName) -> String {
    format!(
        "# What only this service knows: its command and its environment. Image, ports, volumes, networks, limits, health\n\
         # and logs are made of template.yaml.\n\
         services:\n\
         \x20 {service}:\n\
         \x20   cap_drop: [ALL]\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_stays_a_text() {
        for (text, yaml) in [("hq", "hq"), ("10.0.0.0/24", "10.0.0.0/24"), ("1.5", "\"1.5\""), ("a: b", "\"a: b\"")] {
            assert_eq!(quoted(text), yaml);
        }
    }

    #[test]
    fn the_first_addresses_of_a_network_are_offered() {
        assert_eq!(first_address("10.20.0.0/24").as_deref(), Some("10.20.0.1"));
        assert_eq!(guest_address("10.20.0.0/24").as_deref(), Some("10.20.0.10"));
        assert_eq!(first_address("nonsense"), None);
    }
}
