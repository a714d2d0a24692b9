//! What a guest says of a service, the service knows.

use crate::blueprint::draft::Draft;
use crate::diag::{Diagnostic, Diagnostics, did_you_mean};
use crate::model::PartName;

const CODE: &str = "inventory.service-settings";

/// Reports variables, secrets and volumes that the service does not have, values that a variable does not take,
/// variables that have to be given and are not, and settings of what runs in no container.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    for guest in &draft.guests {
        for (name, entry) in guest.entries() {
            let Some(service) = draft.services.get(name) else { continue };
            let Some(recipe) = &service.recipe else {
                if entry.says_more() && !draft.broken.name("image") {
                    report.push(
                        Diagnostic::error(
                            CODE,
                            format!("service `{name}` runs in no container, so nothing of it is set"),
                        )
                        .at(entry.span, "")
                        .related(service.span, "described here")
                        .hint(format!("list it by its name alone: `{name}`")),
                    );
                }
                continue;
            };
            let mut unknown = |what: &str, key: &PartName, span, known: Vec<&PartName>| {
                if known.contains(&key) {
                    return;
                }
                let names = || known.iter().map(|name| name.as_str());
                let hint = did_you_mean(key.as_str(), names()).unwrap_or_else(|| match names().count() {
                    0 => "it has none".to_owned(),
                    _ => format!("it has {}", names().collect::<Vec<_>>().join(", ")),
                });
                report.push(
                    Diagnostic::error(CODE, format!("service `{name}` has no {what} `{key}`"))
                        .at(span, "")
                        .related(service.span, "described here")
                        .hint(hint),
                );
            };
            for (key, _) in entry.with.iter().flatten() {
                unknown("variable", &key.value, key.span, recipe.variables.keys().collect());
            }
            for (key, _) in entry.secrets.iter().flatten() {
                unknown("secret", &key.value, key.span, recipe.secrets.keys().collect());
            }
            for (key, _) in entry.volumes.iter().flatten() {
                unknown("volume", &key.value, key.span, recipe.volumes.keys().collect());
            }
            for (key, variable) in &recipe.variables {
                match entry.with.iter().flatten().find(|(own, _)| own.value == *key) {
                    Some((_, raw)) => {
                        if let Err(invalid) = variable.accept(&raw.value) {
                            report.push(
                                Diagnostic::error(CODE, format!("`{key}` of service `{name}`: {}", invalid.problem))
                                    .at(raw.span, "")
                                    .related(variable.span, "declared here")
                                    .hint_maybe(invalid.hint),
                            );
                        }
                    }
                    None if variable.default.is_none() && !draft.broken.key(service.span, "variables") => {
                        let place = entry.name.as_ref().map_or(entry.span, |name| name.span);
                        report.push(
                            Diagnostic::error(CODE, format!("service `{name}` has to be told its `{key}`"))
                                .at(place, "")
                                .related(variable.span, "declared here")
                                .hint(format!("write `{{ name: {name}, with: {{ {key}: … }} }}`")),
                        );
                    }
                    None => {}
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::{codes_with_profiles, codes_with_services};

    const MINE: &str = "description: x
image: a/b:1
variables: { wait: { type: duration, default: 5m, max: 1h }, name: { type: text } }
volumes: { data: { mount: /data, holds: x } }
secrets: { key: { generate: 32 } }
";

    #[test]
    fn service_settings() {
        let own = "inventory.service-settings";
        let compose = ("mine/compose.yaml.j2", "services: { mine: {} }\n");
        let said = |entry: &str| {
            let over = format!("guests: {{ plan-hq: {{ services: [{entry}] }} }}");
            codes_with_services(&over, &[("mine", MINE), compose])
        };
        assert_eq!(said("{ name: mine, with: { name: x } }"), [""; 0]);
        let all = "{ name: mine, image: a/c:2, memory: 1GiB, with: { name: x, wait: 1h }, \
                   secrets: { key: secret:k }, volumes: { data: /srv/x } }";
        assert_eq!(said(all), [""; 0]);
        assert_eq!(said("mine"), [own], "`name` has no default");
        for wrong in [
            "with: { name: x, wiat: 5m }",
            "with: { name: 5 }",
            "with: { name: x, wait: 2h }",
            "with: { name: x }, secrets: { kee: secret:k }",
            "with: { name: x }, volumes: { dada: /srv/x }",
        ] {
            assert_eq!(said(&format!("{{ name: mine, {wrong} }}")), [own], "{wrong}");
        }
        assert_eq!(said("{ name: ssh, with: { a: b } }"), [own]);
        assert_eq!(said("{ with: { a: b } }"), ["inventory.service-known"]);
    }

    #[test]
    fn a_guest_changes_a_service_of_its_profile() {
        let profile = [("p", "services: [{ name: ollama, with: { keep_alive: 5m } }, nats]\n")];
        let over = |entry: &str| format!("guests: {{ plan-hq: {{ profile: p, services: [{entry}] }} }}");
        assert_eq!(codes_with_profiles(&over("{ name: ollama, memory: 12GiB }"), &profile), [""; 0]);
        assert_eq!(codes_with_profiles(&over("ollama"), &profile), ["inventory.service-known"], "listed twice");
    }
}
