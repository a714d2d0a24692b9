//! `docker`: the commands that this project sends, with the options that it sends; any other is said to be unknown.

use serde_json::{Value, json};

use super::{daemon, engine, format, inspect, list, registry, shown};
use crate::lab::services::{self, Place};
use crate::lab::shell::Call;
use crate::lab::world::{Container, Docker, DockerNetwork, DockerVolume};
use crate::lab::{compose, guests};

/// `docker …`.
pub fn run(call: &mut Call<'_>) -> i32 {
    let Some(vmid) = guests::own(call.world, call.node) else { return 1 };
    let installed = call.world.guests.get(&vmid).and_then(|guest| guest.docker.as_ref());
    let Some(docker) = installed.filter(|docker| !docker.engine.is_empty()).cloned() else {
        call.warn("sh: 1: docker: not found");
        return 127;
    };
    let words: Vec<String> = call.args.to_vec();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let Some((verb, rest)) = words.split_first() else { return call.unknown("nothing") };
    match *verb {
        "compose" if docker.compose.is_none() => {
            call.warn("docker: unknown command: docker compose\n\nRun 'docker --help' for more information");
            return 1;
        }
        "compose" => return compose::run(call, vmid, &docker, rest),
        "version" => return version(call, &docker, rest),
        "--version" | "-v" => {
            call.print(format!("Docker version {}, build e6534b4", docker.engine));
            return 0;
        }
        "info" => return info(call, vmid, &docker, rest),
        _ => {}
    }
    if docker.daemon.is_none() {
        call.warn(daemon::DOWN);
        return 1;
    }
    match (*verb, rest) {
        ("ps", rest) | ("container", ["ls", rest @ ..]) => ps(call, vmid, rest),
        ("inspect", rest) | ("container", ["inspect", rest @ ..]) => inspected(call, vmid, rest),
        ("logs", rest) => logs(call, vmid, rest),
        ("exec", rest) => exec(call, vmid, rest),
        ("run", rest) => super::run::run(call, vmid, rest),
        ("start" | "stop" | "restart" | "rm" | "kill", rest) => act(call, vmid, verb, rest),
        ("pull", rest) | ("image", ["pull", rest @ ..]) => pull(call, vmid, rest),
        ("image", ["inspect", rest @ ..]) => image(call, vmid, rest),
        ("image", ["ls", rest @ ..]) | ("images", rest) => images(call, vmid, rest),
        ("image", ["prune", rest @ ..]) => prune(call, vmid, rest),
        ("image", ["rm", rest @ ..]) | ("rmi", rest) => remove_images(call, vmid, rest),
        ("network", rest) => network(call, vmid, rest),
        ("volume", rest) => volume(call, vmid, rest),
        _ => call.unknown(&words.join(" ")),
    }
}

/// Says what the engine answered with an error.
pub(super) fn refuse(call: &mut Call<'_>, why: &str) -> i32 {
    call.warn(format!("Error response from daemon: {why}"));
    1
}

/// The value of `--format` among words, and the words without it.
fn formatted<'a>(words: &[&'a str]) -> (Option<&'a str>, Vec<&'a str>) {
    let (mut format, mut others, mut words) = (None, Vec::new(), words.iter().copied());
    while let Some(word) = words.next() {
        match word {
            "--format" | "-f" => format = words.next(),
            word if word.starts_with("--format=") => format = Some(&word[9..]),
            word => others.push(word),
        }
    }
    (format, others)
}

fn shown_as(call: &mut Call<'_>, template: &str, value: &Value) -> i32 {
    match format::filled(template, value) {
        Ok(line) => {
            call.print(line);
            0
        }
        Err(why) => {
            call.warn(why);
            1
        }
    }
}

fn version(call: &mut Call<'_>, docker: &Docker, rest: &[&str]) -> i32 {
    let (format, others) = formatted(rest);
    if !others.is_empty() {
        return call.unknown(&others.join(" "));
    }
    let value = inspect::version(docker);
    let code = match format {
        // Go prints what it has before it meets what is not there.
        Some(template) if docker.daemon.is_none() && template.contains("Server") => 1,
        Some(template) => shown_as(call, template, &value),
        None => {
            call.print(format!("Client:\n Version:           {}", docker.engine));
            if docker.daemon.is_some() {
                call.print(format!("\nServer:\n Engine:\n  Version:          {}", docker.engine));
            }
            0
        }
    };
    if docker.daemon.is_none() {
        call.warn(daemon::DOWN);
        return 1;
    }
    code
}

fn info(call: &mut Call<'_>, vmid: u32, docker: &Docker, rest: &[&str]) -> i32 {
    let (template, others) = formatted(rest);
    let (Some(template), []) = (template, &others[..]) else { return call.unknown(&rest.join(" ")) };
    let Some(guest) = call.world.guests.get(&vmid) else { return 1 };
    let value = inspect::info(call.world, vmid, guest, docker);
    let code = shown_as(call, template, &value);
    if docker.daemon.is_none() {
        // With a template the client says so beside what it printed, and exits with 1.
        call.warn(daemon::DOWN);
        return 1;
    }
    code
}

fn names(call: &Call<'_>, vmid: u32) -> Vec<String> {
    let docker = call.world.guests.get(&vmid).and_then(|guest| guest.docker.as_ref());
    let mut all: Vec<(i64, String)> = docker.map_or_else(Vec::new, |docker| {
        docker.containers.iter().map(|(name, one)| (one.created_ms, name.clone())).collect()
    });
    // Youngest first.
    all.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    all.into_iter().map(|(_, name)| name).collect()
}

/// Whether a container is as a filter of `docker ps` wants it.
fn passes(call: &Call<'_>, place: &Place, filter: &str) -> Option<bool> {
    let container = place.container(call.world)?;
    let (key, value) = filter.split_once('=')?;
    Some(match key {
        "name" => place.name.contains(value.trim_start_matches('^').trim_end_matches('$')),
        "label" => match value.split_once('=') {
            Some((key, value)) => container.labels.get(key).is_some_and(|own| own == value),
            None => container.labels.contains_key(value),
        },
        "status" => shown(call.world, place).status == value,
        "health" => shown(call.world, place).health == Some(value),
        "volume" => container.mounts.iter().any(|mount| mount.source == value || mount.target == value),
        "network" => container.networks.contains_key(value),
        "ancestor" => container.image == value,
        _ => return None,
    })
}

fn ps(call: &mut Call<'_>, vmid: u32, rest: &[&str]) -> i32 {
    let (template, others) =
        formatted(&rest.iter().map(|word| if *word == "-f" { "--filter" } else { word }).collect::<Vec<_>>());
    let (mut all, mut quiet, mut truncated, mut filters) = (false, false, true, Vec::new());
    let mut others = others.into_iter();
    while let Some(word) = others.next() {
        match word {
            "--all" | "-a" => all = true,
            "--quiet" | "-q" => quiet = true,
            "-aq" | "-qa" => (all, quiet) = (true, true),
            "--no-trunc" => truncated = false,
            "--filter" => filters.push(others.next().unwrap_or_default().to_owned()),
            word if word.starts_with("--filter=") => filters.push(word[9..].to_owned()),
            _ => return call.unknown(word),
        }
    }
    all |= filters.iter().any(|filter| filter.starts_with("status="));
    let mut rows = Vec::new();
    for name in names(call, vmid) {
        let place = Place::new(vmid, name);
        let mut fits = true;
        for filter in &filters {
            let Some(passes) = passes(call, &place, filter) else { return call.unknown(filter) };
            fits &= passes;
        }
        let row = list::row(call.world, &place, truncated);
        if fits && (all || ["running", "restarting"].contains(&row["State"].as_str().unwrap_or_default())) {
            rows.push(row);
        }
    }
    if !quiet && template.is_none() {
        call.print("CONTAINER ID   IMAGE   COMMAND   CREATED   STATUS   PORTS   NAMES");
    }
    for row in rows {
        let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
        let code = match template {
            _ if quiet => {
                call.print(text("ID"));
                0
            }
            Some(template) => shown_as(call, template, &row),
            None => {
                call.print(["ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names"].map(text).join("   "));
                0
            }
        };
        if code != 0 {
            return code;
        }
    }
    0
}

fn inspected(call: &mut Call<'_>, vmid: u32, rest: &[&str]) -> i32 {
    let (template, others) = formatted(rest);
    let (mut values, mut code) = (Vec::new(), 0);
    for word in others {
        if word.starts_with('-') {
            return call.unknown(word);
        }
        let name = call.world.guests.get(&vmid).and_then(|guest| engine::named(guest, word));
        let value = match name {
            Some(name) => Some(inspect::container(call.world, &Place::new(vmid, name))),
            None => registry::find(call.world, vmid, word).map(|(name, image)| inspect::image(name, image)),
        };
        match value {
            Some(value) => values.push(value),
            None => {
                call.warn(format!("Error: No such object: {word}"));
                code = 1;
            }
        }
    }
    print_all(call, template, values, code)
}

fn print_all(call: &mut Call<'_>, template: Option<&str>, values: Vec<Value>, code: i32) -> i32 {
    match template {
        Some(template) => {
            let codes: Vec<i32> = values.iter().map(|value| shown_as(call, template, value)).collect();
            codes.into_iter().max().unwrap_or(0).max(code)
        }
        None => {
            call.print(format!("{:#}", Value::Array(values)));
            code
        }
    }
}

fn logs(call: &mut Call<'_>, vmid: u32, rest: &[&str]) -> i32 {
    let (mut tail, mut name, mut words) = (usize::MAX, None, rest.iter().copied());
    while let Some(word) = words.next() {
        match word {
            "--tail" | "-n" => tail = words.next().and_then(|n| n.parse().ok()).unwrap_or(usize::MAX),
            "--follow" | "-f" | "--timestamps" | "-t" => {}
            "--since" => drop(words.next()),
            word if word.starts_with("--tail=") => tail = word[7..].parse().unwrap_or(usize::MAX),
            word if word.starts_with("--since=") => {}
            word if word.starts_with('-') => return call.unknown(word),
            word => name = Some(word),
        }
    }
    let Some(word) = name else { return call.unknown("logs of nothing") };
    let Some(name) = call.world.guests.get(&vmid).and_then(|guest| engine::named(guest, word)) else {
        return refuse(call, &format!("No such container: {word}"));
    };
    let log = shown(call.world, &Place::new(vmid, name)).log;
    for line in &log[log.len().saturating_sub(tail)..] {
        call.print(line);
    }
    0
}

fn exec(call: &mut Call<'_>, vmid: u32, rest: &[&str]) -> i32 {
    let mut at = 0;
    while let Some(word) = rest.get(at) {
        match *word {
            "-i" | "--interactive" | "-t" | "--tty" | "-it" | "-d" | "--detach" => at += 1,
            "-u" | "--user" | "-e" | "--env" | "-w" | "--workdir" => at += 2,
            word if word.starts_with('-') => return call.unknown(word),
            _ => break,
        }
    }
    let Some((word, command)) = rest.get(at..).and_then(<[&str]>::split_first) else {
        return call.unknown("exec of nothing");
    };
    let Some(name) = call.world.guests.get(&vmid).and_then(|guest| engine::named(guest, word)) else {
        return refuse(call, &format!("No such container: {word}"));
    };
    let place = Place::new(vmid, name);
    let state = shown(call.world, &place);
    if state.status != "running" {
        let id = place.container(call.world).map(|one| one.id.clone()).unwrap_or_default();
        let why = if state.status == "restarting" {
            format!("Container {id} is restarting, wait until the container is running")
        } else {
            format!("container {id} is not running")
        };
        return refuse(call, &why);
    }
    exec_in(call, &place, command)
}

/// Runs a command in a container that runs.
pub fn exec_in(call: &mut Call<'_>, place: &Place, command: &[&str]) -> i32 {
    let Some((program, args)) = command.split_first() else { return call.unknown("exec of nothing") };
    let image = place.container(call.world).map(|one| one.image.clone()).unwrap_or_default();
    let bare = program.rsplit('/').next().unwrap_or(program);
    let has_gpu = place.container(call.world).is_some_and(|one| one.has_gpu);
    let has_program = services::family(&image).programs.contains(&bare) || (bare == "nvidia-smi" && has_gpu);
    if !has_program {
        call.print(format!("OCI runtime exec failed: exec failed: unable to start container process: exec: \"{program}\": executable file not found in $PATH: unknown"));
        return 126;
    }
    let args: Vec<String> = args.iter().map(|word| (*word).to_owned()).collect();
    let (node, name) = (call.node, bare.to_owned());
    let mut inner = Call {
        world: call.world,
        node,
        name: &name,
        args: &args,
        stdin: call.stdin,
        stdout: Vec::new(),
        stderr: Vec::new(),
    };
    let code = if bare == "nvidia-smi" {
        crate::lab::guest_smi::smi(&mut inner)
    } else {
        services::run(&mut inner, place).unwrap_or_else(|| inner.unknown(&command.join(" ")))
    };
    let (stdout, stderr) = (inner.stdout, inner.stderr);
    call.stdout.extend(stdout);
    call.stderr.extend(stderr);
    code
}

fn act(call: &mut Call<'_>, vmid: u32, verb: &str, rest: &[&str]) -> i32 {
    let mut code = 0;
    let force = rest.iter().any(|word| ["-f", "--force", "-fv", "-vf"].contains(word));
    let mut words = rest.iter();
    while let Some(word) = words.next() {
        if ["-t", "--time", "--timeout", "-s", "--signal"].contains(word) {
            words.next();
            continue;
        }
        if word.starts_with('-') {
            continue;
        }
        let Some(name) = call.world.guests.get(&vmid).and_then(|guest| engine::named(guest, word)) else {
            code = refuse(call, &format!("No such container: {word}"));
            continue;
        };
        let done = match verb {
            "start" => engine::start(call.world, vmid, &name),
            "stop" | "kill" => {
                engine::stop(call.world, vmid, &name);
                Ok(())
            }
            "restart" => {
                engine::stop(call.world, vmid, &name);
                engine::start(call.world, vmid, &name)
            }
            _ if !force && shown(call.world, &Place::new(vmid, &name)).status == "running" => Err(format!(
                "cannot remove container \"{name}\": container is running: stop the container before removing or force remove"
            )),
            _ => {
                engine::remove(call.world, vmid, &name);
                Ok(())
            }
        };
        match done {
            Ok(()) => call.print(word),
            Err(why) => code = refuse(call, &why),
        }
    }
    code
}

fn pull(call: &mut Call<'_>, vmid: u32, rest: &[&str]) -> i32 {
    let quiet = rest.iter().any(|word| ["-q", "--quiet"].contains(word));
    let Some(image) = rest.iter().find(|word| !word.starts_with('-')) else { return call.unknown("pull of nothing") };
    match registry::pull(call.world, vmid, image) {
        Ok(()) => {
            let name = registry::normal(image);
            let full = if name.split('/').next().is_some_and(|host| host.contains('.')) {
                name
            } else if name.contains('/') {
                format!("docker.io/{name}")
            } else {
                format!("docker.io/library/{name}")
            };
            if !quiet {
                call.print(format!("Status: Downloaded newer image for {image}"));
            }
            call.print(full);
            0
        }
        Err(why) => refuse(call, &why),
    }
}

fn image(call: &mut Call<'_>, vmid: u32, rest: &[&str]) -> i32 {
    let (template, others) = formatted(rest);
    let (mut values, mut code) = (Vec::new(), 0);
    for word in others {
        match registry::find(call.world, vmid, word) {
            Some((name, image)) => values.push(inspect::image(name, image)),
            None => {
                call.warn(format!("Error response from daemon: No such image: {}", registry::normal(word)));
                code = 1;
            }
        }
    }
    print_all(call, template, values, code)
}

fn images(call: &mut Call<'_>, vmid: u32, rest: &[&str]) -> i32 {
    let (template, others) = formatted(rest);
    if let Some(word) = others.iter().find(|word| !["-a", "--all", "--digests", "--no-trunc"].contains(word)) {
        return call.unknown(word);
    }
    let docker = call.world.guests.get(&vmid).and_then(|guest| guest.docker.clone()).unwrap_or_default();
    let now_ms = call.world.now_ms;
    for (name, image) in docker.images.iter().filter(|(_, image)| image.pulled_ms <= now_ms) {
        let repository = services::repository(name);
        let tag = name.get(repository.len() + 1..).filter(|_| !name.contains('@')).unwrap_or("<none>");
        let value = json!({
            "Repository": repository, "Tag": tag, "ID": format!("sha256:{}", image.id), "Digest": format!("sha256:{}", image.digest),
            "Size": format!("{:.2}GB", image.bytes as f64 / 1e9), "Containers": "N/A",
        });
        let code = shown_as(call, template.unwrap_or("{{.Repository}}   {{.Tag}}   {{.ID}}   {{.Size}}"), &value);
        if code != 0 {
            return code;
        }
    }
    0
}

fn prune(call: &mut Call<'_>, vmid: u32, rest: &[&str]) -> i32 {
    if !rest.iter().any(|word| ["--force", "-f", "-af"].contains(word)) {
        call.print("WARNING! This will remove all dangling images.\nAre you sure you want to continue? [y/N] ");
        return 0;
    }
    let all = rest.iter().any(|word| ["--all", "-a", "-af"].contains(word));
    let gone = registry::prune(call.world, vmid, all);
    for (name, _) in &gone {
        call.print(format!("untagged: {name}"));
    }
    let bytes: u64 = gone.iter().map(|(_, image)| image.bytes).sum();
    call.print(if bytes == 0 {
        "Total reclaimed space: 0B".to_owned()
    } else {
        format!("Total reclaimed space: {:.3}GB", bytes as f64 / 1e9)
    });
    0
}

fn remove_images(call: &mut Call<'_>, vmid: u32, rest: &[&str]) -> i32 {
    let mut code = 0;
    for word in rest.iter().filter(|word| !word.starts_with('-')) {
        let Some(name) = registry::find(call.world, vmid, word).map(|(name, _)| name.to_owned()) else {
            code = refuse(call, &format!("No such image: {}", registry::normal(word)));
            continue;
        };
        let Some(docker) = engine::running(call.world, vmid) else { return 1 };
        let user =
            docker.containers.values().find(|one| registry::normal(&one.image) == name).map(|one| one.id.clone());
        match user {
            Some(id) => {
                code = refuse(
                    call,
                    &format!(
                        "conflict: unable to remove repository reference \"{word}\" (must force) - container {} is using its referenced image",
                        &id[..12.min(id.len())]
                    ),
                )
            }
            None => {
                docker.images.remove(&name);
                call.print(format!("Untagged: {name}"));
            }
        }
    }
    code
}

fn network(call: &mut Call<'_>, vmid: u32, rest: &[&str]) -> i32 {
    let id = engine::new_id(call.world);
    match rest {
        ["ls", rest @ ..] => {
            let (template, _) = formatted(rest);
            let docker = call.world.guests.get(&vmid).and_then(|guest| guest.docker.clone()).unwrap_or_default();
            let own = docker.networks.iter().map(|(name, network)| (name.as_str(), network.id.as_str(), "bridge"));
            let mut all: Vec<_> =
                own.chain([("bridge", "0", "bridge"), ("host", "1", "host"), ("none", "2", "null")]).collect();
            all.sort_unstable();
            for (name, id, driver) in all {
                let value = json!({ "Name": name, "ID": id, "Driver": driver, "Scope": "local" });
                let code = shown_as(call, template.unwrap_or("{{.ID}}   {{.Name}}   {{.Driver}}   {{.Scope}}"), &value);
                if code != 0 {
                    return code;
                }
            }
            0
        }
        ["create", rest @ ..] => {
            let mut network = DockerNetwork { id: id.clone(), ..DockerNetwork::default() };
            let (mut name, mut words) = (None, rest.iter());
            while let Some(word) = words.next() {
                match *word {
                    "--internal" => network.internal = true,
                    "--label" => {
                        let (key, value) = words.next().and_then(|label| label.split_once('=')).unwrap_or_default();
                        network.labels.insert(key.to_owned(), value.to_owned());
                    }
                    "--driver" | "-d" | "--subnet" => drop(words.next()),
                    word if word.starts_with("--driver=") || word.starts_with("--label=") => {}
                    word if word.starts_with('-') => return call.unknown(word),
                    word => name = Some(word),
                }
            }
            let Some(name) = name else { return call.unknown("network create") };
            let Some(docker) = engine::running(call.world, vmid) else { return 1 };
            if docker.networks.contains_key(name) || ["bridge", "host", "none"].contains(&name) {
                return refuse(call, &format!("network with name {name} already exists"));
            }
            docker.networks.insert(name.to_owned(), network);
            call.print(id);
            0
        }
        ["rm", names @ ..] => {
            let mut code = 0;
            for name in names {
                let Some(docker) = engine::running(call.world, vmid) else { return 1 };
                let used = |one: &Container| one.networks.contains_key(*name) && one.since_ms().is_some();
                let active = docker
                    .containers
                    .iter()
                    .find(|(_, one)| used(one))
                    .map(|(name, one)| (name.clone(), one.id.clone()));
                match (docker.networks.get(*name).cloned(), active) {
                    (None, _) => code = refuse(call, &format!("network {name} not found")),
                    (Some(network), Some((user, id))) => {
                        let why = format!(
                            "error while removing network: network {name} has active endpoints (name:\"{user}\" id:\"{}\"), id {}",
                            &id[..12],
                            network.id
                        );
                        code = refuse(call, &why);
                    }
                    (Some(_), None) => {
                        docker.networks.remove(*name);
                        call.print(name);
                    }
                }
            }
            code
        }
        ["inspect", rest @ ..] => {
            let (template, others) = formatted(rest);
            let docker = call.world.guests.get(&vmid).and_then(|guest| guest.docker.clone()).unwrap_or_default();
            let (mut values, mut code) = (Vec::new(), 0);
            for name in others {
                match docker.networks.get(name) {
                    Some(network) => values.push(json!({ "Name": name, "Id": network.id, "Driver": "bridge", "Internal": network.internal, "Labels": network.labels })),
                    None => code = refuse(call, &format!("network {name} not found")),
                }
            }
            print_all(call, template, values, code)
        }
        _ => call.unknown(&rest.join(" ")),
    }
}

fn volume(call: &mut Call<'_>, vmid: u32, rest: &[&str]) -> i32 {
    match rest {
        ["ls", rest @ ..] => {
            let (template, _) = formatted(rest);
            let docker = call.world.guests.get(&vmid).and_then(|guest| guest.docker.clone()).unwrap_or_default();
            for name in docker.volumes.keys() {
                let value = json!({ "Name": name, "Driver": "local", "Scope": "local" });
                let code = shown_as(call, template.unwrap_or("{{.Driver}}   {{.Name}}"), &value);
                if code != 0 {
                    return code;
                }
            }
            0
        }
        ["create", name] => {
            let created_ms = call.world.now_ms;
            let Some(docker) = engine::running(call.world, vmid) else { return 1 };
            docker.volumes.entry((*name).to_owned()).or_insert(DockerVolume { created_ms, ..DockerVolume::default() });
            call.print(name);
            0
        }
        ["rm", names @ ..] => {
            let mut code = 0;
            for name in names.iter().filter(|name| !name.starts_with('-')) {
                let Some(docker) = engine::running(call.world, vmid) else { return 1 };
                let user = docker
                    .containers
                    .values()
                    .find(|one| one.mounts.iter().any(|mount| mount.source == **name))
                    .map(|one| one.id.clone());
                match user {
                    Some(id) => code = refuse(call, &format!("remove {name}: volume is in use - [{id}]")),
                    None if docker.volumes.remove(*name).is_none() => {
                        code = refuse(call, &format!("get {name}: no such volume"))
                    }
                    None => {
                        docker.stores.remove(*name);
                        call.print(name);
                    }
                }
            }
            code
        }
        _ => call.unknown(&rest.join(" ")),
    }
}
