//! The inventories of this repository, and inventories that were broken at random.

use camino::Utf8Path;
use infra::adapters::files::read_inventory;
use infra::blueprint::{Blueprint, GuestShape, ImageSource, Party, resolve};
use infra::diag::Diagnostics;
use infra::inventory::{InventoryFiles, Layer, SourceFile, load};
use infra::model::Size;
use infra::ui::{Terminal, diagnostics_text};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

fn repository() -> &'static Utf8Path {
    Utf8Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn vrooli() -> InventoryFiles {
    read_inventory(&[repository().join("inventories/vrooli")])
}

pub fn check(files: &InventoryFiles) -> (Option<Blueprint>, Diagnostics) {
    let loaded = load(files);
    let mut diagnostics = loaded.diagnostics;
    let blueprint = loaded.inventory.and_then(|inventory| {
        let (blueprint, more) = resolve(&inventory);
        diagnostics.extend(more);
        blueprint
    });
    assert_eq!(blueprint.is_some(), !diagnostics.has_errors());
    (blueprint, diagnostics)
}

#[test]
fn vrooli_is_the_reference_architecture() {
    let (blueprint, diagnostics) = check(&vrooli());
    assert!(diagnostics.is_empty(), "{diagnostics:#?}");
    let blueprint = blueprint.unwrap();
    let names: Vec<&str> = blueprint.guests.keys().map(|name| name.as_str()).collect();
    assert_eq!(names, ["ops-tools", "plan-hq", "proj-x", "proj-y", "vrooli-dev"]);
    let guest = |name: &str| &blueprint.guests[&name.parse().unwrap()];

    let hq = guest("plan-hq");
    assert_eq!((hq.vmid.get(), hq.cores, hq.memory, hq.disk), (100, 8, Size::gib(32), Size::gib(200)));
    let GuestShape::Vm(vm) = &hq.shape else { panic!("plan-hq is a VM") };
    assert_eq!(vm.gpus[0].as_str(), "rtx4090");
    assert!(matches!(&blueprint.images[&hq.image].source, ImageSource::Cloud { file, .. } if file.ends_with(".qcow2")));

    let project = guest("proj-x");
    assert_eq!((project.cores, project.memory, project.disk), (2, Size::gib(4), Size::gib(20)));
    let GuestShape::Container(container) = &project.shape else { panic!("proj-x is a container") };
    assert_eq!(container.datasets[0].dataset.as_str(), "rpool/containers/proj-x");
    assert_eq!(guest("ops-tools").memory, Size::gib(2));
}

#[test]
fn projects_of_vrooli_use_the_bus_and_the_gateway_and_nothing_else_of_any_guest() {
    let blueprint = check(&vrooli()).0.unwrap();
    let between = blueprint.flows.iter().filter_map(|flow| match (&flow.from, &flow.to) {
        (Party::Guest(from), Party::Guest(to)) => Some(format!("{from} > {to} {} {}", flow.transport, flow.ports)),
        _ => None,
    });
    let (of_ops, rest): (Vec<String>, Vec<String>) = between.partition(|flow| flow.starts_with("ops-tools"));
    let expected: Vec<String> = ["proj-x", "proj-y", "vrooli-dev"]
        .iter()
        .flat_map(|project| ["4000", "4222"].map(|port| format!("{project} > plan-hq tcp {port}")))
        .collect();
    assert_eq!(rest, expected);
    let metrics = ["tcp 9100", "tcp 9400", "tcp 8222"];
    assert!(of_ops.iter().all(|flow| metrics.iter().any(|port| flow.ends_with(port))), "{of_ops:?}");
}

#[test]
fn an_overlay_changes_how_a_host_is_reached_and_nothing_else() {
    let over = |text: &str| {
        let mut files = vrooli();
        let file = SourceFile::new("away.yaml", text);
        files.layers.push(Layer { path: "away.yaml".into(), files: vec![file] });
        let (blueprint, diagnostics) = check(&files);
        assert!(diagnostics.is_empty(), "{diagnostics:#?}");
        blueprint.unwrap()
    };
    let before = over("hosts:\n  hq:\n    address: 192.168.10.2\n");
    let mut changed = over("hosts:\n  hq:\n    address: 127.0.0.1\n    api: { port: 18006 }\n");
    let (host, old) = (changed.hosts.values_mut().next().unwrap(), before.hosts.values().next().unwrap());
    assert_eq!((host.access.api.host.as_str(), host.access.api.port), ("127.0.0.1", 18006));
    assert_eq!(host.access.ssh.as_ref().unwrap().host, "127.0.0.1");
    host.access = old.access.clone();
    host.address.clone_from(&old.address);
    let ports = |host: &infra::blueprint::Host| host.firewall.as_ref().map(|firewall| firewall.ports.clone());
    assert_eq!(ports(host), ports(old), "a tunnel's end is no port of the host");
    // Its places in the files differ.
    host.firewall = old.firewall.clone();
    assert!(changed == before, "only the access may differ");
}

/// The example of the format's description, with the elided values filled in.
#[test]
fn the_example_of_the_format_resolves() {
    let text = r#"
schema: 1
name: vrooli
hosts:
  hq:
    address: 192.168.10.2
    api: { token_id: "infra@pve!laptop", token: secret:hq-token, fingerprint: "FP" }
    ssh: { user: root, host_key: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" }
    storage: { guests: local-zfs, files: local, datasets: rpool/containers }
    network: { bridge: vmbr0, subnet: 10.0.0.0/24, gateway: 10.0.0.1 }
    gpus: { rtx4090: { id: "10de:2684", vram: 24GiB } }
guests:
  plan-hq: { profile: plan-hq, host: hq, vmid: 100, address: 10.0.0.10, gpus: [rtx4090], services: [ollama, open-webui] }
  proj-x:
    profile: project
    host: hq
    vmid: 104
    address: 10.0.0.123
    datasets: [{ name: proj-x, mount: /workspace, quota: 20GiB }]
    uses: [plan-hq/ollama]
    routes: { proj-x.example.com: 8080 }
  ops-tools: { profile: ops, host: hq, vmid: 110, address: 10.0.0.20 }
"#
    .replace("FP", &vec!["AB"; 32].join(":"));
    let mut files = vrooli();
    files.layers[0].files.retain(|file| !file.path.ends_with("hosts.yaml") && !file.path.ends_with("guests.yaml"));
    files.layers[0].files.push(SourceFile::new("example.yaml", text));
    let (blueprint, diagnostics) = check(&files);
    assert!(blueprint.is_some(), "{diagnostics:#?}");
    let codes: Vec<&str> = diagnostics.iter().map(|diagnostic| diagnostic.code).collect();
    assert!(codes.contains(&"inventory.route-ingress"), "{codes:?}");
}

/// One random change of a text.
#[derive(Debug, Clone)]
enum Mutation {
    FlipByte(usize, u8),
    DeleteLine(usize),
    RepeatLine(usize),
    SwapLines(usize, usize),
    SwapValues(usize, usize),
    Truncate(usize),
    Insert(usize, &'static str),
    Indent(usize, usize),
}

const SPLINTERS: [&str; 20] = [
    "{", "}", "[", "]", ": ", "- ", "\t", "\"", "'", "|\n", ">", "&a ", "*a", "<<: ", "#", "---\n", "...\n", "!!x ",
    "\u{feff}", "~",
];

fn mutate(text: &mut Vec<u8>, mutation: &Mutation) {
    let mut lines: Vec<Vec<u8>> = text.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    if lines.is_empty() {
        return;
    }
    let at = |index: &usize| index % lines.len();
    let colon = |line: &[u8]| line.windows(2).position(|pair| pair == b": ").map_or(line.len(), |at| at + 2);
    match mutation {
        Mutation::FlipByte(index, bits) => {
            let index = index % text.len();
            text[index] ^= bits;
            return;
        }
        Mutation::Truncate(index) => {
            let index = index % text.len();
            text.truncate(index);
            return;
        }
        Mutation::Insert(index, splinter) => {
            let index = index % text.len();
            text.splice(index..index, splinter.bytes());
            return;
        }
        Mutation::DeleteLine(index) => {
            let index = at(index);
            lines.remove(index);
        }
        Mutation::RepeatLine(index) => {
            let index = at(index);
            lines.insert(index, lines[index].clone());
        }
        Mutation::SwapLines(one, other) => {
            let (one, other) = (at(one), at(other));
            lines.swap(one, other);
        }
        Mutation::SwapValues(one, other) => {
            let (one, other) = (at(one), at(other));
            let (first, second) = (colon(&lines[one]), colon(&lines[other]));
            let (tail, swapped) = (lines[one].split_off(first), lines[other].split_off(second));
            lines[one].extend(swapped);
            lines[other].extend(tail);
        }
        Mutation::Indent(index, by) => {
            let index = at(index);
            lines[index].splice(0..0, std::iter::repeat_n(b' ', by % 5));
        }
    }
    *text = lines.concat();
}

fn mutations() -> impl Strategy<Value = Vec<Mutation>> {
    let any = any::<usize>;
    let one = prop_oneof![
        (any(), 1u8..=255).prop_map(|(index, bits)| Mutation::FlipByte(index, bits)),
        any().prop_map(Mutation::DeleteLine),
        any().prop_map(Mutation::RepeatLine),
        (any(), any()).prop_map(|(one, other)| Mutation::SwapLines(one, other)),
        (any(), any()).prop_map(|(one, other)| Mutation::SwapValues(one, other)),
        any().prop_map(Mutation::Truncate),
        (any(), 0..SPLINTERS.len()).prop_map(|(index, splinter)| Mutation::Insert(index, SPLINTERS[splinter])),
        (any(), any()).prop_map(|(index, by)| Mutation::Indent(index, by)),
    ];
    proptest::collection::vec(one, 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 600,
        rng_seed: RngSeed::Fixed(7),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_the_files_hold_there_is_a_blueprint_or_an_error(file in any::<usize>(), mutations in mutations()) {
        let mut files = vrooli();
        let count = files.layers[0].files.len() + files.profiles.len();
        let all = files.layers[0].files.iter_mut().chain(&mut files.profiles);
        let file = all.into_iter().nth(file % count).unwrap();
        for mutation in &mutations {
            mutate(file.content.as_mut().unwrap(), mutation);
        }
        let loaded = load(&files);
        let (blueprint, mut diagnostics) = match &loaded.inventory {
            Some(inventory) => resolve(inventory),
            None => (None, Diagnostics::new()),
        };
        let incomplete = diagnostics.iter().any(|diagnostic| diagnostic.code == "inventory.incomplete");
        prop_assert!(!incomplete, "a rule is missing: {mutations:?}");
        diagnostics.extend(loaded.diagnostics);
        prop_assert!(blueprint.is_some() != diagnostics.has_errors(), "{mutations:?}");
        // Showing them must be as safe as finding them.
        for width in [20, 100] {
            prop_assert!(diagnostics.is_empty() || !diagnostics_text(&diagnostics, &loaded.sources, &Terminal::plain().with_width(width)).is_empty());
        }
    }
}
