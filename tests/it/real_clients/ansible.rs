//! Ansible's `community.proxmox`: playbooks that are said twice and done once, deeds, looks, the inventory plugin.

use serde_json::{Value, json};

use super::environment;
use super::served::{PASSWORD, Served};

/// Numbers of a play's recap.
#[derive(Debug, PartialEq, Eq)]
struct Recap {
    ok: u32,
    changed: u32,
}

fn recap(output: &str) -> Recap {
    let line = output.lines().find(|line| line.starts_with("localhost ") && line.contains("changed=")).unwrap();
    let number = |name: &str| {
        let found = line.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        found.unwrap().parse().unwrap()
    };
    Recap { ok: number("ok"), changed: number("changed") }
}

async fn play(served: &Served, name: &str, round: &str, template: &str) -> Recap {
    let playbook = format!("{}/tests/it/real_clients/playbooks/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
    let args = ["-i", "localhost,", "-c", "local", &playbook];
    let mut env = vec![("LAB_ROUND", round), ("LAB_TEMPLATE", template)];
    if matches!(name, "rules" | "looks") {
        // users and groups are root's, and a password logs in as it does elsewhere
        env.extend([("PROXMOX_USER", "root@pam"), ("PROXMOX_PASSWORD", PASSWORD)]);
    }
    let ended = served.run("ansible-playbook", &args, &env).await;
    assert!(ended.success, "{name}, round {round}:\n{}", ended.output);
    let recap = recap(&ended.output);
    println!("{name}, round {round}: {recap:?}\n{}", ended.output);
    recap
}

/// What is said twice changes nothing the second time.
async fn twice(served: &Served, name: &str, template: &str) {
    let first = play(served, name, "1", template).await;
    assert_eq!(first.changed, first.ok, "everything is new");
    let second = play(served, name, "2", template).await;
    assert_eq!(second, Recap { ok: first.ok, changed: 0 });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ansible_finds_a_proxmox() {
    let venv = match environment() {
        Ok(venv) => venv,
        Err(why) => return println!("not run: {why}"),
    };
    let served = Served::start(&venv).await;
    let offered = served.get("/nodes/pve1/aplinfo").await;
    let template = offered[0]["template"].as_str().unwrap().to_owned();

    twice(&served, "guests", &template).await;
    let vm = served.get("/nodes/pve1/qemu/500/config").await;
    assert_eq!((&vm["name"], &vm["tags"], &vm["cores"]), (&json!("ansible-vm"), &json!("ansible;web"), &json!(2)));
    assert_eq!(size(&vm["scsi1"]), Some("4G"));
    assert!(vm["net1"].as_str().unwrap().starts_with("virtio=BC:24:11:00:00:01,"), "{vm}");
    served.shows("/nodes/pve1/lxc/600/config", &json!({"hostname": "ansible-ct", "features": "nesting=1"})).await;
    let pool = served.get("/pools/ansible").await;
    assert_eq!(ids(&pool["members"]), ["lxc/600", "qemu/500", "storage/pve1/local-zfs"]);

    twice(&served, "rules", &template).await;
    let rules = served.get("/cluster/firewall/groups/web").await;
    let told: Vec<String> =
        rules.as_array().unwrap().iter().map(|r| format!("{} {} {}", r["pos"], r["action"], r["enable"])).collect();
    assert_eq!(told, [r#"0 "ACCEPT" 1"#, r#"1 "DROP" 1"#]);
    served.shows("/access/users/anna@pve", &json!({"groups": ["operators"], "comment": "Anna"})).await;
    let acl = served.get("/access/acl").await;
    assert!(
        acl.as_array()
            .unwrap()
            .iter()
            .any(|a| a["ugid"] == "operators" && a["path"] == "/vms/500" && a["roleid"] == "PVEVMUser")
    );

    twice(&served, "storages", &template).await;
    served.shows("/storage/extra", &json!({"type": "dir", "path": "/srv/extra", "nodes": "pve1"})).await;
    let volumes = served.get("/nodes/pve1/storage/extra/content").await;
    let told: Vec<(&Value, &Value)> = volumes.as_array().unwrap().iter().map(|v| (&v["volid"], &v["size"])).collect();
    assert_eq!(told, [(&json!("extra:iso/small.iso"), &json!(13))]);

    let looks = play(&served, "looks", "1", &template).await;
    assert_eq!(looks.changed, 0);
    inventory(&served).await;

    play(&served, "deeds", "1", &template).await;
    let vm = served.get("/nodes/pve1/qemu/500/config").await;
    // what was said of it before the rollback is gone with it
    assert_eq!((&vm["memory"], &vm["scsi1"], &vm["net1"]), (&json!("1024"), &Value::Null, &Value::Null));
    served.shows("/nodes/pve1/qemu/511/config", &json!({"name": "linked"})).await;
    served.shows("/nodes/pve1/lxc/600/config", &json!({"memory": 1024, "description": "more\n"})).await;
    let guests = served.get("/cluster/resources").await;
    for gone in ["qemu/512", "lxc/601"] {
        assert!(!ids(&guests).contains(&gone.to_owned()), "{gone}");
    }
    println!("{} requests", served.host().site.requests());
    served.stop().await;
}

/// The plugin sees the guests that there are, with their state and their facts.
async fn inventory(served: &Served) {
    let file = format!("{}/tests/it/real_clients/playbooks/lab.proxmox.yaml", env!("CARGO_MANIFEST_DIR"));
    let ended = served.run("ansible-inventory", &["-i", &file, "--list"], &[]).await;
    assert!(ended.success && !ended.output.contains("[WARNING]"), "{}", ended.output);
    let start = ended.output.find('{').unwrap();
    let listed: Value =
        serde_json::from_str(&ended.output[start..]).unwrap_or_else(|error| panic!("{error}\n{}", ended.output));
    let listed = plain(listed);
    assert_eq!(listed["proxmox_all_qemu"]["hosts"], json!(["ansible-vm"]));
    assert_eq!(listed["proxmox_all_lxc"]["hosts"], json!(["ansible-ct"]));
    let vm = &listed["_meta"]["hostvars"]["ansible-vm"];
    assert_eq!((&vm["proxmox_vmid"], &vm["proxmox_status"]), (&json!(500), &json!("running")));
    assert_eq!(vm["proxmox_tags_parsed"], json!(["ansible", "web"]));
    assert_eq!(vm["proxmox_snapshots"], json!(["before"]));
}

/// Texts without the wrapping that says where they come from.
fn plain(value: Value) -> Value {
    match value {
        Value::Object(mut object) if object.len() == 1 && object.contains_key("__ansible_unsafe") => {
            object["__ansible_unsafe"].take()
        }
        Value::Object(object) => object.into_iter().map(|(key, value)| (key, plain(value))).collect(),
        Value::Array(values) => values.into_iter().map(plain).collect(),
        value => value,
    }
}

fn size(disk: &Value) -> Option<&str> {
    disk.as_str()?.split(',').find_map(|field| field.strip_prefix("size="))
}

fn ids(rows: &Value) -> Vec<String> {
    let mut ids: Vec<String> =
        rows.as_array().unwrap().iter().filter_map(|row| row["id"].as_str().map(str::to_owned)).collect();
    ids.sort();
    ids
}
