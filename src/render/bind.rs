//! Zone files and the part of `named.conf` that names them.

use jiff::civil::Date;
use minijinja::{Value, context};

use super::fill::{Syntax, Unwritable, fill};
use super::{next_serial, serial_of};
use crate::blueprint::{RecordData, Zone};
use crate::model::EnvironmentName;

const ZONE: &str = include_str!("../../templates/bind/zone.j2");
const NAMED_CONF: &str = include_str!("../../templates/bind/named.conf.local.j2");

const SYNTAX: Syntax = Syntax { target: "a zone file", write: word };
const CONF_SYNTAX: Syntax = Syntax { target: "named.conf", write: word };

/// Where Debian's BIND keeps zones that it serves.
pub const FOLDER: &str = "/var/lib/bind";

/// A text that means itself in a zone file and in `named.conf`: nothing in either needs quotes but what we refuse. A
/// dot of a mailbox is `\.`.
fn word(text: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.*@:/+".contains(c);
    let rest = text.replace("\\.", ".");
    (!text.is_empty() && rest.chars().all(plain)).then(|| text.to_owned())
}

/// The file of `zone`. `previous` is the file as it is: if nothing changed, it stays as it is to the byte; else the
/// serial is the next one on `today`.
///
/// # Errors
/// If a value cannot be written in it; none that an inventory can hold.
pub fn zone(
    environment: &EnvironmentName,
    zone: &Zone,
    previous: Option<&str>,
    today: Date,
) -> Result<String, Unwritable> {
    zone_after(environment, zone, previous.and_then(serial_of), |text| previous == Some(text), today)
}

/// The same where of the file that is there only its serial is known, and whether it is `same` as a text.
///
/// # Errors
/// If a value cannot be written in it; none that an inventory can hold.
pub fn zone_after(
    environment: &EnvironmentName,
    zone: &Zone,
    serial: Option<u32>,
    same: impl Fn(&str) -> bool,
    today: Date,
) -> Result<String, Unwritable> {
    if let Some(serial) = serial {
        let text = file(environment, zone, serial)?;
        if same(&text) {
            return Ok(text);
        }
    }
    file(environment, zone, next_serial(serial, today))
}

fn file(environment: &EnvironmentName, zone: &Zone, serial: u32) -> Result<String, Unwritable> {
    let (server, own) = server(zone);
    let own = own.map(|data| (server.clone(), data));
    let records = own.iter().map(|(name, data)| (name, data)).chain(&zone.records).map(|(name, data)| {
        let (kind, data) = match data {
            RecordData::Address(address) if address.is_ipv4() => ("A", address.to_string()),
            RecordData::Address(address) => ("AAAA", address.to_string()),
            RecordData::Name(other) => ("CNAME", other.clone()),
        };
        context! { name, kind, data }
    });
    let values = context! {
        environment => environment.as_str(),
        name => zone.name.clone(),
        ttl => zone.ttl_s,
        server,
        mailbox => mailbox(&zone.email),
        serial,
        // What does not exist yet shall not be missing for long after it does.
        minimum => zone.ttl_s.min(300),
        records => records.collect::<Vec<Value>>(),
    };
    fill(ZONE, values, &SYNTAX)
}

/// The name of the server in its zone, and its record if the zone has none yet: NS names something with an address.
fn server(zone: &Zone) -> (String, Option<RecordData>) {
    let here = RecordData::Address(zone.address);
    if zone.records.get(zone.guest.as_str()) == Some(&here) {
        return (zone.guest.to_string(), None);
    }
    let names = (0_u32..).map(|number| if number == 0 { "ns".to_owned() } else { format!("ns{number}") });
    let mut free = names.filter_map(|name| match zone.records.get(&name) {
        None => Some((name, Some(here.clone()))),
        Some(data) if *data == here => Some((name, None)),
        Some(_) => None,
    });
    free.next().expect("a zone has no record for each number")
}

/// A mail address as a name: the first dot that is not part of the user is the `@`.
fn mailbox(email: &str) -> String {
    let (user, domain) = email.split_once('@').unwrap_or((email, ""));
    format!("{}.{domain}", user.replace('.', "\\."))
}

/// What `/etc/bind/named.conf.local` says of `zones`, and where each one's file is.
///
/// # Errors
/// If a value cannot be written in it; none that an inventory can hold.
pub fn named_conf<'z>(
    environment: &EnvironmentName,
    zones: impl IntoIterator<Item = &'z Zone>,
) -> Result<String, Unwritable> {
    let zones = zones
        .into_iter()
        .map(|zone| context! { name => zone.name.clone(), file => format!("{FOLDER}/db.{}", zone.name) });
    fill(NAMED_CONF, context! { environment => environment.as_str(), zones => zones.collect::<Vec<_>>() }, &CONF_SYNTAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;
    use crate::blueprint::testing::with;

    fn own() -> EnvironmentName {
        "test".parse().unwrap()
    }

    fn example() -> Zone {
        let blueprint = with(
            "
ingress: { guest: plan-hq, from: [internet], tls: acme }
dns:
  zones:
    example.com: { guest: proj-x, email: host.master@example.com, records: { nas: 10.2.0.5, files: nas, six: \"fd00::5\" } }
guests: { plan-hq: { routes: { chat.example.com: 3000 } } }
",
        );
        blueprint.dns.zones["example.com"].clone()
    }

    #[test]
    fn a_zone_with_everything() {
        let text = zone(&own(), &example(), None, date(2025, 10, 13)).unwrap();
        insta::assert_snapshot!(text.replace('\t', "  "), @r"
        ; Written by infra for test: change the inventory, not this file.
        $ORIGIN example.com.
        $TTL 300
        @ IN SOA proj-x host\.master.example.com. (
          2025101300 ; serial
          3600 ; refresh
          900 ; retry
          1209600 ; expire
          300 ) ; how long the absence of a name may be remembered
        @ IN NS proj-x
        chat IN CNAME plan-hq
        files IN CNAME nas
        nas IN A 10.2.0.5
        plan-hq IN A 10.0.0.10
        proj-x IN A 10.0.0.123
        six IN AAAA fd00::5
        ");
    }

    #[test]
    fn the_serial_moves_only_with_the_content() {
        let mut wanted = example();
        let first = zone(&own(), &wanted, None, date(2025, 10, 13)).unwrap();
        assert_eq!(zone(&own(), &wanted, Some(&first), date(2025, 10, 20)).unwrap(), first, "another day is no change");
        wanted.records.insert("new".into(), RecordData::Address([10, 0, 0, 9].into()));
        let second = zone(&own(), &wanted, Some(&first), date(2025, 10, 13)).unwrap();
        assert_eq!(serial_of(&second), Some(2_025_101_301));
        wanted.ttl_s = 60;
        let third = zone(&own(), &wanted, Some(&second), date(2025, 10, 20)).unwrap();
        assert_eq!(serial_of(&third), Some(2_025_102_000));
        let foreign = "@ IN SOA ns host ( 7 1 1 1 1 )\n";
        assert_eq!(serial_of(&zone(&own(), &wanted, Some(foreign), date(2025, 10, 20)).unwrap()), Some(2_025_102_000));
    }

    #[test]
    fn the_name_server_has_an_address_of_its_own_name() {
        let mut wanted = example();
        wanted.records = BTreeMap::from([("ns".into(), RecordData::Name("nas".into()))]);
        let text = zone(&own(), &wanted, None, date(2025, 10, 13)).unwrap();
        assert!(text.contains("\n@ IN NS ns1\nns1 IN A 10.0.0.123\nns IN CNAME nas\n"), "{text}");
    }

    #[test]
    fn named_conf_names_each_file() {
        insta::assert_snapshot!(named_conf(&own(), [&example()]).unwrap().replace('\t', "  "), @r#"
        // Written by infra for test: change the inventory, not this file.
        zone "example.com" {
          type primary;
          file "/var/lib/bind/db.example.com";
          allow-transfer { none; };
          allow-update { none; };
        };
        "#);
    }

    proptest! {
        #[test]
        fn no_record_can_begin_another(name in "\\PC{1,12}|[a-c$();\" \n\\\\.]{1,12}", data in "\\PC{1,12}|[a-c$();\" \n\\\\.]{1,12}") {
            let mut wanted = example();
            let lines = zone(&own(), &wanted, None, date(2025, 10, 13)).unwrap().lines().count();
            wanted.records.insert(name, RecordData::Name(data));
            if let Ok(text) = zone(&own(), &wanted, None, date(2025, 10, 13)) {
                prop_assert_eq!(text.lines().count(), lines + 1);
                prop_assert_eq!(text.matches('(').count(), 1);
                prop_assert_eq!(text.matches('$').count(), 2);
            }
        }
    }
}
