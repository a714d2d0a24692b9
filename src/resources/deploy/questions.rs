//! What has to be looked at in guests that services are deployed to.

use std::collections::BTreeMap;

use super::places;
use crate::blueprint::{Blueprint, Guest};
use crate::model::docker::DockerQuestion;
use crate::model::{HostName, Inside};
use crate::render::{Content, stack, stack_directory};

/// What to ask the guests of a host.
#[must_use]
pub fn docker_questions(blueprint: &Blueprint, host: &HostName) -> Vec<(Inside, DockerQuestion)> {
    let here = places(blueprint).filter(|place| place.guest.host == *host);
    here.map(|place| (place.guest.inside(), question(blueprint, place.guest))).collect()
}

fn question(blueprint: &Blueprint, guest: &Guest) -> DockerQuestion {
    let mut question = DockerQuestion::default();
    for (service, deployment) in &guest.deployments {
        question.stacks.insert(service.clone());
        question.gpu |= deployment.gpu.is_some();
        if service.as_str() == "ollama" {
            question.models.insert(service.clone());
        }
        for file in stack(blueprint, guest, deployment).unwrap_or_default() {
            let path = stack_directory(service).join(&file.path).to_string();
            question.files.insert(path, file.content.secrets().next().is_some());
        }
    }
    question
}

/// Files with secrets that guests of a host are to have, by path.
#[must_use]
pub fn secret_files(blueprint: &Blueprint, host: &HostName) -> Vec<(Inside, BTreeMap<String, Content>)> {
    let here = places(blueprint).filter(|place| place.guest.host == *host);
    here.map(|place| {
        let mut files = BTreeMap::new();
        for (service, deployment) in &place.guest.deployments {
            for file in stack(blueprint, place.guest, deployment).unwrap_or_default() {
                if file.content.secrets().next().is_some() {
                    files.insert(stack_directory(service).join(&file.path).to_string(), file.content);
                }
            }
        }
        (place.guest.inside(), files)
    })
    .collect()
}
