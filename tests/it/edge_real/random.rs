//! Inventories with sites and zones, made from a seed.

use std::fmt::Write as _;

/// A source of choices that is the same for the same seed.
pub struct Dice(fastrand::Rng);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    fn below(&mut self, count: usize) -> usize {
        self.0.usize(..count)
    }

    fn pick<'a>(&mut self, items: &[&'a str]) -> &'a str {
        items[self.below(items.len())]
    }

    fn chance(&mut self) -> bool {
        self.0.bool()
    }
}

const GUESTS: [&str; 5] = ["ops-tools", "plan-hq", "proj-x", "proj-y", "vrooli-dev"];

/// A layer over the inventory of this repository: a reverse proxy, sites of every kind, zones with records.
pub fn layer(seed: u64) -> String {
    let mut dice = Dice::new(seed);
    let proxy = if dice.below(4) == 0 { "traefik" } else { "caddy" };
    let tls: &[&str] = match proxy {
        "traefik" => &["acme", "{ by: acme, email: me@example.com }", "none"],
        _ => &["acme", "{ by: acme, email: first.last+x@example.com }", "internal", "none"],
    };
    let ways: &[&str] = if proxy == "traefik" { &["acme", "none"] } else { &["acme", "internal", "none"] };
    let mut out = format!(
        "ingress:\n  guest: {}\n  proxy: {proxy}\n  from: [internet, 192.168.10.0/24, \"fd00:10::/64\", tag:phone]\n  tls: {}\n",
        dice.pick(&GUESTS),
        dice.pick(tls)
    );
    out.push_str("  users: { alice: secret:alice, b.o-b@example.com: secret:bob }\n");
    let provider = dice.pick(&GUESTS);
    let _ = writeln!(out, "  authelia: {{ guest: {provider}, portal: auth.example.com }}");
    let _ = writeln!(out, "  authentik: {{ guest: {}, port: {} }}", dice.pick(&GUESTS), 9000 + dice.below(9));
    if dice.chance() {
        let _ = writeln!(out, "  auth: {}", dice.pick(&["none", "basic", "authentik"]));
    }
    let mut routes: Vec<(usize, String)> = vec![(1, "auth.example.com: { port: 9091, auth: none }".to_owned())];
    for number in 0..dice.below(9) {
        let zone = dice.pick(&["example.com", "lan.example.com", "xn--bcher-kva.example", "other.org"]);
        let mut route = format!("s{number}.{zone}: {{ port: {}", 20_000 + dice.below(40_000));
        for (key, values) in [
            ("auth", &["none", "basic", "authelia", "authentik"][..]),
            ("tailnet_only", &["true", "false"]),
            ("tls", ways),
            ("streaming", &["true", "false"]),
            ("timeout", &["1", "60", "86400"]),
        ] {
            if dice.chance() {
                let _ = write!(route, ", {key}: {}", dice.pick(values));
            }
        }
        routes.push((dice.below(GUESTS.len()), format!("{route} }}")));
    }
    out.push_str("guests:\n");
    for (index, guest) in GUESTS.iter().enumerate() {
        let own: Vec<&String> = routes.iter().filter(|(at, _)| *at == index).map(|(_, route)| route).collect();
        if !own.is_empty() {
            let _ = writeln!(out, "  {guest}:\n    routes:");
            own.iter().for_each(|route| {
                let _ = writeln!(out, "      {route}");
            });
        }
    }
    out.push_str("dns:\n  extra_hosts: true\n  zones:\n");
    for zone in ["example.com", "lan.example.com", "xn--bcher-kva.example"] {
        let _ = writeln!(out, "    {zone}:\n      guest: {}", dice.pick(&GUESTS));
        if dice.chance() {
            let _ = writeln!(out, "      ttl: {}", 1 + dice.below(604_800));
        }
        if dice.chance() {
            out.push_str("      email: host.master@example.com\n");
        }
        if dice.below(3) == 0 {
            out.push_str("      guests: false\n");
        }
        out.push_str("      records:\n        nas: 10.2.0.5\n");
        for record in [
            "\"@\": 10.2.0.6",
            "six: \"fd00::5\"",
            "files: nas",
            "\"*.apps\": nas",
            "ns: 10.9.9.9",
            "www: example.org.",
            "_srv.x: nas",
        ] {
            if dice.chance() {
                let _ = writeln!(out, "        {record}");
            }
        }
    }
    out
}
