//! `docker run`: a container that is asked for on a command line.

use std::collections::BTreeSet;

use serde_json::Value;

use super::command::exec_in;
use super::{engine, registry, shown};
use crate::lab::compose;
use crate::lab::services::Place;
use crate::lab::shell::Call;
use crate::lab::world::Container;

/// Makes, starts and, without `-d`, waits for it: what ends at once is over, with its output.
pub(super) fn run(call: &mut Call<'_>, vmid: u32, rest: &[&str]) -> i32 {
    let mut wanted = Container { restart: "no".to_owned(), ..Container::default() };
    let (mut name, mut detached, mut gone, mut at) = (None, false, false, 0);
    let mut network = "bridge".to_owned();
    while let Some(word) = rest.get(at).filter(|word| word.starts_with('-')) {
        let (option, value) = word.split_once('=').unwrap_or((word, ""));
        let takes =
            !["-d", "--detach", "--rm", "-i", "-t", "-it", "--interactive", "--init", "--read-only", "--privileged"]
                .contains(&option);
        let value = match (takes, value) {
            (true, "") => {
                at += 1;
                rest.get(at).copied().unwrap_or_default()
            }
            (_, value) => value,
        };
        at += 1;
        match option {
            "-d" | "--detach" => detached = true,
            "--rm" => gone = true,
            "-i" | "-t" | "-it" | "--interactive" | "--init" | "--privileged" | "--pull" | "--hostname" | "-u"
            | "--user" | "--entrypoint" | "--cap-add" => {}
            "--read-only" => wanted.read_only = true,
            "--name" => name = Some(value.to_owned()),
            "--gpus" => wanted.wants_gpu = true,
            "--runtime" => wanted.runtime = value.to_owned(),
            "--restart" => wanted.restart = value.to_owned(),
            "--network" | "--net" => network = value.to_owned(),
            "-m" | "--memory" => wanted.memory = compose::bytes(&Value::from(value)).unwrap_or_default(),
            "--device" => wanted.devices.push(value.split(':').next().unwrap_or_default().to_owned()),
            "-e" | "--env" => {
                let (key, value) = value.split_once('=').unwrap_or((value, ""));
                wanted.environment.insert(key.to_owned(), value.to_owned());
            }
            "-l" | "--label" => {
                let (key, value) = value.split_once('=').unwrap_or((value, ""));
                wanted.labels.insert(key.to_owned(), value.to_owned());
            }
            "-v" | "--volume" => wanted.mounts.extend(compose::mount(&Value::from(value), "/")),
            "-p" | "--publish" => wanted.ports.extend(compose::published(&Value::from(value)).into_iter().flatten()),
            _ => return call.unknown(word),
        }
    }
    let Some((image, command)) = rest.get(at..).and_then(<[&str]>::split_first) else {
        return call.unknown("run of nothing");
    };
    wanted.image = (*image).to_owned();
    wanted.command = (!command.is_empty()).then(|| command.iter().map(|word| (*word).to_owned()).collect());
    wanted.networks.insert(network, BTreeSet::new());
    if registry::find(call.world, vmid, image).is_none() {
        call.warn(format!("Unable to find image '{}' locally", registry::normal(image)));
        if let Err(why) = registry::pull(call.world, vmid, image) {
            call.warn(format!(
                "docker: Error response from daemon: {why}\n\nRun 'docker run --help' for more information"
            ));
            return 125;
        }
    }
    let name = name.unwrap_or_else(|| format!("lab_{}", call.world.next_pid()));
    wanted.service.clone_from(&name);
    if let Err(why) =
        engine::create(call.world, vmid, &name, &wanted).and_then(|()| engine::start(call.world, vmid, &name))
    {
        call.warn(format!("docker: Error response from daemon: {why}\n\nRun 'docker run --help' for more information"));
        if gone {
            engine::remove(call.world, vmid, &name);
        }
        return if why.contains("executable file not found") { 127 } else { 125 };
    }
    let place = Place::new(vmid, &name);
    if detached {
        let id = place.container(call.world).map(|one| one.id.clone()).unwrap_or_default();
        call.print(id);
        return 0;
    }
    let code = match command {
        [] if image.starts_with("hello-world") => {
            call.print(
                "\nHello from Docker!\nThis message shows that your installation appears to be working correctly.\n",
            );
            0
        }
        [] => {
            let state = shown(call.world, &place);
            state.log.iter().for_each(|line| call.print(line));
            state.exit
        }
        ["true"] => 0,
        command => exec_in(call, &place, command),
    };
    engine::stop(call.world, vmid, &name);
    if gone {
        engine::remove(call.world, vmid, &name);
    }
    code
}
