//! HTTP out of a guest's own system: the one script of perl that asks servers and writes down when each line came.
//!
//! Owns what such a script prints of an answer; who answers is `lab::docker`'s to find and `lab::services`' to say. Time
//! goes by in what is printed, and nowhere else: nobody waits.

use std::net::IpAddr;

use super::docker::network::{self, From, NoWay};
use super::services::{self, HttpReply, HttpRequest, Place};
use super::shell::Call;
use super::world::World;

/// Words of one request.
const WORDS: usize = 10;
/// How often the GPU is looked at meanwhile, in milliseconds, and how many looks are printed at most.
const LOOK_MS: i64 = 250;
const LOOKS: i64 = 400;

/// `perl -MIO::Socket::IP -e SCRIPT` with ten words for each request; none for any other.
pub fn perl(call: &mut Call<'_>) -> Option<i32> {
    let [socket, flag, script, words @ ..] = call.args else { return None };
    let known = socket == "-MIO::Socket::IP"
        && flag == "-e"
        && script.contains("Connection: close")
        && words.len() % WORDS == 0;
    if !known {
        return None;
    }
    let words: Vec<String> = words.to_vec();
    for request in words.chunks(WORDS) {
        one(call, request);
    }
    Some(0)
}

fn one(call: &mut Call<'_>, words: &[String]) {
    let [key, host, port, method, path, limit, until, sample, headers, body] = words else { return };
    let vmid = super::guests::own(call.world, call.node).unwrap_or_default();
    call.print(format!("> {key}"));
    let (Ok(port), Ok(limit_s)) = (port.parse::<u16>(), limit.parse::<i64>()) else { return };
    let (there, inside) = match find(call.world, vmid, host, port) {
        Ok(found) => found,
        Err(why) => {
            let (took, why) = match why {
                NoWay::Unknown => (0, "Name or service not known"),
                NoWay::Refused => (0, "Connection refused"),
                NoWay::Silent => (5, "Connection timed out"),
            };
            call.print(format!("< {key} 1 {took}.00 {why}"));
            return;
        }
    };
    let headers = headers.lines().filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_lowercase(), filled(call.world, vmid, value.trim()))).collect();
    let request = HttpRequest {
        method: method.clone(),
        port: inside,
        target: path.clone(),
        headers,
        body: body.clone().into_bytes(),
    };
    let reply = services::ask(call.world, &there, &request);
    let limit_ms = limit_s * 1000;
    let mut lines: Vec<(i64, String)> = Vec::new();
    let mut end_ms = reply.took_ms;
    if reply.first_ms <= limit_ms {
        lines.push((
            reply.first_ms,
            format!("h {} HTTP/1.1 {} {}", seconds(reply.first_ms), reply.status, reason(reply.status)),
        ));
    }
    for (at, text) in timed(&reply) {
        lines.push((at, format!("b {} {text}", seconds(at))));
        if !until.is_empty() && text.contains(until.as_str()) {
            end_ms = at;
            break;
        }
    }
    let late = end_ms > limit_ms;
    let end_ms = end_ms.min(limit_ms);
    if !sample.is_empty() {
        for look in 0..(end_ms / LOOK_MS + 1).min(LOOKS) {
            let at = look * LOOK_MS;
            for line in sampled(call, sample) {
                lines.push((at, format!("g {} {line}", seconds(at))));
            }
        }
    }
    lines.retain(|(at, _)| *at <= end_ms);
    lines.sort_by_key(|(at, _)| *at);
    for (_, line) in lines {
        call.print(line);
    }
    match late {
        true => call.print(format!("< {key} 2 {} it took longer than {limit} s", seconds(end_ms))),
        false => call.print(format!("< {key} 0 {} ", seconds(end_ms))),
    }
}

/// The container that answers at a name or an address: that of a container, or as everybody reaches it.
fn find(world: &World, vmid: u32, host: &str, port: u16) -> Result<(Place, u16), NoWay> {
    if let Ok(address) = host.parse::<IpAddr>()
        && let Some(place) = network::at(world, vmid, address)
    {
        let listens = network::answers(world, &place) && services::listens(world, &place).contains(&port);
        return if listens { Ok((place, port)) } else { Err(NoWay::Refused) };
    }
    network::connect(world, vmid, From::Guest, host, port)
}

/// `@file:PATH@` and `@env:PATH:NAME@` in a header, as the script reads them.
fn filled(world: &World, vmid: u32, value: &str) -> String {
    let text = |path: &str| world.guests.get(&vmid).and_then(|guest| guest.text(path)).unwrap_or_default();
    let mut out = String::new();
    let mut rest = value;
    while let Some((before, after)) = rest.split_once('@') {
        out.push_str(before);
        let Some((mark, after)) = after.split_once('@') else {
            out.push('@');
            rest = after;
            continue;
        };
        if let Some(path) = mark.strip_prefix("file:") {
            out.push_str(text(path).trim_end());
        } else if let Some((path, name)) = mark.strip_prefix("env:").and_then(|mark| mark.split_once(':')) {
            let text = text(path);
            let line = text.lines().filter_map(|line| line.split_once('=')).rfind(|(own, _)| *own == name);
            out.push_str(line.map_or("", |(_, value)| value.trim_matches(['"', '\''])));
        } else {
            out.push_str(&format!("@{mark}@"));
        }
        rest = after;
    }
    out + rest
}

/// Lines of the body, each with when it came: pieces are spread evenly between the first and the last.
fn timed(reply: &HttpReply) -> Vec<(i64, String)> {
    let gaps = i64::try_from(reply.pieces.len()).unwrap_or(1).saturating_sub(1).max(1);
    let span = (reply.took_ms - reply.first_ms).max(0);
    let mut lines = Vec::new();
    for (index, piece) in reply.pieces.iter().enumerate() {
        let at = reply.first_ms + span * i64::try_from(index).unwrap_or(0) / gaps;
        let text = String::from_utf8_lossy(piece).into_owned();
        lines.extend(text.lines().filter(|line| !line.is_empty()).map(|line| (at, line.to_owned())));
    }
    lines
}

/// What `nvidia-smi` prints now.
fn sampled(call: &mut Call<'_>, sample: &str) -> Vec<String> {
    let args: Vec<String> = sample.split(' ').map(str::to_owned).collect();
    let Some(program) = super::guests::find("nvidia-smi") else { return Vec::new() };
    let mut stdin = Vec::new();
    let (stdout, stderr) = (Vec::new(), Vec::new());
    let mut own =
        Call { world: call.world, node: call.node, name: "nvidia-smi", args: &args, stdin: &mut stdin, stdout, stderr };
    program(&mut own);
    String::from_utf8_lossy(&own.stdout).lines().map(str::to_owned).collect()
}

fn seconds(ms: i64) -> String {
    format!("{}.{:02}", ms / 1000, ms % 1000 / 10)
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        _ => "Unknown",
    }
}
