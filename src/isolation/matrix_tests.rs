//! The matrix and its findings, on firewall files that are written here by hand for declared flows.

use super::{Matrix, Network, Places, Side, Solver, denied_flows, undeclared};
use crate::blueprint::Blueprint;
use crate::blueprint::testing::with;
use crate::diag::Diagnostic;
use crate::proxmox::firewall_file::{read_cluster, read_guest, read_host};

const CLOSED: &str = "[OPTIONS]\nenable: 1\npolicy_out: DROP\n";
/// What `proj-x uses plan-hq/litellm` asks for.
const IN: &str = "IN ACCEPT -source 10.0.0.123 -p tcp -dport 4000";
const OUT: &str = "OUT ACCEPT -dest 10.0.0.10 -p tcp -dport 4000";

fn declared() -> Blueprint {
    with(
        "guests: { plan-hq: { services: [litellm], internet: false }, proj-x: { uses: [plan-hq/litellm], internet: false } }",
    )
}

/// The blueprint's guests with these rules instead of what is derived; `ipfilter` keeps `proj-x` to its address.
fn network(blueprint: &Blueprint, plan_hq: &str, proj_x: &str, ipfilter: bool) -> Network {
    let mut network = Network::desired(blueprint);
    for cluster in network.sites.values_mut() {
        *cluster = read_cluster("[OPTIONS]\nenable: 1\n");
    }
    for host in network.hosts.values_mut() {
        host.firewall = read_host("[OPTIONS]\nenable: 1\n");
    }
    for (name, rules) in [("plan-hq", plan_hq), ("proj-x", proj_x)] {
        let option = if ipfilter && name == "proj-x" { "ipfilter: 1\n" } else { "" };
        let file = read_guest(&format!("{CLOSED}{option}[RULES]\n{rules}\n"));
        network.guests.get_mut(&name.parse().unwrap()).unwrap().firewall = Some(file);
    }
    network
}

fn findings(blueprint: &Blueprint, network: &Network) -> (Matrix, Vec<Diagnostic>, Vec<Diagnostic>) {
    let solver = Solver::new(network);
    let places = Places::new(&solver, blueprint);
    let matrix = Matrix::of(&solver, blueprint, &places);
    let undeclared = undeclared(network, blueprint, &matrix);
    let denied = denied_flows(&solver, blueprint, &places);
    (matrix, undeclared, denied)
}

fn said(problems: &[Diagnostic]) -> Vec<&str> {
    problems.iter().map(|problem| problem.summary.as_str()).collect()
}

#[test]
fn what_is_declared_is_open_and_nothing_else() {
    let blueprint = declared();
    let network = network(&blueprint, IN, OUT, true);
    let (matrix, undeclared, denied) = findings(&blueprint, &network);
    assert_eq!((said(&undeclared), said(&denied)), (Vec::new(), Vec::new()));
    let open: Vec<String> = matrix
        .openings
        .iter()
        .map(|one| format!("{} > {} {} {} by {}", one.from, one.to, one.transport, one.ports, one.flows.len()))
        .collect();
    assert_eq!(open, ["proj-x > plan-hq tcp 4000 by 1"]);
}

#[test]
fn a_rule_that_opens_more_than_flows_is_found_with_the_rule_that_does() {
    let blueprint = declared();
    let network =
        network(&blueprint, &format!("{IN}\nIN ACCEPT -source 192.168.0.0/16 -p tcp -dport 22:24"), OUT, true);
    let (_, undeclared, denied) = findings(&blueprint, &network);
    assert!(denied.is_empty());
    assert_eq!(said(&undeclared), ["`private networks` reaches `plan-hq` on tcp 22:24, and no flow says so"]);
    assert_eq!(undeclared[0].code, "isolation.undeclared");
    let causes = undeclared[0].causes.join("\n");
    assert!(causes.contains("100.fw [RULES] 1: IN ACCEPT -source 192.168.0.0/16 -p tcp -dport 22:24"), "{causes}");
    assert!(undeclared[0].primary.is_some());
}

#[test]
fn a_flow_that_something_stops_is_found_with_the_rule_that_does() {
    let blueprint = declared();
    for (plan_hq, proj_x, why) in [
        (format!("IN DROP -source 10.0.0.0/24\n{IN}"), OUT, "100.fw [RULES] 0: IN DROP -source 10.0.0.0/24"),
        (String::new(), OUT, "100.fw [OPTIONS] policy_in: DROP (default)"),
        (IN.to_owned(), "", "104.fw [OPTIONS] policy_out: DROP"),
    ] {
        let network = network(&blueprint, &plan_hq, proj_x, true);
        let (_, undeclared, denied) = findings(&blueprint, &network);
        assert!(undeclared.is_empty(), "{undeclared:?}");
        assert_eq!(said(&denied), ["the flow from `proj-x` to `plan-hq` does not get through on tcp 4000"]);
        assert_eq!(denied[0].code, "isolation.flow-denied");
        let causes = denied[0].causes.join("\n");
        assert!(causes.contains(why), "{causes}");
    }
}

#[test]
fn a_guest_that_may_lie_about_its_address_reaches_what_others_may() {
    let blueprint = declared();
    let plan_hq = format!("{IN}\nIN ACCEPT -source 10.0.0.50 -p tcp -dport 5432");
    let proj_x = "OUT ACCEPT -dest 10.0.0.10";
    let by_proj_x = |ipfilter| {
        let network = network(&blueprint, &plan_hq, proj_x, ipfilter);
        let (matrix, ..) = findings(&blueprint, &network);
        let from = Side::Guest("proj-x".parse().unwrap());
        let own = matrix.openings.into_iter().filter(|one| one.from == from && !one.undeclared.is_empty());
        own.map(|one| format!("{} {} {}", one.to, one.transport, one.undeclared)).collect::<Vec<_>>()
    };
    assert_eq!(by_proj_x(false), ["plan-hq tcp 5432"]);
    assert_eq!(by_proj_x(true), [""; 0]);
}

#[test]
fn a_rule_about_source_ports_opens_whatever_comes_from_them() {
    let blueprint = declared();
    let plan_hq = format!("{IN}\nIN ACCEPT -p udp -sport 53");
    let network = network(&blueprint, &plan_hq, "OUT ACCEPT -dest 10.0.0.10", true);
    let (_, undeclared, _) = findings(&blueprint, &network);
    let said = said(&undeclared);
    assert!(said.contains(&"`proj-x` reaches `plan-hq` on udp all, and no flow says so"), "{said:?}");
}

#[test]
fn a_firewall_that_is_off_opens_everything() {
    let blueprint = declared();
    let mut network = network(&blueprint, IN, OUT, true);
    network.sites.values_mut().for_each(|site| site.options.clear());
    let (matrix, undeclared, denied) = findings(&blueprint, &network);
    assert!(denied.is_empty());
    let said = said(&undeclared);
    assert!(said.contains(&"`internet` reaches `proj-x` on tcp all, and no flow says so"), "{said:?}");
    assert!(said.contains(&"`proj-x` reaches `plan-hq` on tcp 1:3999, 4001:65535, and no flow says so"), "{said:?}");
    assert_eq!(matrix.closed, 0);
}
