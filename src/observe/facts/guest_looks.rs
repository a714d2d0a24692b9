//! Programs and files in a guest that configurations of ours depend on: one command in each guest.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::diag::Invalid;
use crate::model::Inside;
use crate::model::guest_look::{GuestLook, GuestQuestion, LookedFile};
use crate::ports::Output;

/// What stands before what is said of a file.
const MARK: &str = "== ";
/// How our own files begin.
const OURS: &str = "# Written by infra for ";
/// A guest that does not answer in time is not waited for.
const SECONDS: u64 = 30;

/// The command on the host that looks at all of it. Programs of POSIX and of Debian's smallest system alone.
#[must_use]
pub fn command(inside: Inside, question: &GuestQuestion) -> Vec<String> {
    let mut script = String::from("date +%s");
    if !question.paths.is_empty() {
        let paths: Vec<&str> = question.paths.iter().map(String::as_str).collect();
        script.push_str(&format!("; ls -1 {}", paths.join(" ")));
    }
    for package in &question.packages {
        script.push_str(&format!("; dpkg -V {package}"));
    }
    for path in &question.files {
        script.push_str(&format!(
            "; echo \"{MARK}{path}\"; sha256sum {path}; head -n 1 {path}; grep \" ; serial\" {path}"
        ));
    }
    for path in &question.secret_files {
        script.push_str(&format!("; echo \"{MARK}{path}\"; sha256sum {path}; grep \"^{OURS}\" {path}"));
    }
    inside.argv(&["sh".to_owned(), "-c".to_owned(), script], SECONDS, false)
}

/// What the guest answers. That the last command fails means nothing: not everything is there.
///
/// # Errors
/// If the guest runs no commands at all.
pub fn read(inside: Inside, question: &GuestQuestion, output: &Output) -> Result<GuestLook, Invalid> {
    let (stdout, stderr) = streams(inside, output)?;
    let mut lines = stdout.lines();
    let Some(seconds) = lines.next().and_then(|line| line.trim().parse::<i64>().ok()) else {
        let said = stderr.lines().next().unwrap_or("it says nothing").trim();
        return Err(Invalid::new(format!("the guest runs no commands: {said}")));
    };
    let day = jiff::Timestamp::from_second(seconds).map_err(|error| Invalid::new(error.to_string()))?;
    let day = day.to_zoned(jiff::tz::TimeZone::UTC).date();
    let nobody = stderr.contains("dpkg: not found") || stderr.contains("dpkg: command not found");
    let unverified = question
        .packages
        .iter()
        .filter(|package| nobody || stderr.contains(&format!("'{package}'")))
        .map(|p| (*p).to_owned());
    let mut look = GuestLook { day, unverified: unverified.collect(), ..GuestLook::default() };
    let mut files: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut at: Option<&str> = None;
    for line in lines {
        let named = line
            .strip_prefix(MARK)
            .filter(|path| question.files.contains(*path) || question.secret_files.contains(*path));
        match (named, at) {
            (Some(path), _) => {
                files.insert(path, Vec::new());
                at = Some(path);
            }
            (None, Some(path)) => files.entry(path).or_default().push(line),
            (None, None) if question.paths.contains(line) => {
                look.there.insert(line.to_owned());
            }
            // `??5?????? c /etc/caddy/Caddyfile`
            (None, None) => look.changed.extend(line.rsplit_once(' ').map(|(_, path)| path.to_owned())),
        }
    }
    for (path, said) in files {
        let Some(sha256) = said.first().and_then(|line| line.strip_suffix(path)?.strip_suffix("  ")) else { continue };
        let serial = said.iter().find_map(|line| line.strip_suffix(" ; serial")?.trim().parse().ok());
        let file =
            LookedFile { sha256: sha256.to_owned(), first_line: said.get(1).map(|line| (*line).to_owned()), serial };
        look.files.insert(path.to_owned(), file);
    }
    Ok(look)
}

/// What the command printed in the guest.
fn streams(inside: Inside, output: &Output) -> Result<(String, String), Invalid> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    match inside {
        Inside::Container { .. } => Ok((stdout, stderr)),
        Inside::Vm { .. } => {
            let Ok(answer) = serde_json::from_str::<Value>(&stdout) else {
                let said = stderr.lines().next().unwrap_or("it says nothing").trim();
                return Err(Invalid::new(format!("the guest agent does not answer: {said}")));
            };
            if answer.get("out-truncated").is_some_and(|cut| !matches!(cut, Value::Null | Value::Bool(false))) {
                return Err(Invalid::new("the guest agent cut off what was printed"));
            }
            let part = |key: &str| answer.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
            Ok((part("out-data"), part("err-data")))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::client::testing::output;
    use crate::model::Vmid;

    const SUM: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const CONFIG: &str = "/etc/caddy/Caddyfile";

    fn question() -> GuestQuestion {
        GuestQuestion {
            paths: BTreeSet::from(["/usr/bin/caddy".to_owned(), format!("{CONFIG}.infra-new")]),
            packages: BTreeSet::from(["caddy"]),
            files: BTreeSet::from([CONFIG.to_owned(), "/var/lib/bind/db.example.com".to_owned()]),
            secret_files: BTreeSet::from(["/etc/caddy/infra-users".to_owned()]),
        }
    }

    fn container() -> Inside {
        Inside::Container { vmid: Vmid::try_from(104).unwrap() }
    }

    #[test]
    fn what_is_not_there_is_told_from_what_does_not_answer() {
        let said = format!(
            "1795254000\n/usr/bin/caddy\n??5?????? c {CONFIG}\n== {CONFIG}\n{SUM}  {CONFIG}\nexample.org {{\n== /var/lib/bind/db.example.com\n{SUM}  /var/lib/bind/db.example.com\n; Written by infra: x\n\t2025101300 ; serial\n== /etc/caddy/infra-users\n"
        );
        let look = read(container(), &question(), &output(2, &said, "sha256sum: …")).unwrap();
        assert_eq!((look.day.to_string().as_str(), look.there.len(), look.files.len()), ("2026-11-21", 1, 2));
        assert_eq!(look.files[CONFIG].first_line.as_deref(), Some("example.org {"));
        assert_eq!(look.files["/var/lib/bind/db.example.com"].serial, Some(2_025_101_300));
        assert!(!look.is_packaged(CONFIG, "caddy"));
        let untouched = said.replace(&format!("??5?????? c {CONFIG}\n"), "");
        assert!(read(container(), &question(), &output(2, &untouched, "")).unwrap().is_packaged(CONFIG, "caddy"));
        for nobody in ["sh: 1: dpkg: not found", "dpkg-query: package 'caddy' is not installed"] {
            assert!(
                !read(container(), &question(), &output(2, &untouched, nobody)).unwrap().is_packaged(CONFIG, "caddy")
            );
        }
        assert!(read(container(), &question(), &output(255, "", "container '104' not running!\n")).is_err());
    }

    #[test]
    fn a_vm_answers_by_its_agent() {
        let vm = Inside::Vm { vmid: Vmid::try_from(100).unwrap() };
        let said =
            r#"{"exitcode":2,"exited":1,"out-data":"1795254000\n/usr/bin/caddy\n","err-data":"ls: cannot access"}"#;
        assert_eq!(read(vm, &question(), &output(0, said, "")).unwrap().there.len(), 1);
        assert!(read(vm, &question(), &output(255, "", "VM 100 is not running\n")).is_err());
        assert!(
            command(vm, &question()).join(" ").starts_with("qm guest exec 100 --timeout 30 -- sh -c date +%s; ls -1 ")
        );
    }
}
