//! A ruleset for nftables: a table of its own, replaced as a whole.

use ipnet::IpNet;
use minijinja::{Value, context};

use super::fill::{Syntax, Unwritable, fill};
use super::{Admission, HostRuleset};

const TEMPLATE: &str = include_str!("../../templates/nftables/ruleset.nft.j2");

const SYNTAX: Syntax = Syntax { target: "an nftables ruleset", write: text };

/// Longest comment that nft takes, in bytes.
const COMMENT: usize = 127;

/// A text in quotes; nft knows no escapes, so what would need one is refused.
fn text(text: &str) -> Option<String> {
    let hidden = |c: char| c.is_control() || matches!(c, '"' | '\\' | '$');
    (!text.contains(hidden) && text.len() <= COMMENT).then(|| format!("\"{text}\""))
}

/// The file that `nft -f` takes; loading it twice changes nothing.
///
/// # Errors
/// If a comment cannot be written in it.
pub fn nftables(ruleset: &HostRuleset) -> Result<String, Unwritable> {
    let rules = |ways: fn(&Admission) -> Vec<String>| -> Vec<Value> {
        let all = ruleset.admissions.iter();
        let all = all.flat_map(|admission| ways(admission).into_iter().map(move |way| (way, &admission.comment)));
        all.map(|(way, comment)| context! { way => Value::from_safe_string(way), comment }).collect()
    };
    let name = text(&ruleset.name)
        .ok_or_else(|| Unwritable { target: SYNTAX.target, value: ruleset.name.escape_debug().to_string() })?;
    let values = context! {
        name => Value::from_safe_string(name.trim_matches('"').to_owned()),
        rules => rules(|admission| ways(admission, &format!("{} dport {}", admission.transport, range(admission)))),
        docker => ruleset.docker,
        // Docker has changed the port by then.
        published => rules(|admission| {
            let port = format!("meta l4proto {} ct original proto-dst {}", admission.transport, range(admission));
            ways(admission, &port)
        }),
    };
    fill(TEMPLATE, values, &SYNTAX)
}

fn range(admission: &Admission) -> String {
    let (first, last) = (admission.ports.first(), admission.ports.last());
    if first == last { first.to_string() } else { format!("{first}-{last}") }
}

fn ways(admission: &Admission, port: &str) -> Vec<String> {
    let Some((v4, v6)) = admission.families() else { return vec![port.to_owned()] };
    let set = |nets: &[IpNet]| nets.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    [("ip", v4), ("ip6", v6)]
        .into_iter()
        .filter(|(_, nets)| !nets.is_empty())
        .map(|(family, nets)| match nets.as_slice() {
            [net] if net.prefix_len() == 0 => {
                format!("meta nfproto {} {port}", if family == "ip" { "ipv4" } else { "ipv6" })
            }
            nets => format!("{family} saddr {{ {} }} {port}", set(nets)),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{PortRange, Transport};

    fn gateway(comment: &str) -> HostRuleset {
        let admission = |from: &[&str], transport, first, last, comment: &str| Admission {
            from: from.iter().map(|net| net.parse().unwrap()).collect(),
            transport,
            ports: PortRange::new(first, last).unwrap(),
            comment: comment.to_owned(),
        };
        HostRuleset {
            name: "gateway".into(),
            admissions: vec![
                admission(&["10.0.0.0/8", "fd00::/8"], Transport::Tcp, 8000, 8000, comment),
                admission(&[], Transport::Udp, 6000, 6010, "anywhere"),
                admission(&["0.0.0.0/0"], Transport::Tcp, 22, 22, "whoever speaks IPv4"),
            ],
            docker: true,
        }
    }

    #[test]
    fn a_machine_with_docker() {
        insta::assert_snapshot!(nftables(&gateway("models")).unwrap().replace('\t', "  "), @r#"
        #!/usr/sbin/nft -f
        # Written by infra for gateway: change the inventory, not this file.
        # One transaction: the table is there in its old form or in its new one, and other tables are not touched.
        add table inet infra
        delete table inet infra
        table inet infra {
          chain input {
            type filter hook input priority filter; policy drop;
            iif lo accept
            ct state established,related accept
            ct state invalid drop
            meta l4proto icmp icmp type { destination-unreachable, time-exceeded, parameter-problem, echo-request } accept
            meta l4proto ipv6-icmp icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem, echo-request, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } accept
            ip6 saddr fe80::/10 udp sport 547 udp dport 546 accept
            ip saddr { 10.0.0.0/8 } tcp dport 8000 accept comment "models"
            ip6 saddr { fd00::/8 } tcp dport 8000 accept comment "models"
            udp dport 6000-6010 accept comment "anywhere"
            meta nfproto ipv4 tcp dport 22 accept comment "whoever speaks IPv4"
          }

          # What Docker publishes is forwarded and never comes to the chain above. It is judged here by the port that was
          # asked for, before Docker's own chains: what is dropped here, those cannot let in again.
          chain forward {
            type filter hook forward priority filter - 5; policy accept;
            ct state established,related accept
            iifname "docker0" accept
            iifname "br-*" accept
            ct status dnat ip saddr { 10.0.0.0/8 } meta l4proto tcp ct original proto-dst 8000 accept comment "models"
            ct status dnat ip6 saddr { fd00::/8 } meta l4proto tcp ct original proto-dst 8000 accept comment "models"
            ct status dnat meta l4proto udp ct original proto-dst 6000-6010 accept comment "anywhere"
            ct status dnat meta nfproto ipv4 meta l4proto tcp ct original proto-dst 22 accept comment "whoever speaks IPv4"
            ct status dnat drop
          }
        }
        "#);
    }

    proptest! {
        #[test]
        fn no_comment_can_end_its_rule(comment in "\\PC{0,20}|[\"\\\\{};\n$a-c #]{0,20}") {
            let lines = nftables(&gateway("models")).unwrap().lines().count();
            if let Ok(text) = nftables(&gateway(&comment)) {
                prop_assert_eq!(text.lines().count(), lines);
                let quoted = format!("accept comment \"{comment}\"");
                prop_assert_eq!(text.lines().filter(|line| line.ends_with(&quoted)).count(), 4, "{}", text);
            }
        }
    }
}
