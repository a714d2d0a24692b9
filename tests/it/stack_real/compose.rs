//! Every compose file is read by the real `docker compose config`, which knows every key and every reference.

use std::process::Stdio;

use serde_json::Value;

use crate::held::{COMPOSE, held};

use super::programs::{compose, said};
use super::{SECRET, deliver, everything, folder, stacks, vrooli};

/// The project as compose understands it.
fn understood(program: &mut std::process::Command, project: &camino::Utf8Path) -> Result<Value, String> {
    let output = program
        .args(["--project-directory", project.as_str(), "-f", project.join("compose.yaml").as_str()])
        .args(["config", "--format", "json"])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    if !output.status.success() || !String::from_utf8_lossy(&output.stderr).trim().is_empty() {
        return Err(said(&output));
    }
    Ok(serde_json::from_slice(&output.stdout).unwrap())
}

#[test]
fn docker_compose_takes_every_project() {
    if compose().is_none() {
        return;
    }
    let (_kept, root) = folder();
    let mut count = 0;
    for (which, blueprint) in [("everything", everything()), ("vrooli", vrooli())] {
        for ((guest, service), files) in stacks(&blueprint) {
            let project = root.join(which).join(&guest).join(&service);
            deliver(&files, &project);
            let config = understood(&mut compose().unwrap(), &project)
                .unwrap_or_else(|said| panic!("{guest}/{service}: {said}\n{}", files[0].content.shown()));
            assert_eq!(config["name"], service.as_str());
            for (name, container) in config["services"].as_object().unwrap() {
                let image = container["image"].as_str().unwrap();
                assert!(image.contains(':') && !image.ends_with(":latest"), "{guest}/{service}: {image}");
                for key in ["restart", "logging", "mem_limit", "labels"] {
                    assert!(!container[key].is_null(), "{guest}/{service}: {name} has no {key}");
                }
            }
            let main = &config["services"][&service];
            assert!(!main["healthcheck"]["test"].is_null(), "{guest}/{service} has no health check");
            held(&service, COMPOSE);
            count += 1;
        }
    }
    println!("held by docker compose config: {count} projects");
    assert!(count > 25, "only {count}");
}

#[test]
fn a_value_with_every_character_that_means_something_comes_out_as_it_went_in() {
    if compose().is_none() {
        return;
    }
    let (_kept, root) = folder();
    let all = stacks(&everything());
    let read = |guest: &str, service: &str| {
        let project = root.join(guest).join(service);
        deliver(&all[&(guest.to_owned(), service.to_owned())], &project);
        understood(&mut compose().unwrap(), &project).unwrap()
    };
    let chat = read("gate", "open-webui");
    assert_eq!(
        chat["services"]["open-webui"]["environment"]["WEBUI_NAME"], "Kais $$HOME: {{ \"chat\" }} #1",
        "compose doubles every `$` that it prints"
    );
    assert_eq!(chat["services"]["open-webui"]["environment"]["OPENAI_API_KEYS"], format!("sk-{SECRET}"));
    let small = read("gpu", "llama-cpp");
    let command = small["services"]["llama-cpp"]["command"].as_array().unwrap();
    let alias = command.iter().position(|word| word == "--alias").unwrap();
    assert_eq!(command[alias + 1], "small:x/1");
}

#[test]
fn compose_refuses_what_it_does_not_know() {
    let Some(mut program) = compose() else { return };
    let (_kept, root) = folder();
    std::fs::write(root.join("compose.yaml"), "services: { a: { image: \"a:1\", imaeg: b } }\n").unwrap();
    assert!(understood(&mut program, &root).is_err(), "a check that takes anything is none");
}
