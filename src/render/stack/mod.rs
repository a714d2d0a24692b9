//! The stack of one service in one guest: its compose project, its environment, its files.
//!
//! One project per service, so that one can be deployed, rolled back and taken away alone. A template says what only that
//! service knows (command, environment); image, ports, networks, volumes, limits, health and logs are made of the
//! blueprint, so that no number is written twice and nothing is published that no flow allows. Values are escaped by the
//! syntax of the file that they go into. Secrets are marks until the moment of delivery ([`Content::filled`]).

mod compose;
mod content;
mod context;
mod template;

pub use content::{Content, SecretNotFit};
pub use template::TemplateError;

use camino::Utf8PathBuf;

use self::template::{Syntax, fill};
use crate::blueprint::{Blueprint, Deployment, Guest, Recipe, Service};

/// The name of the template that makes `compose.yaml`.
const COMPOSE: &str = "compose.yaml.j2";

/// A file of a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackFile {
    /// Where, below the stack's own directory.
    pub path: Utf8PathBuf,
    /// What is in it.
    pub content: Content,
    /// Its permission bits.
    pub mode: u32,
    /// The number of the user that it belongs to.
    pub owner: u32,
}

/// Where a service's stack is in its guest.
#[must_use]
pub fn stack_directory(service: &crate::model::ServiceName) -> Utf8PathBuf {
    Utf8PathBuf::from(format!("/opt/stacks/{service}"))
}

/// Where new files of a stack wait beside the ones that are in use.
#[must_use]
pub fn staged_directory(service: &crate::model::ServiceName) -> Utf8PathBuf {
    Utf8PathBuf::from(format!("/opt/stacks/.infra/{service}/new"))
}

/// What we leave beside a stack: whose it is and what it was made of.
#[must_use]
pub fn note_of(service: &crate::model::ServiceName) -> Utf8PathBuf {
    stack_directory(service).join(".infra")
}

/// The same of files that wait.
#[must_use]
pub fn staged_note_of(service: &crate::model::ServiceName) -> Utf8PathBuf {
    staged_directory(service).join(".infra")
}

/// The compose project of a service in a guest as values: what `compose.yaml` says.
///
/// # Errors
/// As [`stack`].
///
/// # Panics
/// As [`stack`].
pub fn project(
    blueprint: &Blueprint,
    guest: &Guest,
    deployment: &Deployment,
) -> Result<serde_json::Value, TemplateError> {
    let service = &blueprint.services[&deployment.service];
    let recipe = service.recipe.as_ref().expect("only what runs in a container is deployed");
    let values = context::of(blueprint, guest, service, recipe, deployment);
    let filled = |file: &str, syntax| {
        let text = recipe.texts.get(file);
        text.map(|text| fill(service.name.as_str(), file, &text.text, &values, syntax)).transpose()
    };
    let has_environment = environment(service, recipe, deployment, &filled)?.is_some();
    let written = filled(COMPOSE, Syntax::Compose)?.unwrap_or_default();
    let written = compose::parsed(service.name.as_str(), COMPOSE, &written)?;
    compose::finished(blueprint, guest, service, recipe, deployment, (&written, has_environment))
}

/// Every file of a service in a guest, sorted by path.
///
/// # Errors
/// When a template of the service cannot be filled: a name that there is not, a value that its syntax cannot hold, or a
/// compose file that says what is not its to say.
///
/// # Panics
/// If the blueprint holds a deployment of a service that it does not know, which it never does.
pub fn stack(blueprint: &Blueprint, guest: &Guest, deployment: &Deployment) -> Result<Vec<StackFile>, TemplateError> {
    let service = &blueprint.services[&deployment.service];
    let recipe = service.recipe.as_ref().expect("only what runs in a container is deployed");
    let values = context::of(blueprint, guest, service, recipe, deployment);
    let filled = |file: &str, syntax| {
        let text = recipe.texts.get(file);
        text.map(|text| fill(service.name.as_str(), file, &text.text, &values, syntax)).transpose()
    };
    let mut files = Vec::new();
    let environment = environment(service, recipe, deployment, &filled)?;
    let composed = project(blueprint, guest, deployment)?;
    let head =
        format!("# Written by infra for {}: change the inventory or templates/{}.\n", blueprint.name, service.name);
    let composed = Content::of(&format!("{head}{}", super::yaml(&composed)));
    files.push(StackFile { path: "compose.yaml".into(), content: composed, mode: 0o644, owner: 0 });
    if let Some(text) = environment {
        let content = Content::of(&text);
        files.push(StackFile { path: format!(".env.{}", service.name).into(), content, mode: 0o600, owner: 0 });
    }
    for (file, mount) in &recipe.files {
        let Some(text) = filled(file, Syntax::of(file))? else { continue };
        let content = Content::of(&text);
        let open = if content.secrets().next().is_some() { 0o600 } else { 0o644 };
        let path = file.trim_end_matches(".j2").into();
        files.push(StackFile { path, content, mode: mount.mode.unwrap_or(open), owner: mount.owner });
    }
    for (key, name) in &deployment.secrets {
        let Some(secret) = recipe.secrets.get(key).filter(|secret| secret.env.is_none() && secret.file.is_some())
        else {
            continue;
        };
        let (path, content) = (format!("secrets/{key}").into(), Content::secret(name));
        files.push(StackFile { path, content, mode: 0o400, owner: secret.owner });
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// The text of the environment file: what its template says, and secrets that the image reads nowhere else.
fn environment(
    service: &Service,
    recipe: &Recipe,
    deployment: &Deployment,
    filled: &impl Fn(&str, Syntax) -> Result<Option<String>, TemplateError>,
) -> Result<Option<String>, TemplateError> {
    let mut text = filled(&format!("env.{}.j2", service.name), Syntax::Environment)?;
    for (key, name) in &deployment.secrets {
        if let Some(variable) = recipe.secrets.get(key).and_then(|secret| secret.env.as_ref()) {
            let line = format!("{variable}='{}'\n", content::mark(name));
            text.get_or_insert_default().push_str(&line);
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blueprint::testing::with_services;

    const TEMPLATE: &str = "description: x
image: a/b:1
images: { side: c/d:2 }
files:
  mine.conf.j2: { mount: /etc/mine.conf }
  side.env.j2: { mount: /run/infra/env, containers: [side] }
volumes:
  data: { mount: /data, holds: things }
  both: { mount: /both, holds: things, containers: [mine, side] }
secrets:
  own: { generate: 32, file: OWN_FILE }
  beside: { generate: 32, file: BESIDE_FILE, containers: [side] }
";
    const COMPOSE: &str = "services:
  mine: {}
  side: { image: \"{{ images.side|text|raw }}\", mem_limit: 64m, security_opt: [], secrets: [own] }
";

    fn files(template: &str) -> Result<String, TemplateError> {
        let services = [
            ("mine", template),
            ("mine/compose.yaml.j2", COMPOSE),
            ("mine/mine.conf.j2", "a\n"),
            ("mine/side.env.j2", "A={{ secrets.beside }}\nB={{ 'x y' }}\n"),
        ];
        let blueprint = with_services("guests: { plan-hq: { services: [mine] } }", &services);
        let guest = &blueprint.guests[&"plan-hq".parse().unwrap()];
        let files = stack(&blueprint, guest, &guest.deployments[&"mine".parse().unwrap()])?;
        Ok(files.iter().map(|file| format!("== {} {:o}\n{}", file.path, file.mode, file.content.shown())).collect())
    }

    #[test]
    fn a_part_is_given_to_the_containers_that_it_is_for() {
        let text = files(TEMPLATE).unwrap();
        let (main, side) = text.split_once("\n  side:\n").unwrap();
        for (what, in_main, in_side) in [
            ("- \"data:/data\"", true, false),
            ("- \"both:/both\"", true, true),
            ("./mine.conf:/etc/mine.conf:ro", true, false),
            ("./side.env:/run/infra/env:ro", false, true),
            ("OWN_FILE: \"/run/secrets/own\"", true, false),
            ("BESIDE_FILE: \"/run/secrets/beside\"", false, true),
            ("no-new-privileges:true", true, false),
        ] {
            assert_eq!((main.contains(what), side.contains(what)), (in_main, in_side), "{what}\n{text}");
        }
        // What a template lists itself stays beside what is made.
        assert!(side.contains("- \"beside\"\n      - \"own\""), "{text}");
        assert!(text.contains("== side.env 600\nA='<secret:plan-hq-mine-beside>'\nB='x y'\n"), "{text}");
    }

    #[test]
    fn a_part_for_a_container_that_there_is_none_of_is_refused() {
        let wrong = TEMPLATE.replace("containers: [mine, side]", "containers: [sied]");
        assert!(files(&wrong).unwrap_err().problem.contains("`sied`"));
        let backup = format!("{TEMPLATE}backup: {{ command: [dump], suffix: sql, container: nobody }}\n");
        assert!(files(&backup).unwrap_err().problem.contains("`nobody`"));
    }
}
