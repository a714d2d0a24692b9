//! Ollama: models that are pulled, loaded, run.
//!
//! Facts: ollama `envconfig/config.go` (a wrong port is warned of and the default used), `server/sched.go` (how many models
//! stay loaded), `cmd/cmd.go` (tables), `server/images.go`. A model's size is that of its name: the usual ones are known, any
//! other is reckoned from its billions of parameters. Without a card in its container it runs on the CPU and says so once.

use serde_json::{Map, Value, json};

use super::{Family, HttpReply, HttpRequest, Judged, Place};
use crate::lab::docker::{ago, network, registry_reach};
use crate::lab::shell::Call;
use crate::lab::world::World;
use crate::lab::{guest_disk, guest_gpu, guest_smi};

/// Where it keeps models.
pub const HOME: &str = "/root/.ollama";
/// Bytes that come in a second.
const SPEED: u64 = 60_000_000;
/// Bytes on disk by name, of models that people use.
const SIZES: &[(&str, u64)] = &[
    ("all-minilm:latest", 45_960_996),
    ("llama3.1:8b", 4_920_753_328),
    ("llama3.2:3b", 2_019_393_189),
    ("mxbai-embed-large:latest", 669_615_493),
    ("nomic-embed-text:latest", 274_302_450),
    ("qwen2.5-coder:7b", 4_683_087_332),
    ("qwen2.5-coder:14b", 8_988_124_069),
    ("qwen2.5-coder:32b", 19_851_349_669),
    ("qwen2.5:0.5b", 397_821_319),
    ("qwen2.5:7b", 4_683_087_332),
];

/// See the module.
pub(super) const FAMILY: Family = Family {
    name: "ollama",
    repositories: &["ollama/ollama"],
    bytes: 3_500_000_000,
    starts_ms: 3_000,
    programs: &["bash", "cat", "getent", "ls", "ollama", "sh"],
    judge,
    listens: |world, place| address(world, place).0.into_iter().collect(),
    ask,
    run,
};

/// Its port if others reach it, and what it says of a wrong one.
fn address(world: &World, place: &Place) -> (Option<u16>, Option<String>) {
    let said = place.env(world, "OLLAMA_HOST").unwrap_or("0.0.0.0:11434").trim();
    let said = said.trim_start_matches("http://").trim_end_matches('/');
    let (host, port) = said.rsplit_once(':').unwrap_or((said, "11434"));
    let outside = host.is_empty() || host == "0.0.0.0" || host == "[::]";
    match port.parse::<u16>() {
        Ok(port) => (outside.then_some(port), None),
        Err(_) => (
            outside.then_some(11434),
            Some(format!("level=WARN source=config.go msg=\"invalid port, using default\" port={port} default=11434")),
        ),
    }
}

/// Whether it computes on a card.
#[must_use]
pub fn on_gpu(world: &World, place: &Place) -> bool {
    place.container(world).is_some_and(|container| container.has_gpu) && guest_gpu::nvml(world, place.vmid).is_ok()
}

fn judge(world: &World, place: &Place) -> Judged {
    let (port, warned) = address(world, place);
    let mut log: Vec<String> = warned.into_iter().collect();
    let fresh = place.kept(world, HOME, "models").is_none();
    if fresh && guest_disk::free(world, place.vmid) < 4096 {
        log.push("Couldn't find '/root/.ollama/id_ed25519'. Generating new private key.".to_owned());
        log.push("Error: open /root/.ollama/id_ed25519: no space left on device".to_owned());
        return Judged::ends(1, log);
    }
    let cache = place.env(world, "OLLAMA_KV_CACHE_TYPE").unwrap_or("f16");
    let flash = matches!(place.env(world, "OLLAMA_FLASH_ATTENTION"), Some("1" | "true"));
    if cache != "f16" && !flash {
        log.push("level=WARN msg=\"quantized kv cache requested but flash attention disabled\"".to_owned());
    }
    log.push(format!("level=INFO msg=\"Listening on [::]:{} (version 0.18.2)\"", port.unwrap_or(11434)));
    match guest_gpu::cards(world, place.vmid).first().filter(|_| on_gpu(world, place)) {
        Some(card) => log.push(format!(
            "level=INFO msg=\"inference compute\" library=CUDA name=\"{}\" total=\"{} MiB\" available=\"{} MiB\"",
            card.name,
            card.memory_mib,
            guest_smi::free_mib(world, place.vmid)
        )),
        None => log.push("level=INFO msg=\"inference compute\" id=cpu library=cpu name=cpu".to_owned()),
    }
    Judged::ready(log)
}

/// The name with its tag.
#[must_use]
pub fn full(name: &str) -> String {
    if name.rsplit('/').next().is_some_and(|leaf| leaf.contains(':')) {
        name.to_owned()
    } else {
        format!("{name}:latest")
    }
}

/// Bytes of a model on disk.
#[must_use]
pub fn size_of(name: &str) -> u64 {
    let name = full(name);
    if let Some((_, bytes)) = SIZES.iter().find(|(known, _)| *known == name) {
        return *bytes;
    }
    let lower = name.to_lowercase();
    let billions = lower.split([':', '-', '_', '/']).find_map(|part| part.strip_suffix('b')?.parse::<f64>().ok());
    let bits = match () {
        () if lower.contains("q8_0") => 8.5,
        () if lower.contains("fp16") || lower.contains("f16") => 16.0,
        () => 4.9,
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "sizes of models are far below and positive"
    )]
    billions.map_or(4_000_000_000, |billions| (billions * 1e9 * bits / 8.0) as u64)
}

/// Its models by name, with `size`, `digest`, `modified_ms`, `from`.
#[must_use]
pub fn models(world: &World, place: &Place) -> Map<String, Value> {
    place.kept(world, HOME, "models").and_then(Value::as_object).cloned().unwrap_or_default()
}

fn keep(world: &mut World, place: &Place, models: Map<String, Value>) {
    // Copies of one model share its layers.
    let mut seen = std::collections::BTreeMap::new();
    for model in models.values() {
        seen.insert(
            model["layers"].as_str().unwrap_or_default().to_owned(),
            model["size"].as_u64().unwrap_or_default(),
        );
    }
    let bytes = seen.values().sum();
    place.keep(world, HOME, "models", Value::Object(models), bytes);
}

fn digest(text: &str) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Pulls a model, and moves the clock on by what that takes.
///
/// # Errors
/// What it says.
pub fn pull(world: &mut World, place: &Place, name: &str) -> Result<(), String> {
    let name = full(name);
    let path = if name.contains('/') {
        name.replace(':', "/manifests/")
    } else {
        format!("library/{}", name.replace(':', "/manifests/"))
    };
    if !network::is_outbound(world, place) || !registry_reach(world, place.vmid) {
        return Err(format!(
            "pull model manifest: Get \"https://registry.ollama.ai/v2/{path}\": dial tcp: lookup registry.ollama.ai on 127.0.0.11:53: server misbehaving"
        ));
    }
    if world.registry.missing.contains(&format!("ollama:{name}")) {
        return Err("pull model manifest: file does not exist".to_owned());
    }
    let mut models = models(world, place);
    if models.contains_key(&name) {
        return Ok(());
    }
    let size = size_of(&name);
    if guest_disk::free(world, place.vmid) < size {
        let blob = digest(&name);
        return Err(format!("write /root/.ollama/models/blobs/sha256-{blob}-partial-0: no space left on device"));
    }
    world.now_ms += i64::try_from(size / SPEED * 1000).unwrap_or(i64::MAX / 4) * i64::from(world.pace) / 100;
    let made = json!({ "size": size, "digest": digest(&name), "layers": digest(&name), "modified_ms": world.now_ms });
    models.insert(name, made);
    keep(world, place, models);
    Ok(())
}

/// A model that is loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// Its name.
    pub name: String,
    /// MiB in memory in all.
    pub mib: u64,
    /// MiB of them on the card.
    pub gpu_mib: u64,
    /// Tokens that fit into a request.
    pub context: u64,
    /// Until when it stays, in milliseconds.
    pub until_ms: i64,
}

/// Models that are loaded now.
#[must_use]
pub fn loaded(world: &World, place: &Place) -> Vec<Loaded> {
    let Some(container) = place.container(world) else { return Vec::new() };
    let all = container.memory_of.get("loaded").and_then(Value::as_object);
    let all = all.into_iter().flatten().map(|(name, model)| Loaded {
        name: name.clone(),
        mib: model["mib"].as_u64().unwrap_or_default(),
        gpu_mib: model["gpu_mib"].as_u64().unwrap_or_default(),
        context: model["context"].as_u64().unwrap_or_default(),
        until_ms: model["until_ms"].as_i64().unwrap_or_default(),
    });
    all.filter(|model| model.until_ms > world.now_ms).collect()
}

/// Loads a model as a request does, and says how it is loaded.
///
/// # Errors
/// 404 where it is not there: status and text.
pub fn load(world: &mut World, place: &Place, name: &str) -> Result<Loaded, (u16, String)> {
    let name = full(name);
    let models = models(world, place);
    let Some(model) = models.get(&name) else {
        return Err((404, format!("model '{}' not found", name.trim_end_matches(":latest"))));
    };
    let number = |key: &str, default: u64| place.env(world, key).and_then(|text| text.parse().ok()).unwrap_or(default);
    let context = number("OLLAMA_CONTEXT_LENGTH", 4096);
    let (parallel, most) = (number("OLLAMA_NUM_PARALLEL", 1).max(1), number("OLLAMA_MAX_LOADED_MODELS", 3).max(1));
    let keep = place.env(world, "OLLAMA_KEEP_ALIVE").and_then(crate::lab::compose::duration).unwrap_or(300_000);
    let weights = model["size"].as_u64().unwrap_or_default() >> 20;
    // 56 KiB a token: 28 layers, 4 heads of keys, as of a model of seven billions.
    let mib = weights + 400 + ((context * parallel * 56) >> 10);
    let mut others: Vec<Loaded> = loaded(world, place).into_iter().filter(|other| other.name != name).collect();
    others.sort_by_key(|other| other.until_ms);
    while others.len() as u64 >= most {
        others.remove(0);
    }
    let gpu_mib = if on_gpu(world, place) {
        let card = guest_gpu::cards(world, place.vmid).first().map_or(0, |card| card.memory_mib);
        let own: u64 = loaded(world, place).iter().map(|model| model.gpu_mib).sum();
        let foreign = world.guests.get(&place.vmid).map_or(0, guest_smi::used_mib).saturating_sub(own);
        // Whoever is loaded makes room; what is others' stays.
        while !others.is_empty()
            && card.saturating_sub(foreign + others.iter().map(|other| other.gpu_mib).sum::<u64>()) < mib
        {
            others.remove(0);
        }
        card.saturating_sub(foreign + others.iter().map(|other| other.gpu_mib).sum::<u64>()).min(mib)
    } else {
        0
    };
    let until_ms = world.now_ms + keep.max(1);
    let own = Loaded { name: name.clone(), mib, gpu_mib, context, until_ms };
    others.push(own.clone());
    let all: Map<String, Value> = others
        .iter()
        .map(|one| {
            let value =
                json!({ "mib": one.mib, "gpu_mib": one.gpu_mib, "context": one.context, "until_ms": one.until_ms });
            (one.name.clone(), value)
        })
        .collect();
    let held: u64 = others.iter().map(|one| one.gpu_mib).sum();
    if let Some(container) = place.container_mut(world) {
        container.memory_of.insert("loaded".to_owned(), Value::Object(all));
        container.memory_of.insert(guest_smi::HELD.to_owned(), held.into());
    }
    Ok(own)
}

/// Tokens that a loaded model makes in a second: by how much of it is on the card.
#[must_use]
pub fn rate(model: &Loaded) -> u64 {
    let gigabytes = (model.mib >> 10).max(1);
    let whole = model.gpu_mib >= model.mib;
    // Memory bandwidth over size: 300 GB/s for the slowest card in use, 40 GB/s for a CPU's memory.
    if whole { (300 / gigabytes).max(5) } else { (40 / gigabytes).max(1) }
}

fn run(call: &mut Call<'_>, place: &Place) -> Option<i32> {
    if call.name != "ollama" {
        return None;
    }
    let words: Vec<String> = call.args.to_vec();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    Some(match words[..] {
        ["list" | "ls"] => {
            call.print("NAME                       ID              SIZE      MODIFIED");
            let now_ms = call.world.now_ms;
            for (name, model) in models(call.world, place) {
                let id = model["digest"].as_str().unwrap_or_default().get(..12).unwrap_or_default().to_owned();
                let size = human(model["size"].as_u64().unwrap_or_default());
                let when = ago(now_ms - model["modified_ms"].as_i64().unwrap_or_default());
                call.print(format!("{name:<26} {id}    {size:<9} {when} ago"));
            }
            0
        }
        ["ps"] => {
            call.print("NAME    ID    SIZE    PROCESSOR    CONTEXT    UNTIL");
            let now_ms = call.world.now_ms;
            for model in loaded(call.world, place) {
                let share = model.gpu_mib * 100 / model.mib.max(1);
                let processor = match share {
                    100 => "100% GPU".to_owned(),
                    0 => "100% CPU".to_owned(),
                    share => format!("{}%/{share}% CPU/GPU", 100 - share),
                };
                let id = digest(&model.name)[..12].to_owned();
                call.print(format!(
                    "{}    {id}    {}    {processor}    {}    {} from now",
                    model.name,
                    human(model.mib << 20),
                    model.context,
                    ago(model.until_ms - now_ms)
                ));
            }
            0
        }
        ["pull", name] => match pull(call.world, place, name) {
            Ok(()) => {
                call.warn("pulling manifest\nverifying sha256 digest\nwriting manifest\nsuccess");
                0
            }
            Err(why) => {
                call.warn(format!("pulling manifest\nError: {why}"));
                1
            }
        },
        ["rm", ref names @ ..] => {
            let mut all = models(call.world, place);
            let mut code = 0;
            for name in names {
                if all.remove(&full(name)).is_some() {
                    call.print(format!("deleted '{name}'"));
                } else {
                    call.warn(format!("Error: model '{name}' not found"));
                    code = 1;
                }
            }
            keep(call.world, place, all);
            code
        }
        ["cp", from, to] => {
            let mut all = models(call.world, place);
            match all.get(&full(from)).cloned() {
                Some(model) => {
                    all.insert(full(to), model);
                    keep(call.world, place, all);
                    call.print(format!("copied '{from}' to '{to}'"));
                    0
                }
                None => {
                    call.warn(format!("Error: model \"{from}\" not found"));
                    1
                }
            }
        }
        ["create", name, "-f", file] | ["create", "-f", file, name] => create(call, place, name, file),
        ["show", name, ..] => match models(call.world, place).get(&full(name)) {
            Some(_) => {
                call.print("  Model\n    architecture        qwen2\n    parameters          7.6B\n    context length      32768\n    quantization        Q4_K_M");
                0
            }
            None => {
                call.warn(format!("Error: model '{name}' not found"));
                1
            }
        },
        ["stop", name] => {
            if let Some(container) = place.container_mut(call.world)
                && let Some(all) = container.memory_of.get_mut("loaded").and_then(Value::as_object_mut)
            {
                all.remove(&full(name));
                let held: u64 = all.values().map(|one| one["gpu_mib"].as_u64().unwrap_or_default()).sum();
                container.memory_of.insert(guest_smi::HELD.to_owned(), held.into());
            }
            0
        }
        ["run", name, ..] => match load(call.world, place, name) {
            Ok(_) => {
                call.print("Hello!");
                0
            }
            Err((_, why)) => {
                call.warn(format!("Error: {why}"));
                1
            }
        },
        ["--version" | "-v"] => {
            call.print("ollama version is 0.18.2");
            0
        }
        _ => return None,
    })
}

/// `create`: from a Modelfile whose `FROM` is a model that is there, or a file.
fn create(call: &mut Call<'_>, place: &Place, name: &str, file: &str) -> i32 {
    let text = if file == "-" || file == "/dev/stdin" {
        String::from_utf8_lossy(&call.read_stdin()).into_owned()
    } else {
        place.file(call.world, file).unwrap_or_default()
    };
    let Some(from) = text.lines().find_map(|line| line.strip_prefix("FROM ")) else {
        call.warn("Error: no FROM line");
        return 1;
    };
    let mut all = models(call.world, place);
    let from = from.trim();
    let mut made = match all.get(&full(from)) {
        Some(base) => base.clone(),
        None if from.starts_with('/') => {
            let size = size_of(name);
            json!({ "size": size, "layers": digest(from), "modified_ms": 0 })
        }
        None => {
            if let Err(why) = pull(call.world, place, from) {
                call.warn(format!("Error: {why}"));
                return 1;
            }
            all = models(call.world, place);
            all[&full(from)].clone()
        }
    };
    made["digest"] = digest(&text).into();
    made["modified_ms"] = call.world.now_ms.into();
    made["from"] = from.into();
    all.insert(full(name), made);
    keep(call.world, place, all);
    call.warn("success");
    0
}

/// Bytes as it lists them: powers of ten.
fn human(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
    let number = bytes as f64;
    match bytes {
        0..1_000_000_000 => format!("{:.0} MB", number / 1e6),
        _ => format!("{:.1} GB", number / 1e9),
    }
}

fn ask(world: &mut World, place: &Place, request: &HttpRequest) -> HttpReply {
    match (request.method.as_str(), request.path()) {
        ("GET" | "HEAD", "/") => HttpReply::text(200, "Ollama is running"),
        ("GET", "/api/version") => HttpReply::json(200, &json!({ "version": "0.18.2" })),
        ("GET", "/api/tags") => {
            let all: Vec<Value> = models(world, place)
                .iter()
                .map(|(name, model)| json!({ "name": name, "model": name, "modified_at": time(model["modified_ms"].as_i64()), "size": model["size"], "digest": model["digest"], "details": { "format": "gguf", "family": "qwen2", "parameter_size": "7.6B", "quantization_level": "Q4_K_M" } }))
                .collect();
            HttpReply::json(200, &json!({ "models": all }))
        }
        ("GET", "/api/ps") => {
            let all: Vec<Value> = loaded(world, place)
                .iter()
                .map(|model| json!({ "name": model.name, "model": model.name, "size": model.mib << 20, "size_vram": model.gpu_mib << 20, "context_length": model.context, "expires_at": time(Some(model.until_ms)) }))
                .collect();
            HttpReply::json(200, &json!({ "models": all }))
        }
        ("GET", "/v1/models") => {
            let all: Vec<Value> = models(world, place)
                .keys()
                .map(|name| json!({ "id": name, "object": "model", "owned_by": "library" }))
                .collect();
            HttpReply::json(200, &json!({ "object": "list", "data": all }))
        }
        _ => super::answers::ollama::ask(world, place, request),
    }
}

fn time(ms: Option<i64>) -> String {
    jiff::Timestamp::from_millisecond(ms.unwrap_or_default()).unwrap_or_default().to_string()
}
