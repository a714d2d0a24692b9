//! Proxmox's own programs are the API without HTTP: the same rows, as root@pam.
//!
//! What a worker would do in the background, a program does while one waits: over SSH a task has
//! ended when the command ends. Its duration is not modelled.

use serde_json::Value;

use crate::lab::rules::{Refusal, Request, answer_as_at, work};
use crate::lab::shell::call::Call;
use crate::lab::world::Caller;

/// What came of a call.
pub(super) enum Done {
    /// It answered.
    Data(Value),
    /// It was a worker, which has ended.
    Task {
        /// Its UPID.
        upid: String,
        /// What it printed.
        log: Vec<String>,
        /// `OK`, `WARNINGS: n`, or what went wrong.
        exit: String,
    },
}

/// Calls the API on behalf of the program.
pub(super) fn ask(
    call: &mut Call<'_>,
    method: &str,
    path: &str,
    params: Vec<(String, String)>,
) -> Result<Done, Refusal> {
    let request = Request { method: method.to_owned(), path: path.to_owned(), params, ..Request::default() };
    let node = call.node;
    let answer = answer_as_at(call.world, Some(node), &Caller::root_pam(), &request)?;
    let upid = answer.data.as_str().filter(|text| text.starts_with("UPID:")).map(str::to_owned);
    let Some(upid) = upid else { return Ok(Done::Data(answer.data)) };
    work::finish(call.world, &upid);
    let task = call.world.task(&upid);
    let log = task.map(|task| task.log.clone()).unwrap_or_default();
    let exit = task.and_then(|task| task.exit()).unwrap_or("unexpected status").to_owned();
    Ok(Done::Task { upid, log, exit })
}

/// Prints a refusal as the command line does, and gives the exit code. Perl dies with whatever number
/// the last failed system call left behind: 2 where a file is missing, 25, 1, mostly 255 (9.2.11).
pub(super) fn refuse(call: &mut Call<'_>, refusal: &Refusal, usage: &str) -> i32 {
    if let Refusal::Params(errors) = refusal {
        let undefined = "property is not defined in schema and the schema does not allow additional properties";
        let unknown: Vec<&String> =
            errors.iter().filter(|(_, text)| text.trim() == undefined).map(|(k, _)| k).collect();
        if unknown.is_empty() {
            call.warn("400 Parameter verification failed.");
            // A text of a format ends in a newline of its own.
            errors.iter().for_each(|(key, text)| call.warn(format!("{key}: {text}")));
        } else {
            unknown.iter().for_each(|key| call.warn(format!("Unknown option: {key}")));
            call.warn("400 unable to parse option");
        }
        call.warn(usage);
        // The lookup of an IP set leaves its own number behind (9.2.11).
        return if errors.values().any(|text| text.starts_with("no such ipset")) { 2 } else { 255 };
    }
    let text = refusal.text();
    call.warn(&text);
    if text.starts_with("Configuration file '")
        || text.starts_with("Device ") && text.ends_with("does not exist")
        || text.starts_with("VM ") && text.ends_with("is not running")
        || text.starts_with("PCI device mapping invalid")
    {
        2
    } else if text.ends_with("is running - destroy failed") {
        25
    } else {
        255
    }
}

/// Prints what a worker printed and whether it failed.
pub(super) fn report(call: &mut Call<'_>, log: &[String], exit: &str) -> i32 {
    log.iter().for_each(|line| call.print(line));
    if exit == "OK" || exit.starts_with("WARNINGS: ") {
        return 0;
    }
    call.warn(exit);
    255
}

/// `--key value`, `--key=value`, `-key value`; what stands alone counts as 1. And what is no option.
pub(super) fn options(args: &[String]) -> (Vec<String>, Vec<(String, String)>) {
    let (mut operands, mut options) = (Vec::new(), Vec::new());
    let mut args = args.iter().peekable();
    while let Some(arg) = args.next() {
        let Some(key) = arg.strip_prefix("--").or_else(|| arg.strip_prefix('-')).filter(|key| !key.is_empty()) else {
            operands.push(arg.clone());
            continue;
        };
        if let Some((key, value)) = key.split_once('=') {
            options.push((key.to_owned(), value.to_owned()));
        } else {
            let value = args.next_if(|next| !next.starts_with("--"));
            options.push((key.to_owned(), value.cloned().unwrap_or_else(|| "1".to_owned())));
        }
    }
    (operands, options)
}

/// A scalar as the programs print it.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(on) => Some(u8::from(*on).to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
