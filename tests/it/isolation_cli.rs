//! `infra can` and `infra graph` as a person runs them: from the inventory, and of a lab as it is.

use serde_json::Value;

use crate::desk::Desk;

/// A tailnet, a reverse proxy and a zone, beside what the inventory says.
pub const EDGE: &str = "
tailnet: { key: secret:t, members: [proj-x, proj-y], groups: { staff: [ann@example.com] } }
ingress: { guest: ops-tools, from: [192.168.10.0/24, tag:phone], tls: internal, authelia: { guest: ops-tools } }
dns: { zones: { example.com: { guest: ops-tools } } }
guests:
  ops-tools: { routes: { auth.example.com: 9091 } }
  plan-hq:
    access: [{ from: tag:phone, to: [ssh] }, { from: group:staff, to: [open-webui] }]
    routes:
      plan.example.com: { port: 3000, auth: authelia }
      inside.example.com: { port: 3000, tailnet_only: true }
";

fn with_edge() -> (Desk, Vec<&'static str>) {
    let desk = Desk::new();
    std::fs::write(desk.path("edge.yaml"), EDGE).unwrap();
    (desk, vec!["-i", "inventories/vrooli", "-i", "edge.yaml"])
}

#[test]
fn the_phone_gets_in_over_the_tailnet_and_by_which_rule_is_said() {
    let (desk, inventory) = with_edge();
    let can = |code: i32, args: &[&str]| desk.run(code, &[&["can"], args, &inventory].concat());
    let open = can(0, &["tag:phone", "plan-hq"]);
    assert!(
        open.starts_with("allow tag:phone → plan-hq (tag:phone → tag:infra-vrooli-plan-hq) tcp 22 over the tailnet"),
        "{open}"
    );
    assert!(open.contains("tailnet: accept by line") && open.contains("\"src\": [\"tag:phone\"]"), "{open}");
    assert!(open.contains("open ports: tcp 22; udp none"), "{open}");
    can(0, &["ann@example.com", "plan-hq:3000"]);
    can(1, &["eve@example.com", "plan-hq:3000"]);
    // Both are in the tailnet and on the bridge: two ways, both closed, each with what closes it.
    let apart = can(1, &["proj-x", "proj-y:22"]);
    assert!(apart.contains("over vmbr0") && apart.contains("over the tailnet"), "{apart}");
    assert!(apart.contains("no rule of the tailnet policy lets it through"), "{apart}");
    can(0, &["192.168.10.0/24", "plan-hq:22"]);
    can(1, &["192.168.11.0/24", "plan-hq:22"]);
    let unknown = desk.command(&[&["can", "tag:phnoe", "plan-hq"][..], &inventory].concat()).output().unwrap();
    let said = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(said.contains("did you mean `tag:phone`"), "{said}");
    let host = desk.command(&[&["can", "tag:phone", "hq"][..], &inventory].concat()).output().unwrap();
    assert!(String::from_utf8_lossy(&host.stderr).contains("not in it"), "{host:?}");
    desk.run(0, &[&["validate"][..], &inventory].concat());
}

#[test]
fn a_site_is_answered_leg_by_leg() {
    let (desk, inventory) = with_edge();
    let can = |code: i32, args: &[&str]| desk.run(code, &[&["can"], args, &inventory].concat());
    let site = can(0, &["tag:phone", "plan.example.com"]);
    for leg in [
        "allow name: tag:phone",
        "allow proxy: tag:phone → ops-tools",
        "allow login: ops-tools",
        "allow guest: ops-tools → plan-hq",
    ] {
        assert!(site.contains(leg), "{leg}: {site}");
    }
    assert!(site.contains("over the tailnet") && site.contains("over vmbr0"), "{site}");
    assert!(site.contains("in to plan-hq") && site.contains("100.fw [RULES]"), "the rule that decides: {site}");
    can(0, &["192.168.10.0/24", "plan.example.com"]);
    can(1, &["192.168.10.0/24", "inside.example.com"]);
    can(0, &["tag:phone", "inside.example.com"]);
    can(1, &["proj-x", "plan.example.com"]);
    let json: Value = serde_json::from_str(&can(1, &["internet", "plan.example.com", "--output", "json"])).unwrap();
    let passes: Vec<bool> = json["legs"].as_array().unwrap().iter().map(|leg| leg["passes"] == true).collect();
    assert_eq!(passes, [true, false, true, true], "{json:#}");
}

#[test]
fn the_matrix_has_both_networks() {
    let (desk, inventory) = with_edge();
    let text = desk.run(0, &[&["graph", "--matrix", "--output", "json"][..], &inventory].concat());
    let json: Value = serde_json::from_str(&text).unwrap();
    let over: Vec<&Value> =
        json["openings"].as_array().unwrap().iter().filter(|one| one["over"] == "tailnet").collect();
    let said: Vec<String> =
        over.iter().map(|one| format!("{} {} {}", one["from"], one["to"], one["ports"]).replace('"', "")).collect();
    assert_eq!(said, ["tag:phone ops-tools 80, 443", "group:staff plan-hq 3000", "tag:phone plan-hq 22"], "{json:#}");
    assert!(over.iter().all(|one| one["undeclared"] == "none" && one["flows"][0].is_string()), "{json:#}");
}

#[test]
fn what_others_let_into_the_tailnet_is_a_contradiction_of_what_is_in_force() {
    let (desk, inventory) = with_edge();
    let live = |args: &[&str]| {
        let output = desk.command(&[args, &inventory, &["--lab"]].concat()).output().unwrap();
        let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
        (output.status.code(), said)
    };
    let (code, said) = live(&["graph", "--matrix", "--live"]);
    // A new tailnet lets everybody reach everything, and nobody has joined.
    assert_eq!(code, Some(1));
    assert!(said.contains("not in the tailnet yet"), "{said}");
    assert!(
        said.contains("the flow from `tag:phone` to `plan-hq` does not get through the tailnet on tcp 22"),
        "{said}"
    );
}

#[test]
fn projects_do_not_reach_one_another_and_the_rule_is_named() {
    let desk = Desk::new();
    for (from, to) in [("proj-x", "proj-y"), ("proj-y", "vrooli-dev"), ("vrooli-dev", "proj-x")] {
        let said = desk.run(1, &["can", from, to]);
        assert!(said.starts_with(&format!("deny {from} → {to}")), "{said}");
        assert!(said.contains(".fw [RULES]") || said.contains("policy_"), "{said}");
        assert!(said.contains("open ports: tcp none; udp none"), "{said}");
        desk.run(1, &["can", from, &format!("{to}:22")]);
    }
    let json: Value = serde_json::from_str(&desk.run(1, &["can", "proj-x", "proj-y:22", "--output", "json"])).unwrap();
    assert_eq!((&json["allowed"], &json["format"]), (&Value::Bool(false), &Value::from(1)));
    let hops = json["answers"][0]["decision"]["hops"].as_array().unwrap();
    assert_eq!(hops.last().unwrap()["verdict"], "drop", "{json}");
    desk.run(0, &["can", "proj-x", "internet:443"]);
    desk.run(1, &["can", "internet", "proj-x:22"]);
}

#[test]
fn who_is_not_known_is_said_and_wrong_ports_are_wrong_usage() {
    let desk = Desk::new();
    let output = desk.command(&["can", "proj-z", "proj-x"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("there is no guest or host `proj-z`") && said.contains("did you mean `proj-"), "{said}");
    let output = desk.command(&["can", "proj-x", "proj-y:70000"]).output().unwrap();
    assert_eq!(output.status.code(), Some(64));
}

#[test]
fn flows_are_a_graph_in_two_languages() {
    let desk = Desk::new();
    let mermaid = desk.run(0, &["graph"]);
    assert!(mermaid.starts_with("flowchart LR\n") && mermaid.contains("[\"proj-x\"]"), "{mermaid}");
    let dot = desk.run(0, &["graph", "--format", "dot"]);
    assert!(dot.starts_with("digraph flows {") && dot.ends_with("}\n"), "{dot}");
    let json: Value = serde_json::from_str(&desk.run(0, &["graph", "--output", "json"])).unwrap();
    let edges = mermaid.lines().filter(|line| line.contains("-->")).count();
    assert_eq!(edges, dot.lines().filter(|line| line.contains(" -> ")).count());
    assert!(json["flows"].as_array().unwrap().len() >= edges);
}

#[test]
fn the_matrix_of_the_inventory_is_what_its_flows_say() {
    let desk = Desk::new();
    let json: Value = serde_json::from_str(&desk.run(0, &["graph", "--matrix", "--output", "json"])).unwrap();
    assert_eq!(json["contradictions"], 0, "{json:#}");
    let openings = json["openings"].as_array().unwrap();
    let guests = ["plan-hq", "proj-x", "proj-y", "vrooli-dev", "ops-tools"];
    let mut between = 0;
    for one in openings {
        let (from, to) = (one["from"].as_str().unwrap(), one["to"].as_str().unwrap());
        if guests.contains(&from) && guests.contains(&to) {
            between += 1;
            assert!(!one["flows"].as_array().unwrap().is_empty() && one["undeclared"] == "none", "{one}");
            let projects = |name: &str| name.starts_with("proj-") || name == "vrooli-dev";
            assert!(!(projects(from) && projects(to)), "{one}");
        }
    }
    assert!(between > 0, "projects reach plan-hq");
    desk.run(0, &["validate"]);
    let contradicting = Desk::new();
    let rule = "address: 10.0.0.123\n    firewall: { rules: [{ action: accept, protocol: tcp, ports: 22 }] }";
    contradicting.edit("inventories/vrooli/guests.yaml", "address: 10.0.0.123", rule);
    let said = contradicting.run(1, &["validate"]);
    assert!(said.contains("isolation.undeclared") && said.contains("`proj-x` on tcp 22"), "{said}");
}

#[test]
fn what_is_in_force_in_a_lab_is_what_is_asked_for_live() {
    let desk = Desk::new();
    let live = |code, args: &[&str]| desk.run(code, &[args, &["--live", "--lab"]].concat());
    let before = desk.command(&["can", "proj-x", "proj-y", "--live", "--lab"]).output().unwrap();
    let said = String::from_utf8_lossy(&before.stderr).into_owned();
    assert!(before.status.code() == Some(1) && said.contains("nothing is known of `proj-x`"), "{said}");
    desk.run(0, &["apply", "--lab", "--yes"]);
    let open = live(0, &["can", "proj-x", "proj-y:22"]);
    assert!(open.contains("cluster.fw [OPTIONS] enable: 0"), "nobody switched it on yet: {open}");
    desk.run(0, &["prepare", "--lab", "--yes"]);
    let closed = live(1, &["can", "proj-x", "proj-y:22"]);
    assert!(closed.starts_with("deny proj-x → proj-y"), "{closed}");
    let plan = desk.run(0, &["plan", "--lab"]);
    assert!(!plan.contains("as it is now"), "{plan}");
    // The host itself is the gateway that guests ask for names, which only who looks at the host can know; its own
    // firewall lets them.
    let matrix = desk.command(&["graph", "--matrix", "--output", "json", "--live", "--lab"]).output().unwrap();
    let said = String::from_utf8_lossy(&matrix.stderr).into_owned();
    assert_eq!(matrix.status.code(), Some(0), "{said}");
    let names = live(0, &["can", "proj-x", "10.0.0.1:53/udp"]);
    assert!(names.contains("in to hq: accept by host.fw [RULES]") && names.contains("-dport 53"), "{names}");
    live(1, &["can", "proj-x", "10.0.0.1:22"]);
    let json: Value = serde_json::from_slice(&matrix.stdout).unwrap();
    assert!(json["gaps"].as_array().unwrap().is_empty(), "{json:#}");
}
