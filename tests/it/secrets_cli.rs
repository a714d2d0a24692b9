//! `infra secrets` as it is called, with the real `age`, `pass` and `gpg`, and with `ansible-vault` where it is installed.
//! SOPS, `op` and Vault are stand-ins: small scripts that take what those programs' documentation says they take and say
//! what they say, so that what is held here is our side alone.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::desk::Desk;

const CANARY: &str = "k9-Canary-0f3a";

/// A desk with an inventory whose two hosts' tokens are secrets, and programs of its own before those of the machine.
struct Room {
    desk: Desk,
}

struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Room {
    /// `section` is the inventory's `secrets:`.
    fn new(section: &str) -> Self {
        let desk = Desk::new();
        std::fs::create_dir(desk.path("bin")).unwrap();
        std::fs::create_dir(desk.path("home")).unwrap();
        let room = Self { desk };
        room.section(section);
        room
    }

    fn section(&self, section: &str) {
        std::fs::write(self.desk.path("more.yaml"), section).unwrap();
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.desk.command(&[args, &["-i", "inventories/vrooli", "-i", "more.yaml"]].concat());
        let path = format!("{}:{}", self.desk.path("bin").display(), std::env::var("PATH").unwrap());
        command.env("PATH", path).env("HOME", self.desk.path("home"));
        command
    }

    fn run(&self, args: &[&str], input: Option<&str>) -> Said {
        self.listen(self.command(args), input)
    }

    /// Whatever is said, no canary is in it.
    fn listen(&self, mut command: Command, input: Option<&str>) -> Said {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.unwrap_or_default().as_bytes()).unwrap();
        let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&stdout).into_owned(), String::from_utf8_lossy(&stderr).into_owned());
        assert!(!out.contains(CANARY) && !err.contains(CANARY), "a value was said:\n{out}\n{err}");
        Said { code: status.code(), out, err }
    }

    /// What `check` says of the API token of `hq`: status, place, problem and hint.
    fn check(&self) -> Value {
        self.check_with(|_| {})
    }

    fn check_with(&self, change: impl Fn(&mut Command)) -> Value {
        let mut command = self.command(&["secrets", "check", "--output", "json"]);
        change(&mut command);
        let said = self.listen(command, None);
        let answer: Value =
            serde_json::from_str(&said.out).unwrap_or_else(|e| panic!("{e}\n{}\n{}", said.out, said.err));
        let all = answer["secrets"].as_array().unwrap();
        all.iter().find(|own| own["name"] == "hq-token").expect("the token of hq").clone()
    }

    fn stand_in(&self, program: &str, script: &str) {
        let path = self.desk.path("bin").join(program);
        std::fs::write(&path, format!("#!/bin/sh\n{script}")).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.desk.path(name)
    }
}

/// Whether a program is there; says so if not.
fn there(program: &str, package: &str) -> bool {
    let found = std::env::split_paths(&std::env::var_os("PATH").unwrap()).any(|dir| dir.join(program).is_file());
    if !found {
        println!("not run: install {package} ({program})");
    }
    found
}

fn succeeds(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A new pair of age: writes the identity, gives the recipient.
fn age_pair(file: &Path) -> String {
    succeeds(Command::new("age-keygen").arg("-o").arg(file));
    succeeds(Command::new("age-keygen").arg("-y").arg(file)).trim().to_owned()
}

fn status(own: &Value) -> (&str, &str) {
    (own["status"].as_str().unwrap(), own["problem"].as_str().unwrap_or_default())
}

#[test]
fn a_map_encrypted_with_age_gives_secrets_to_who_has_the_identity() {
    if !there("age", "age") {
        return;
    }
    let room = Room::new(
        "secrets: { from: [{ provider: age, file: team.age, identities: [home/other.txt, home/mine.txt] }] }\n",
    );
    let recipient = age_pair(&room.path("home/mine.txt"));
    let seal = |text: &str, recipient: &str| {
        std::fs::write(room.path("plain"), text).unwrap();
        let mut age = Command::new("age");
        succeeds(age.args(["-r", recipient, "-o"]).arg(room.path("team.age")).arg(room.path("plain")));
        std::fs::remove_file(room.path("plain")).unwrap();
    };
    seal(&format!("hq-token: {CANARY}\n"), &recipient);
    let own = room.check();
    assert_eq!(status(&own), ("there", ""));
    assert!(own["place"].as_str().unwrap().ends_with("team.age"), "{own}");

    seal("other: x\n", &recipient);
    assert!(status(&room.check()).1.contains("nowhere to be found"));
    let stranger = age_pair(&room.path("home/stranger.txt"));
    seal(&format!("hq-token: {CANARY}\n"), &stranger);
    assert!(status(&room.check()).1.contains("none of the identities opens it"), "{}", room.check());
    std::fs::write(room.path("team.age"), format!("hq-token: {CANARY}\n")).unwrap();
    assert!(status(&room.check()).1.contains("not encrypted with age"), "{}", room.check());
    std::fs::remove_file(room.path("home/mine.txt")).unwrap();
    assert!(status(&room.check()).1.contains("no identity is there"));
    std::fs::remove_file(room.path("team.age")).unwrap();
    assert!(status(&room.check()).1.contains("there is no file"));
}

#[test]
fn the_password_store_gives_the_first_line_of_an_entry() {
    if !there("pass", "pass") || !there("gpg", "gnupg") {
        return;
    }
    let room = Room::new("secrets: { from: [{ provider: pass, path: infra/vrooli }] }\n");
    // A socket's path may have 107 characters, and the agent makes one in here.
    let gnupg = tempfile::Builder::new().prefix("gpg").tempdir_in("/tmp").unwrap();
    std::fs::set_permissions(gnupg.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let store = room.path("store");
    let with = |command: &mut Command| {
        command
            .env("GNUPGHOME", gnupg.path())
            .env("PASSWORD_STORE_DIR", &store)
            .env("PATH", std::env::var_os("PATH").unwrap());
    };
    let run = |program: &str, args: &[&str], input: &str| {
        let mut command = Command::new(program);
        with(&mut command);
        let mut child =
            command.args(args).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success(), "{program} {args:?}");
    };
    assert!(status(&room.check_with(with)).1.contains("nowhere to be found"));
    run(
        "gpg",
        &["--batch", "--pinentry-mode", "loopback", "--passphrase", "", "--quick-generate-key", "ann@example.com"],
        "",
    );
    run("pass", &["init", "ann@example.com"], "");
    run("pass", &["insert", "--multiline", "infra/vrooli/hq-token"], &format!("{CANARY}\nlogin: ann\n"));
    let own = room.check_with(with);
    assert_eq!(status(&own), ("there", ""), "{own}");
    assert_eq!(own["place"], "`pass show infra/vrooli/hq-token`");

    room.section("secrets: { from: [pass], names: { hq-token: { from: pass, at: infra/vrooli } } }\n");
    assert!(status(&room.check_with(with)).1.contains("a directory of the password store"));
    room.section("secrets: { from: [pass], names: { hq-token: { from: pass, at: infra/none } } }\n");
    assert!(status(&room.check_with(with)).1.contains("nowhere to be found"));
    room.section("secrets: { from: [pass], names: { hq-token: { from: pass, at: infra/vrooli/hq-token } } }\n");
    let elsewhere = tempfile::Builder::new().prefix("gpg").tempdir_in("/tmp").unwrap();
    std::fs::set_permissions(elsewhere.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let stranger = room.check_with(|command| {
        with(command);
        command.env("GNUPGHOME", elsewhere.path());
    });
    assert!(status(&stranger).1.contains("a key that is not on this machine"), "{stranger}");
    let _ = Command::new("gpgconf").args(["--kill", "all"]).env("GNUPGHOME", gnupg.path()).status();
    let _ = Command::new("gpgconf").args(["--kill", "all"]).env("GNUPGHOME", elsewhere.path()).status();
}

#[test]
fn a_file_of_ansible_vault_is_opened_with_its_password() {
    let Some(program) = ansible_vault() else {
        println!("not run: `cargo xtask test --install` (ansible-vault, of ansible-core)");
        return;
    };
    let room = Room::new(
        "secrets: { from: [{ provider: ansible-vault, file: team.vault.yaml, password_file: home/word }] }\n",
    );
    std::os::unix::fs::symlink(&program, room.path("bin").join("ansible-vault")).unwrap();
    std::fs::write(room.path("home/word"), "open sesame\n").unwrap();
    std::fs::write(room.path("team.vault.yaml"), format!("hq-token: {CANARY}\n")).unwrap();
    let plain = room.check();
    assert!(status(&plain).1.contains("not encrypted by ansible-vault"), "{plain}");
    let mut encrypt = Command::new(&program);
    encrypt.args(["encrypt", "--vault-password-file"]).arg(room.path("home/word")).arg(room.path("team.vault.yaml"));
    succeeds(encrypt.env("HOME", room.path("home")));
    let own = room.check();
    assert_eq!(status(&own), ("there", ""), "{own}");
    std::fs::write(room.path("home/word"), "another word\n").unwrap();
    assert!(status(&room.check()).1.contains("the password does not open it"), "{}", room.check());
    room.section("secrets: { from: [{ provider: ansible-vault, file: team.vault.yaml }] }\n");
    assert!(status(&room.check()).1.contains("no terminal to ask on"));
}

fn ansible_vault() -> Option<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/real-clients/venv/bin/ansible-vault");
    let path =
        std::env::split_paths(&std::env::var_os("PATH")?).map(|dir| dir.join("ansible-vault")).collect::<Vec<_>>();
    std::iter::once(own).chain(path).find(|program| program.is_file())
}

#[test]
fn sops_is_asked_for_the_whole_file_once_and_its_failures_are_understood() {
    let room = Room::new("secrets: { from: [{ provider: sops, file: team.sops.yaml }] }\n");
    std::fs::write(room.path("team.sops.yaml"), "").unwrap();
    room.stand_in(
        "sops",
        &format!(
            "echo x >> \"$HOME/calls\"\n[ \"$1 $2 $3\" = '--decrypt --output-type json' ] && [ -f \"$4\" ] || exit 9\n\
             [ -n \"$(env | grep INFRA_SECRET)\" ] && exit 8\n\
             printf '{{\"hq-token\": \"{CANARY}\", \"nested\": {{\"key\": 5}}}}'\n"
        ),
    );
    let own = room.check_with(|command| {
        command.env("INFRA_SECRET_OTHER", "x");
    });
    assert_eq!(status(&own), ("there", ""), "{own}");
    let calls = std::fs::read_to_string(room.path("home/calls")).unwrap();
    assert_eq!(calls.lines().count(), 1, "one call for every secret");
    for (said, understood) in [
        ("Failed to get the data key required to decrypt the SOPS file.", "none of the keys on this machine"),
        ("sops metadata not found", "not encrypted with SOPS"),
        ("MAC mismatch. File has 1, computed 2", "changed it without SOPS"),
        ("something new", "`sops` says: something new"),
    ] {
        room.stand_in("sops", &format!("echo '{said}' >&2; exit 128\n"));
        assert!(status(&room.check()).1.contains(understood), "{said}: {}", room.check());
    }
    std::fs::remove_file(room.path("bin/sops")).unwrap();
    if !std::env::split_paths(&std::env::var_os("PATH").unwrap()).any(|dir| dir.join("sops").is_file()) {
        assert!(status(&room.check()).1.contains("`sops` is not installed"));
    }
}

#[test]
fn op_reads_a_reference_and_its_failures_are_understood() {
    let room = Room::new("secrets: { from: [{ provider: op, vault: infra, account: team.1password.com }] }\n");
    room.stand_in(
        "op",
        &format!(
            "[ \"$*\" = 'read --no-newline --account team.1password.com op://infra/hq-token/password' ] || {{ \
             echo \"[ERROR] 2026/11/22 \\\"x\\\" isn't an item in the \\\"infra\\\" vault. Specify the item with its UUID, \
             name, or domain.\" >&2; exit 1; }}\nprintf {CANARY}\n"
        ),
    );
    assert_eq!(status(&room.check()), ("there", ""));
    room.section(
        "secrets: { from: [op], names: { hq-token: { from: op, at: 'op://Private/hq token/credential' } } }\n",
    );
    assert!(status(&room.check()).1.contains("nowhere to be found"), "no such item");
    for (said, understood) in [
        (
            "[ERROR] You are not currently signed in. Please run `op signin --help` for instructions",
            "nobody is signed in",
        ),
        ("[ERROR] \"infra\" isn't a vault in this account.", "there is no such vault"),
        ("[ERROR] item 'infra/x' does not have a field 'password'", "has no such field"),
    ] {
        room.stand_in("op", &format!("cat >&2 <<'E'\n{said}\nE\nexit 1\n"));
        assert!(status(&room.check()).1.contains(understood), "{said}: {}", room.check());
    }
}

#[test]
fn vault_is_asked_for_one_key_and_its_failures_are_understood() {
    let room = Room::new("secrets: { from: [environment, { provider: vault, path: infra }] }\n");
    room.stand_in(
        "vault",
        &format!(
            "[ \"$*\" = 'kv get -field=value -mount=secret infra/hq-token' ] || {{ \
             echo 'No value found at secret/data/infra/x' >&2; exit 2; }}\nprintf '{CANARY}\\n'\n"
        ),
    );
    let own = room.check();
    assert_eq!(status(&own), ("there", ""), "{own}");
    assert_eq!(own["place"], "`value` of secret/infra/hq-token in Vault");
    room.section("secrets: { from: [vault], names: { hq-token: { from: vault, at: other/path#token } } }\n");
    assert!(status(&room.check()).1.contains("`token` of secret/other/path"), "{}", room.check());
    for (said, understood) in [
        ("Error making API request.\n\nCode: 403. Errors:\n\n* permission denied", "does not let this token"),
        ("dial tcp 127.0.0.1:8200: connect: connection refused", "nobody answers"),
        ("Field \"value\" not present in secret", "has no such key"),
        ("Code: 503. Errors:\n\n* Vault is sealed", "is sealed"),
    ] {
        room.stand_in("vault", &format!("cat >&2 <<'E'\n{said}\nE\nexit 2\n"));
        assert!(status(&room.check()).1.contains(understood), "{said}: {}", room.check());
    }
}

#[test]
fn a_person_is_not_asked_where_there_is_none() {
    let room = Room::new("secrets: { from: [prompt] }\n");
    let own = room.check();
    assert!(own["status"] == "will_be_asked" || status(&own).1.contains("no terminal to ask on"), "{own}");
    let said = room.run(&["plan"], None);
    assert_eq!(said.code, Some(1), "{}", said.out);
    assert!(said.err.contains("there is no terminal to ask on"), "{}", said.err);
}

#[test]
fn what_is_set_is_kept_for_its_owner_alone_and_what_comes_before_it_is_named() {
    let room = Room::new("{}\n");
    let said = room.run(&["secrets", "set", "hq-tokn"], Some(CANARY));
    assert!(said.code == Some(1) && said.err.contains("hq-token"), "did you mean: {}", said.err);
    for wrong in ["", "\n", "two\nlines\n"] {
        let said = room.run(&["secrets", "set", "hq-token"], Some(wrong));
        assert_eq!(said.code, Some(1), "{wrong:?}");
    }
    let said = room.run(&["secrets", "set", "hq-token"], Some(&format!("{CANARY}\n")));
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.out.contains("not encrypted"), "{}", said.out);
    let file = room.path(".infra/store/vrooli/hq-token");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), CANARY);
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(status(&room.check()), ("there", ""));

    let mut command = room.command(&["secrets", "set", "hq-token"]);
    command.env("INFRA_SECRET_HQ_TOKEN", "from-env");
    let said = room.listen(command, Some("other"));
    assert!(said.code == Some(1) && said.err.contains("INFRA_SECRET_HQ_TOKEN"), "{}", said.err);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), CANARY);

    let said = room.run(&["secrets", "rotate", "hq-token", "--yes"], None);
    assert!(said.code == Some(1) && said.err.contains("nobody says how it is made"), "{}", said.err);
    let said = room.run(&["secrets", "rotate", "hq-token", "--stdin", "--yes"], Some("the-next"));
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "the-next");
    let list = room.run(&["secrets", "list"], None).out;
    assert!(list.contains("the value before it is kept"), "{list}");
    assert_eq!(room.run(&["secrets", "rotate", "hq-token", "--back", "--yes"], None).code, Some(0));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), CANARY);
    let said = room.run(&["secrets", "rotate", "hq-token", "--back", "--yes"], None);
    assert!(said.code == Some(1) && said.err.contains("no earlier value"), "{}", said.err);
    let said = room.run(&["secrets", "rotate", "hq-token", "--stdin"], Some("x"));
    assert!(said.code == Some(64) && said.err.contains("--yes"), "{}", said.err);
}

#[test]
fn what_two_operators_keep_is_encrypted_for_both_and_safe_to_commit() {
    if !there("age", "age") {
        return;
    }
    let room = Room::new("");
    let (ann, bob) = (age_pair(&room.path("home/ann.txt")), age_pair(&room.path("home/bob.txt")));
    let section = |who: &str, recipients: &str| {
        room.section(&format!(
            "secrets: {{ from: [environment], store: {{ recipients: [{recipients}], identities: [home/{who}.txt] }} }}\n"
        ));
    };
    section("ann", &format!("{ann}, {bob}"));
    let said = room.run(&["secrets", "set", "hq-token"], Some(CANARY));
    assert_eq!(said.code, Some(0), "{}", said.err);
    let file = room.path("inventories/vrooli/secrets.store/hq-token.age");
    let sealed = std::fs::read_to_string(&file).unwrap();
    assert!(sealed.starts_with("-----BEGIN AGE ENCRYPTED FILE-----") && !sealed.contains(CANARY), "{sealed}");
    for who in ["ann", "bob"] {
        section(who, &format!("{ann}, {bob}"));
        assert_eq!(status(&room.check()), ("there", ""), "{who}");
    }
    let carol = age_pair(&room.path("home/carol.txt"));
    section("carol", &carol);
    let own = room.check();
    assert!(status(&own).1.contains("none of the identities opens it"), "{own}");
    let plain = Command::new("age").arg("-d").arg("-i").arg(room.path("home/bob.txt")).arg(&file).output().unwrap();
    assert_eq!(String::from_utf8(plain.stdout).unwrap(), CANARY, "by hand, without this program");
    assert_eq!(room.run(&["validate"], None).code, Some(0), "the store is no part of the inventory");
}
