//! `docker compose …`: its options and the commands that this project sends.

use serde_json::json;

use super::up::{self, Wish};
use super::{Project, read};
use crate::lab::docker::command::exec_in;
use crate::lab::docker::{compose_row, daemon, engine, registry, shown};
use crate::lab::services::Place;
use crate::lab::shell::Call;
use crate::lab::world::Docker;

/// `docker compose` with the words behind it.
pub fn run(call: &mut Call<'_>, vmid: u32, docker: &Docker, words: &[&str]) -> i32 {
    let (mut directory, mut file, mut project_name, mut at) = (None, None, None, 0);
    while let Some(word) = words.get(at).filter(|word| word.starts_with('-')) {
        let (option, value) = word.split_once('=').unwrap_or((word, ""));
        let takes = [
            "--project-directory",
            "--file",
            "-f",
            "--project-name",
            "-p",
            "--env-file",
            "--progress",
            "--ansi",
            "--profile",
        ]
        .contains(&option);
        let value = if takes && value.is_empty() {
            at += 1;
            words.get(at).copied().unwrap_or_default()
        } else {
            value
        };
        at += 1;
        match option {
            "--project-directory" => directory = Some(value.to_owned()),
            "--file" | "-f" => file = Some(value.to_owned()),
            "--project-name" | "-p" => project_name = Some(value.to_owned()),
            "--progress" | "--ansi" => {}
            _ => return call.unknown(word),
        }
    }
    let Some((verb, rest)) = words.get(at..).and_then(<[&str]>::split_first) else { return call.unknown("compose") };
    match *verb {
        "version" => return version(call, docker, rest),
        "ls" => return listed(call, vmid, docker, rest),
        _ => {}
    }
    // A project can be told by its name alone: its containers are looked up by their labels then.
    let (directory, file) = match (directory, file, &project_name) {
        (None, None, Some(name)) => match known(docker, name) {
            Some(found) => found,
            None => return call.fail(1, "no configuration file provided: not found"),
        },
        (directory, Some(file), _) => {
            let parent = file.rsplit_once('/').map_or("/", |(parent, _)| parent).to_owned();
            (directory.unwrap_or(parent), file)
        }
        (Some(directory), None, _) => {
            let file = format!("{directory}/compose.yaml");
            (directory, file)
        }
        (None, None, None) => {
            call.warn("no configuration file provided: not found");
            return 1;
        }
    };
    let directory = directory.trim_end_matches('/').to_owned();
    let Some(guest) = call.world.guests.get(&vmid) else { return 1 };
    let mut project = match read(guest, &directory, &file) {
        Ok(project) => project,
        Err((why, code)) => {
            call.warn(why);
            return code;
        }
    };
    if let Some(name) = project_name {
        project.name = name;
    }
    for warning in project.warnings.clone() {
        call.warn(format!("level=warning msg=\"{}\"", warning.replace('"', "\\\"")));
    }
    if *verb == "config" {
        return config(call, &project, rest);
    }
    if docker.daemon.is_none() {
        call.warn(daemon::DOWN);
        return 1;
    }
    match *verb {
        "up" => up(call, vmid, &project, rest),
        "create" => up(call, vmid, &project, &[rest, &["--no-start"]].concat()),
        "down" => down(call, vmid, &project, rest),
        "pull" => pull(call, vmid, &project, rest),
        "ps" => ps(call, vmid, &project, rest),
        "logs" => logs(call, vmid, &project, rest),
        "exec" => exec(call, vmid, &project, rest),
        "start" | "stop" | "restart" | "rm" | "kill" => act(call, vmid, &project, verb, rest),
        "images" => images(call, vmid, &project, rest),
        _ => call.unknown(&words.join(" ")),
    }
}

fn known(docker: &Docker, name: &str) -> Option<(String, String)> {
    let one = docker.containers.values().find(|one| one.project.as_deref() == Some(name))?;
    let label = |key: &str| one.labels.get(&format!("com.docker.compose.project.{key}")).cloned();
    Some((label("working_dir")?, label("config_files")?))
}

fn version(call: &mut Call<'_>, docker: &Docker, rest: &[&str]) -> i32 {
    let version = docker.compose.clone().unwrap_or_default();
    match rest {
        ["--short"] => call.print(version),
        [] => call.print(format!("Docker Compose version {}{version}", if version.contains('-') { "" } else { "v" })),
        _ => return call.unknown(&rest.join(" ")),
    }
    0
}

/// `ls --all --format json`.
fn listed(call: &mut Call<'_>, vmid: u32, docker: &Docker, rest: &[&str]) -> i32 {
    if docker.daemon.is_none() {
        call.warn(daemon::DOWN);
        return 1;
    }
    let all = rest.iter().any(|word| ["--all", "-a"].contains(word));
    let mut rows = Vec::new();
    for (project, names) in docker.projects() {
        let mut states: std::collections::BTreeMap<&str, usize> = std::collections::BTreeMap::new();
        for name in &names {
            *states.entry(shown(call.world, &Place::new(vmid, *name)).status).or_default() += 1;
        }
        if !all && !states.contains_key("running") {
            continue;
        }
        let status: Vec<String> = states.iter().map(|(state, count)| format!("{state}({count})")).collect();
        let files = known(docker, project).map(|(_, file)| file).unwrap_or_default();
        rows.push(json!({ "Name": project, "Status": status.join(", "), "ConfigFiles": files }));
    }
    let as_json = rest.windows(2).any(|pair| pair == ["--format", "json"]) || rest.contains(&"--format=json");
    if !as_json {
        call.print("NAME   STATUS   CONFIG FILES");
        let lines: Vec<String> = rows
            .iter()
            .map(|row| {
                format!(
                    "{}   {}   {}",
                    row["Name"].as_str().unwrap_or_default(),
                    row["Status"].as_str().unwrap_or_default(),
                    row["ConfigFiles"].as_str().unwrap_or_default()
                )
            })
            .collect();
        lines.iter().for_each(|line| call.print(line));
        return 0;
    }
    call.print(serde_json::Value::Array(rows).to_string());
    0
}

fn config(call: &mut Call<'_>, project: &Project, rest: &[&str]) -> i32 {
    match rest {
        ["--quiet" | "-q"] => 0,
        ["--services"] => {
            project.services.keys().for_each(|name| call.print(name));
            0
        }
        ["--images"] => {
            project.services.values().for_each(|one| call.print(&one.image));
            0
        }
        ["--hash", _] | ["--hash=*"] => {
            for (name, one) in &project.services {
                let hash = one.labels.get("com.docker.compose.config-hash").map(String::as_str).unwrap_or_default();
                call.print(format!("{name} {hash}"));
            }
            0
        }
        _ => call.unknown(&rest.join(" ")),
    }
}

fn ended(call: &mut Call<'_>, say: Vec<String>, result: Result<(), (i32, String)>) -> i32 {
    say.iter().for_each(|line| call.warn(line));
    match result {
        Ok(()) => 0,
        Err((code, why)) => {
            call.warn(why);
            code
        }
    }
}

fn up(call: &mut Call<'_>, vmid: u32, project: &Project, rest: &[&str]) -> i32 {
    let mut wish = Wish::default();
    let mut words = rest.iter().copied();
    let mut detached = false;
    while let Some(word) = words.next() {
        match word.split_once('=').unwrap_or((word, "")) {
            ("--detach" | "-d", _) => detached = true,
            ("--wait", _) => (wish.wait, detached) = (true, true),
            ("--wait-timeout", "") => wish.wait_s = words.next().and_then(|n| n.parse().ok()).unwrap_or_default(),
            ("--wait-timeout", n) => wish.wait_s = n.parse().unwrap_or_default(),
            ("--remove-orphans", _) => wish.remove_orphans = true,
            ("--force-recreate", _) => wish.force_recreate = true,
            ("--no-deps", _) => wish.no_deps = true,
            ("--no-start", _) => (wish.no_start, detached) = (true, true),
            ("--quiet-pull" | "--no-build" | "--no-color", _) => {}
            ("--pull", "") => wish.no_pull = words.next() == Some("never"),
            ("--pull", how) => wish.no_pull = how == "never",
            ("--timeout" | "-t", "") => drop(words.next()),
            ("--timeout", _) => {}
            (option, _) if option.starts_with('-') => return call.unknown(word),
            _ => wish.services.push(word.to_owned()),
        }
    }
    if !detached {
        return call.unknown("up in the foreground");
    }
    let mut say = Vec::new();
    let result = up::up(call.world, vmid, project, &wish, &mut say);
    ended(call, say, result)
}

fn down(call: &mut Call<'_>, vmid: u32, project: &Project, rest: &[&str]) -> i32 {
    let (mut orphans, mut volumes) = (false, false);
    let mut words = rest.iter();
    while let Some(word) = words.next() {
        match *word {
            "--remove-orphans" => orphans = true,
            "--volumes" | "-v" => volumes = true,
            "--timeout" | "-t" => drop(words.next()),
            word => return call.unknown(word),
        }
    }
    let mut say = Vec::new();
    let result = up::down(call.world, vmid, project, orphans, volumes, &mut say);
    ended(call, say, result)
}

/// Services that were named, or all; none, if one is not known.
fn chosen(call: &mut Call<'_>, project: &Project, names: &[&str]) -> Option<Vec<String>> {
    if let Some(unknown) = names.iter().find(|name| !project.services.contains_key(**name)) {
        call.warn(format!("no such service: {unknown}"));
        return None;
    }
    Some(if names.is_empty() {
        project.services.keys().cloned().collect()
    } else {
        names.iter().map(|name| (*name).to_owned()).collect()
    })
}

fn operands<'a>(rest: &[&'a str]) -> Vec<&'a str> {
    rest.iter().copied().filter(|word| !word.starts_with('-')).collect()
}

fn pull(call: &mut Call<'_>, vmid: u32, project: &Project, rest: &[&str]) -> i32 {
    let known = ["--quiet", "-q", "--ignore-pull-failures", "--include-deps"];
    if let Some(option) = rest.iter().find(|word| word.starts_with('-') && !known.contains(word)) {
        return call.unknown(option);
    }
    let Some(services) = chosen(call, project, &operands(rest)) else { return 1 };
    for service in services {
        let image = project.services[&service].image.clone();
        if let Err(why) = registry::pull(call.world, vmid, &image) {
            call.warn(format!("Error response from daemon: {why}"));
            return 18;
        }
    }
    0
}

fn ps(call: &mut Call<'_>, vmid: u32, project: &Project, rest: &[&str]) -> i32 {
    let all = rest.iter().any(|word| ["--all", "-a", "-aq"].contains(word));
    let quiet = rest.iter().any(|word| ["--quiet", "-q", "-aq"].contains(word));
    let as_json = rest.windows(2).any(|pair| pair == ["--format", "json"]) || rest.contains(&"--format=json");
    let names: Vec<&str> = operands(rest).into_iter().filter(|word| *word != "json").collect();
    let docker = call.world.guests.get(&vmid).and_then(|guest| guest.docker.clone()).unwrap_or_default();
    let own = docker.projects().get(project.name.as_str()).cloned().unwrap_or_default();
    for name in own {
        let row = compose_row(call.world, &Place::new(vmid, name));
        let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
        if !names.is_empty() && !names.contains(&text("Service").as_str()) {
            continue;
        }
        if !all && !["running", "restarting"].contains(&text("State").as_str()) {
            continue;
        }
        call.print(match () {
            () if quiet => docker.containers[name].id.clone(),
            () if as_json => row.to_string(),
            () => ["Name", "Image", "Command", "Service", "RunningFor", "Status", "Ports"].map(text).join("   "),
        });
    }
    0
}

fn logs(call: &mut Call<'_>, vmid: u32, project: &Project, rest: &[&str]) -> i32 {
    let (mut tail, mut plain, mut names, mut words) = (usize::MAX, false, Vec::new(), rest.iter().copied());
    while let Some(word) = words.next() {
        match word {
            "--no-color" | "--follow" | "-f" | "--timestamps" | "-t" => {}
            "--no-log-prefix" => plain = true,
            "--tail" | "-n" => tail = words.next().and_then(|n| n.parse().ok()).unwrap_or(usize::MAX),
            "--since" => drop(words.next()),
            word if word.starts_with("--tail=") => tail = word[7..].parse().unwrap_or(usize::MAX),
            word if word.starts_with('-') => return call.unknown(word),
            word => names.push(word),
        }
    }
    let Some(services) = chosen(call, project, &names) else { return 1 };
    let width = services.iter().map(String::len).max().unwrap_or_default() + 2;
    for service in services {
        let log = shown(call.world, &Place::new(vmid, up::name_of(project, &service))).log;
        for line in &log[log.len().saturating_sub(tail)..] {
            let prefix = if plain { String::new() } else { format!("{:<width$}  | ", format!("{service}-1")) };
            call.print(format!("{prefix}{line}"));
        }
    }
    0
}

fn exec(call: &mut Call<'_>, vmid: u32, project: &Project, rest: &[&str]) -> i32 {
    let mut at = 0;
    while let Some(word) = rest.get(at) {
        match *word {
            "-T" | "--no-TTY" | "-d" | "--detach" | "--no-tty" => at += 1,
            "--interactive=false" | "--index=1" => at += 1,
            "-u" | "--user" | "-e" | "--env" | "-w" | "--workdir" | "--index" => at += 2,
            word if word.starts_with('-') => return call.unknown(word),
            _ => break,
        }
    }
    let Some((service, command)) = rest.get(at..).and_then(<[&str]>::split_first) else {
        return call.unknown("exec of nothing");
    };
    let place = Place::new(vmid, up::name_of(project, service));
    if shown(call.world, &place).status != "running" {
        call.warn(format!("service \"{service}\" is not running"));
        return 1;
    }
    exec_in(call, &place, command)
}

fn act(call: &mut Call<'_>, vmid: u32, project: &Project, verb: &str, rest: &[&str]) -> i32 {
    let Some(services) = chosen(call, project, &operands(rest)) else { return 1 };
    for service in services {
        let name = up::name_of(project, &service);
        if Place::new(vmid, &name).container(call.world).is_none() {
            continue;
        }
        let done = match verb {
            "start" => engine::start(call.world, vmid, &name),
            "restart" => {
                engine::stop(call.world, vmid, &name);
                engine::start(call.world, vmid, &name)
            }
            "rm" => {
                if rest.contains(&"-s")
                    || rest.contains(&"--stop")
                    || shown(call.world, &Place::new(vmid, &name)).status != "running"
                {
                    engine::remove(call.world, vmid, &name);
                }
                Ok(())
            }
            _ => {
                engine::stop(call.world, vmid, &name);
                Ok(())
            }
        };
        if let Err(why) = done {
            call.warn(format!("Error response from daemon: {why}"));
            return 1;
        }
        let said = match verb {
            "start" | "restart" => "Started",
            "rm" => "Removed",
            _ => "Stopped",
        };
        call.warn(format!(" Container {name}  {said}"));
    }
    0
}

fn images(call: &mut Call<'_>, vmid: u32, project: &Project, rest: &[&str]) -> i32 {
    if !rest.is_empty() && rest != ["--quiet"] && rest != ["-q"] {
        return call.unknown(&rest.join(" "));
    }
    for one in project.services.values() {
        let id = registry::find(call.world, vmid, &one.image).map(|(_, image)| image.id.clone());
        if let Some(id) = id {
            call.print(id);
        }
    }
    0
}
