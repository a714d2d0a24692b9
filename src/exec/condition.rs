//! Looking whether something is true.

use serde_json::Value;

use crate::client::{CallError, Session};
use crate::model::step::{Condition, Expect, Matcher};
use crate::ports::{Command, Method, Shell};
use crate::proxmox::FailureKind;
use crate::proxmox::answer::plain;
use crate::proxmox::options::{Options, words};

/// What a look gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Look {
    /// It is so.
    True,
    /// It is not so, yet; what was seen instead.
    False(String),
    /// It cannot be seen, and looking again will not help.
    Blind(CallError),
}

/// Looks once.
pub(super) async fn look(condition: &Condition, session: &Session, shell: Option<&dyn Shell>) -> Look {
    match condition {
        Condition::Answer { request, expect } => match session.read(request).await {
            Ok(data) => matches(&data, expect),
            // there is no 404: what does not exist answers 500 or 403 with a text, and has no keys
            Err(error) if error.kind() == Some(FailureKind::NotFound) => match matches(&Value::Null, expect) {
                Look::True => Look::True,
                _ => Look::False(error.to_string()),
            },
            Err(error) => failed(error),
        },
        Condition::Answers { request } => {
            let answer = match request.method {
                Method::Get => session.read(request).await,
                _ => session.once(request).await,
            };
            match answer {
                Ok(_) => Look::True,
                Err(error) => failed(error),
            }
        }
        Condition::Output { argv, stdout } => {
            let Some(shell) = shell else { return Look::False("there is no SSH access to look".to_owned()) };
            match shell.run(&Command::new(argv.iter().cloned())).await {
                Ok(output) => {
                    let seen = String::from_utf8_lossy(&output.stdout);
                    if output.code == 0 && seen.trim_end() == stdout.trim_end() {
                        Look::True
                    } else if output.code == 0 {
                        Look::False(format!("`{}` says `{}`", argv.join(" "), seen.trim_end()))
                    } else {
                        let errors = String::from_utf8_lossy(&output.stderr);
                        Look::False(format!("`{}` exits with {}: {}", argv.join(" "), output.code, errors.trim()))
                    }
                }
                Err(error) => failed(CallError::Transport(error)),
            }
        }
    }
}

fn failed(error: CallError) -> Look {
    let refused = matches!(error, CallError::Transport(crate::ports::TransportError::Refused { .. }));
    match error.kind() {
        Some(FailureKind::Unauthenticated | FailureKind::Forbidden | FailureKind::BadParameter) => Look::Blind(error),
        _ if refused => Look::Blind(error),
        _ => Look::False(error.to_string()),
    }
}

fn matches(data: &Value, expect: &[Expect]) -> Look {
    for expect in expect {
        let value = if expect.key.is_empty() { Some(data) } else { data.get(&expect.key) };
        let value = value.filter(|value| !value.is_null());
        if !holds(&expect.is, value) {
            let name = if expect.key.is_empty() { "the answer" } else { &expect.key };
            return Look::False(match value {
                Some(value) => format!("{name} is `{}`", short(&plain(value))),
                None => format!("{name} is not set"),
            });
        }
    }
    Look::True
}

fn holds(matcher: &Matcher, value: Option<&Value>) -> bool {
    let text = || value.map(plain).unwrap_or_default();
    let item = |key: &str, wanted: &str| {
        let items = value.and_then(Value::as_array).into_iter().flatten();
        items.filter_map(|item| item.get(key)).any(|found| plain(found) == wanted)
    };
    match matcher {
        Matcher::Equals(wanted) => value.is_some() && text().trim_end_matches('\n') == wanted.trim_end_matches('\n'),
        Matcher::Options(wanted) => Options::parse(&text()).has(wanted),
        Matcher::Words(wanted) => words(&text()) == *wanted,
        Matcher::HasOptions(wanted) => {
            let items = value.and_then(Value::as_array).into_iter().flatten();
            items.map(|item| Options::parse(&plain(item))).any(|options| options.has(wanted))
        }
        Matcher::Contains(part) => value.is_some() && text().contains(part.as_str()),
        Matcher::Present => value.is_some(),
        Matcher::Absent => value.is_none(),
        Matcher::HasItem(key, wanted) => item(key, wanted),
        Matcher::LacksItem(key, wanted) => !item(key, wanted),
    }
}

fn short(text: &str) -> String {
    if text.chars().count() <= 80 {
        return text.to_owned();
    }
    text.chars().take(79).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::client::testing::{FakeApi, FakeClock, Reply, get};
    use crate::ports::{Api, Clock};

    #[test]
    fn scalars_are_compared_as_text_and_options_in_any_order() {
        let data = json!({"memory": "1024", "cores": 2, "net0": "name=eth0,bridge=vmbr0,hwaddr=AA", "description": "x\n", "none": null});
        let bridge = Matcher::Options(BTreeMap::from([("bridge".to_owned(), "vmbr0".to_owned())]));
        let all = [
            Expect::new("cores", Matcher::Equals("2".into())),
            Expect::new("description", Matcher::Equals("x".into())),
            Expect::new("net0", bridge),
            Expect::new("none", Matcher::Absent),
            Expect::new("memory", Matcher::Present),
        ];
        assert_eq!(matches(&data, &all), Look::True);
        assert_eq!(
            matches(&data, &[Expect::new("cores", Matcher::Equals("4".into()))]),
            Look::False("cores is `2`".into())
        );
        assert!(!holds(&Matcher::Equals(String::new()), None), "a value that is not there equals nothing");
    }

    #[test]
    fn items_of_a_list_are_found_by_one_key() {
        let list = json!([{"poolid": "a"}, {"vmid": 104}]);
        assert!(holds(&Matcher::HasItem("poolid".into(), "a".into()), Some(&list)));
        assert!(holds(&Matcher::HasItem("vmid".into(), "104".into()), Some(&list)));
        assert!(holds(&Matcher::LacksItem("poolid".into(), "b".into()), Some(&list)));
        assert!(holds(&Matcher::LacksItem("poolid".into(), "b".into()), None));
    }

    #[tokio::test]
    async fn what_does_not_exist_has_no_keys_and_what_is_forbidden_cannot_be_seen() {
        let gone = Reply::status(500, "Configuration file 'nodes/pve1/lxc/104.conf' does not exist");
        let api =
            FakeApi::script([gone.clone(), gone, Reply::status(403, "Permission check failed (/vms/104, VM.Audit)")]);
        let session = Session::new(api as Arc<dyn Api>, FakeClock::new() as Arc<dyn Clock>, 1);
        let with =
            |is| Condition::Answer { request: get("/nodes/pve1/lxc/104/config"), expect: vec![Expect::new("", is)] };
        assert_eq!(look(&with(Matcher::Absent), &session, None).await, Look::True);
        assert!(
            matches!(look(&with(Matcher::Present), &session, None).await, Look::False(why) if why.contains("does not exist"))
        );
        assert!(matches!(look(&with(Matcher::Absent), &session, None).await, Look::Blind(_)));
    }
}
