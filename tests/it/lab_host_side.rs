//! The host's and the cluster's side of the lab's API, rule by rule, without recordings.

use infra::lab::Scenario;
use infra::lab::rules::{self, Refusal, Request, Upload, work};
use infra::lab::world::{Caller, Provision, Version, Volume, VolumeGroup, World};
use serde_json::{Value, json};

fn world() -> World {
    let example = Scenario::example();
    example.world(&example.sites[0], "s", jiff::Timestamp::from_second(1_795_254_000).unwrap()).unwrap()
}

fn ask(world: &mut World, method: &str, path: &str, params: &[(&str, &str)]) -> Result<Value, Refusal> {
    let params = params.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let request = Request { method: method.into(), path: path.into(), params, ..Request::default() };
    let answer = rules::answer_as(world, &Caller::root_pam(), &request).map(|answer| answer.data);
    work::advance(world);
    answer
}

fn refused(world: &mut World, method: &str, path: &str, params: &[(&str, &str)]) -> String {
    ask(world, method, path, params).unwrap_err().text()
}

#[test]
fn a_storage_is_made_changed_and_removed_even_if_it_is_in_use() {
    let mut world = world();
    let made = ask(&mut world, "POST", "/storage", &[("storage", "data"), ("type", "dir"), ("path", "/srv/data")]);
    assert_eq!(made.unwrap(), json!({"storage": "data", "type": "dir"}));
    assert_eq!(ask(&mut world, "GET", "/storage/data", &[]).unwrap()["content"], "images,rootdir");
    world.allocate("pve1", "data", 100, "vm", "raw", 1 << 30).unwrap();
    let put = |world: &mut World, pair| refused(world, "PUT", "/storage/data", &[pair]);
    assert!(put(&mut world, ("path", "/x")).contains("not defined in schema"));
    assert_eq!(put(&mut world, ("pool", "x")), "update storage failed: unexpected property 'pool'");
    assert_eq!(put(&mut world, ("delete", "path")), "update storage failed: unable to delete required option 'path'");
    assert!(put(&mut world, ("digest", "00")).contains("detected modified configuration"));
    ask(&mut world, "PUT", "/storage/data", &[("content", "iso"), ("prune-backups", "keep-last=3")]).unwrap();
    assert_eq!(ask(&mut world, "GET", "/storage/data", &[]).unwrap()["prune-backups"], "keep-last=3");
    assert_eq!(ask(&mut world, "DELETE", "/storage/data", &[]).unwrap(), Value::Null);
    assert_eq!(refused(&mut world, "GET", "/storage/data", &[]), "storage 'data' does not exist");
}

#[test]
fn a_storage_that_cannot_be_activated_is_not_made() {
    let mut world = world();
    let mut post = |params: &[(&str, &str)]| refused(&mut world, "POST", "/storage", params);
    let nfs = [("storage", "nas"), ("type", "nfs"), ("server", "192.0.2.9"), ("export", "/srv")];
    assert_eq!(post(&nfs), "create storage failed: storage 'nas' is not online");
    let thin = [("storage", "thin"), ("type", "lvmthin"), ("vgname", "pve"), ("thinpool", "data")];
    assert_eq!(post(&thin), "create storage failed: no such logical volume pve/data");
    assert_eq!(post(&[("storage", "xx"), ("type", "dir")]), "missing value for required option 'path'");
    let pool = post(&[("storage", "zz"), ("type", "zfspool"), ("pool", "nope")]);
    assert!(pool.ends_with("zfs error: cannot import 'nope': no such pool available\n"), "{pool}");
    world.shares.insert("192.0.2.9:/srv".into(), 1 << 40);
    assert_eq!(ask(&mut world, "POST", "/storage", &nfs).unwrap(), json!({"storage": "nas", "type": "nfs"}));
    let seen = ask(&mut world, "GET", "/nodes/pve1/storage/nas/status", &[]).unwrap();
    assert_eq!(
        (seen["shared"].clone(), seen["active"].clone(), seen["total"].clone()),
        (json!(1), json!(1), json!(1u64 << 40))
    );
    // The server goes away: it is still listed, without any space.
    world.shares.clear();
    let seen = ask(&mut world, "GET", "/nodes/pve1/storage/nas/status", &[]).unwrap();
    assert_eq!(
        (seen["enabled"].clone(), seen["active"].clone(), seen["total"].clone()),
        (json!(1), json!(0), json!(0))
    );
}

#[test]
fn thick_volumes_take_their_space_at_once_and_thin_ones_do_not() {
    let mut world = world();
    let group = VolumeGroup { size: 100 << 30, thin_pools: [("data".to_owned(), 40u64 << 30)].into() };
    world.nodes.get_mut("pve1").unwrap().volume_groups.insert("pve".into(), group);
    ask(&mut world, "POST", "/storage", &[("storage", "thick"), ("type", "lvm"), ("vgname", "pve")]).unwrap();
    let thin = [("storage", "thin"), ("type", "lvmthin"), ("vgname", "pve"), ("thinpool", "data")];
    ask(&mut world, "POST", "/storage", &thin).unwrap();
    assert_eq!(world.storages["thick"].provision(), Provision::Thick);
    assert_eq!(world.space("pve1", "thick"), (100 << 30, 60 << 30));
    let alloc = |world: &mut World, storage: &str, size: &str| {
        let path = format!("/nodes/pve1/storage/{storage}/content");
        let name = format!("vm-100-disk-{}", world.volumes("pve1", storage).len());
        ask(world, "POST", &path, &[("filename", &name), ("size", size), ("vmid", "100")]).map_err(|r| r.text())
    };
    assert_eq!(alloc(&mut world, "thick", "50G"), Ok(json!("thick:vm-100-disk-0")));
    assert_eq!(world.space("pve1", "thick").1, 10 << 30);
    assert!(
        alloc(&mut world, "thick", "11G")
            .unwrap_err()
            .contains("has insufficient free space (2560 extents): 2816 required.")
    );
    assert_eq!(alloc(&mut world, "thin", "500G"), Ok(json!("thin:vm-100-disk-0")));
    assert_eq!(world.space("pve1", "thin").1, 40 << 30);
    assert_eq!(alloc(&mut world, "thin", "1G"), Ok(json!("thin:vm-100-disk-1")));
}

#[test]
fn an_upload_is_checked_by_its_sum_and_overwrites() {
    let mut world = world();
    let mut send = |name: &str, sum: Option<&str>| {
        let mut params = vec![("content".to_owned(), "iso".to_owned()), ("filename".to_owned(), name.to_owned())];
        if let Some(sum) = sum {
            params.push(("checksum".into(), sum.into()));
            params.push(("checksum-algorithm".into(), "sha256".into()));
        }
        let request = Request {
            method: "POST".into(),
            path: "/nodes/pve1/storage/local/upload".into(),
            params,
            upload: Some(Upload { bytes: b"hello".to_vec() }),
            ..Request::default()
        };
        let answer = rules::answer_as(&mut world, &Caller::root_pam(), &request);
        work::advance(&mut world);
        let left: Vec<String> =
            world.nodes["pve1"].files.keys().filter(|f| f.starts_with("/var/tmp")).cloned().collect();
        assert!(left.is_empty(), "{left:?}");
        answer.map(|a| world.task(a.data.as_str().unwrap()).unwrap().exit().unwrap().to_owned()).map_err(|r| r.text())
    };
    let sum = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    assert_eq!(send("a.iso", Some(sum)), Ok("OK".to_owned()));
    assert_eq!(send("a.iso", None), Ok("OK".to_owned()));
    assert!(send("a.iso", Some("00")).unwrap().starts_with("checksum mismatch: got '2cf24d"));
    assert!(send("a.txt", None).unwrap_err().contains("wrong file extension"));
    assert!(world.volume("pve1", "local:iso/a.iso").is_some());
}

#[test]
fn only_backups_have_notes_and_protected_ones_stay() {
    let mut world = world();
    let backup =
        |protected| Volume { format: "vma.zst".into(), vmid: Some(100), protected, size: 1, ..Volume::default() };
    let name = "local:backup/vzdump-qemu-100-2026_11_21-09_00_00.vma.zst";
    world.put_volume("pve1", name, backup(false));
    world.put_volume("pve1", "local:iso/x.iso", Volume { format: "iso".into(), size: 1, ..Volume::default() });
    let at = |volid: &str| format!("/nodes/pve1/storage/local/content/{volid}");
    ask(&mut world, "PUT", &at(name), &[("notes", "kept"), ("protected", "1")]).unwrap();
    assert_eq!(ask(&mut world, "GET", &at(name), &[]).unwrap()["notes"], "kept");
    assert_eq!(refused(&mut world, "PUT", &at("local:iso/x.iso"), &[("notes", "x")]), "only backups can have notes");
    let upid = ask(&mut world, "DELETE", &at(name), &[]).unwrap();
    let exit = world.task(upid.as_str().unwrap()).unwrap().exit().unwrap();
    assert!(exit.starts_with("cannot remove protected volume"), "{exit}");
    assert_eq!(ask(&mut world, "DELETE", &at("local:iso/x.iso"), &[("delay", "5")]).unwrap(), Value::Null);
}

#[test]
fn interfaces_are_staged_until_they_are_applied_or_reverted() {
    let mut world = world();
    let bridge = [("iface", "vmbr1"), ("type", "bridge"), ("cidr", "10.1.0.1/24"), ("autostart", "1")];
    ask(&mut world, "POST", "/nodes/pve1/network", &bridge).unwrap();
    assert!(refused(&mut world, "POST", "/nodes/pve1/network", &bridge).contains("interface already exists"));
    let seen = ask(&mut world, "GET", "/nodes/pve1/network/vmbr1", &[]).unwrap();
    assert_eq!((seen["netmask"].clone(), seen.get("active")), (json!("24"), None));
    ask(&mut world, "DELETE", "/nodes/pve1/network", &[]).unwrap();
    assert!(refused(&mut world, "GET", "/nodes/pve1/network/vmbr1", &[]).contains("interface does not exist"));
    ask(&mut world, "POST", "/nodes/pve1/network", &bridge).unwrap();
    ask(&mut world, "PUT", "/nodes/pve1/network", &[]).unwrap();
    assert_eq!(ask(&mut world, "GET", "/nodes/pve1/network/vmbr1", &[]).unwrap()["active"], 1);
}

#[test]
fn groups_of_high_availability_are_of_8_and_rules_of_9() {
    let mut world = world();
    let migrated = "cannot index groups: ha groups have been migrated to rules";
    assert_eq!(refused(&mut world, "GET", "/cluster/ha/groups", &[]), migrated);
    assert_eq!(ask(&mut world, "GET", "/cluster/ha/rules", &[]).unwrap(), json!([]));
    world.version = Version::V8_4;
    ask(&mut world, "POST", "/cluster/ha/groups", &[("group", "gg"), ("nodes", "pve1")]).unwrap();
    assert_eq!(ask(&mut world, "GET", "/cluster/ha/groups", &[]).unwrap()[0]["group"], "gg");
    assert!(refused(&mut world, "GET", "/cluster/ha/rules", &[]).contains("not implemented"));
}

#[test]
fn options_of_the_datacenter_confine_numbers_and_show_what_may_be_given() {
    let mut world = world();
    let set = [("next-id", "lower=500,upper=501"), ("registered-tags", "prod;dev"), ("description", "dc")];
    ask(&mut world, "PUT", "/cluster/options", &set).unwrap();
    assert_eq!(ask(&mut world, "GET", "/cluster/nextid", &[]).unwrap(), "500");
    let seen = ask(&mut world, "GET", "/cluster/options", &[]).unwrap();
    assert_eq!((seen["description"].clone(), seen["registered-tags"].clone()), (json!("dc\n"), json!(["prod", "dev"])));
    assert_eq!(seen["allowed-tags"], json!(["dev", "prod"]));
    ask(&mut world, "PUT", "/cluster/options", &[("delete", "description,next-id")]).unwrap();
    assert_eq!(ask(&mut world, "GET", "/cluster/nextid", &[]).unwrap(), "100");
}

#[test]
fn a_backup_job_says_in_one_way_what_is_backed_up() {
    let mut world = world();
    let mut post = |params: &[(&str, &str)]| ask(&mut world, "POST", "/cluster/backup", params).map_err(|r| r.text());
    assert!(post(&[("schedule", "daily")]).unwrap_err().contains("vmid: property is missing"));
    assert!(post(&[("schedule", "daily"), ("all", "1"), ("vmid", "100")]).unwrap_err().contains("conflicts"));
    assert!(post(&[("schedule", "noon"), ("all", "1")]).unwrap_err().contains("calendar event"));
    post(&[("schedule", "daily"), ("all", "1"), ("id", "nightly"), ("storage", "local")]).unwrap();
    assert_eq!(ask(&mut world, "GET", "/cluster/backup/nightly", &[]).unwrap()["enabled"], 1);
    ask(&mut world, "DELETE", "/cluster/backup/nightly", &[]).unwrap();
    assert!(refused(&mut world, "GET", "/cluster/backup/nightly", &[]).contains("No such job 'nightly'"));
}
