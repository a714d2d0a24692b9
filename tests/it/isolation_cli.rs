//! `infra can` and `infra graph` as a person runs them: from the inventory, and of a lab as it is.

use serde_json::Value;

use crate::desk::Desk;

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
    // The host itself is the gateway that guests ask for names, and its own firewall does not let them: only who looks
    // at the host can know.
    let matrix = desk.command(&["graph", "--matrix", "--output", "json", "--live", "--lab"]).output().unwrap();
    let said = String::from_utf8_lossy(&matrix.stderr).into_owned();
    assert_eq!(matrix.status.code(), Some(1), "{said}");
    assert!(said.contains("the flow from `proj-x` to `10.0.0.1` does not get through on udp 53"), "{said}");
    assert!(said.contains("in to hq: drop by cluster.fw [OPTIONS] policy_in: DROP"), "{said}");
    assert!(!said.contains("isolation.undeclared"), "{said}");
    let json: Value = serde_json::from_slice(&matrix.stdout).unwrap();
    assert!(json["gaps"].as_array().unwrap().is_empty(), "{json:#}");
}
