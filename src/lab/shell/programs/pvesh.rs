//! `pvesh get|create|set|delete PATH … --output-format json`.

use serde_json::Value;

use super::api::{Done, ask, options, refuse};
use crate::lab::rules::{Refusal, endpoints};
use crate::lab::shell::call::Call;

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    let (operands, mut params) = options(call.args);
    let [verb, path] = &operands[..] else { return call.unknown(&call.args.join(" ")) };
    let method = match verb.as_str() {
        "get" => "GET",
        "create" => "POST",
        "set" => "PUT",
        "delete" => "DELETE",
        other => return call.unknown(other),
    };
    let before = params.len();
    params.retain(|(key, value)| !(key == "output-format" && value == "json"));
    let json = params.len() < before;
    match ask(call, method, path, params) {
        Ok(Done::Data(Value::Null)) => 0,
        Ok(Done::Data(data)) if json => {
            call.print(data.to_string());
            0
        }
        Ok(Done::Data(_)) => call.unknown("any output format but json"),
        Ok(Done::Task { upid, log, exit }) => {
            log.iter().for_each(|line| call.print(line));
            if exit != "OK" && !exit.starts_with("WARNINGS: ") {
                call.warn(exit);
                return 255;
            }
            if json {
                call.print(Value::String(upid).to_string());
            }
            0
        }
        Err(Refusal::Failed { status: 501, .. }) => {
            call.warn(format!("No '{verb}' handler defined for '{path}'"));
            1
        }
        Err(refusal) => {
            let usage = format!("pvesh {verb} <api_path>{} [OPTIONS] [FORMAT_OPTIONS]", required(method, path));
            refuse(call, &refusal, &usage)
        }
    }
}

/// The parameters that a call cannot do without, as a usage line names them.
fn required(method: &str, path: &str) -> String {
    let segments: Vec<String> = path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
    let row = endpoints().iter().find(|row| row.method.as_str() == method && row.matches(&segments).is_some());
    let mut named: Vec<String> = row
        .into_iter()
        .flat_map(|row| row.params())
        .filter(|param| param.required)
        .map(|param| format!(" --{} <{}>", param.name, param.kind.type_name()))
        .collect();
    named.sort();
    named.concat()
}
