//! Network interfaces.

use std::collections::BTreeMap;

use ipnet::IpNet;
use serde_json::Value;

use super::super::text;
use crate::diag::Invalid;
use crate::model::machine::{Link, Links};
use crate::ports::Output;

/// Asks for them; `-d` tells what kind each is.
pub const COMMANDS: &[&[&str]] = &[&["ip", "-j", "-d", "link"], &["ip", "-j", "addr"]];

/// Reads them.
///
/// # Errors
/// When an answer is not understood.
pub fn read(outputs: &[Output]) -> Result<Links, Invalid> {
    let [links, addresses] = outputs else { return Err(Invalid::new("not asked for")) };
    let mut by_name: BTreeMap<String, Vec<IpNet>> = BTreeMap::new();
    for row in rows(addresses)? {
        by_name.insert(name(&row)?, row.get("addr_info").map(networks).unwrap_or_default());
    }
    let link = |row: Value| -> Result<Link, Invalid> {
        let name = name(&row)?;
        let flags: Vec<&str> =
            row.get("flags").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        let info = row.get("linkinfo");
        let text = |key: &str| row.get(key).and_then(Value::as_str).map(str::to_owned);
        Ok(Link {
            mtu: row
                .get("mtu")
                .and_then(Value::as_u64)
                .and_then(|mtu| mtu.try_into().ok())
                .ok_or_else(|| Invalid::new(format!("`ip link` gives no MTU of `{name}`")))?,
            alternative_names: row
                .get("altnames")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(|name| Some(name.as_str()?.to_owned()))
                .collect(),
            kind: info.and_then(|info| info.get("info_kind")).and_then(Value::as_str).map(str::to_owned),
            master: text("master"),
            up: flags.contains(&"UP"),
            carrier: flags.contains(&"LOWER_UP"),
            vlan_aware: info
                .and_then(|info| info.get("info_data")?.get("vlan_filtering")?.as_u64())
                .map(|filtering| filtering != 0),
            addresses: by_name.get(&name).cloned().unwrap_or_default(),
            name,
        })
    };
    rows(links)?.into_iter().map(link).collect::<Result<_, _>>().map(Links)
}

/// The objects of a list; iproute2 prints empty ones for what it filtered out.
pub(super) fn rows(output: &Output) -> Result<Vec<Value>, Invalid> {
    let text = text::good(output, "ip")?;
    let rows: Vec<Value> =
        serde_json::from_str(&text).map_err(|error| Invalid::new(format!("`ip` printed what is no list: {error}")))?;
    Ok(rows.into_iter().filter(|row| row.as_object().is_some_and(|object| !object.is_empty())).collect())
}

fn name(row: &Value) -> Result<String, Invalid> {
    let name = row.get("ifname").and_then(Value::as_str);
    name.map(str::to_owned).ok_or_else(|| Invalid::new("`ip` printed an interface without a name"))
}

fn networks(info: &Value) -> Vec<IpNet> {
    let network = |row: &Value| {
        let length = row.get("prefixlen")?.as_u64()?.try_into().ok()?;
        IpNet::new(row.get("local")?.as_str()?.parse().ok()?, length).ok()
    };
    info.as_array().into_iter().flatten().filter_map(network).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::output;

    const LINKS: &str = r#"[{"ifname":"lo","flags":["LOOPBACK","UP","LOWER_UP"],"mtu":65536,"link_type":"loopback"},
        {"ifname":"nic0","flags":["UP","LOWER_UP"],"mtu":9000,"master":"vmbr0","linkinfo":{"info_slave_kind":"bridge"},"altnames":["enp3s0"]},
        {},
        {"ifname":"vmbr0","flags":["UP"],"mtu":1500,"linkinfo":{"info_kind":"bridge","info_data":{"vlan_filtering":1}}}]"#;
    const ADDRESSES: &str = r#"[{"ifname":"vmbr0","addr_info":[{"family":"inet","local":"10.0.0.2","prefixlen":24},
        {"family":"inet6","local":"fe80::1","prefixlen":64}]}]"#;

    #[test]
    fn bridges_ports_and_addresses_are_told() {
        let links = read(&[output(0, LINKS, ""), output(0, ADDRESSES, "")]).unwrap();
        let bridge = links.get("vmbr0").unwrap();
        assert_eq!((bridge.kind.as_deref(), bridge.vlan_aware, bridge.carrier), (Some("bridge"), Some(true), false));
        let ports: Vec<&str> = links.ports("vmbr0").map(|link| link.name.as_str()).collect();
        assert_eq!((ports, links.get("enp3s0").unwrap().mtu), (vec!["nic0"], 9000));
        assert_eq!(links.beside("10.0.0.77".parse().unwrap()).unwrap().name, "vmbr0");
        assert!(links.beside("10.0.1.77".parse().unwrap()).is_none());
        assert!(links.owns("10.0.0.2".parse().unwrap()));
    }

    #[test]
    fn what_is_no_list_of_interfaces_is_no_answer() {
        for wrong in ["", "{}", "[1", r#"[{"ifname":1}]"#, r#"[{"ifname":"a","mtu":-1}]"#] {
            assert!(read(&[output(0, wrong, ""), output(0, "[]", "")]).is_err(), "{wrong}");
        }
        assert!(read(&[output(127, "", "sh: 1: ip: not found\n"), output(0, "[]", "")]).is_err());
    }
}
