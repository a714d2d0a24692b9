//! Secrets are planted, and looked for in everything that the program says, writes and is started with.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use infra::lab::ssh_keys::SshKeys;

use crate::desk::{Desk, Served};

/// What must never be seen, by what it is.
type Canaries = BTreeMap<&'static str, String>;

/// A desk, a host of its own, and the secrets that lead to it.
struct Site {
    desk: Desk,
    served: Served,
    overlay: String,
    canaries: Canaries,
}

/// What a command said, and how it was started.
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
    /// How often it was looked at while it ran.
    looks: usize,
}

impl Site {
    fn new() -> Self {
        let desk = Desk::new();
        let served = Served::start(&desk, &["-i", "inventories/vrooli", "--state-dir", "host"]);
        let text = |of: &str, key: &str| served.ready[of][key].as_str().expect("a text").to_owned();
        let canaries = BTreeMap::from([
            ("API token", text("api", "token")),
            ("SSH private key", middle_of_key(Path::new(&text("ssh", "identity_file")))),
        ]);
        // Out of the lab's directory, so that only what a test puts there is found beside it.
        let overlay = std::fs::read_to_string(served.inventory()).expect("the file that leads there");
        std::fs::write(desk.path("reach.yaml"), &overlay).expect("a file");
        Self { desk, served, overlay, canaries }
    }

    /// Changes how the host is reached.
    fn reach(&self, change: impl Fn(&str) -> String) {
        let changed = change(&self.overlay);
        assert_ne!(changed, self.overlay, "nothing was changed");
        std::fs::write(self.desk.path("reach.yaml"), changed).expect("a file");
    }

    fn command(&self, verb: &[&str], token: Option<&str>) -> Command {
        let mut command = self.desk.command(&[&["-vv"], verb].concat());
        command.args(["-i", "inventories/vrooli", "-i", "reach.yaml"]);
        if let Some(token) = token {
            command.env("INFRA_SECRET_LAB_HQ", token);
        }
        command
    }

    /// Runs a command, looking at its command line all the while, and at what it said afterwards.
    fn run(&self, verb: &[&str], token: Option<&str>) -> Said {
        self.listen(self.command(verb, token))
    }

    fn listen(&self, command: Command) -> Said {
        // Not the whole command: secrets are in its environment.
        let line = format!("{:?}", command.get_args().collect::<Vec<_>>());
        let said = watched(command, &self.canaries);
        for (name, canary) in &self.canaries {
            for (stream, text) in [("stdout", &said.out), ("stderr", &said.err)] {
                assert!(!text.contains(canary), "the {name} is on {stream} of {line}");
            }
        }
        said
    }

    fn expect(&self, code: i32, verb: &[&str], token: Option<&str>) -> Said {
        let said = self.run(verb, token);
        assert_eq!(said.code, Some(code), "infra {}\n{}\n{}", verb.join(" "), said.out, said.err);
        said
    }

    /// Looks into every file below the desk. A secret may stand in `allowed` alone, and only its owner may
    /// read it there; of the program's own memory nobody else may read anything.
    fn search(&self, allowed: &[&str]) -> usize {
        let (mut searched, mut found) = (0, 0);
        for path in walk(&self.desk.path("")) {
            let inside = path.strip_prefix(self.desk.path("")).expect("below the desk").to_str().expect("UTF-8");
            let mode = std::fs::metadata(&path).expect("metadata").permissions().mode() & 0o777;
            let remembers = inside.starts_with(".infra") || inside.starts_with("host");
            if path.is_dir() {
                assert!(!remembers || mode == 0o700, "{inside} is {mode:o}");
                continue;
            }
            let public = inside.ends_with(".pub");
            assert!(!remembers || public || mode == 0o600, "{inside} is {mode:o}");
            let bytes = std::fs::read(&path).expect("a file");
            let text = String::from_utf8_lossy(&bytes);
            searched += 1;
            for (name, canary) in &self.canaries {
                if text.contains(canary) {
                    assert!(allowed.iter().any(|prefix| inside.starts_with(prefix)), "the {name} is in {inside}");
                    assert_eq!(mode, 0o600, "the {name} is in {inside} for others to read");
                    found += 1;
                }
            }
        }
        assert!(found > 0, "no canary was found even where it must be: the search does not work");
        searched
    }
}

/// Where a lab keeps how it lets its clients in.
const LAB: [&str; 4] = ["identity-hq.json", "connection.json", "secrets/", "ssh/"];

fn allowed(directory: &str) -> Vec<String> {
    LAB.iter().map(|file| format!("{directory}/{file}")).collect()
}

/// A line of a private key that tells nothing but this very key.
fn middle_of_key(path: &Path) -> String {
    let text = std::fs::read_to_string(path).expect("a private key");
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("-----")).collect();
    // The first lines are the format's and the public key's.
    lines[lines.len() - 2].to_owned()
}

fn walk(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(walk(&path));
        }
        found.push(path);
    }
    found
}

/// Runs a command while its command line, and those of what it starts, are looked at.
fn watched(mut command: Command, canaries: &Canaries) -> Said {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    let pid = child.id();
    let waiting = std::thread::spawn(move || child.wait_with_output().expect("it ends"));
    let mut looks = 0;
    while !waiting.is_finished() {
        for pid in family(pid) {
            let Ok(line) = std::fs::read(format!("/proc/{pid}/cmdline")) else { continue };
            let line = String::from_utf8_lossy(&line);
            looks += usize::from(!line.is_empty());
            for (name, canary) in canaries {
                assert!(!line.contains(canary), "the {name} is in the command line of {pid}");
            }
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let output = waiting.join().expect("its output");
    Said {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
        looks,
    }
}

/// A process and all that it started.
fn family(pid: u32) -> Vec<u32> {
    let mut all = vec![pid];
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return all };
    for thread in threads.filter_map(Result::ok) {
        let children = std::fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        all.extend(children.split_whitespace().filter_map(|child| child.parse().ok()).flat_map(family));
    }
    all
}

#[test]
fn secrets_are_where_they_were_put_and_nowhere_else() {
    let site = Site::new();
    let token = site.canaries["API token"].clone();
    let env = Some(token.as_str());
    site.expect(0, &["validate"], env);
    let plan = site.expect(0, &["plan", "--out", "plan.json"], env);
    assert!(plan.err.contains("DEBUG") && plan.err.contains("TRACE"), "-vv says much: {}", plan.err);
    site.expect(0, &["plan", "--output", "json", "--full"], env);
    site.expect(0, &["plan", "--rehearse"], env);
    site.expect(0, &["plan", "--rehearse", "--output", "json"], env);
    let applied = site.expect(0, &["apply", "plan.json", "--yes", "--full", "--rehearse"], env);
    assert!(applied.looks > 10, "it was looked at while it ran");

    // From here on from a file.
    let secrets = site.desk.path(".infra/secrets");
    std::fs::create_dir(&secrets).expect("a directory");
    std::fs::set_permissions(&secrets, std::fs::Permissions::from_mode(0o700)).expect("a mode");
    let file = secrets.join("lab-hq");
    std::fs::write(&file, format!("{token}\n")).expect("a file");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("a mode");
    site.expect(0, &["plan", "--detailed-exitcode"], None);
    site.desk.edit("profiles/project.yaml", "memory: 4GiB", "memory: 5GiB");
    site.expect(0, &["apply", "--yes", "--output", "jsonl"], None);
    site.expect(0, &["status", "--output", "json"], None);
    site.expect(0, &["status"], None);
    let refused = site.expect(1, &["destroy", "--yes"], None);
    assert!(refused.err.contains("--allow-destroy"), "{}", refused.err);
    let history = site.listen(site.desk.command(&["-vv", "history"])).out;
    assert_eq!(history.matches("converged").count(), 2, "{history}");

    let lab = allowed("host/lab/vrooli");
    let mut allowed: Vec<&str> = lab.iter().map(String::as_str).collect();
    allowed.push(".infra/secrets/lab-hq");
    let searched = site.search(&allowed);
    println!("{searched} files searched");
    assert!(site.desk.path(".infra/runs/vrooli/memory.json").exists());
    let mode = std::fs::metadata(site.desk.path("plan.json")).expect("a plan").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn failing_connections_do_not_tell_secrets() {
    let mut site = Site::new();
    let token = site.canaries["API token"].clone();
    let verbs: [&[&str]; 4] = [&["plan"], &["apply", "--yes"], &["status"], &["destroy", "--yes"]];

    // The host does not know this token.
    let wrong = "c0ffee00-dead-4bad-8bad-c0ffee00dead";
    site.canaries.insert("wrong API token", wrong.to_owned());
    for verb in verbs {
        let said = site.expect(1, verb, Some(wrong));
        assert!(said.err.contains("401"), "{verb:?}: {}\n{}", said.out, said.err);
    }

    // Another certificate than the pinned one.
    site.reach(|text| replaced_value(text, "fingerprint", &["AB"; 32].join(":")));
    for verb in verbs {
        let said = site.expect(1, verb, Some(&token));
        assert!(said.err.contains("fingerprint") || said.out.contains("fingerprint"), "{verb:?}: {}", said.err);
    }

    // A host key that is not the known one, and a key that the host does not let in.
    let others = SshKeys::in_directory(&site.desk.path("others")).expect("keys");
    site.canaries.insert("other SSH private key", middle_of_key(others.identity()));
    let identity = others.identity().to_str().expect("UTF-8").to_owned();
    for (key, value) in [("host_key", others.host_key()), ("identity", identity)] {
        site.reach(|text| replaced_value(text, key, &value));
        for verb in verbs {
            let said = site.run(verb, Some(&token));
            assert!(!said.err.contains("panicked"), "{key}, {verb:?}: {}", said.err);
        }
        site.expect(1, &["apply", "--yes"], Some(&token));
    }

    // A secret that cannot be one: two lines in the variable, or a file for everybody to read.
    site.reach(|text| format!("{text}\n"));
    let said = site.expect(1, &["plan"], Some(&format!("{token}\nmore")));
    assert!(said.err.contains("more than one line"), "{}", said.err);
    let secrets = site.desk.path("secrets");
    std::fs::create_dir(&secrets).expect("a directory");
    std::fs::write(secrets.join("lab-hq"), &token).expect("a file");
    std::fs::set_permissions(secrets.join("lab-hq"), std::fs::Permissions::from_mode(0o644)).expect("a mode");
    let said = site.expect(1, &["plan"], None);
    assert!(said.err.contains("chmod 600"), "{}", said.err);
    std::fs::remove_dir_all(secrets).expect("it was there");

    let lab = allowed("host/lab/vrooli");
    let mut allowed: Vec<&str> = lab.iter().map(String::as_str).collect();
    allowed.push("others/");
    site.search(&allowed);
    assert!(site.served.inventory().ends_with("inventory.yaml"));
}

#[test]
fn a_lab_in_this_process_keeps_its_secrets_to_itself() {
    let mut site = Site::new();
    let lab = |site: &Site, code: i32, verb: &[&str]| {
        let command = site.desk.command(&[&["-vv", "--color", "never"], verb, &["--lab"]].concat());
        let said = site.listen(command);
        assert_eq!(said.code, Some(code), "infra {}\n{}\n{}", verb.join(" "), said.out, said.err);
        said
    };
    let first = lab(&site, 0, &["plan"]);
    let text = std::fs::read_to_string(site.desk.path(".infra/lab/vrooli/identity-hq.json")).expect("its token");
    let identity: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    site.canaries.insert("lab's token", identity["token"].as_str().expect("a token").to_owned());
    let applied = lab(&site, 0, &["apply", "--yes"]);
    for said in [&first, &applied] {
        for (name, canary) in &site.canaries {
            assert!(!said.out.contains(canary) && !said.err.contains(canary), "the {name} was said");
        }
    }
    let (host, own) = (allowed("host/lab/vrooli"), allowed(".infra/lab/vrooli"));
    site.search(&host.iter().chain(&own).map(String::as_str).collect::<Vec<_>>());
}

/// A file in which the value of the only line `key: …` is another one.
fn replaced_value(text: &str, key: &str, value: &str) -> String {
    let start = format!("{key}: ");
    assert_eq!(text.matches(&start).count(), 1, "{key} in\n{text}");
    let line = |line: &str| match line.split_once(&start) {
        Some((indent, _)) => format!("{indent}{start}\"{value}\"\n"),
        None => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}
