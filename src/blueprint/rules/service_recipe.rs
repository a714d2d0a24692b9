//! What a service's folder says fits together: its files are there, and names in it name something.

use crate::blueprint::draft::Draft;
use crate::blueprint::{Recipe, Service};
use crate::diag::{Diagnostic, Diagnostics, Span, Spanned, did_you_mean};
use crate::inventory::{HealthProbe, RawSetting, Template, VariableType};
use crate::model::{PartName, PortName};

const CODE: &str = "inventory.service-recipe";
const COMPOSE: &str = "compose.yaml.j2";

/// Reports of each service: keys of a container without an image, templates that are not there or nobody mounts, parts
/// without what they need, variables whose default they would refuse, and names of ports, variables and services that
/// there are none of.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    for (name, template) in &draft.inventory.templates {
        let known = name.parse().ok().and_then(|name| draft.services.get(&name));
        let Some(service) = known else { continue };
        let mut about = About { name, draft, report };
        about.kind(template);
        about.parts(template);
        about.variables(template);
        about.names(template, service);
        if let Some(recipe) = &service.recipe {
            about.files(template, recipe);
        }
    }
}

/// One service that is looked at.
struct About<'a, 'd> {
    name: &'a str,
    draft: &'a Draft<'d>,
    report: &'a mut Diagnostics,
}

impl About<'_, '_> {
    fn say(&mut self, span: Span, problem: String, hint: impl Into<String>) {
        self.report.push(Diagnostic::error(CODE, problem).at(span, "").hint(hint.into()));
    }

    /// A package, a container, or neither: what there is to say of each.
    fn kind(&mut self, template: &Spanned<Template>) {
        let name = self.name;
        if let (Some(package), Some(image)) = (&template.package, &template.image) {
            let problem = format!("service `{name}` is a package and a container at once");
            self.report.push(
                Diagnostic::error(CODE, problem)
                    .at(image.span, "the image")
                    .related(package.span, "the package")
                    .hint("keep one of them"),
            );
        }
        if template.image.is_some() || self.draft.broken.key(template.span, "image") {
            return;
        }
        let needless = [
            ("images", template.images.as_ref().and_then(|all| all.keys().next().map(|key| key.span))),
            ("variables", template.variables.as_ref().and_then(|all| all.keys().next().map(|key| key.span))),
            ("files", template.files.as_ref().and_then(|all| all.keys().next().map(|key| key.span))),
            ("volumes", template.volumes.as_ref().and_then(|all| all.keys().next().map(|key| key.span))),
            ("secrets", template.secrets.as_ref().and_then(|all| all.keys().next().map(|key| key.span))),
            ("backup", template.backup.as_ref().map(|own| own.span)),
        ];
        for (key, span) in needless {
            if let Some(span) = span {
                self.say(span, format!("service `{name}` has `{key}`, but no `image`"), "add `image: repository:tag`");
            }
        }
    }

    fn missing(&mut self, block: Span, key: &str, place: Span, problem: String, hint: &str) {
        if !self.draft.broken.key(block, key) {
            self.say(place, problem, hint);
        }
    }

    fn parts(&mut self, template: &Template) {
        let name = self.name;
        for (file, own) in template.files.iter().flatten().filter(|(_, own)| own.mount.is_none()) {
            let problem = format!("file `{}` of service `{name}` has no `mount`", file.value);
            self.missing(own.span, "mount", file.span, problem, "say where the container sees it");
        }
        for (volume, own) in template.volumes.iter().flatten() {
            for (key, gone, hint) in [
                ("mount", own.mount.is_none(), "say where the container sees it, such as `mount: /data`"),
                ("holds", own.holds.is_none(), "say what is in it: whoever makes backups wants to know"),
            ] {
                if gone {
                    let problem = format!("volume `{}` of service `{name}` has no `{key}`", volume.value);
                    self.missing(own.span, key, volume.span, problem, hint);
                }
            }
        }
        if let Some(own) = template.metrics.as_ref().filter(|own| own.port.is_none()) {
            let problem = format!("the metrics of service `{name}` have no `port`");
            self.missing(own.span, "port", own.span, problem, "name one of its `ports`");
        }
        if let Some(own) = template.stack.as_ref().filter(|own| own.tier.is_none()) {
            let problem = format!("`stack` of service `{name}` has no `tier`");
            self.missing(own.span, "tier", own.span, problem, "it is client, gateway or runner");
        }
        if let Some(own) = &template.backup {
            for (key, gone) in
                [("command", own.command.as_ref().is_none_or(Vec::is_empty)), ("suffix", own.suffix.is_none())]
            {
                if gone {
                    let problem = format!("the backup of service `{name}` has no `{key}`");
                    self.missing(own.span, key, own.span, problem, "see `infra schema service`");
                }
            }
        }
        if let Some(own) = &template.health {
            let probe = own.probe.map(|probe| probe.value);
            let asks = probe.is_some_and(|probe| probe != HealthProbe::None);
            if own.command.is_some() && asks {
                let problem = format!("the health of service `{name}` has a command and a probe");
                self.say(own.span, problem, "keep one of them");
            }
            if own.command.is_none() && own.path.is_none() {
                let problem = format!("the health of service `{name}` says neither what to run nor what to ask for");
                self.say(own.span, problem, "add `command: […]`, or `path: /health` with `probe: curl`");
            }
        }
        for (secret, own) in template.secrets.iter().flatten() {
            if let Some(length) = own.generate.filter(|length| !(16..=128).contains(&length.value)) {
                let problem = format!("a secret cannot be {} characters long", length.value);
                self.say(length.span, problem, "allowed are 16 to 128");
            }
            if own.file.is_some() && own.env.is_some() {
                let problem = format!("secret `{}` of service `{name}` is given twice", secret.value);
                self.say(secret.span, problem, "keep `file` where the image reads one, else `env`");
            }
        }
    }

    fn variables(&mut self, template: &Template) {
        let name = self.name;
        for (key, own) in template.variables.iter().flatten() {
            let Some(kind) = own.kind else {
                let problem = format!("variable `{}` of service `{name}` has no `type`", key.value);
                let hint = "it is text, integer, size, duration, boolean or enum";
                self.missing(own.span, "type", key.span, problem, hint);
                continue;
            };
            let words = own.values.as_ref().is_some_and(|words| !words.is_empty());
            if words != (kind.value == VariableType::Enum) {
                let problem = format!("variable `{}` is of type `{}`", key.value, kind.value);
                let hint = if words { "only an enum has `values`" } else { "list its words under `values`" };
                self.say(key.span, problem, hint);
                continue;
            }
            for bound in [&own.min, &own.max].into_iter().flatten() {
                self.typed(kind.value, bound);
            }
            let service = name.parse().ok().and_then(|name| self.draft.services.get(&name));
            let variable = service.and_then(|service| service.recipe.as_ref()?.variables.get(&key.value));
            if let (Some(default), Some(variable)) = (&own.default, variable)
                && let Err(invalid) = variable.accept(&default.value)
            {
                let diagnostic = Diagnostic::error(CODE, invalid.problem).at(default.span, "the default");
                self.report.push(diagnostic.hint_maybe(invalid.hint));
            }
        }
    }

    fn typed(&mut self, kind: VariableType, bound: &Spanned<RawSetting>) {
        if let Err(invalid) = crate::blueprint::setting::typed(kind, &bound.value) {
            self.report.push(Diagnostic::error(CODE, invalid.problem).at(bound.span, "").hint_maybe(invalid.hint));
        }
    }

    /// Names of ports, variables and services.
    fn names(&mut self, template: &Template, service: &Service) {
        let name = self.name;
        let health = template.health.as_ref();
        let metrics = template.metrics.as_ref();
        let ports = [health.and_then(|own| own.port.as_ref()), metrics.and_then(|own| own.port.as_ref())];
        for port in ports.into_iter().flatten().filter(|port| !service.ports.contains_key(&port.value)) {
            let names = || service.ports.keys().map(PortName::as_str);
            let hint = did_you_mean(port.as_str(), names())
                .unwrap_or_else(|| format!("it has {}", names().collect::<Vec<_>>().join(", ")));
            self.say(port.span, format!("service `{name}` has no port `{}`", port.value), hint);
        }
        if let (Some(own), Some(there)) = (health, &service.health)
            && own.path.is_some()
            && there.port.is_none()
        {
            let problem = format!("the health of service `{name}` does not say which port to ask");
            self.say(own.span, problem, "add `port: …`");
        }
        for (needed, _) in template.depends_on.iter().flatten() {
            if !self.draft.inventory.templates.contains_key(needed.as_str()) {
                let names = self.draft.inventory.templates.keys().map(String::as_str);
                let hint = did_you_mean(needed.as_str(), names)
                    .unwrap_or_else(|| format!("describe it in `templates/{}/template.yaml`", needed.value));
                self.say(needed.span, format!("there is no service `{}`", needed.value), hint);
            }
        }
        let variables = template.variables.as_ref();
        let stack = template.stack.as_ref();
        for (wanted, kind) in [
            (stack.and_then(|own| own.timeout.as_ref()), VariableType::Duration),
            (stack.and_then(|own| own.tokens_per_minute.as_ref()), VariableType::Integer),
            (stack.and_then(|own| own.context.as_ref()), VariableType::Integer),
            (stack.and_then(|own| own.parallel.as_ref()), VariableType::Integer),
        ] {
            let Some(wanted) = wanted else { continue };
            let own = variables.and_then(|all| all.iter().find(|(own, _)| own.value == wanted.value));
            let fits = own.and_then(|(_, own)| own.kind).is_some_and(|own| own.value == kind);
            if !fits {
                let names =
                    variables.into_iter().flat_map(|all| all.keys().map(|own: &Spanned<PartName>| own.as_str()));
                let hint = did_you_mean(wanted.as_str(), names)
                    .unwrap_or_else(|| format!("name one of its `variables` of type `{kind}`"));
                self.say(
                    wanted.span,
                    format!("service `{name}` has no variable `{}` of type `{kind}`", wanted.value),
                    hint,
                );
            }
        }
    }

    /// What is filled is there, and what is there is filled.
    fn files(&mut self, template: &Template, recipe: &Recipe) {
        let (name, environment) = (self.name, format!("env.{}.j2", self.name));
        if !recipe.texts.contains_key(COMPOSE) {
            let hint = format!("write `templates/{name}/{COMPOSE}` with `services: {{ {name}: {{}} }}`");
            self.say(recipe.span, format!("service `{name}` has an image, but no `{COMPOSE}`"), hint);
        }
        for (file, _) in template.files.iter().flatten() {
            if !file.value.ends_with(".j2") || file.value.contains('/') {
                let problem = format!("`{}` is not the name of a template in this folder", file.value.escape_debug());
                self.say(file.span, problem, "templates end in `.j2`, such as `config.yaml.j2`");
            } else if !recipe.texts.contains_key(&file.value) {
                let names = recipe.texts.keys().map(String::as_str);
                let hint = did_you_mean(&file.value, names)
                    .unwrap_or_else(|| format!("write `templates/{name}/{}`", file.value));
                self.say(file.span, format!("service `{name}` has no template `{}`", file.value), hint);
            }
        }
        for (file, text) in &recipe.texts {
            let mounted = recipe.files.contains_key(file) || *file == COMPOSE || *file == environment;
            let listed = template.files.iter().flatten().any(|(own, _)| own.value == *file);
            if !mounted && !listed {
                let place = Span { file: text.file, start: 0, end: 0 };
                let problem = format!("template `{file}` of service `{name}` is not used");
                self.say(
                    place,
                    problem,
                    format!("list it under `files` of `templates/{name}/template.yaml`, or remove it"),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::codes_with_services;

    #[test]
    fn service_recipe() {
        let own = "inventory.service-recipe";
        let compose = ("mine/compose.yaml.j2", "services: { mine: {} }\n");
        let with = |text: &str| {
            codes_with_services("", &[("mine", &format!("description: x\nimage: a/b:1\n{text}")), compose])
        };
        assert_eq!(with(""), [""; 0]);
        let fine = "ports: { api: { port: 1, audience: guests } }
variables:
  wait: { type: duration, default: 5m, min: 1s, max: 1h }
  mode: { type: enum, values: [a, b], default: a }
health: { path: /health, probe: curl }
metrics: { port: api }
stack: { tier: gateway, timeout: wait }
volumes: { data: { mount: /data, holds: things } }
secrets: { key: { generate: 32, file: KEY_FILE } }
depends_on: { postgres: optional }
backup: { command: [dump], suffix: sql }
";
        assert_eq!(with(fine), [""; 0]);
        for wrong in [
            "package: caddy",
            "metrics: { port: api }",
            "health: { command: [x], probe: curl }",
            "health: { path: /x, probe: curl }",
            "health: {}",
            "variables: { a: {} }",
            "variables: { a: { type: enum } }",
            "variables: { a: { type: integer, values: [x] } }",
            "variables: { a: { type: integer, default: 5, max: 4 } }",
            "variables: { a: { type: integer, min: x } }",
            "volumes: { a: { mount: /a } }",
            "secrets: { a: { generate: 5 } }",
            "secrets: { a: { file: A, env: B } }",
            "depends_on: { nothing: required }",
            "stack: { tier: client, timeout: wait }",
            "files: { a.conf.j2: { mount: /a } }",
            "files: { ../a: { mount: /a } }",
            "backup: { command: [], suffix: x }",
        ] {
            assert_eq!(with(wrong), [own], "{wrong}");
        }
        assert_eq!(codes_with_services("", &[("mine", "description: x\nimage: a/b:1\n")]), [own], "no compose file");
        assert_eq!(
            codes_with_services("", &[("mine", "description: x\nvolumes: { a: { mount: /a, holds: x } }\n")]),
            [own]
        );
        let unused = [("mine", "description: x\nimage: a/b:1\n"), compose, ("mine/other.j2", "x\n")];
        assert_eq!(codes_with_services("", &unused), [own]);
    }
}
