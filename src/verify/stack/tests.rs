//! Each fault makes the check fail that is about it, and no other: on what guests would tell.

use std::collections::BTreeMap;

use super::containers::Container;
use super::expect::{Expected, Node, expected};
use super::facts::{Disk, Gpu, Look, Stranger};
use super::services::{self, Looks, Names};
use crate::blueprint::Blueprint;
use crate::blueprint::testing::with;
use crate::verify::Verdict;

const STACK: &str = "
models:
  coder: { source: ollama:coder:7b, context: 8192, size: 4.7GiB, cache_per_token: 56KiB, runs_on: [plan-hq/ollama] }
guests:
  plan-hq: { services: [ollama, tensorzero, clickhouse], exposes: { tensorzero: [192.168.10.0/24] } }
";

struct Stack {
    blueprint: Blueprint,
    expected: Vec<Expected>,
    look: Look,
    names: Names,
}

/// What a guest tells in which all is well.
fn well() -> Stack {
    let blueprint = with(STACK);
    let guest = &blueprint.guests[&"plan-hq".parse().unwrap()];
    let expected = expected(&blueprint, guest).unwrap();
    let container = |one: &Expected| {
        let mut published: BTreeMap<String, Vec<(String, u16)>> = BTreeMap::new();
        for (inside, address, port) in &one.published {
            published.entry(inside.clone()).or_default().push((address.clone(), *port));
        }
        Container {
            id: one.node.name(),
            image: one.image.clone(),
            status: "running".into(),
            restarting: false,
            restarts: 0,
            exit_code: 0,
            error: String::new(),
            out_of_memory: false,
            health: Some("healthy".into()),
            said: String::new(),
            gpu: one.gpu,
            published,
            addresses: vec!["172.18.0.2".into()],
        }
    };
    let look = Look {
        engine: Some(Ok(())),
        delivered: ["ollama", "tensorzero", "clickhouse"].map(str::to_owned).to_vec(),
        containers: expected.iter().map(|one| (one.node.name(), container(one))).collect(),
        gpus: Some(Ok(vec![Gpu {
            name: "NVIDIA GeForce RTX 4090".into(),
            driver: "570.1".into(),
            total_mib: Some(24_564),
            used_mib: Some(9000),
            busy: Some(0),
        }])),
        strangers: Vec::new(),
        disks: vec![Disk { at: "/".into(), size: 200 << 30, free: 90 << 30 }],
    };
    Stack { blueprint, expected, look, names: Names::new() }
}

/// What fails, as `kind: what`, and whether nothing is blind.
fn fails(stack: Stack) -> Vec<String> {
    let Stack { blueprint, expected, look, names } = stack;
    let looks: Looks = [("plan-hq".parse().unwrap(), Ok(look))].into();
    let (proofs, _) = services::judge(&blueprint, &expected, &looks, &names);
    assert!(proofs.iter().all(|proof| proof.verdict != Verdict::CouldNotRun), "{proofs:#?}");
    let failed = proofs.iter().filter(|proof| proof.verdict == Verdict::Fail);
    failed.map(|proof| format!("{}: {}", proof.of.as_str(), proof.what)).collect()
}

type Plant = fn(&mut Stack);

fn container<'a>(stack: &'a mut Stack, name: &str) -> &'a mut Container {
    stack.look.containers.get_mut(name).unwrap()
}

fn unwell(stack: &mut Stack, names: &[&str]) {
    for name in names {
        container(stack, name).health = Some("unhealthy".into());
    }
}

const GATEWAY: [&str; 2] = ["tensorzero-gateway-1", "tensorzero-tensorzero-1"];

#[test]
fn each_fault_makes_its_own_check_fail_and_no_other() {
    let planted: &[(&str, &[&str], Plant)] = &[
        ("none", &[], |_| ()),
        ("driver and library do not match", &["gpu: GPU and its driver"], |stack| {
            stack.look.gpus = Some(Err("`nvidia-smi` says: Failed to initialize NVML".into()));
            unwell(stack, &["ollama-ollama-1"]);
        }),
        ("another card", &["gpu: GPU and its driver"], |stack| {
            stack.look.gpus.as_mut().unwrap().as_mut().unwrap()[0].total_mib = Some(8192);
        }),
        ("toolkit missing", &["service: ollama"], |stack| {
            let own = container(stack, "ollama-ollama-1");
            (own.status, own.health) = ("created".into(), None);
            own.error = "could not select device driver \"nvidia\" with capabilities: [[gpu]]".into();
        }),
        ("a stranger on the GPU", &["gpu-room: memory of the GPU"], |stack| {
            stack.look.strangers = vec![Stranger { pid: 4242, program: "python3".into(), mib: 22_000 }];
        }),
        ("database down", &["service: clickhouse"], |stack| {
            container(stack, "clickhouse-clickhouse-1").status = "exited".into();
            unwell(stack, &GATEWAY);
        }),
        ("limits down", &["service: tensorzero/limits"], |stack| {
            container(stack, "tensorzero-limits-1").status = "exited".into();
            unwell(stack, &GATEWAY);
        }),
        ("gateway unwell", &["service: tensorzero/gateway"], |stack| unwell(stack, &GATEWAY)),
        ("a container that is gone", &["service: ollama"], |stack| {
            stack.look.containers.remove("ollama-ollama-1");
        }),
        ("over and over again", &["service: clickhouse"], |stack| {
            let own = container(stack, "clickhouse-clickhouse-1");
            (own.restarting, own.restarts, own.status) = (true, 12, "restarting".into());
            unwell(stack, &GATEWAY);
        }),
        ("another image", &["image: image of ollama"], |stack| {
            container(stack, "ollama-ollama-1").image = "ollama/ollama:0.3.0".into();
        }),
        ("published to everybody", &["published: ports of ollama"], |stack| {
            container(stack, "ollama-ollama-1").published.insert("11434/tcp".into(), vec![(String::new(), 11434)]);
        }),
        ("not published", &["published: ports of tensorzero"], |stack| {
            container(stack, "tensorzero-tensorzero-1").published.clear();
        }),
        ("disk full", &["space: space at /"], |stack| {
            stack.look.disks[0].free = 4096;
            unwell(stack, &["clickhouse-clickhouse-1", "tensorzero-gateway-1", "tensorzero-tensorzero-1"]);
        }),
        ("names broken", &["container-name: clickhouse from tensorzero/gateway"], |stack| {
            let guest = "plan-hq".parse().unwrap();
            let gateway = Node { guest, service: "tensorzero".parse().unwrap(), part: "gateway".into() };
            stack.names.insert(gateway, vec![("clickhouse".into(), Verdict::Fail, "it is not found".into())]);
            unwell(stack, &GATEWAY);
        }),
    ];
    for (name, expected, plant) in planted {
        let mut stack = well();
        plant(&mut stack);
        assert_eq!(fails(stack), *expected, "{name}");
    }
}

#[test]
fn nothing_is_deployed_yet_and_that_is_no_fault() {
    let mut stack = well();
    stack.look = Look {
        engine: Some(Err("there is no Docker in it".into())),
        gpus: Some(Err("there is no `nvidia-smi` in it".into())),
        ..Look::default()
    };
    assert_eq!(fails(stack), [""; 0]);
}

#[test]
fn a_daemon_that_is_down_is_a_fault_of_everything_in_it() {
    let mut stack = well();
    stack.look.engine = Some(Err("Cannot connect to the Docker daemon".into()));
    stack.look.containers.clear();
    let failed = fails(stack);
    assert_eq!(
        failed,
        ["service: clickhouse", "service: ollama", "service: tensorzero/limits"],
        "and what needs them is left out"
    );
}
