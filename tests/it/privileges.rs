//! What a token may see and do is known before anything is done.

use infra::diag::Diagnostics;
use infra::exec::Ended;
use infra::lab::LiveSite;
use infra::lab::world::{Acl, Grantee, Guest, GuestKind};

use infra::ports::{Method, Request};
use infra::proxmox::endpoints::ALL;
use infra::proxmox::privileges::needs;

use crate::rig::{Rig, blueprint};

const INVENTORY: &str = r#"
schema: 1
name: test
hosts:
  hq:
    address: 192.0.2.2
    node: pve1
    api: { token_id: "infra@pve!lab", token: "secret:tok", fingerprint: "00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00" }
    ssh: { user: root }
    storage: { guests: local-zfs, files: local, datasets: rpool/containers }
    network: { bridge: vmbr0, subnet: 10.0.0.0/24, gateway: 10.0.0.1 }
    gpus: { rtx4090: { id: "10de:2684", vram: 24GiB } }
images:
  ubuntu: { url: "https://example.com/u-1.img", sha256: "a037d6d0299171ba62019f3c3f895eb902c271f8e9676cfe0f22e38070344579", file: u-1.qcow2 }
  debian: { template: debian-12-standard_12.12-1_amd64.tar.zst }
firewall:
  groups:
    project-ct: { comment: projects, rules: [{ direction: in, action: drop, source: 10.0.0.0/24, comment: apart }] }
guests:
  plan-hq:
    { kind: vm, host: hq, vmid: 100, address: 10.0.0.10, image: ubuntu, cores: 8, memory: 16GiB, disk: 40GiB, gpus: [rtx4090] }
  proj-x:
    kind: container
    host: hq
    vmid: 104
    address: 10.0.0.123
    image: debian
    cores: 2
    memory: 4GiB
    disk: 20GiB
    firewall: { in: drop, groups: [project-ct] }
"#;

fn said(problems: &Diagnostics) -> String {
    problems
        .iter()
        .map(|p| format!("{}: {}\n{}\n{}\n", p.code, p.summary, p.causes.join("\n"), p.hints.join("\n")))
        .collect()
}

/// Takes privileges from the lab's role.
fn without(site: &LiveSite, privileges: &[&str]) {
    site.change(|world| {
        let role = world.access.roles.get_mut("Infra").unwrap();
        for privilege in privileges {
            assert!(role.remove(*privilege), "{privilege}");
        }
    })
    .unwrap();
}

/// Gives the lab's user a role of its own on one path.
fn grant(site: &LiveSite, path: &str, privileges: &[&str]) {
    let name = format!("At{}", path.replace('/', "-"));
    site.change(|world| {
        world.access.roles.insert(name.clone(), privileges.iter().map(|p| (*p).to_owned()).collect());
        let grantee = Grantee::User("infra@pve".to_owned());
        world.access.acls.push(Acl { path: path.to_owned(), grantee, role: name.clone(), propagate: true });
    })
    .unwrap();
}

#[tokio::test]
async fn a_missing_privilege_is_refused_before_anything_is_done() {
    for (privilege, place, step) in [
        ("Mapping.Use", "/mapping/pci/rtx4090", "vm.plan-hq/create"),
        ("VM.Allocate", "/vms/100, /vms/104", "ct.proj-x/create"),
        ("Datastore.AllocateTemplate", "/storage/local", "image.hq:debian/download"),
        ("VM.Config.Network", "/vms/100, /vms/104", "guest_firewall.proj-x/set"),
        ("SDN.Use", "/sdn/zones/localnetwork/vmbr0", "ct.proj-x/create"),
        ("Sys.Modify", "/", "firewall_alias.hq:infra_"),
        ("Pool.Allocate", "/pool/", "pool.hq:"),
        ("Mapping.Modify", "/mapping/pci", "pci_mapping.hq:rtx4090/create"),
        ("VM.PowerMgmt", "/vms/100, /vms/104", "vm.plan-hq/start"),
    ] {
        let rig = Rig::new(0);
        without(&rig.site, &[privilege]);
        let problems = rig.plan(&blueprint(INVENTORY).unwrap()).await.unwrap_err();
        let said = said(&problems);
        let all = problems.iter().all(|problem| problem.code == "plan.missing-privilege");
        assert!(all && said.contains(&format!("lacks {privilege} on {place}")), "{privilege}: {said}");
        assert!(said.contains(step) && said.contains("pveum acl modify"), "{privilege}: {said}");
        assert_eq!(problems.iter().count(), 1, "{privilege}: {said}");
    }
}

#[tokio::test]
async fn grants_on_the_pool_are_enough_for_its_guests() {
    let rig = Rig::new(0);
    let blueprint = blueprint(INVENTORY).unwrap();
    let of_guests: Vec<String> = rig
        .site
        .look(|world| world.access.roles["Infra"].iter().filter(|name| name.starts_with("VM.")).cloned().collect())
        .unwrap();
    let of_guests: Vec<&str> = of_guests.iter().map(String::as_str).collect();
    without(&rig.site, &of_guests);
    let on_pool: Vec<&str> = of_guests.iter().copied().chain(["Pool.Allocate", "Pool.Audit"]).collect();
    grant(&rig.site, &format!("/pool/{}", blueprint.pool), &on_pool);
    let run = rig.apply(&blueprint).await;
    assert_eq!(run.ended, Ended::Done, "{:#?}", run.failures);
    let again = rig.plan(&blueprint).await.unwrap_or_else(|problems| panic!("{}", said(&problems)));
    assert!(again.changes.is_empty() && again.gaps.is_empty(), "{:#?} {:#?}", again.changes, again.gaps);
}

#[tokio::test]
async fn a_number_that_is_taken_unseen_is_not_taken_for_free() {
    let rig = Rig::new(0);
    without(&rig.site, &["VM.Audit"]);
    rig.site
        .change(|world| world.guests.insert(104, Guest::new(GuestKind::Lxc, "pve1", std::collections::BTreeMap::new())))
        .unwrap();
    let blueprint = blueprint(INVENTORY).unwrap();
    let observed = rig.observe(&blueprint).await;
    let why = observed.sites["hq"].guests.why().unwrap();
    assert!(why.contains("vmid 104 is taken by a guest that is not shown") && why.contains("lacks VM.Audit"), "{why}");
    let plan = rig.plan(&blueprint).await.unwrap_or_else(|problems| panic!("{}", said(&problems)));
    assert!(
        plan.gaps.iter().any(|gap| gap.addr.to_string() == "ct.proj-x" && gap.why == format!("guests of `hq`: {why}"))
    );
    assert!(!plan.changes.iter().any(|change| change.addr.to_string() == "ct.proj-x"));
}

#[tokio::test]
async fn lists_that_could_hide_something_are_partial_and_the_rest_plans() {
    let rig = Rig::new(0);
    without(&rig.site, &["Pool.Audit", "Mapping.Audit", "Mapping.Use", "Mapping.Modify"]);
    let blueprint = blueprint(INVENTORY).unwrap();
    let observed = rig.observe(&blueprint).await;
    let site = &observed.sites["hq"];
    assert!(site.pools.why().unwrap().contains(&format!("lacks Pool.Audit on /pool/{}", blueprint.pool)));
    assert!(site.mappings.why().unwrap().contains("lacks Mapping.Audit on /mapping/pci/rtx4090"));
    assert!(site.guests.is_complete() && site.tasks.is_complete());
    assert!(observed.hosts.values().all(|host| host.storages.is_complete()));
}

#[tokio::test]
async fn a_storage_that_is_not_shown_is_unknown_and_not_absent() {
    let rig = Rig::new(0);
    let storage: Vec<String> = rig
        .site
        .look(|world| world.access.roles["Infra"].iter().filter(|n| n.starts_with("Datastore.")).cloned().collect())
        .unwrap();
    without(&rig.site, &storage.iter().map(String::as_str).collect::<Vec<_>>());
    let plan = rig.plan(&blueprint(INVENTORY).unwrap()).await.unwrap_or_else(|problems| panic!("{}", said(&problems)));
    let gap = plan.gaps.iter().find(|gap| gap.addr.to_string() == "image.hq:debian").unwrap();
    assert!(gap.why.contains("lacks Datastore.Audit on /storage/"), "{}", gap.why);
}

#[tokio::test]
async fn a_template_that_nobody_offers_is_refused_with_the_nearest_name() {
    let rig = Rig::new(0);
    let wrong = INVENTORY.replace("debian-12-standard_12.12-1", "debian-12-standard_12.7-1");
    let problems = rig.plan(&blueprint(&wrong).unwrap()).await.unwrap_err();
    let said = said(&problems);
    assert!(
        said.contains("plan.no-such-template: ") && said.contains("debian-12-standard_12.7-1_amd64.tar.zst"),
        "{said}"
    );
    assert!(said.contains("did you mean `debian-12-standard_12.12-1_amd64.tar.zst`?"), "{said}");
    assert!(said.contains("pveam update"), "{said}");
}

/// `Permission check failed (/vms/100, A|B)` → the path and its privileges.
fn refused(message: &str) -> Option<(&str, Vec<&str>)> {
    let inner = message.trim_end().strip_prefix("Permission check failed (")?.strip_suffix(')')?;
    let (path, privileges) = inner.split_once(", ")?;
    path.starts_with('/').then(|| (path, privileges.split('|').collect()))
}

#[test]
fn every_recorded_refusal_names_a_privilege_that_we_ask_for() {
    let Some(recordings) = crate::observe_recorded::recordings() else {
        println!("not run: the recordings are not here (set INFRA_SHARED)");
        return;
    };
    let ours = |request: &Request| {
        let parts = |path: &str| path.split('/').map(str::to_owned).collect::<Vec<_>>();
        ALL.iter().any(|(_, endpoint)| {
            let (template, path) = (parts(endpoint.path), parts(&request.path));
            let same =
                template.len() == path.len() && template.iter().zip(&path).all(|(t, p)| t.starts_with('{') || t == p);
            let known = request.params.iter().all(|(name, _)| endpoint.takes(name));
            same && known && endpoint.method == request.method
        })
    };
    let mut held = 0;
    for exchange in &recordings {
        let Some((path, privileges)) = exchange["response"]["json"]["message"].as_str().and_then(refused) else {
            continue;
        };
        let asked = &exchange["request"];
        let form = asked["form"].as_array().cloned().unwrap_or_default();
        let text = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let request = Request {
            method: serde_json::from_value(asked["method"].clone()).unwrap(),
            path: asked["path"]
                .as_str()
                .unwrap()
                .trim_start_matches("/api2/json")
                .split('?')
                .next()
                .unwrap()
                .to_owned(),
            params: form.iter().map(|pair| (text(&pair[0]), text(&pair[1]))).collect(),
        };
        // What is read while observing fails by itself, and changes nothing.
        if request.method == Method::Get || !ours(&request) {
            continue;
        }
        held += 1;
        let needs = needs(&request, "p");
        let found = needs.iter().any(|need| {
            let here: Vec<&str> =
                need.any_of.iter().filter(|grant| grant.path == path).flat_map(|grant| grant.all.clone()).collect();
            privileges.iter().all(|privilege| here.contains(privilege))
        });
        assert!(
            found,
            "{}: {} {} was refused for {privileges:?} on {path}; we ask for {needs:#?}",
            exchange["seq"], request.method, request.path
        );
    }
    assert!(held >= 15, "only {held} refusals are of requests that we send");
}
