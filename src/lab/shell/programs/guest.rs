//! What `pct` and `qm` have in common.

use std::collections::BTreeMap;

use serde_json::Value;

use super::api::{Done, ask, options, refuse, report, scalar};
use super::listsnapshot;
use crate::lab::guests;
use crate::lab::rules::{Refusal, no_config, pci_devices};
use crate::lab::shell::call::Call;
use crate::lab::shell::interpreter::run_in_guest;
use crate::lab::shell::tree;
use crate::lab::world::{File, GuestKind, conf};
use crate::ports::quote;

pub(super) fn run(call: &mut Call<'_>, kind: GuestKind) -> i32 {
    let args = call.args;
    let Some((verb, args)) = args.split_first() else {
        let name = call.name;
        call.warn(format!("ERROR: no command specified\nUSAGE: {name} <COMMAND> [ARGS] [OPTIONS]"));
        return 255;
    };
    let base = format!("/nodes/{}/{}", call.node, kind.as_str());
    // What comes after `--` is a command for the guest.
    let (args, inner) = match args.iter().position(|arg| arg == "--") {
        Some(at) => (&args[..at], &args[at + 1..]),
        None => (args, &[][..]),
    };
    let (mut operands, params) = options(args);
    operands.extend(inner.iter().cloned());
    if verb == "list" {
        return list(call, kind, &base);
    }
    if verb == "guest" && kind == GuestKind::Qemu {
        return match &operands[..] {
            [exec, id, command @ ..] if exec == "exec" => {
                let input = params.iter().any(|(option, value)| option == "pass-stdin" && value == "1");
                agent_exec(call, id, command, input)
            }
            _ => call.unknown("guest"),
        };
    }
    let Some((id, rest)) = operands.split_first() else {
        let name = call.name;
        call.warn(format!("400 not enough arguments\n{name} {verb} <vmid> [OPTIONS]"));
        return 255;
    };
    let guest = format!("{base}/{id}");
    let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    let with = |pairs: &[(&str, &str)]| {
        let given = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        given.chain(params.iter().cloned()).collect::<Vec<_>>()
    };
    let (method, path, params, usage) = match (verb.as_str(), &rest[..]) {
        ("config", []) => return config(call, &guest, params),
        ("pending", []) => return pending(call, &guest),
        ("status", []) => return status(call, &guest, !params.is_empty()),
        ("unlock", []) => return unlock(call, kind, id),
        ("listsnapshot", []) => return listsnapshot::run(call, &guest),
        ("showcmd", []) if kind == GuestKind::Qemu => return showcmd(call, id),
        ("exec", command) if kind == GuestKind::Lxc => return exec(call, id, command),
        ("push" | "pull", [_, _]) if kind == GuestKind::Lxc => return transfer(call, id, verb, &rest, &params),
        ("fsck", []) if kind == GuestKind::Lxc => return fsck(call, id),
        ("agent", ["ping"]) if kind == GuestKind::Qemu => {
            ("POST", format!("{guest}/agent/ping"), Vec::new(), "<vmid> <command>")
        }
        ("set", []) => return set(call, kind, &guest, id, params),
        ("create", [template]) if kind == GuestKind::Lxc => {
            ("POST", base, with(&[("vmid", id), ("ostemplate", template)]), "<vmid> <ostemplate> [OPTIONS]")
        }
        ("create", []) if kind == GuestKind::Qemu => ("POST", base, with(&[("vmid", id)]), "<vmid> [OPTIONS]"),
        ("destroy", []) => ("DELETE", guest, params, "<vmid> [OPTIONS]"),
        ("start" | "stop" | "shutdown" | "reboot" | "reset", []) => {
            ("POST", format!("{guest}/status/{verb}"), params, "<vmid> [OPTIONS]")
        }
        ("resize", [disk, size]) => (
            "PUT",
            format!("{guest}/resize"),
            with(&[("disk", disk), ("size", size)]),
            "<vmid> <disk> <size> [OPTIONS]",
        ),
        ("snapshot", [name]) => {
            ("POST", format!("{guest}/snapshot"), with(&[("snapname", name)]), "<vmid> <snapname> [OPTIONS]")
        }
        ("rollback", [name]) => {
            ("POST", format!("{guest}/snapshot/{name}/rollback"), params, "<vmid> <snapname> [OPTIONS]")
        }
        ("delsnapshot", [name]) => {
            ("DELETE", format!("{guest}/snapshot/{name}"), params, "<vmid> <snapname> [OPTIONS]")
        }
        ("template", []) => ("POST", format!("{guest}/template"), params, "<vmid> [OPTIONS]"),
        _ => return call.unknown(&format!("{verb} {}", rest.join(" "))),
    };
    let usage = format!("{} {verb} {usage}", call.name);
    match ask(call, method, &path, params) {
        Ok(Done::Data(_)) => 0,
        // exit code 0 although it failed, with the text on standard error (9.2.11)
        Ok(Done::Task { log, exit, .. }) if verb == "resize" && kind == GuestKind::Qemu => {
            report(call, &log, &exit);
            0
        }
        Ok(Done::Task { log, exit, .. }) if exit.starts_with("PCI device mapping invalid") => {
            // The start prints it before it fails with it (9.2.11).
            log.iter().for_each(|line| call.print(line));
            call.print(format!("{exit}\n"));
            call.warn(format!("{exit} "));
            255
        }
        Ok(Done::Task { log, exit, .. }) => report(call, &log, &exit),
        Err(refusal) if verb == "resize" && kind == GuestKind::Qemu => {
            refuse(call, &refusal, &usage);
            0
        }
        Err(refusal) => refuse(call, &refusal, &usage),
    }
}

/// A key's value as the programs print it: a description on one line.
fn shown(key: &str, value: &Value) -> Option<String> {
    let text = scalar(value)?;
    Some(if key == "description" { conf::encode(&text) } else { text })
}

fn config(call: &mut Call<'_>, guest: &str, params: Vec<(String, String)>) -> i32 {
    let usage = format!("{} config <vmid> [OPTIONS]", call.name);
    match ask(call, "GET", &format!("{guest}/config"), params) {
        Ok(Done::Data(Value::Object(map))) => {
            let map: BTreeMap<&String, &Value> = map.iter().filter(|(key, _)| *key != "digest").collect();
            for (key, value) in map {
                if let Some(value) = shown(key, value) {
                    call.print(format!("{key}: {value}"));
                }
            }
            0
        }
        Ok(_) => 255,
        Err(refusal) => refuse(call, &refusal, &usage),
    }
}

fn pending(call: &mut Call<'_>, guest: &str) -> i32 {
    let usage = format!("{} pending <vmid>", call.name);
    let rows = match ask(call, "GET", &format!("{guest}/pending"), Vec::new()) {
        Ok(Done::Data(Value::Array(rows))) => rows,
        Ok(_) => return 255,
        Err(refusal) => return refuse(call, &refusal, &usage),
    };
    let key = |row: &Value| row["key"].as_str().unwrap_or_default().to_owned();
    let rows: BTreeMap<String, &Value> =
        rows.iter().map(|row| (key(row), row)).filter(|(key, _)| key != "digest").collect();
    for (key, row) in rows {
        let (current, wanted) = (shown(&key, &row["value"]), shown(&key, &row["pending"]));
        let deleted = row.get("delete").is_some_and(|delete| scalar(delete).is_some_and(|text| text != "0"));
        match (current, wanted) {
            (Some(current), _) if deleted => call.print(format!("del {key}: {current}")),
            (current, wanted) => {
                if let Some(current) = current {
                    call.print(format!("cur {key}: {current}"));
                }
                if let Some(wanted) = wanted {
                    call.print(format!("new {key}: {wanted}"));
                }
            }
        }
    }
    0
}

fn status(call: &mut Call<'_>, guest: &str, verbose: bool) -> i32 {
    let usage = format!("{} status <vmid> [OPTIONS]", call.name);
    match ask(call, "GET", &format!("{guest}/status/current"), Vec::new()) {
        Ok(Done::Data(Value::Object(map))) => {
            let wanted =
                |key: &str| if verbose { !["agent", "cpu", "digest", "ha"].contains(&key) } else { key == "status" };
            let map: BTreeMap<&String, &Value> = map.iter().filter(|(key, _)| wanted(key)).collect();
            for (key, value) in map {
                nested(call, key, value, 0);
            }
            0
        }
        Ok(_) => 255,
        Err(refusal) => refuse(call, &refusal, &usage),
    }
}

/// A value below its key, one tab further in for each level.
fn nested(call: &mut Call<'_>, key: &str, value: &Value, depth: usize) {
    let tabs = "\t".repeat(depth);
    if let Some(map) = value.as_object() {
        call.print(format!("{tabs}{key}:"));
        map.iter().for_each(|(key, value)| nested(call, key, value, depth + 1));
    } else if let Some(value) = scalar(value) {
        call.print(format!("{tabs}{key}: {value}"));
    }
}

/// There is no API call for it: the programs take the lock out of the file.
fn unlock(call: &mut Call<'_>, kind: GuestKind, id: &str) -> i32 {
    let vmid: u32 = id.parse().unwrap_or_default();
    if call.world.guest(kind, call.node, vmid).is_none() {
        let refusal = no_config(kind, call.node, vmid);
        return refuse(call, &refusal, "");
    }
    let taken = call.world.guests.get_mut(&vmid).and_then(|guest| guest.config.remove("lock"));
    if taken.is_none() && kind == GuestKind::Lxc {
        call.warn("no lock found trying to remove any lock");
        return 255;
    }
    0
}

/// What a start would find wrong; the command line of a VM that could start is not modelled.
fn showcmd(call: &mut Call<'_>, id: &str) -> i32 {
    let vmid: u32 = id.parse().unwrap_or_default();
    let Some(guest) = call.world.guest(GuestKind::Qemu, call.node, vmid).cloned() else {
        let refusal = no_config(GuestKind::Qemu, call.node, vmid);
        return refuse(call, &refusal, "");
    };
    match pci_devices(call.world, &guest) {
        Ok(_) => call.unknown("the command line of KVM"),
        Err(text) => refuse(call, &Refusal::failed(format!("{text}\n")), ""),
    }
}

/// Runs a program inside a container, as its root, and passes its exit code on.
fn exec(call: &mut Call<'_>, id: &str, command: &[&str]) -> i32 {
    let vmid: u32 = id.parse().unwrap_or_default();
    let Some(guest) = call.world.guest(GuestKind::Lxc, call.node, vmid) else {
        let refusal = no_config(GuestKind::Lxc, call.node, vmid);
        return refuse(call, &refusal, "");
    };
    if !guest.is_running() {
        call.warn(format!("container '{vmid}' not running!"));
        return 255;
    }
    let Some(program) = command.first() else { return call.unknown("exec without a command") };
    if *program != "sh" && guests::find(program).is_none() {
        call.warn(format!(
            "lxc-attach: {vmid}: ../src/lxc/attach.c: lxc_attach_run_command: 1841 No such file or directory - Failed to exec \"{program}\""
        ));
        return 127;
    }
    let line: Vec<String> = command.iter().map(|word| quote(word)).collect();
    let stdin = call.read_stdin();
    let output = run_in_guest(call.world, vmid, &line.join(" "), &stdin);
    call.stdout.extend(output.stdout);
    call.stderr.extend(output.stderr);
    output.code
}

/// Runs a program in a VM through its agent, and prints what came of it as JSON.
fn agent_exec(call: &mut Call<'_>, id: &str, command: &[String], passes_input: bool) -> i32 {
    let vmid: u32 = id.parse().unwrap_or_default();
    match ask(call, "POST", &format!("/nodes/{}/qemu/{vmid}/agent/ping", call.node), Vec::new()) {
        Ok(Done::Data(_)) => {}
        Ok(_) => return 255,
        Err(refusal) => {
            refuse(call, &refusal, "");
            // 2 where it does not run (9.2.11).
            return if call.world.guests.get(&vmid).is_some_and(|guest| !guest.is_running()) { 2 } else { 255 };
        }
    }
    let line: Vec<String> = command.iter().map(|word| quote(word)).collect();
    let stdin = if passes_input { call.read_stdin() } else { Vec::new() };
    if stdin.len() > 1024 * 1024 {
        call.warn("'input-data' (STDIN) is limited to 1 MiB, aborting");
        return 255;
    }
    let output = run_in_guest(call.world, vmid, &line.join(" "), &stdin);
    let mut said = serde_json::Map::new();
    for (key, bytes) in [("err-data", &output.stderr), ("out-data", &output.stdout)] {
        if !bytes.is_empty() {
            said.insert(key.to_owned(), String::from_utf8_lossy(bytes).into());
        }
    }
    said.extend([("exitcode".to_owned(), output.code.into()), ("exited".to_owned(), 1.into())]);
    call.print(format!("{:#}", Value::Object(said)));
    0
}

/// Puts a file of the host into a running container; owner and bits are not modelled there. Getting one is only refused.
fn transfer(call: &mut Call<'_>, id: &str, verb: &str, paths: &[&str], params: &[(String, String)]) -> i32 {
    let vmid: u32 = id.parse().unwrap_or_default();
    let Some(guest) = call.world.guest(GuestKind::Lxc, call.node, vmid) else {
        let refusal = no_config(GuestKind::Lxc, call.node, vmid);
        return refuse(call, &refusal, "");
    };
    if guest.is_running() {
        let ([source, target], "push") = (paths, verb) else { return call.unknown(verb) };
        if let Some((option, _)) =
            params.iter().find(|(option, _)| !["perms", "user", "group"].contains(&option.as_str()))
        {
            return call.unknown(option);
        }
        let Ok(content) = tree::read(call.world, call.node, source) else {
            return call.unknown("push of a file that is not there");
        };
        let bits = params.iter().find(|(option, _)| option == "perms").map(|(_, bits)| u32::from_str_radix(bits, 8));
        let Ok(mode) = bits.unwrap_or(Ok(0o644)) else { return call.unknown("perms that are no number") };
        let file = File { content, mode, modified_ms: call.world.now_ms, ..File::default() };
        if let Some(guest) = call.world.guests.get_mut(&vmid) {
            guest.files.insert((*target).to_owned(), file);
        }
        return 0;
    }
    call.warn(match verb {
        "push" => "can only push files to a running CT",
        _ => "can only pull files from a running VM at /usr/share/perl5/PVE/CLI/pct.pm line 664.",
    });
    255
}

/// Only the refusal of what is no block device.
fn fsck(call: &mut Call<'_>, id: &str) -> i32 {
    let vmid: u32 = id.parse().unwrap_or_default();
    let Some(guest) = call.world.guest(GuestKind::Lxc, call.node, vmid) else {
        let refusal = no_config(GuestKind::Lxc, call.node, vmid);
        return refuse(call, &refusal, "");
    };
    let volume = guest.config.get("rootfs").and_then(|rootfs| rootfs.split(',').next()).unwrap_or_default().to_owned();
    if !volume.contains(":subvol-") {
        return call.unknown("fsck of a file system");
    }
    call.warn(format!("unable to run fsck for '{volume}' (format == subvol)"));
    255
}

fn set(call: &mut Call<'_>, kind: GuestKind, guest: &str, id: &str, params: Vec<(String, String)>) -> i32 {
    let usage = format!("{} set <vmid> [OPTIONS]", call.name);
    // deleting what is not set is no error, only said (9.2.11)
    let mut absent = Vec::new();
    if let Some(found) = call.world.guest(kind, call.node, id.parse().unwrap_or_default()) {
        let deleted =
            params.iter().filter(|(key, _)| key == "delete").flat_map(|(_, keys)| keys.split([',', ' ', ';']));
        absent.extend(
            deleted
                .filter(|key| !found.config.contains_key(*key) && !found.pending.contains_key(*key))
                .map(|key| format!("cannot delete '{key}' - not set in current configuration!")),
        );
    }
    let told: BTreeMap<&String, &String> = params
        .iter()
        .filter(|(key, _)| !["digest", "skiplock", "force", "revert"].contains(&key.as_str()))
        .map(|(k, v)| (k, v))
        .collect();
    let told: Vec<String> = told.iter().map(|(key, value)| format!("-{key} {value}")).collect();
    match ask(call, "PUT", &format!("{guest}/config"), params.clone()) {
        Ok(_) => {
            if kind == GuestKind::Qemu && !told.is_empty() {
                call.print(format!("update VM {id}: {}", told.join(" ")));
            }
            absent.iter().for_each(|line| call.warn(line));
            0
        }
        Err(refusal) => refuse(call, &refusal, &usage),
    }
}

fn list(call: &mut Call<'_>, kind: GuestKind, base: &str) -> i32 {
    let rows = match ask(call, "GET", base, Vec::new()) {
        Ok(Done::Data(Value::Array(rows))) => rows,
        Ok(_) => return 255,
        Err(refusal) => return refuse(call, &refusal, ""),
    };
    let text = |row: &Value, key: &str| scalar(&row[key]).unwrap_or_default();
    let number = |row: &Value, key: &str| text(row, key).parse::<u64>().unwrap_or_default();
    let mut rows: Vec<&Value> = rows.iter().collect();
    rows.sort_by_key(|row| number(row, "vmid"));
    if rows.is_empty() {
        return 0;
    }
    match kind {
        GuestKind::Lxc => call.print(format!("{:<10} {:<10} {:<12} {:<20}", "VMID", "Status", "Lock", "Name")),
        GuestKind::Qemu => call.print(format!(
            "{:>10} {:<20} {:<10} {:<10} {:>12} {:<10}",
            "VMID", "NAME", "STATUS", "MEM(MB)", "BOOTDISK(GB)", "PID"
        )),
    }
    for row in rows {
        let (vmid, status, name) = (text(row, "vmid"), text(row, "status"), text(row, "name"));
        call.print(match kind {
            GuestKind::Lxc => format!("{vmid:<10} {status:<10} {:<12} {name:<20}", text(row, "lock")),
            GuestKind::Qemu => {
                let hundredths = number(row, "maxdisk").saturating_mul(100) >> 30;
                let disk = format!("{}.{:02}", hundredths / 100, hundredths % 100);
                let memory = number(row, "maxmem") >> 20;
                format!("{vmid:>10} {name:<20} {status:<10} {memory:<10} {disk:>12} {:<10}", number(row, "pid"))
            }
        });
    }
    0
}
