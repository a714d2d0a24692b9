//! Every file of every inventory is taken by the program that it is for.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use infra::blueprint::{Blueprint, Proxy, Tls};
use infra::model::{PortRange, Transport};
use infra::render::{
    Admission, CaddyPlace, HostRuleset, Rendered, caddy_token, caddyfile, everything, next_serial, nftables, serial_of,
    ufw, zone,
};
use jiff::civil::{Date, date};

use super::caddy::Home;
use super::{blueprint, random, there, vrooli_with};

/// Random inventories that are looked at.
const SEEDS: u64 = 60;
const TODAY: Date = date(2026, 5, 17);

/// Every inventory of this repository, one with everything, and random ones.
fn inventories() -> Vec<(String, Blueprint)> {
    let root = camino::Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("inventories");
    let mut all: Vec<(String, Blueprint)> = root
        .read_dir_utf8()
        .unwrap()
        .map(|entry| entry.unwrap().into_path())
        .filter(|path| path.is_dir())
        .map(|path| (path.to_string(), blueprint(&infra::adapters::files::read_inventory(&[path]))))
        .collect();
    assert!(!all.is_empty());
    all.extend((0..SEEDS).map(|seed| (format!("seed {seed}"), blueprint(&vrooli_with(&[&random::layer(seed)])))));
    all
}

fn rendered(blueprint: &Blueprint) -> Vec<Rendered> {
    everything(blueprint, TODAY, |_| None).unwrap()
}

fn fine(what: &str, text: &str, output: &Output) {
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{what}: {}{}\n{text}", said(&output.stdout), said(&output.stderr));
}

#[test]
fn caddy_takes_every_caddyfile() {
    if !there("caddy", "version", "caddy (apt-get install caddy)") {
        return;
    }
    let home = Home::new();
    let mut count = 0;
    for (name, blueprint) in inventories() {
        let Some(ingress) = blueprint.ingress.as_ref().filter(|ingress| ingress.proxy == Proxy::Caddy) else {
            continue;
        };
        // As it goes to a guest, but for the file with the users, which is not here.
        let place = CaddyPlace { users: home.place.users.clone(), ..CaddyPlace::default() };
        let text = caddyfile(&blueprint.name, ingress, &place).unwrap();
        let file = home.path("validated");
        fs::write(&file, &text).unwrap();
        let output = home.command("validate", &file);
        fine(&name, &text, &output);
        count += 1;
    }
    println!("{count} Caddyfiles");
    assert!(count > 30);
}

/// A provider's module is no part of Debian's package: all that Caddy misses is that very module.
#[test]
fn with_a_challenge_in_dns_caddy_misses_the_module_and_nothing_else() {
    if !there("caddy", "version", "caddy (apt-get install caddy)") {
        return;
    }
    let over = "
ingress: { guest: ops-tools, from: [tag:phone], tls: { by: dns, provider: cloudflare, token: secret:dns } }
guests: { proj-x: { routes: { a.example.com: 8080 } } }
";
    let mut blueprint = blueprint(&vrooli_with(&[over]));
    let home = Home::new();
    let file = home.write("Caddyfile", &blueprint);
    let output = home.command("validate", &file);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("module not registered: dns.providers.cloudflare"), "{said}");
    blueprint.ingress.as_mut().unwrap().sites.values_mut().for_each(|site| site.tls = Tls::Tailnet);
    let file = home.write("Caddyfile", &blueprint);
    fine("tailnet", "", &home.command("validate", &file));
}

/// What the writer of tokens lets through is one token to Caddy, too.
#[test]
fn caddy_reads_a_token_as_it_was_meant() {
    if !there("caddy", "version", "caddy (apt-get install caddy)") {
        return;
    }
    let home = Home::new();
    let mut texts: Vec<String> =
        ["plain", "two words", "a;b", "#no comment", "'", "\u{fc}\u{2028}", "$HOME", "<<EOF", "@x", "a  b"]
            .map(str::to_owned)
            .into();
    let mut dice = fastrand::Rng::with_seed(7);
    let marks: Vec<char> = "ab \"{}`$\\#<@;'*?:/\u{e9}".chars().collect();
    for _ in 0..400 {
        texts.push((0..dice.usize(1..8)).map(|_| marks[dice.usize(..marks.len())]).collect());
    }
    texts.retain(|text| caddy_token(text).is_some());
    assert!(texts.len() > 60, "{}", texts.len());
    let mut file = String::from(":8080 {\n");
    for text in &texts {
        file.push_str(&format!("\theader X-Text {}\n", caddy_token(text).unwrap()));
    }
    file.push_str("}\n");
    let path = home.path("tokens");
    fs::write(&path, &file).unwrap();
    let output = home.command("adapt", &path);
    fine("tokens", &file, &output);
    let config: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut read = Vec::new();
    values(&config, &mut read);
    assert_eq!(read, texts);
}

/// Every value that a `header` directive sets, in the order of the file.
fn values(config: &serde_json::Value, into: &mut Vec<String>) {
    match config {
        serde_json::Value::Object(entries) => {
            if let Some(set) = entries.get("set").and_then(|set| set.get("X-Text")) {
                into.push(set[0].as_str().unwrap().to_owned());
            } else {
                entries.values().for_each(|value| values(value, into));
            }
        }
        serde_json::Value::Array(items) => items.iter().for_each(|value| values(value, into)),
        _ => {}
    }
}

#[test]
fn bind_takes_every_zone() {
    let package = "bind9-utils (apt-get install bind9-utils)";
    if !there("named-checkzone", "-v", package) || !there("named-checkconf", "-v", package) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (mut zones, mut records) = (0, 0);
    for (name, blueprint) in inventories() {
        for own in blueprint.dns.zones.values() {
            let text = zone(&blueprint.name, own, None, TODAY).unwrap();
            let path = folder.path().join("zone");
            fs::write(&path, &text).unwrap();
            // Warnings count as failures: names that point at nothing, names that are none.
            let check =
                ["-i", "local", "-k", "fail", "-m", "fail", "-n", "fail", "-r", "fail", "-W", "warn", "-S", "fail"];
            let output = Command::new("named-checkzone").args(check).arg(&own.name).arg(&path).output().unwrap();
            fine(&format!("{name} {}", own.name), &text, &output);
            let serial = serial_of(&text).unwrap();
            assert_eq!(serial, next_serial(None, TODAY));
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(said.contains(&format!("loaded serial {serial}")), "{said}");
            zones += 1;
            records += own.records.len();
        }
        for file in rendered(&blueprint).iter().filter(|file| file.path.ends_with("named.conf.local")) {
            let path = folder.path().join("named.conf.local");
            fs::write(&path, &file.text).unwrap();
            fine(&name, &file.text, &Command::new("named-checkconf").arg(&path).output().unwrap());
        }
    }
    println!("{zones} zones, {records} records");
    assert!(zones > 100);
    crate::held::held("bind", "`named-checkzone`, `named-checkconf`");
}

/// Looks at a ruleset without loading it, in a network namespace of its own.
fn nft(path: &Path) -> Output {
    let root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n");
    let apart = if root { "-n" } else { "-rn" };
    Command::new("unshare").args([apart, "nft", "-c", "-f"]).arg(path).output().unwrap()
}

#[test]
fn nft_takes_every_ruleset() {
    if !there("nft", "--version", "nftables (apt-get install nftables)") || !there("unshare", "--version", "util-linux")
    {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ruleset.nft");
    fs::write(&path, "").unwrap();
    if !nft(&path).status.success() {
        println!("not run: this machine allows no network namespaces");
        return;
    }
    let mut count = 0;
    let mut check = |name: &str, text: &str| {
        fs::write(&path, text).unwrap();
        fine(name, text, &nft(&path));
        count += 1;
    };
    for (name, blueprint) in inventories() {
        for file in rendered(&blueprint).iter().filter(|file| file.path.extension() == Some("nft")) {
            check(&format!("{name} {}", file.path), &file.text);
        }
    }
    let mut dice = fastrand::Rng::with_seed(11);
    let nets = ["10.0.0.0/8", "192.168.10.7/32", "0.0.0.0/0", "fd00::/8", "::/0", "fd00::5/128"];
    for docker in [false, true] {
        for _ in 0..20 {
            let admissions = (0..dice.usize(..6)).map(|number| {
                let first = dice.u16(1..);
                Admission {
                    from: (0..dice.usize(..4)).map(|_| nets[dice.usize(..nets.len())].parse().unwrap()).collect(),
                    transport: if dice.bool() { Transport::Tcp } else { Transport::Udp },
                    ports: PortRange::new(first, dice.u16(first..)).unwrap(),
                    comment: format!("rule {number}: {{ }} ; # 'x'"),
                }
            });
            let ruleset = HostRuleset { name: "stack".into(), admissions: admissions.collect(), docker };
            check("random", &nftables(&ruleset).unwrap());
        }
    }
    println!("{count} rulesets");
    assert!(count > 100, "{count}");
}

/// ufw reads its commands without carrying them out; iptables would have to be there for more.
#[test]
fn ufw_takes_its_commands() {
    let root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n");
    if !there("ufw", "version", "ufw (apt-get install ufw)") || !root {
        println!("not run: ufw answers only to root");
        return;
    }
    let admission = |from: &[&str], ports| Admission {
        from: from.iter().map(|net| net.parse().unwrap()).collect(),
        transport: Transport::Tcp,
        ports,
        comment: "gateway's port".into(),
    };
    let one = PortRange::one(8000).unwrap();
    let ruleset = HostRuleset {
        name: "stack".into(),
        admissions: vec![
            admission(&["10.0.0.0/8", "fd00::/8"], one),
            admission(&[], PortRange::new(6000, 6010).unwrap()),
        ],
        docker: false,
    };
    let commands = ufw(&ruleset).commands;
    let rules: Vec<_> = commands.iter().filter(|command| command[1] == "allow").collect();
    assert_eq!(rules.len(), 3);
    for command in rules {
        // In a namespace of its own: even a dry run looks at the kernel's tables.
        let output = Command::new("unshare").args(["-n", "ufw", "--dry-run"]).args(&command[1..]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        fine(&command.join(" "), "", &output);
        assert!(said.contains("### tuple ### allow tcp"), "{said}");
    }
}
