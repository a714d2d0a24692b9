//! Lists of models, as runners and gateways give them, held against the inventory; and how much a runner has loaded where.

use serde_json::Value;

use super::asker::Reply;
use super::expect::Node;
use super::uses::name_at;
use crate::blueprint::Model;
use crate::verify::Verdict;

/// The path that lists what a runner has: Ollama's own list says what is on disk, and OpenAI's what is served.
#[must_use]
pub fn path(service: &str) -> &'static str {
    if service == "ollama" { "/api/tags" } else { "/v1/models" }
}

/// Names in a list of Ollama (`/api/tags`) or OpenAI (`/v1/models`).
///
/// # Errors
/// With what came instead.
pub fn names(reply: &Reply) -> Result<Vec<String>, String> {
    let list = reply.json()?;
    let entries =
        list["models"].as_array().or_else(|| list["data"].as_array()).ok_or("what it answers is no list of models")?;
    Ok(entries
        .iter()
        .filter_map(|one| one["name"].as_str().or_else(|| one["id"].as_str()))
        .map(str::to_owned)
        .collect())
}

/// Ollama takes `x` for `x:latest`.
#[must_use]
pub fn same(a: &str, b: &str) -> bool {
    let whole = |name: &str| if name.contains(':') { name.to_owned() } else { format!("{name}:latest") };
    a == b || whole(a) == whole(b)
}

/// Whether a runner has a model.
#[must_use]
pub fn at_runner(model: &Model, runner: &Node, reply: Option<&Reply>) -> (Verdict, String) {
    let wanted = name_at(model, &runner.service);
    let names = match reply.map(names) {
        None => return (Verdict::CouldNotRun, "it was not asked".to_owned()),
        Some(Err(why)) => return (Verdict::Fail, why),
        Some(Ok(names)) => names,
    };
    if names.iter().any(|name| same(name, &wanted)) {
        return (Verdict::Pass, format!("{runner} has it as `{wanted}`"));
    }
    let others = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    (Verdict::Fail, format!("{runner} does not have `{wanted}`, and has {others}; `infra deploy` pulls it"))
}

/// Whether a gateway knows a model by all of its names.
#[must_use]
pub fn at_gateway(model: &Model, reply: Option<&Reply>) -> (Verdict, String) {
    let names = match reply.map(names) {
        None => return (Verdict::CouldNotRun, "it was not asked".to_owned()),
        Some(Err(why)) => return (Verdict::Fail, why),
        Some(Ok(names)) => names,
    };
    let own = std::iter::once(&model.name).chain(&model.aliases);
    let missing: Vec<&str> =
        own.map(|name| name.as_str()).filter(|name| !names.iter().any(|known| known == name)).collect();
    match missing.is_empty() {
        true => (Verdict::Pass, "it lists it by all of its names".to_owned()),
        false => (Verdict::Fail, format!("it does not list {}", missing.join(", "))),
    }
}

/// What Ollama has loaded (`/api/ps`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loaded {
    /// Bytes that it takes in all.
    pub size: u64,
    /// Of these on the GPU.
    pub on_gpu: u64,
    /// Tokens that a request may have, where it is told.
    pub context: Option<u64>,
}

/// A model in the answer to `/api/ps`.
///
/// # Errors
/// If it is not loaded, or the answer is none.
pub fn loaded(reply: &Reply, name: &str) -> Result<Loaded, String> {
    let list = reply.json()?;
    let entries = list["models"].as_array().ok_or("what it answers is no list of models")?;
    let own = entries.iter().find(|one| one["name"].as_str().is_some_and(|own| same(own, name)));
    let own = own.ok_or_else(|| format!("`{name}` is not loaded"))?;
    let size = own["size"].as_u64().ok_or("it does not say how large it is")?;
    Ok(Loaded {
        size,
        on_gpu: own["size_vram"].as_u64().unwrap_or(0),
        context: own.get("context_length").and_then(Value::as_u64),
    })
}

/// Whether a loaded model takes as many tokens as are promised. Ollama counts those of one request; up to 0.11 it counted
/// those of all requests at once.
#[must_use]
pub fn context(model: &Model, configured: Option<u64>, loaded: &Loaded) -> Option<(Verdict, String)> {
    let there = loaded.context?;
    let wanted = configured.or(model.context)?;
    let fits = there == wanted || there == wanted * model.parallel;
    Some(match (fits, model.context.is_some_and(|promised| there < promised)) {
        (_, true) => (
            Verdict::Fail,
            format!(
                "it was loaded with room for {there} tokens, and {} are promised",
                model.context.unwrap_or_default()
            ),
        ),
        (true, false) => (Verdict::Pass, format!("{there} tokens")),
        (false, false) => {
            (Verdict::Fail, format!("it was loaded with room for {there} tokens, and is to have {wanted}"))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::stack::asker::Ended;

    fn reply(text: &str) -> Reply {
        Reply { status: Some(200), lines: vec![(0.1, text.to_owned())], ended: Ended::Whole, ..Reply::default() }
    }

    #[test]
    fn both_kinds_of_lists_are_read() {
        assert_eq!(names(&reply(r#"{"models":[{"name":"a:7b","model":"a:7b"}]}"#)), Ok(vec!["a:7b".to_owned()]));
        assert_eq!(names(&reply(r#"{"object":"list","data":[{"id":"a"}]}"#)), Ok(vec!["a".to_owned()]));
        assert!(names(&reply("{}")).is_err());
        assert!(same("a", "a:latest") && !same("a:7b", "a"));
    }

    #[test]
    fn what_is_loaded_is_told_with_its_place() {
        let text = r#"{"models":[{"name":"q:7b","size":6591830464,"size_vram":5333539264,"context_length":4096}]}"#;
        let own = loaded(&reply(text), "q:7b").unwrap();
        assert_eq!((own.size, own.on_gpu, own.context), (6_591_830_464, 5_333_539_264, Some(4096)));
        assert!(loaded(&reply(text), "r").unwrap_err().contains("not loaded"));
    }
}
