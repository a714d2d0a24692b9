//! Whether a policy is taken: its form, its names, and its own tests, which are run on the devices that there are.
//!
//! Every selector is resolved to addresses first, and a test holds if each address of its source reaches the
//! destination: unlike our own evaluator, which never knows addresses.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::{Map, Value, json};

use super::hujson;
use super::state::Device;

/// A policy that is not taken: the body of the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal(pub Value);

fn refuse(message: impl Into<String>) -> Refusal {
    Refusal(json!({ "message": message.into() }))
}

/// Keys of a policy (<https://tailscale.com/kb/1337/policy-syntax>), in lower case: Go's decoder takes any.
const KEYS: [&str; 18] = [
    "acls",
    "attrconfig",
    "autoapprovers",
    "defaultsrcposture",
    "derpmap",
    "disableipv4",
    "extradnsrecords",
    "grants",
    "groups",
    "hosts",
    "ipsets",
    "nodeattrs",
    "onecgnatroute",
    "postures",
    "randomizeclientport",
    "ssh",
    "sshtests",
    "tagowners",
];

/// One rule, resolved: from these addresses to these, by these protocols and ports.
struct Resolved {
    from: Vec<IpNet>,
    to: Vec<IpNet>,
    protocols: Vec<u8>,
    ports: Vec<(u16, u16)>,
}

/// Judges a policy on the devices that there are.
///
/// # Errors
/// With what the control plane says.
pub fn judge(text: &str, devices: &[Device]) -> Result<(), Refusal> {
    let value = hujson::read(text).map_err(refuse)?;
    let Value::Object(policy) = value else { return Err(refuse("policy must be an object")) };
    for key in policy.keys() {
        let known = key.to_ascii_lowercase();
        if known != "tests" && !KEYS.contains(&known.as_str()) {
            return Err(refuse(format!("json: unknown field {key:?}")));
        }
    }
    let names = Names { policy: &policy, devices };
    names.definitions()?;
    let rules = names.rules()?;
    names.terminals()?;
    names.tests(rules.as_deref())
}

/// Runs tests alone against a policy that is in force.
///
/// # Errors
/// With what the control plane says.
pub fn run_tests(text: &str, tests: &Value, devices: &[Device]) -> Result<(), Refusal> {
    let value = hujson::read(text).map_err(refuse)?;
    let Value::Object(mut policy) = value else { return Err(refuse("policy must be an object")) };
    policy.retain(|key, _| !key.eq_ignore_ascii_case("tests"));
    policy.insert("tests".to_owned(), tests.clone());
    let names = Names { policy: &policy, devices };
    names.tests(names.rules()?.as_deref())
}

/// Tags that a policy has owners for.
#[must_use]
pub fn tags(text: &str) -> BTreeSet<String> {
    let Ok(Value::Object(policy)) = hujson::read(text) else { return BTreeSet::new() };
    let names = Names { policy: &policy, devices: &[] };
    names.object("tagOwners").map(|owners| owners.keys().cloned().collect()).unwrap_or_default()
}

struct Names<'a> {
    policy: &'a Map<String, Value>,
    devices: &'a [Device],
}

fn field<'v>(object: &'v Map<String, Value>, names: &[&str]) -> Option<&'v Value> {
    let named = |key: &String| names.iter().any(|name| key.eq_ignore_ascii_case(name));
    object.iter().find(|(key, value)| named(key) && !value.is_null()).map(|(_, value)| value)
}

fn words(value: Option<&Value>, what: &str) -> Result<Vec<String>, Refusal> {
    let wrong = || refuse(format!("json: cannot unmarshal into {what} of type []string"));
    match value {
        None => Ok(Vec::new()),
        Some(Value::Array(list)) => {
            list.iter().map(|word| word.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
        }
        Some(_) => Err(wrong()),
    }
}

impl Names<'_> {
    fn object(&self, key: &str) -> Option<&Map<String, Value>> {
        field(self.policy, &[key])?.as_object()
    }

    fn objects(&self, key: &str) -> Result<Option<Vec<&Map<String, Value>>>, Refusal> {
        let wrong = || refuse(format!("json: cannot unmarshal {key} into a list of objects"));
        match field(self.policy, &[key]) {
            None => Ok(None),
            Some(Value::Array(list)) => {
                list.iter().map(|entry| entry.as_object().ok_or_else(wrong)).collect::<Result<_, _>>().map(Some)
            }
            Some(_) => Err(wrong()),
        }
    }

    fn definitions(&self) -> Result<(), Refusal> {
        for (name, members) in self.object("groups").into_iter().flatten() {
            if !name.starts_with("group:") {
                return Err(refuse(format!("invalid group name: {name:?}")));
            }
            for member in words(Some(members), name)? {
                if member.starts_with("group:") || member.starts_with("tag:") {
                    return Err(refuse(format!("group {name:?}: invalid member {member:?}")));
                }
            }
        }
        for (tag, owners) in self.object("tagOwners").into_iter().flatten() {
            let name = tag.strip_prefix("tag:").unwrap_or_default();
            let letters = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            if !name.starts_with(|c: char| c.is_ascii_alphabetic()) || !letters {
                return Err(refuse(format!(
                    "tag names must start with 'tag:' and a letter, and have only letters, numbers and dashes: {tag:?}"
                )));
            }
            for owner in words(Some(owners), tag)? {
                self.known(&owner, "tagOwners")?;
            }
        }
        Ok(())
    }

    /// Whether a name of the policy's own is defined in it.
    fn known(&self, selector: &str, place: &str) -> Result<(), Refusal> {
        let has = |key: &str| self.object(key).is_some_and(|object| object.contains_key(selector));
        if selector.starts_with("tag:") && !has("tagOwners") {
            return Err(refuse(format!("{place}=tag not found: {selector:?}")));
        }
        if selector.starts_with("group:") && !has("groups") {
            return Err(refuse(format!("{place}=group not found: {selector:?}")));
        }
        if selector.starts_with("ipset:") && !has("ipsets") {
            return Err(refuse(format!("{place}=ipset not found: {selector:?}")));
        }
        let bare = !selector.contains(':') && !selector.contains('@') && selector != "*";
        if bare && network(selector).is_none() && !has("hosts") {
            return Err(refuse(format!("{place}=invalid username or host: {selector:?}")));
        }
        Ok(())
    }

    /// Rules of both kinds; `None` where the policy has neither key, which allows everything.
    fn rules(&self) -> Result<Option<Vec<Resolved>>, Refusal> {
        let (acls, grants) = (self.objects("acls")?, self.objects("grants")?);
        if acls.is_none() && grants.is_none() {
            return Ok(None);
        }
        let mut rules = Vec::new();
        for rule in acls.into_iter().flatten() {
            match field(rule, &["action"]).and_then(Value::as_str) {
                Some("accept") => {}
                other => return Err(refuse(format!("action={:?} is not supported", other.unwrap_or_default()))),
            }
            let from = self.sources(rule)?;
            let protocols = protocols(field(rule, &["proto"]).and_then(Value::as_str).unwrap_or_default())?;
            for dst in words(field(rule, &["dst", "ports"]), "dst")? {
                let Some((selector, ports)) = dst.rsplit_once(':') else {
                    return Err(refuse(format!("dst={dst:?}: missing port")));
                };
                self.known(selector, "dst")?;
                let (to, ports) = (self.resolve(selector), port_list(ports)?);
                rules.push(Resolved { from: from.clone(), to, protocols: protocols.clone(), ports });
            }
        }
        for grant in grants.into_iter().flatten() {
            let from = self.sources(grant)?;
            let (dst, ip) = (words(field(grant, &["dst"]), "dst")?, words(field(grant, &["ip"]), "ip")?);
            if dst.is_empty() || (ip.is_empty() && field(grant, &["app"]).is_none()) {
                return Err(refuse("grant must have dst, and ip or app"));
            }
            for selector in &dst {
                self.known(selector, "dst")?;
                for ip in &ip {
                    let (proto, ports) = ip.split_once(':').unwrap_or(("", ip));
                    let (protocols, ports) = (protocols(proto)?, port_list(ports)?);
                    rules.push(Resolved { from: from.clone(), to: self.resolve(selector), protocols, ports });
                }
            }
        }
        Ok(Some(rules))
    }

    fn sources(&self, rule: &Map<String, Value>) -> Result<Vec<IpNet>, Refusal> {
        let src = words(field(rule, &["src", "users"]), "src")?;
        if src.is_empty() {
            return Err(refuse("rule must have src"));
        }
        for selector in &src {
            self.known(selector, "src")?;
        }
        Ok(src.iter().flat_map(|selector| self.resolve(selector)).collect())
    }

    fn terminals(&self) -> Result<(), Refusal> {
        for rule in self.objects("ssh")?.into_iter().flatten() {
            let (src, dst) = (words(field(rule, &["src"]), "src")?, words(field(rule, &["dst"]), "dst")?);
            for (place, selectors) in [("src", &src), ("dst", &dst)] {
                for selector in selectors {
                    self.known(selector, place)?;
                }
            }
            let tagged = |selectors: &[String]| selectors.iter().any(|selector| selector.starts_with("tag:"));
            match field(rule, &["action"]).and_then(Value::as_str) {
                Some("accept") => {}
                // tailscale/tailscale#9660: such a rule is not supported.
                Some("check") if tagged(&src) => {
                    return Err(refuse("action=\"check\" is not supported for tagged sources"));
                }
                Some("check") => {}
                other => return Err(refuse(format!("ssh action={:?} is not supported", other.unwrap_or_default()))),
            }
            if words(field(rule, &["users"]), "users")?.is_empty() || dst.is_empty() || src.is_empty() {
                return Err(refuse("ssh rule must have src, dst and users"));
            }
        }
        Ok(())
    }

    /// Addresses of what a selector names; none if no device has it.
    fn resolve(&self, selector: &str) -> Vec<IpNet> {
        let with = |wanted: &dyn Fn(&Device) -> bool| -> Vec<IpNet> {
            let devices = self.devices.iter().filter(|device| device.authorized && wanted(device));
            devices.flat_map(|device| device.addresses.iter().filter_map(|address| network(address))).collect()
        };
        let own = |login: &str| with(&|device| device.tags.is_empty() && device.user == login);
        if let Some(members) = self.object("groups").and_then(|groups| groups.get(selector)) {
            return words(Some(members), selector).unwrap_or_default().iter().flat_map(|login| own(login)).collect();
        }
        if let Some(address) = self.object("hosts").and_then(|hosts| hosts.get(selector)).and_then(Value::as_str) {
            return network(address).into_iter().collect();
        }
        if let Some(entries) = self.object("ipsets").and_then(|sets| sets.get(selector)) {
            let entries = words(Some(entries), selector).unwrap_or_default();
            let added = entries.iter().filter_map(|entry| network(entry.strip_prefix("add ").unwrap_or(entry)));
            return added.collect();
        }
        match selector {
            "*" => ["0.0.0.0/0", "::/0"].iter().filter_map(|all| network(all)).collect(),
            "autogroup:tagged" => with(&|device| !device.tags.is_empty()),
            "autogroup:self" | "autogroup:internet" => Vec::new(),
            // Everybody of this tailnet is all that its people can be here.
            _ if selector.starts_with("autogroup:") => with(&|device| device.tags.is_empty()),
            _ if selector.starts_with("tag:") => with(&|device| device.tags.iter().any(|tag| tag == selector)),
            _ if selector.contains('@') => own(selector),
            _ => network(selector).into_iter().collect(),
        }
    }

    fn tests(&self, rules: Option<&[Resolved]>) -> Result<(), Refusal> {
        let mut failures: Vec<Value> = Vec::new();
        for test in self.objects("tests")?.into_iter().flatten() {
            let src = field(test, &["src", "user"]).and_then(Value::as_str).unwrap_or_default();
            let mut errors = Vec::new();
            let from = self.resolve(src);
            let (accept, deny) =
                (words(field(test, &["accept", "allow"]), "accept")?, words(field(test, &["deny"]), "deny")?);
            // Recorded: without source or destinations, and for names that are not known, the same answer.
            if self.known(src, "src").is_err() || from.is_empty() {
                errors.push("user is invalid".to_owned());
            }
            if accept.is_empty() && deny.is_empty() {
                errors.push("test has neither accept nor deny".to_owned());
            }
            let proto = field(test, &["proto"]).and_then(Value::as_str).unwrap_or_default();
            let asked = protocols(proto)?;
            for (wanted, list) in [(true, &accept), (false, &deny)] {
                for dst in list {
                    match self.reaches(&from, dst, &asked, rules) {
                        Ok(reached) if reached == wanted => {}
                        Ok(reached) => {
                            let word = |yes: bool| if yes { "Accept" } else { "Drop" };
                            errors.push(format!("address {dst:?}: want: {}, got: {}", word(wanted), word(reached)));
                        }
                        Err(why) => errors.push(format!("address {dst:?}: {why}")),
                    }
                }
            }
            if !errors.is_empty() {
                failures.push(json!({ "user": src, "errors": errors }));
            }
        }
        if failures.is_empty() {
            Ok(())
        } else {
            Err(Refusal(json!({ "message": "test(s) failed", "data": failures })))
        }
    }

    /// Whether every address of the source reaches the destination.
    fn reaches(&self, from: &[IpNet], dst: &str, asked: &[u8], rules: Option<&[Resolved]>) -> Result<bool, String> {
        let (selector, port) = dst.rsplit_once(':').ok_or("missing port")?;
        // Recorded: lists, ranges and `*` are no ports of a test.
        let port: u16 = port.parse().map_err(|_| "invalid port".to_owned())?;
        self.known(selector, "dst").map_err(|_| "not found".to_owned())?;
        let to = self.resolve(selector);
        if to.is_empty() || from.is_empty() {
            return Err("resolves to no address".to_owned());
        }
        let Some(rules) = rules else { return Ok(true) };
        let overlaps = |a: &IpNet, b: &IpNet| a.contains(b) || b.contains(a);
        Ok(from.iter().filter(|from| to.iter().any(|to| same_family(from, to))).all(|from| {
            rules.iter().any(|rule| {
                rule.protocols.iter().any(|proto| asked.contains(proto))
                    && rule.from.iter().any(|own| overlaps(own, from))
                    && to.iter().any(|to| rule.to.iter().any(|own| overlaps(own, to)))
                    && rule.ports.iter().any(|(first, last)| (first..=last).contains(&&port))
            })
        }))
    }
}

fn same_family(a: &IpNet, b: &IpNet) -> bool {
    matches!((a, b), (IpNet::V4(_), IpNet::V4(_)) | (IpNet::V6(_), IpNet::V6(_)))
}

fn network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

/// IANA numbers; without a name TCP, UDP and ICMP, as the recorded packet filters show.
fn protocols(name: &str) -> Result<Vec<u8>, Refusal> {
    match name {
        "" | "*" => Ok(vec![6, 17, 1, 58]),
        "tcp" => Ok(vec![6]),
        "udp" => Ok(vec![17]),
        "icmp" => Ok(vec![1, 58]),
        "sctp" => Ok(vec![132]),
        number => number.parse().map(|number| vec![number]).map_err(|_| refuse(format!("proto={name:?} not known"))),
    }
}

fn port_list(text: &str) -> Result<Vec<(u16, u16)>, Refusal> {
    let wrong = || refuse(format!("port={text:?}: invalid port"));
    text.split(',')
        .map(|part| match part.split_once('-') {
            _ if part == "*" => Ok((0, u16::MAX)),
            Some((first, last)) => match (first.parse(), last.parse()) {
                (Ok(first), Ok(last)) if first <= last => Ok((first, last)),
                _ => Err(wrong()),
            },
            None => part.parse().map(|port| (port, port)).map_err(|_| wrong()),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(name: &str, tags: &[&str], user: &str, last: u8) -> Device {
        Device {
            id: format!("n{name}"),
            hostname: name.to_owned(),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            user: user.to_owned(),
            addresses: vec![format!("100.64.0.{last}"), format!("fd7a:115c:a1e0::{last}")],
            authorized: true,
            ..Device::default()
        }
    }

    fn said(policy: &str) -> String {
        let devices = [
            device("beedrill", &["tag:server"], "", 16),
            device("weedle", &["tag:client"], "", 14),
            device("ivysaur", &[], "thor@example.org", 17),
        ];
        match judge(policy, &devices) {
            Ok(()) => "taken".to_owned(),
            Err(Refusal(body)) => body["message"].as_str().unwrap().to_owned(),
        }
    }

    fn with(rules: &str) -> String {
        format!(
            r#"{{"groups": {{"group:dev": ["thor@example.org"], "group:empty": []}},
                "tagOwners": {{"tag:server": [], "tag:client": [], "tag:idle": []}},
                "hosts": {{"webserver": "100.64.0.16"}}, {rules} }}"#
        )
    }

    /// What Tailscale's own control plane answered in April 2026, as Headscale's tests recorded it.
    #[test]
    fn tests_of_a_policy_are_judged_as_recorded() {
        let rule = r#""acls": [{"action": "accept", "src": ["thor@example.org"], "dst": ["tag:server:22", "webserver:8000-8100"]}]"#;
        let test = |test: &str| said(&with(&format!("{rule}, \"tests\": [{test}]")));
        let failed = "test(s) failed";
        assert_eq!(test(r#"{"src": "thor@example.org", "accept": ["tag:server:22"]}"#), "taken");
        assert_eq!(test(r#"{"src": "group:dev", "accept": ["tag:server:22"], "deny": ["tag:client:22"]}"#), "taken");
        assert_eq!(test(r#"{"src": "thor@example.org", "deny": ["tag:server:22"]}"#), failed);
        assert_eq!(test(r#"{"src": "thor@example.org", "accept": ["webserver:8000-8100"]}"#), failed);
        assert_eq!(test(r#"{"src": "thor@example.org", "accept": ["webserver:8050"]}"#), "taken");
        assert_eq!(test(r#"{"src": "thor@example.org", "accept": ["webserver:notaport"]}"#), failed);
        assert_eq!(test(r#"{"src": "thor@example.org", "accept": ["tag:phantom:22"]}"#), failed);
        assert_eq!(test(r#"{"src": "tag:phantom", "accept": ["webserver:80"]}"#), failed);
        assert_eq!(test(r#"{"src": "group:phantom", "accept": ["tag:server:22"]}"#), failed);
        assert_eq!(test(r#"{"src": "thor@example.org"}"#), failed);
        assert_eq!(test(r#"{"accept": ["tag:server:22"]}"#), failed);
        let tcp = r#""acls": [{"action": "accept", "proto": "tcp", "src": ["group:dev"], "dst": ["webserver:53"]}]"#;
        let udp = r#"{"src": "thor@example.org", "proto": "udp", "accept": ["webserver:53"]}"#;
        assert_eq!(said(&with(&format!("{tcp}, \"tests\": [{udp}]"))), failed);
        let all = r#""acls": [{"action": "accept", "src": ["thor@example.org"], "dst": ["webserver:*"]}]"#;
        let one = r#"{"src": "thor@example.org", "deny": ["webserver:8080"]}"#;
        assert_eq!(said(&with(&format!("{all}, \"tests\": [{one}]"))), failed);
    }

    #[test]
    fn a_test_about_a_tag_without_a_device_fails() {
        let rule = r#""grants": [{"src": ["tag:client"], "dst": ["tag:idle"], "ip": ["22"]}]"#;
        let test = r#""tests": [{"src": "tag:client", "accept": ["tag:idle:22"]}]"#;
        assert_eq!(said(&with(rule)), "taken");
        assert_eq!(said(&with(&format!("{rule}, {test}"))), "test(s) failed");
    }

    #[test]
    fn names_that_are_not_defined_are_refused_with_their_place() {
        let acl = |src: &str, dst: &str| {
            said(&with(&format!(r#""acls": [{{"action": "accept", "src": ["{src}"], "dst": ["{dst}"]}}]"#)))
        };
        assert_eq!(acl("tag:tag1", "tag:server:*"), "src=tag not found: \"tag:tag1\"");
        assert_eq!(acl("tag:client", "tag:tag3:*"), "dst=tag not found: \"tag:tag3\"");
        assert_eq!(acl("group:none", "tag:server:1"), "src=group not found: \"group:none\"");
        assert_eq!(acl("nobody", "tag:server:1"), "src=invalid username or host: \"nobody\"");
        assert_eq!(acl("tag:client", "tag:server:22"), "taken");
        assert_eq!(acl("tag:client", "tag:server:x"), "port=\"x\": invalid port");
        assert_eq!(said(&with(r#""nope": 1"#)), "json: unknown field \"nope\"");
        assert_eq!(said(r#"{"tagOwners": {"tag:1a": []}}"#).split(':').next(), Some("tag names must start with 'tag"));
        assert!(said("{").starts_with("hujson: line 1"));
    }

    #[test]
    fn tagged_devices_cannot_be_checked() {
        let ssh = |action: &str, src: &str| {
            said(&with(&format!(
                r#""ssh": [{{"action": "{action}", "src": ["{src}"], "dst": ["tag:server"], "users": ["root"]}}]"#
            )))
        };
        assert_eq!(ssh("accept", "tag:client"), "taken");
        assert_eq!(ssh("check", "thor@example.org"), "taken");
        assert_ne!(ssh("check", "tag:client"), "taken");
    }

    #[test]
    fn without_a_list_of_rules_everything_is_reachable() {
        let test = r#""tests": [{"src": "tag:client", "accept": ["tag:server:1"]}]"#;
        assert_eq!(said(&with(test)), "taken");
        assert_eq!(said(&with(&format!("\"grants\": [], {test}"))), "test(s) failed");
    }
}
