//! What Proxmox VE does that nobody would guess: each is a rule of the lab with a test of its name here, or in
//! `lab_http` where it is one of connections. What spares a person from it is in `docs/fidelity.md`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use infra::lab::rules::{self, Request, endpoints};
use infra::lab::world::{Caller, World};
use infra::lab::{LiveSite, Scenario, envelope};
use infra::ports::{Clock, Method};
use infra::proxmox::endpoints::ALL;
use serde_json::{Value, json};

use crate::lab_replay::wire;
use crate::rig::VirtualClock;

/// A single host with its clock.
struct Host {
    site: Arc<LiveSite>,
    clock: Arc<VirtualClock>,
}

const BRIDGED: &str = "virtio=BC:24:11:00:00:01,bridge=vmbr0";

impl Host {
    fn new() -> Self {
        let mut scenario = Scenario::example();
        scenario.pace = 100;
        scenario.sites[0].root_password = Some("secret-enough".into());
        let clock = VirtualClock::new();
        let world = scenario.world(&scenario.sites[0], "secret", clock.now()).unwrap();
        let site = LiveSite::new(world, Arc::<VirtualClock>::clone(&clock), Vec::new(), None).unwrap();
        Self { site, clock }
    }

    /// As root at a shell of the host.
    fn ask(&self, method: &str, path: &str, params: &[(&str, &str)]) -> (u16, Value) {
        self.ask_as(&Caller::root_pam(), method, path, params)
    }

    fn ask_as(&self, caller: &Caller, method: &str, path: &str, params: &[(&str, &str)]) -> (u16, Value) {
        let params = params.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let request = Request { method: method.into(), path: path.into(), params, ..Request::default() };
        let answer = |world: &mut World| envelope::wrap(rules::answer_as(world, caller, &request));
        let response = self.site.change(answer).unwrap();
        (response.status, serde_json::from_slice(&response.body).unwrap_or(Value::Null))
    }

    fn must(&self, method: &str, path: &str, params: &[(&str, &str)]) -> Value {
        let (status, body) = self.ask(method, path, params);
        assert_eq!(status, 200, "{method} {path}: {body}");
        body["data"].clone()
    }

    async fn wait(&self, seconds: u64) {
        self.clock.sleep(Duration::from_secs(seconds)).await;
    }

    /// How a task ended.
    async fn ended(&self, upid: &Value) -> String {
        let upid = upid.as_str().expect("a task");
        loop {
            let status = self.must("GET", &format!("/nodes/pve1/tasks/{upid}/status"), &[]);
            if status["status"] == "stopped" {
                return status["exitstatus"].as_str().unwrap().to_owned();
            }
            self.wait(1).await;
        }
    }

    async fn vm(&self, vmid: &str, params: &[(&str, &str)]) -> String {
        let params = [&[("vmid", vmid), ("memory", "512")], params].concat();
        let upid = self.must("POST", "/nodes/pve1/qemu", &params);
        self.ended(&upid).await
    }

    fn power(&self, vmid: u32) -> Value {
        self.must("GET", &format!("/nodes/pve1/qemu/{vmid}/status/current"), &[])["status"].clone()
    }

    async fn http(&self, method: &str, target: &str, body: Option<&str>) -> wire::Actual {
        let mut headers = vec![("Authorization".to_owned(), "PVEAPIToken=infra@pve!lab=secret".to_owned())];
        if body.is_some() {
            headers.push(("Content-Type".to_owned(), "application/x-www-form-urlencoded".to_owned()));
        }
        wire::send(&self.site, method, target, &headers, body.map(str::as_bytes)).await
    }
}

fn message(body: &Value) -> &str {
    body["message"].as_str().unwrap_or_default().trim_end()
}

#[test]
fn there_is_no_404_anywhere() {
    let host = Host::new();
    let ghost = |part: &str| match part {
        "{node}" => "pve1".to_owned(),
        "{vmid}" => "999".to_owned(),
        "{pos}" => "9".to_owned(),
        "{upid}" => "UPID:pve1:00000001:00000001:6B000000:qmstart:100:root@pam:".to_owned(),
        _ if part.starts_with('{') => "ghost".to_owned(),
        _ => part.to_owned(),
    };
    let mut asked = 0;
    for endpoint in endpoints() {
        let path = endpoint.path.split('/').map(ghost).collect::<Vec<_>>().join("/");
        let (status, body) = host.ask(endpoint.method.as_str(), &path, &[]);
        assert_ne!(status, 404, "{endpoint:?}: {body}");
        asked += 1;
    }
    assert!(asked > 150, "{asked}");
    assert_eq!(host.ask("GET", "/nodes/pve1/nonexist", &[]).0, 501);
    let (status, body) = host.ask("GET", "/nodes/pve1/qemu/999/config", &[]);
    assert_eq!((status, message(&body)), (500, "Configuration file 'nodes/pve1/qemu-server/999.conf' does not exist"));
}

#[tokio::test]
async fn delete_parameters_come_in_the_query() {
    let host = Host::new();
    assert_eq!(host.vm("100", &[("protection", "1")]).await, "OK");
    let in_body = host.http("DELETE", "/api2/json/nodes/pve1/qemu/100", Some("purge=1")).await;
    assert_eq!((in_body.status, in_body.reason.as_str()), (501, "Unexpected content for method 'DELETE'"));
    let in_query = host.http("DELETE", "/api2/json/nodes/pve1/qemu/100?purge=maybe", None).await;
    assert_eq!(in_query.json()["errors"], json!({"purge": "type check ('boolean') failed - got 'maybe'"}));
}

#[tokio::test]
async fn start_1_on_create_ends_ok_with_the_guest_stopped() {
    let host = Host::new();
    let ended = host.vm("100", &[("net0", "virtio,bridge=vmbr77"), ("start", "1")]).await;
    assert_eq!((ended.as_str(), host.power(100)), ("OK", json!("stopped")));
    let create = |path: &str| path.ends_with("{node}/qemu") || path.ends_with("{node}/lxc");
    for (name, endpoint) in ALL.iter().filter(|(_, e)| e.method == Method::Post && create(e.path)) {
        assert!(!endpoint.takes("start"), "{name}: we start in a step of its own and look");
    }
}

#[tokio::test]
async fn warnings_are_a_success() {
    let host = Host::new();
    let firmware = [("bios", "ovmf"), ("efidisk0", "local-zfs:1,efitype=4m,pre-enrolled-keys=1"), ("net0", BRIDGED)];
    assert_eq!(host.vm("100", &firmware).await, "OK");
    let upid = host.must("POST", "/nodes/pve1/qemu/100/status/start", &[]);
    assert_eq!((host.ended(&upid).await.as_str(), host.power(100)), ("WARNINGS: 1", json!("running")));
}

fn group(host: &Host) -> Vec<String> {
    let rules = host.must("GET", "/cluster/firewall/groups/web", &[]);
    let comment = |rule: &Value| rule["comment"].as_str().unwrap_or_default().to_owned();
    rules.as_array().unwrap().iter().map(comment).collect()
}

fn three_rules(host: &Host) {
    host.must("POST", "/cluster/firewall/groups", &[("group", "web")]);
    for comment in ["a", "b", "c"] {
        let rule = [("type", "in"), ("action", "ACCEPT"), ("comment", comment), ("pos", "2")];
        host.must("POST", "/cluster/firewall/groups/web", &rule);
    }
}

#[test]
fn post_inserts_firewall_rules_at_0_whatever_pos_says() {
    let host = Host::new();
    three_rules(&host);
    assert_eq!(group(&host), ["c", "b", "a"]);
}

#[test]
fn moveto_swallows_the_other_fields() {
    let host = Host::new();
    three_rules(&host);
    host.must("PUT", "/cluster/firewall/groups/web/0", &[("moveto", "3"), ("comment", "new")]);
    assert_eq!(group(&host), ["b", "a", "c"], "moved, and the comment is as it was");
    assert!(ALL.iter().all(|(_, endpoint)| !endpoint.takes("moveto")), "we never send it");
}

#[test]
fn an_update_of_an_alias_drops_its_comment() {
    let host = Host::new();
    let aliases = "/cluster/firewall/aliases";
    host.must("POST", aliases, &[("name", "lan"), ("cidr", "192.0.2.0/24"), ("comment", "the lan")]);
    host.must("PUT", &format!("{aliases}/lan"), &[("cidr", "192.0.2.0/25")]);
    assert_eq!(
        host.must("GET", &format!("{aliases}/lan"), &[]),
        json!({"name": "lan", "cidr": "192.0.2.0/25", "ipversion": 4})
    );
    let ours = ALL.iter().find(|(name, _)| *name == "ALIAS_UPDATE").unwrap().1;
    assert!(ours.takes("comment") && ours.takes("cidr"), "so ours says both each time");
}

#[tokio::test]
async fn a_wrong_digest_has_one_text_for_vms_and_another_for_the_rest() {
    let host = Host::new();
    assert_eq!(host.vm("100", &[]).await, "OK");
    let zeros = "0".repeat(40);
    let digest = ("digest", zeros.as_str());
    let (status, body) = host.ask("PUT", "/nodes/pve1/qemu/100/config", &[("cores", "2"), digest]);
    assert_eq!((status, message(&body)), (500, "checksum mismatch (file change by other user?)"));
    let (status, body) = host.ask("PUT", "/cluster/firewall/options", &[("enable", "0"), digest]);
    let changed = "detected modified configuration - file changed by other user? Try again.";
    assert_eq!((status, message(&body)), (500, changed));
}

#[tokio::test]
async fn a_lock_is_refused_at_once_by_some_calls_and_in_the_task_by_others() {
    let host = Host::new();
    assert_eq!(host.vm("100", &[]).await, "OK");
    host.must("PUT", "/nodes/pve1/qemu/100/config", &[("lock", "backup")]);
    let (status, body) = host.ask("PUT", "/nodes/pve1/qemu/100/config", &[("cores", "2")]);
    assert_eq!((status, message(&body)), (500, "VM is locked (backup)"));
    let start = host.must("POST", "/nodes/pve1/qemu/100/status/start", &[]);
    assert_eq!(host.ended(&start).await, "VM is locked (backup)");
    let destroy = host.must("DELETE", "/nodes/pve1/qemu/100", &[]);
    assert_eq!(host.ended(&destroy).await, "VM is locked (backup)");
}

#[tokio::test]
async fn a_lock_file_that_another_process_holds_is_waited_for_10_seconds() {
    let host = Host::new();
    assert_eq!(host.vm("100", &[]).await, "OK");
    host.site
        .change(|world| {
            let until = world.now_ms + 60_000;
            world.lock_files.insert(100, until)
        })
        .unwrap();
    let text = "can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout";
    let before = host.clock.now();
    let refused = host.http("PUT", "/api2/json/nodes/pve1/qemu/100/config", Some("cores=2")).await;
    assert_eq!((refused.status, refused.reason.as_str()), (500, text));
    assert!(host.clock.now().as_millisecond() - before.as_millisecond() >= 10_000);
    let start = host.must("POST", "/nodes/pve1/qemu/100/status/start", &[]);
    assert_eq!(host.ended(&start).await, text);
}

#[tokio::test]
async fn lists_of_the_cluster_lag_behind() {
    let host = Host::new();
    let listed = || host.must("GET", "/cluster/resources", &[("type", "vm")])[0].clone();
    assert_eq!(host.vm("100", &[("name", "web")]).await, "OK");
    let fresh = listed();
    assert_eq!((&fresh["status"], fresh.get("name")), (&json!("unknown"), None), "{fresh}");
    host.wait(11).await;
    assert_eq!((listed()["status"].clone(), listed()["name"].clone()), (json!("stopped"), json!("web")));
}

#[tokio::test]
async fn what_a_storage_holds_comes_in_another_order_each_time() {
    let host = Host::new();
    let (mut orders, mut sets) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..20 {
        let answer = host.http("GET", "/api2/json/nodes/pve1/storage/local/status", None).await.json();
        let content = answer["data"]["content"].as_str().unwrap().to_owned();
        sets.insert(content.split(',').map(str::to_owned).collect::<BTreeSet<_>>());
        orders.insert(content);
    }
    assert_eq!(sets.len(), 1);
    assert!(orders.len() > 3, "{orders:?}");
}

#[tokio::test]
async fn a_token_of_root_is_not_root_and_a_ticket_of_root_is() {
    let host = Host::new();
    assert_eq!(host.vm("100", &[]).await, "OK");
    host.must("POST", "/access/users/root@pam/token/all", &[("privsep", "0")]);
    let args = [("args", "-name x")];
    let token = Caller::token("root@pam", "all");
    let (status, body) = host.ask_as(&token, "PUT", "/nodes/pve1/qemu/100/config", &args);
    assert_eq!((status, message(&body)), (500, "only root can set 'args' config"));

    let form = ("Content-Type".to_owned(), "application/x-www-form-urlencoded".to_owned());
    let login = "username=root@pam&password=secret-enough";
    let headers = [form.clone()];
    let ticket = wire::send(&host.site, "POST", "/api2/json/access/ticket", &headers, Some(login.as_bytes())).await;
    let ticket = ticket.json()["data"].clone();
    let text = |key: &str| ticket[key].as_str().expect("a login").to_owned();
    let cookie = ("Cookie".to_owned(), format!("PVEAuthCookie={}", text("ticket").replace(':', "%3A")));
    let csrf = ("CSRFPreventionToken".to_owned(), text("CSRFPreventionToken"));
    let put = async |headers: &[(String, String)]| {
        wire::send(&host.site, "PUT", "/api2/json/nodes/pve1/qemu/100/config", headers, Some(b"args=-name%20x")).await
    };
    let without = put(&[form.clone(), cookie.clone()]).await;
    assert_eq!((without.status, without.reason.as_str()), (401, "Permission denied - invalid csrf token"));
    assert_eq!(put(&[form, cookie, csrf]).await.status, 200);
}

#[tokio::test]
async fn a_nic_without_a_mac_gets_a_new_one_with_every_write() {
    let host = Host::new();
    assert_eq!(host.vm("100", &[]).await, "OK");
    let config = "/nodes/pve1/qemu/100/config";
    let macs: BTreeSet<String> = (0..3)
        .map(|_| {
            host.must("PUT", config, &[("net0", "virtio,bridge=vmbr0")]);
            host.must("GET", config, &[])["net0"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(macs.len(), 3, "{macs:?}");
}

#[test]
fn the_firewall_of_a_guest_that_is_not_there_can_be_written() {
    let host = Host::new();
    host.must("POST", "/nodes/pve1/qemu/999/firewall/rules", &[("type", "in"), ("action", "ACCEPT")]);
    assert_eq!(host.must("GET", "/nodes/pve1/qemu/999/firewall/rules", &[]).as_array().unwrap().len(), 1);
}
