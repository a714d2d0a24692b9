//! What each service is held against, said at the end.

use infra::inventory::BUILT_IN;

/// Services and the real programs that read what is rendered for them, beside `docker compose config`, which reads all.
const HELD: &[(&str, &str)] = &[
    ("alertmanager", "amtool check-config"),
    ("bind", "named-checkzone, named-checkconf (edge_real)"),
    ("caddy", "caddy validate, and served (edge_real)"),
    ("prometheus", "promtool check config, check rules, test rules"),
    ("tensorzero", "TensorZero's own loader; our door answers on loopback"),
];

#[test]
fn says_what_each_service_is_held_against() {
    println!("{:<16} {:<24} held against", "service", "as");
    for service in BUILT_IN {
        let says = |key: &str| {
            let line = service.template.lines().find_map(|line| line.strip_prefix(key));
            line.map(|rest| rest.trim().to_owned())
        };
        let (kind, compose) = match (says("image:"), says("package:")) {
            (Some(_), _) => ("container", Some("docker compose config")),
            (None, Some(_)) => ("Debian package", None),
            (None, None) => ("ports alone", None),
        };
        let own = HELD.iter().find(|(name, _)| *name == service.name).map(|(_, by)| *by);
        let by: Vec<&str> = compose.into_iter().chain(own).collect();
        let by = if by.is_empty() { "nothing".to_owned() } else { by.join("; ") };
        println!("{:<16} {kind:<24} {by}", service.name);
    }
    for (name, _) in HELD {
        assert!(BUILT_IN.iter().any(|service| service.name == *name), "{name} is no service");
    }
}
