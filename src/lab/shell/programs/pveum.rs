//! `pveum`: users, tokens, roles and grants, through the API's own rows.

use serde_json::Value;

use super::api::{Done, ask, options, refuse};
use crate::lab::shell::call::Call;

/// The words of a command, the call that carries it out, what its operands are called.
const COMMANDS: &[(&[&str], &str, &str, &[&str])] = &[
    (&["role", "add"], "POST", "/access/roles", &["roleid"]),
    (&["role", "modify"], "PUT", "/access/roles/{roleid}", &["roleid"]),
    (&["role", "delete"], "DELETE", "/access/roles/{roleid}", &["roleid"]),
    (&["role", "list"], "GET", "/access/roles", &[]),
    (&["user", "add"], "POST", "/access/users", &["userid"]),
    (&["user", "modify"], "PUT", "/access/users/{userid}", &["userid"]),
    (&["user", "delete"], "DELETE", "/access/users/{userid}", &["userid"]),
    (&["user", "list"], "GET", "/access/users", &[]),
    (&["user", "permissions"], "GET", "/access/permissions", &["userid"]),
    (&["user", "token", "add"], "POST", "/access/users/{userid}/token/{tokenid}", &["userid", "tokenid"]),
    (&["user", "token", "remove"], "DELETE", "/access/users/{userid}/token/{tokenid}", &["userid", "tokenid"]),
    (&["user", "token", "list"], "GET", "/access/users/{userid}/token", &["userid"]),
    (&["user", "token", "permissions"], "GET", "/access/permissions", &["userid", "tokenid"]),
    (&["acl", "modify"], "PUT", "/access/acl", &["path"]),
    (&["acl", "list"], "GET", "/access/acl", &[]),
];

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    let (words, mut params) = options(call.args);
    let found = COMMANDS.iter().find(|(name, _, _, operands)| {
        words.len() == name.len() + operands.len() && words.iter().zip(*name).all(|(word, name)| word == name)
    });
    let Some((name, method, path, operands)) = found else { return call.unknown(&call.args.join(" ")) };
    let mut path = (*path).to_owned();
    let given: Vec<(&str, &String)> = operands.iter().copied().zip(&words[name.len()..]).collect();
    for (operand, value) in &given {
        let slot = format!("{{{operand}}}");
        if path.contains(&slot) {
            path = path.replace(&slot, &percent(value));
        } else {
            params.push(((*operand).to_owned(), (*value).clone()));
        }
    }
    if name.last() == Some(&"permissions") && given.len() == 2 {
        let id = format!("{}!{}", given[0].1, given[1].1);
        params.retain(|(key, _)| key != "userid" && key != "tokenid");
        params.push(("userid".to_owned(), id));
    }
    let before = params.len();
    params.retain(|(key, value)| !(key == "output-format" && value == "json"));
    let json = params.len() < before;
    let shown: String = operands.iter().map(|operand| format!(" <{operand}>")).collect();
    let usage = format!("pveum {}{shown} [OPTIONS]", name.join(" "));
    match ask(call, method, &path, params) {
        Ok(Done::Data(Value::Null)) => 0,
        Ok(Done::Data(data)) if json => {
            call.print(data.to_string());
            0
        }
        Ok(Done::Data(data))
            if name.last() == Some(&"permissions") && data.as_object().is_some_and(|m| m.is_empty()) =>
        {
            call.print("Permissions marked with '(*)' have the 'propagate' flag set.");
            0
        }
        Ok(_) => call.unknown("any output format but json"),
        Err(refusal) => refuse(call, &refusal, &usage),
    }
}

fn percent(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}
