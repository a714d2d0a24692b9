//! The lab as a client meets it: in process and over TLS.

use std::sync::Arc;
use std::time::Duration;

use infra::lab::faults::{Fault, RequestEffect};
use infra::lab::{DirectApi, Lab, LabOptions, LiveSite, Scenario};
use infra::model::Size;
use infra::ports::{Api, BoxFuture, Clock, Method, Request, TransportError};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

/// A clock that stands still until it is moved.
pub struct Still(std::sync::atomic::AtomicI64);

impl Still {
    pub fn at(second: i64) -> Arc<Self> {
        Arc::new(Self(std::sync::atomic::AtomicI64::new(second * 1000)))
    }

    pub fn pass(&self, time: Duration) {
        let ms = i64::try_from(time.as_millis()).unwrap();
        self.0.fetch_add(ms, std::sync::atomic::Ordering::Relaxed);
    }
}

impl Clock for Still {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(self.0.load(std::sync::atomic::Ordering::Relaxed)).unwrap()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'_, ()> {
        self.pass(duration);
        Box::pin(async {})
    }
}

pub const IMAGE: &str = "https://cloud.example/debian-13.qcow2";

pub fn scenario() -> Scenario {
    Scenario::example().knows(IMAGE, Size::mib(400), &"ab".repeat(32), Some(Size::gib(3)))
}

pub fn direct(scenario: &Scenario, clock: Arc<Still>) -> DirectApi {
    let world = scenario.world(&scenario.sites[0], "secret", clock.now()).unwrap();
    let site = LiveSite::new(world, clock, scenario.faults.clone(), None).unwrap();
    DirectApi::new(site, SecretString::from("infra@pve!lab=secret"))
}

pub async fn call(api: &DirectApi, method: Method, path: &str, params: &[(&str, &str)]) -> (u16, String, Value) {
    let params = params.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let request = Request { method, path: path.to_owned(), params };
    let response = api.send(&request).await.unwrap();
    let body = serde_json::from_slice(&response.body).unwrap_or(Value::Null);
    (response.status, response.reason, body)
}

/// Sends a call that starts a worker and gives the worker's end back.
pub async fn work(api: &DirectApi, method: Method, path: &str, params: &[(&str, &str)]) -> String {
    let (status, reason, body) = call(api, method, path, params).await;
    assert_eq!(status, 200, "{path}: {reason} {body}");
    let upid = body["data"].as_str().unwrap().to_owned();
    let (_, _, body) = call(api, Method::Get, &format!("/nodes/pve1/tasks/{upid}/status"), &[]).await;
    body["data"]["exitstatus"].as_str().unwrap_or("running").to_owned()
}

pub async fn config(api: &DirectApi, kind: &str, vmid: u32) -> Value {
    call(api, Method::Get, &format!("/nodes/pve1/{kind}/{vmid}/config"), &[]).await.2["data"].clone()
}

#[tokio::test]
async fn a_vm_is_made_from_an_image_boots_and_answers() {
    let api = direct(&scenario(), Still::at(1_800_000_000));
    let fetched = work(
        &api,
        Method::Post,
        "/nodes/pve1/storage/local/download-url",
        &[
            ("content", "import"),
            ("filename", "debian-13.qcow2"),
            ("url", IMAGE),
            ("checksum", &"ab".repeat(32)),
            ("checksum-algorithm", "sha256"),
        ],
    )
    .await;
    assert_eq!(fetched, "OK");
    let made = work(
        &api,
        Method::Post,
        "/nodes/pve1/qemu",
        &[
            ("vmid", "100"),
            ("name", "plan-hq"),
            ("memory", "4096"),
            ("cores", "4"),
            ("agent", "enabled=1"),
            ("scsihw", "virtio-scsi-single"),
            ("scsi0", "local-zfs:0,import-from=local:import/debian-13.qcow2,discard=on"),
            ("ide2", "local-zfs:cloudinit"),
            ("net0", "virtio,bridge=vmbr0,firewall=1"),
            ("ipconfig0", "ip=10.0.0.10/24,gw=10.0.0.1"),
            ("start", "1"),
        ],
    )
    .await;
    assert_eq!(made, "OK");
    let made = config(&api, "qemu", 100).await;
    assert_eq!(made["scsi0"], "local-zfs:vm-100-disk-0,discard=on,size=3G");
    assert_eq!(made["boot"], "order=scsi0;ide2;net0");
    assert_eq!(made["memory"], "4096");
    let (status, reason, _) = call(&api, Method::Post, "/nodes/pve1/qemu/100/agent/ping", &[]).await;
    assert_eq!((status, reason.as_str()), (200, "OK"));
    let grown = work(&api, Method::Put, "/nodes/pve1/qemu/100/resize", &[("disk", "scsi0"), ("size", "20G")]).await;
    assert_eq!(grown, "OK");
    assert_eq!(config(&api, "qemu", 100).await["scsi0"], "local-zfs:vm-100-disk-0,discard=on,size=20G");
    let (_, _, current) = call(&api, Method::Get, "/nodes/pve1/qemu/100/status/current", &[]).await;
    assert_eq!(current["data"]["status"], "running");
}

#[tokio::test]
async fn work_takes_its_time_and_holds_the_lock_meanwhile() {
    let clock = Still::at(1_800_000_000);
    let mut scenario = scenario();
    scenario.pace = 100;
    let api = direct(&scenario, Arc::clone(&clock));
    let (_, _, body) = call(&api, Method::Post, "/nodes/pve1/qemu", &[("vmid", "100"), ("scsi0", "local-zfs:4")]).await;
    let upid = body["data"].as_str().unwrap().to_owned();
    assert_eq!(config(&api, "qemu", 100).await["lock"], "create");
    let (_, reason, _) = call(&api, Method::Put, "/nodes/pve1/qemu/100/config", &[("cores", "2")]).await;
    assert_eq!(reason, "VM is locked (create)");
    let (_, _, list) = call(&api, Method::Get, "/cluster/resources", &[("type", "vm")]).await;
    assert_eq!(list["data"][0]["status"], "unknown");
    clock.pass(Duration::from_secs(20));
    let (_, _, task) = call(&api, Method::Get, &format!("/nodes/pve1/tasks/{upid}/status"), &[]).await;
    assert_eq!(task["data"]["exitstatus"], "OK");
    assert!(config(&api, "qemu", 100).await.get("lock").is_none());
    let (_, _, list) = call(&api, Method::Get, "/cluster/resources", &[("type", "vm")]).await;
    assert_eq!(list["data"][0]["status"], "stopped");
}

#[tokio::test]
async fn a_dropped_answer_may_have_been_carried_out() {
    let mut scenario = scenario();
    let at = |effect| Fault::Request { method: Some(Method::Post), path: "/pools".into(), nth: 0, effect };
    for (effect, expected) in [(RequestEffect::DropBefore, 0), (RequestEffect::DropAfter, 1)] {
        scenario.faults = vec![at(effect)];
        let api = direct(&scenario, Still::at(1_800_000_000));
        let request =
            Request { method: Method::Post, path: "/pools".into(), params: vec![("poolid".into(), "p1".into())] };
        assert!(matches!(api.send(&request).await, Err(TransportError::Uncertain { .. })));
        let (_, _, pools) = call(&api, Method::Get, "/pools", &[]).await;
        assert_eq!(pools["data"].as_array().unwrap().len(), expected);
    }
}

#[tokio::test]
async fn the_same_world_has_the_same_fingerprint_and_token_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let options = || LabOptions {
        scenario: scenario(),
        state: Some(directory.path().to_owned()),
        clock: Still::at(1_800_000_000),
        listen: None,
    };
    let lab = Lab::start(options()).await.unwrap();
    let first = lab.hosts["pve1"].clone();
    let busy = Lab::start(options()).await.unwrap_err();
    assert!(busy.to_string().contains("in use"), "{busy}");
    let token = SecretString::from(format!("{}={}", first.api.token_id, first.api.token.expose_secret()));
    let api = DirectApi::new(Arc::clone(&first.site), token);
    assert_eq!(call(&api, Method::Post, "/pools", &[("poolid", "kept")]).await.0, 200);
    lab.stop().await;
    let lab = Lab::start(options()).await.unwrap();
    let second = lab.hosts["pve1"].clone();
    assert_eq!(second.api.fingerprint, first.api.fingerprint);
    assert_eq!(second.api.token.expose_secret(), first.api.token.expose_secret());
    let token = SecretString::from(format!("{}={}", second.api.token_id, second.api.token.expose_secret()));
    let api = DirectApi::new(Arc::clone(&second.site), token);
    let (_, _, pools) = call(&api, Method::Get, "/pools", &[]).await;
    assert_eq!(pools["data"][0]["poolid"], "kept");
    lab.stop().await;
}
