//! What a cluster answers: calls that go to another node, nodes that are off, no quorum, guests that move.
//!
//! Texts are those of Proxmox's sources (pve-cluster, pve-http-server, qemu-server, pve-container) and of the
//! recordings 892 and 893; a single recorded host could show no more of a cluster.

use std::sync::Arc;

use infra::lab::faults::Fault;
use infra::lab::rules::{endpoints, is_proxied, lose_node, regain_node};
use infra::lab::world::{Guest, GuestKind, Run, Storage, StorageKind, Version, World};
use infra::lab::{DirectApi, LiveSite, Scenario};
use infra::ports::{Api, Clock, Method, Request, Response, TransportError};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::contract::calls;
use crate::rig::VirtualClock;

struct Cluster {
    site: Arc<LiveSite>,
    clock: Arc<VirtualClock>,
}

impl Cluster {
    fn new(pace: u32) -> Self {
        let mut scenario = Scenario::cluster();
        scenario.pace = pace;
        let clock = VirtualClock::new();
        let world = scenario.world(&scenario.sites[0], "s", clock.now()).unwrap();
        let site = LiveSite::new(world, Arc::<VirtualClock>::clone(&clock), Vec::new(), None).unwrap();
        let cluster = Self { site, clock };
        cluster.site.change(|world| world.access.roles.insert("Infra".into(), all(world.version))).unwrap();
        cluster
    }

    async fn send(
        &self,
        door: &str,
        method: Method,
        path: &str,
        params: &[(&str, &str)],
    ) -> Result<Response, TransportError> {
        let api = DirectApi::new(self.site.at(door), SecretString::from("infra@pve!lab=s"));
        let params = params.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        api.send(&Request { method, path: path.to_owned(), params }).await
    }

    async fn ok(&self, door: &str, method: Method, path: &str, params: &[(&str, &str)]) -> Value {
        let response = self.send(door, method, path, params).await.unwrap();
        assert_eq!(response.status, 200, "{method} {path}: {}", response.reason);
        serde_json::from_slice::<Value>(&response.body).unwrap()["data"].clone()
    }

    /// Status and reason of a refusal.
    async fn no(&self, door: &str, method: Method, path: &str, params: &[(&str, &str)]) -> (u16, String) {
        let response = self.send(door, method, path, params).await.unwrap();
        assert_ne!(response.status, 200, "{method} {path}");
        (response.status, response.reason)
    }

    /// How a worker ended, with its log.
    async fn task(&self, door: &str, method: Method, path: &str, params: &[(&str, &str)]) -> (String, String) {
        let upid = self.ok(door, method, path, params).await;
        let node = upid.as_str().unwrap().split(':').nth(1).unwrap().to_owned();
        self.clock.sleep(std::time::Duration::from_secs(60)).await;
        let task = format!("/nodes/{node}/tasks/{}", upid.as_str().unwrap());
        let status = self.ok(door, Method::Get, &format!("{task}/status"), &[]).await;
        let log = self.ok(door, Method::Get, &format!("{task}/log"), &[]).await;
        (status["exitstatus"].as_str().unwrap_or("running").to_owned(), log.to_string())
    }

    async fn container(&self, vmid: &str, node: &str, more: &[(&str, &str)]) {
        let path = format!("/nodes/{node}/aplinfo");
        let template = "debian-12-standard_12.12-1_amd64.tar.zst";
        let files = self.ok(node, Method::Get, &format!("/nodes/{node}/storage/local/content"), &[]).await;
        if !files.to_string().contains(template) {
            let end = self.task(node, Method::Post, &path, &[("storage", "local"), ("template", template)]).await;
            assert_eq!(end.0, "OK", "{}", end.1);
        }
        let volid = format!("local:vztmpl/{template}");
        let mut params = vec![("vmid", vmid), ("ostemplate", &volid), ("rootfs", "local-zfs:4"), ("hostname", "ct")];
        params.extend(more);
        let end = self.task(node, Method::Post, &format!("/nodes/{node}/lxc"), &params).await;
        assert_eq!(end.0, "OK", "{}", end.1);
    }

    async fn vm(&self, vmid: &str, node: &str, more: &[(&str, &str)]) {
        let mut params = vec![("vmid", vmid), ("name", "vm"), ("scsi0", "local-zfs:4")];
        params.extend(more);
        let end = self.task(node, Method::Post, &format!("/nodes/{node}/qemu"), &params).await;
        assert_eq!(end.0, "OK", "{}", end.1);
    }

    async fn node_of(&self, vmid: u64) -> String {
        let all = self.ok("a1", Method::Get, "/cluster/resources", &[("type", "vm")]).await;
        let row = all.as_array().unwrap().iter().find(|row| row["vmid"] == vmid).unwrap().clone();
        row["node"].as_str().unwrap().to_owned()
    }

    fn run(&self, vmid: u32) {
        let run = Run { pid: 4711, started_ms: 0, booted_ms: Some(0), paused: false };
        self.site.change(|world| world.guests.get_mut(&vmid).unwrap().run = Some(run)).unwrap();
    }
}

fn all(version: Version) -> std::collections::BTreeSet<String> {
    infra::lab::world::known_privileges(version).into_iter().map(str::to_owned).collect()
}

#[test]
fn the_lab_passes_on_exactly_the_calls_that_proxmox_passes_on() {
    let mut held = 0;
    for version in Version::ALL {
        let Some(calls) = calls(version.release()) else {
            println!("not run: no API description of {} (set INFRA_SHARED)", version.release());
            return;
        };
        for endpoint in endpoints() {
            let Some(call) = calls.get(&format!("{} {}", endpoint.method, endpoint.path)) else { continue };
            assert_eq!(
                is_proxied(endpoint.method, endpoint.path),
                call["proxyto"] == "node",
                "{} {endpoint:?}",
                version.release()
            );
            held += 1;
        }
    }
    println!("{held} rows of the lab are passed on, or not, as 8.4, 9.1 and 9.2 say");
}

#[tokio::test]
async fn every_node_answers_for_every_other() {
    let cluster = Cluster::new(0);
    cluster.container("200", "a2", &[]).await;
    for door in ["a1", "a2", "a3"] {
        let config = cluster.ok(door, Method::Get, "/nodes/a2/lxc/200/config", &[]).await;
        assert_eq!(config["hostname"], "ct");
        let nodes = cluster.ok(door, Method::Get, "/cluster/status", &[]).await;
        let local: Vec<&Value> = nodes.as_array().unwrap().iter().filter(|row| row["local"] == 1).collect();
        assert_eq!((local.len(), local[0]["name"].as_str()), (1, Some(door)));
    }
    let here = cluster.ok("a2", Method::Get, "/nodes/localhost/lxc", &[]).await;
    assert_eq!(here.as_array().unwrap().len(), 1);
    assert_eq!(cluster.ok("a1", Method::Get, "/nodes/localhost/lxc", &[]).await, json!([]));
    let (status, reason) = cluster.no("a1", Method::Get, "/nodes/a9/lxc", &[]).await;
    assert_eq!(
        (status, reason.as_str()),
        (500, "hostname lookup 'a9' failed - failed to get address info for: a9: Name or service not known")
    );
    let (status, reason) = cluster.no("a1", Method::Get, "/nodes/a1/lxc/200/config", &[]).await;
    assert_eq!((status, reason.as_str()), (500, "Configuration file 'nodes/a1/lxc/200.conf' does not exist"));
}

#[tokio::test]
async fn numbers_and_pools_are_the_clusters() {
    let cluster = Cluster::new(0);
    cluster.container("100", "a2", &[]).await;
    assert_eq!(cluster.ok("a3", Method::Get, "/cluster/nextid", &[]).await, "101");
    let taken = cluster.no("a1", Method::Post, "/nodes/a1/qemu", &[("vmid", "100")]).await;
    assert_eq!(taken, (500, "unable to create VM 100 - CT 100 already exists on node 'a2'".into()));
    cluster.ok("a3", Method::Post, "/pools", &[("poolid", "p")]).await;
    cluster.ok("a1", Method::Put, "/pools", &[("poolid", "p"), ("vms", "100")]).await;
    let pools = cluster.ok("a2", Method::Get, "/pools", &[("poolid", "p")]).await;
    assert_eq!(pools[0]["members"][0]["node"], "a2");
}

#[tokio::test]
async fn an_offline_node_is_595_and_its_guests_stay_listed_with_status_unknown() {
    let cluster = Cluster::new(100);
    cluster.container("200", "a2", &[]).await;
    cluster.site.change(|world| lose_node(world, "a2")).unwrap();
    let began = cluster.clock.now();
    for path in ["/nodes/a2/lxc", "/nodes/a2/lxc/200/config", "/nodes/a2/storage", "/nodes/a2/status"] {
        assert_eq!(cluster.no("a1", Method::Get, path, &[]).await, (595, "No route to host".into()));
    }
    assert!(cluster.clock.now().duration_since(began).as_secs() >= 12, "the kernel takes 3 s to give up on a host");
    let write = cluster.no("a1", Method::Put, "/nodes/a2/lxc/200/config", &[("bogus", "1")]).await;
    assert_eq!(write.0, 595, "parameters are looked at on the other node only");
    let all = cluster.ok("a1", Method::Get, "/cluster/resources", &[("type", "vm")]).await;
    assert_eq!((all[0]["status"].as_str(), all[0]["node"].as_str()), (Some("unknown"), Some("a2")));
    let nodes = cluster.ok("a1", Method::Get, "/nodes", &[]).await;
    assert_eq!(nodes[1]["status"], "offline");
    // The firewall of its guests is in the cluster's file system, and read where one asks.
    cluster.ok("a1", Method::Get, "/nodes/a2/lxc/200/firewall/rules", &[]).await;
    let dead = cluster.send("a2", Method::Get, "/version", &[]).await.unwrap_err();
    assert!(matches!(dead, TransportError::NotSent { .. }), "{dead:?}");

    cluster.site.change(|world| regain_node(world, "a2")).unwrap();
    let back = cluster.ok("a1", Method::Get, "/nodes/a2/lxc", &[]).await;
    assert_eq!(back[0]["status"], "stopped");
}

#[tokio::test]
async fn without_quorum_reads_work_and_each_write_fails_where_proxmox_finds_out() {
    let cluster = Cluster::new(0);
    cluster.container("200", "a1", &[]).await;
    cluster.vm("201", "a1", &[]).await;
    cluster.run(201);
    let site = &cluster.site;
    site.set_faults(vec![Fault::NoQuorum]).unwrap();
    let before = site.look(|world| (world.guests.clone(), world.pools.clone(), world.storages.clone())).unwrap();
    let quorate = cluster.ok("a1", Method::Get, "/cluster/status", &[]).await;
    assert_eq!(quorate[0]["quorate"], 0);
    cluster.ok("a1", Method::Get, "/nodes/a1/lxc/200/config", &[]).await;

    let not_ready = (500, "cluster not ready - no quorum?".to_owned());
    let create = [("vmid", "300"), ("scsi0", "local-zfs:1")];
    assert_eq!(cluster.no("a1", Method::Post, "/nodes/a1/qemu", &create).await, not_ready);
    assert_eq!(cluster.no("a1", Method::Post, "/nodes/a1/lxc/200/status/start", &[]).await, not_ready);
    assert_eq!(cluster.no("a1", Method::Post, "/nodes/a1/lxc/200/migrate", &[("target", "a2")]).await, not_ready);
    for (method, path, params, lock) in [
        (Method::Post, "/pools", [("poolid", "p")], "create pool failed: cfs-lock 'file-user_cfg'"),
        (Method::Post, "/cluster/firewall/groups", [("group", "g1")], "cfs-lock 'firewall-cluster'"),
    ] {
        assert_eq!(cluster.no("a1", method, path, &params).await, (500, format!("{lock} error: no quorum!")));
    }
    let (status, reason) = cluster.no("a1", Method::Put, "/nodes/a1/lxc/200/config", &[("cores", "2")]).await;
    assert_eq!(status, 500);
    assert!(reason.starts_with("unable to open file '/etc/pve/nodes/a1/lxc/200.conf.tmp."), "{reason}");
    assert!(reason.ends_with("' - Permission denied"), "{reason}");
    let (end, _) = cluster.task("a1", Method::Post, "/nodes/a1/qemu/201/config", &[("cores", "2")]).await;
    assert!(end.ends_with("' - Permission denied"), "{end}");
    let (end, _) = cluster.task("a1", Method::Post, "/nodes/a1/qemu/201/status/stop", &[]).await;
    assert_eq!(end, "OK", "stopping a guest writes nothing to the cluster");

    let mut after = site.look(|world| (world.guests.clone(), world.pools.clone(), world.storages.clone())).unwrap();
    after.0.get_mut(&201).unwrap().run = before.0[&201].run.clone();
    assert_eq!(before, after);
}

#[tokio::test]
async fn a_stopped_guest_moves_with_lock_volumes_and_config() {
    let cluster = Cluster::new(100);
    cluster.container("200", "a1", &[]).await;
    let upid = cluster.ok("a3", Method::Post, "/nodes/a1/lxc/200/migrate", &[("target", "a2")]).await;
    let config = cluster.ok("a3", Method::Get, "/nodes/a1/lxc/200/config", &[]).await;
    assert_eq!(config["lock"], "migrate");
    let locked = cluster.no("a3", Method::Put, "/nodes/a1/lxc/200/config", &[("cores", "2")]).await;
    assert_eq!(locked, (500, "CT is locked (migrate)".into()));
    cluster.clock.sleep(std::time::Duration::from_secs(10)).await;
    let path = format!("/nodes/a1/tasks/{}/status", upid.as_str().unwrap());
    let task = cluster.ok("a3", Method::Get, &path, &[]).await;
    assert_eq!((task["type"].as_str(), task["exitstatus"].as_str()), (Some("vzmigrate"), Some("OK")));
    assert_eq!(cluster.node_of(200).await, "a2");
    let config = cluster.ok("a3", Method::Get, "/nodes/a2/lxc/200/config", &[]).await;
    assert_eq!((config.get("lock"), config["rootfs"].as_str()), (None, Some("local-zfs:subvol-200-disk-0,size=4G")));
    for (node, count) in [("a1", 0), ("a2", 1)] {
        let there = cluster.ok("a3", Method::Get, &format!("/nodes/{node}/storage/local-zfs/content"), &[]).await;
        assert_eq!(there.as_array().unwrap().len(), count, "{node}");
    }
}

#[tokio::test]
async fn what_cannot_move_says_why() {
    let cluster = Cluster::new(0);
    cluster.vm("100", "a1", &[]).await;
    let migrate = "/nodes/a1/qemu/100/migrate";
    let post = Method::Post;
    let own = cluster.send("a1", post, migrate, &[("target", "a1")]).await.unwrap();
    assert!(String::from_utf8_lossy(&own.body).contains("target is local node."), "recording 892");
    let unknown = cluster.no("a1", post, migrate, &[("target", "a9")]).await;
    assert_eq!(unknown, (500, "no such cluster node 'a9'".into()), "recording 893");
    cluster.run(100);
    let running = cluster.no("a1", post, migrate, &[("target", "a2")]).await;
    assert_eq!(running, (500, "can't migrate running VM without --online".into()));

    let aborted = |end: (String, String), why: &str| {
        assert_eq!(end.0, "migration aborted");
        assert!(end.1.contains(&format!("ERROR: migration aborted (duration 00:00:00): {why}")), "{}", end.1);
    };
    let online = [("target", "a2"), ("online", "1")];
    aborted(cluster.task("a1", post, migrate, &online).await, "Problem found while scanning volumes");
    let raw = |world: &mut World| {
        world.guests.get_mut(&100).unwrap().config.insert("hostpci0".into(), "0000:01:00".into());
    };
    cluster.site.change(raw).unwrap();
    let with_disks = [("target", "a2"), ("online", "1"), ("with-local-disks", "1")];
    let why = "can't migrate VM which uses local devices: hostpci0";
    aborted(cluster.task("a1", post, migrate, &with_disks).await, why);

    let map = "node=a1,path=0000:01:00,id=10de:2684,subsystem-id=1043:88ec,iommugroup=14";
    cluster.ok("a1", post, "/cluster/mapping/pci", &[("id", "gpu"), ("map", map)]).await;
    let mapped = |world: &mut World| {
        world.guests.get_mut(&100).unwrap().config.insert("hostpci0".into(), "mapping=gpu".into());
    };
    cluster.site.change(mapped).unwrap();
    let why = "can't migrate to 'a2': missing mapped devices hostpci0";
    aborted(cluster.task("a1", post, migrate, &with_disks).await, why);
    let both = [("map", map), ("map", "node=a2,path=0000:41:00,id=10de:2684,subsystem-id=1043:88ec,iommugroup=14")];
    cluster.ok("a1", Method::Put, "/cluster/mapping/pci/gpu", &both).await;
    let why = "can't live migrate running VM which uses following mapped devices: hostpci0:gpu";
    aborted(cluster.task("a1", post, migrate, &with_disks).await, why);
    cluster.site.change(|world| world.guests.get_mut(&100).unwrap().run = None).unwrap();
    let look = cluster.ok("a3", Method::Get, migrate, &[]).await;
    assert_eq!(
        (&look["allowed_nodes"], &look["not_allowed_nodes"]["a3"]),
        (&json!(["a2"]), &json!({"unavailable-resources": ["hostpci0"]}))
    );
    assert_eq!(
        cluster.task("a1", post, migrate, &[("target", "a2")]).await.0,
        "OK",
        "stopped, it goes with its mapping"
    );

    cluster.container("200", "a1", &[]).await;
    let migrate = "/nodes/a1/lxc/200/migrate";
    let bind = |world: &mut World| {
        world.guests.get_mut(&200).unwrap().config.insert("mp0".into(), "/srv/x,mp=/x".into());
    };
    cluster.site.change(bind).unwrap();
    let why = "cannot migrate local bind mount point 'mp0'";
    aborted(cluster.task("a1", post, migrate, &[("target", "a2")]).await, why);
    let shared = |world: &mut World| {
        world.guests.get_mut(&200).unwrap().config.insert("mp0".into(), "/srv/x,mp=/x,shared=1".into());
        world.storages.get_mut("local-zfs").unwrap().nodes = ["a1".to_owned(), "a3".to_owned()].into();
    };
    cluster.site.change(shared).unwrap();
    let why = "storage 'local-zfs' is not available on node 'a2'";
    aborted(cluster.task("a1", post, migrate, &[("target", "a2")]).await, why);
    cluster.run(200);
    cluster.site.change(|world| world.guests.get_mut(&200).unwrap().config.remove("mp0")).unwrap();
    let running = cluster.no("a1", post, migrate, &[("target", "a3")]).await;
    assert_eq!(running, (500, "can't migrate running container without --online or --restart".into()));
    let why = "lxc live migration is currently not implemented";
    aborted(cluster.task("a1", post, migrate, &[("target", "a3"), ("online", "1")]).await, why);
    assert_eq!(cluster.task("a1", post, migrate, &[("target", "a3"), ("restart", "1")]).await.0, "OK");
    assert_eq!(cluster.node_of(200).await, "a3");
    cluster.clock.sleep(std::time::Duration::from_secs(10)).await;
    let now = cluster.ok("a1", Method::Get, "/nodes/a3/lxc/200/status/current", &[]).await;
    assert_eq!(now["status"], "running", "a restart is what it says");
}

#[tokio::test]
async fn volumes_on_shared_storage_stay_where_they_are_and_a_running_vm_needs_no_disks_moved() {
    let cluster = Cluster::new(0);
    let export = StorageKind::Nfs { server: "nas".into(), export: "/x".into(), path: "/mnt/pve/nas".into() };
    let shared = |world: &mut World| {
        world.shares.insert("nas:/x".into(), 1 << 40);
        let mut storage = Storage::new(export.clone(), &["images", "rootdir"]);
        storage.nodes = ["a1".to_owned(), "a2".to_owned()].into();
        world.storages.insert("nas".into(), storage);
    };
    cluster.site.change(shared).unwrap();
    cluster.vm("100", "a1", &[("scsi1", "nas:4")]).await;
    let here = "/nodes/a1/qemu/100";
    cluster.ok("a1", Method::Put, &format!("{here}/config"), &[("delete", "scsi0")]).await;
    cluster.ok("a1", Method::Put, &format!("{here}/config"), &[("delete", "unused0")]).await;
    let content = |node: &str| format!("/nodes/{node}/storage/nas/content");
    let seen = cluster.ok("a3", Method::Get, &content("a2"), &[]).await;
    assert_eq!(seen[0]["volid"], "nas:100/vm-100-disk-0.raw", "every node of the storage sees it");
    let rows = cluster.ok("a1", Method::Get, "/cluster/resources", &[("type", "storage")]).await;
    let of_nas: Vec<&Value> = rows.as_array().unwrap().iter().filter(|row| row["storage"] == "nas").collect();
    assert_eq!((of_nas.len(), &of_nas[0]["shared"]), (2, &json!(1)));
    cluster.run(100);
    let online = [("target", "a3"), ("online", "1")];
    let (end, log) = cluster.task("a1", Method::Post, &format!("{here}/migrate"), &online).await;
    assert!(end == "migration aborted" && log.contains("storage 'nas' is not available on node 'a3'"), "{log}");
    let online = [("target", "a2"), ("online", "1")];
    let (end, log) = cluster.task("a1", Method::Post, &format!("{here}/migrate"), &online).await;
    assert!(end == "OK" && !log.contains("found local volume"), "{end} {log}");
    let now = cluster.ok("a1", Method::Get, "/nodes/a2/qemu/100/status/current", &[]).await;
    assert_eq!(now["status"], "running");
}

#[tokio::test]
async fn a_mapping_is_checked_against_the_node_that_is_asked_about() {
    let cluster = Cluster::new(0);
    let entry =
        |node: &str, slot: &str| format!("node={node},path={slot},id=10de:2684,subsystem-id=1043:88ec,iommugroup=14");
    let (right, wrong) = (entry("a1", "0000:01:00"), entry("a2", "0000:01:00"));
    cluster.ok("a1", Method::Post, "/cluster/mapping/pci", &[("id", "gpu"), ("map", &right), ("map", &wrong)]).await;
    let mut messages = Vec::new();
    for node in ["a1", "a2", "a3"] {
        let rows = cluster.ok("a1", Method::Get, "/cluster/mapping/pci", &[("check-node", node)]).await;
        messages.push(rows[0]["checks"][0]["message"].as_str().unwrap_or_default().trim_end().to_owned());
    }
    assert_eq!(messages, ["", "Invalid configuration: pci device '0000:01:00' not found", "No mapping for node a3."]);
}

#[tokio::test]
async fn a_guest_of_a_lost_node_does_not_run_and_its_worker_is_gone() {
    let cluster = Cluster::new(100);
    let guest = Guest::new(GuestKind::Qemu, "a2", [("name".to_owned(), "x".to_owned())].into());
    cluster.site.change(|world| world.guests.insert(100, guest)).unwrap();
    cluster.run(100);
    let upid = cluster.ok("a1", Method::Post, "/nodes/a2/qemu/100/status/shutdown", &[]).await;
    cluster.site.change(|world| lose_node(world, "a2")).unwrap();
    cluster.site.change(|world| regain_node(world, "a2")).unwrap();
    let path = format!("/nodes/a2/tasks/{}/status", upid.as_str().unwrap());
    let task = cluster.ok("a1", Method::Get, &path, &[]).await;
    assert_eq!((task["status"].as_str(), task["exitstatus"].as_str()), (Some("stopped"), Some("unexpected status")));
    assert_eq!(cluster.ok("a1", Method::Get, "/nodes/a2/qemu/100/status/current", &[]).await["status"], "stopped");
}
