//! Servers of Debian 13 started with what is rendered for the images of the same programs: PostgreSQL 17 with pgvector
//! and a streaming replica, Redis, Valkey, NATS, BIND.
//!
//! What an image does beside its program is told in a few lines here (`docker-entrypoint.sh`, `gosu`), after its
//! documentation; files, variables and command lines are the rendered ones.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

use infra::render::StackFile;
use serde_json::Value;

use super::ground::{Ground, Guest, ground};
use super::projects::deliver;
use crate::held::held;
use crate::{edge_real, stack_real};

const PATIENCE: Duration = Duration::from_secs(60);
const SECRET: &str = stack_real::SECRET;

/// What the image of PostgreSQL does before it starts the server, as its documentation says.
const ENTRY: &str = r#"#!/bin/bash
set -e
run() { setpriv --reuid=postgres --regid=postgres --init-groups env PATH="$PATH" PGDATA="$PGDATA" "$@"; }
mkdir -p "$PGDATA"; chown postgres:postgres "$PGDATA"; chmod 700 "$PGDATA"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    run initdb --username=postgres --pwfile="$POSTGRES_PASSWORD_FILE" >/dev/null
    echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
    run pg_ctl -w start -o "-c listen_addresses='' -c unix_socket_directories=/tmp" >/dev/null
    export POSTGRES_USER=postgres PGHOST=/tmp
    for script in /docker-entrypoint-initdb.d/*; do
        setpriv --reuid=postgres --regid=postgres --init-groups "$script"
    done
    unset PGHOST
    run pg_ctl -w stop >/dev/null
fi
exec setpriv --reuid=postgres --regid=postgres --init-groups "$@" -c unix_socket_directories=/tmp
"#;
const GOSU: &str = "#!/bin/sh\nuser=$1\nshift\nexec setpriv --reuid=\"$user\" --regid=\"$user\" --init-groups \"$@\"\n";

type Stacks = BTreeMap<(String, String), Vec<StackFile>>;

/// Stacks of an inventory whose guests have addresses of their own here.
fn moved() -> Stacks {
    let text = stack_real::EVERYTHING.replace("10.0.0.15", "10.0.0.55").replace("10.0.0.16", "10.0.0.56");
    stack_real::stacks(&stack_real::written(&text.replace("10.0.0.14", "10.0.0.54")))
}

fn delivered(guest: &Guest, stacks: &Stacks, from: &str, service: &str) -> Value {
    let files = &stacks[&(from.to_owned(), service.to_owned())];
    deliver(guest, service, files, str::to_owned);
    // Compose reads its own files: what it says is what a container would get.
    let line = super::projects::compose(service, &["config", "--format", "json"]);
    let text = guest.text(line.iter().map(String::as_str)).unwrap();
    serde_json::from_str::<Value>(&text).unwrap()["services"].clone()
}

fn write(guest: &Guest, path: &str, mode: &str, text: &str) {
    let script = format!("mkdir -p \"$(dirname {path})\" && cat > {path} && chmod {mode} {path}");
    let output = guest.feed(["sh", "-c", &script], text.as_bytes());
    assert!(output.status.success(), "{path}: {}", String::from_utf8_lossy(&output.stderr));
}

fn words(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Runs a server as a unit of the guest.
fn unit(guest: &Guest, name: &str, variables: &[String], command: &[String]) {
    let mut line = vec!["systemd-run".to_owned(), format!("--unit={name}"), "--quiet".to_owned()];
    line.extend(variables.iter().map(|variable| format!("--setenv={variable}")));
    line.extend(command.iter().cloned());
    guest.text(line.iter().map(String::as_str)).unwrap();
}

/// Waits until a command says what is wanted.
fn until(guest: &Guest, unit: &str, line: &[&str], wanted: impl Fn(&str) -> bool) -> String {
    let start = Instant::now();
    loop {
        let said = guest.text(line.iter().copied());
        match &said {
            Ok(text) if wanted(text) => return text.clone(),
            _ => {}
        }
        assert!(
            start.elapsed() < PATIENCE,
            "{line:?}: {said:?}\n{}",
            guest.text(["journalctl", "--no-pager", "--lines", "60", "--unit", unit]).unwrap_or_else(|said| said)
        );
        sleep(Duration::from_millis(100));
    }
}

/// Prepares a guest as the container of PostgreSQL is, and starts what compose would start.
fn postgres(guest: &Guest, stacks: &Stacks, from: &str) {
    let container = delivered(guest, stacks, from, "postgres")["postgres"].clone();
    let bin = "/usr/lib/postgresql/17/bin";
    write(guest, "/usr/local/bin/docker-entrypoint.sh", "755", ENTRY);
    write(guest, "/usr/local/bin/gosu", "755", GOSU);
    let mount = |volume: &Value| -> Option<String> {
        let (source, target) = (volume["source"].as_str()?, volume["target"].as_str()?);
        let file = volume["type"] == "bind" && source.starts_with("/opt/stacks/");
        file.then(|| format!("mkdir -p $(dirname {target}); cp -p {source} {target}"))
    };
    let mut script: Vec<String> = container["volumes"].as_array().unwrap().iter().filter_map(mount).collect();
    for secret in container["secrets"].as_array().unwrap() {
        let name = secret["source"].as_str().unwrap();
        script.push(format!("mkdir -p /run/secrets; cp -p /opt/stacks/postgres/secrets/{name} /run/secrets/{name}"));
    }
    // 999 in the image.
    script.push("chown postgres /run/secrets/*".to_owned());
    guest.text(["sh", "-ec", &script.join("\n")]).unwrap();
    let mut variables =
        vec![format!("PATH={bin}:/usr/local/bin:/usr/bin:/bin"), "PGDATA=/var/lib/postgresql/data".into()];
    for (name, value) in container["environment"].as_object().unwrap() {
        variables.push(format!("{name}={}", value.as_str().unwrap()));
    }
    let line = [words(&container["entrypoint"]), words(&container["command"])].concat();
    unit(guest, "postgres", &variables, &line);
    let health: Vec<String> = words(&container["healthcheck"]["test"])[1..].to_vec();
    let health: Vec<&str> = health.iter().map(String::as_str).collect();
    until(guest, "postgres", &health, |_| true);
}

fn psql<'a>(database: &'a str, statement: &'a str) -> [&'a str; 10] {
    let first = ["psql", "--host", "/tmp", "--username", "postgres", "--no-align", "--tuples-only"];
    [first[0], first[1], first[2], first[3], first[4], first[5], first[6], database, "--command", statement]
}

#[test]
fn postgres_is_copied_and_followed_by_its_replica() {
    let Some(ground) = ground() else { return };
    let stacks = moved();
    let (primary, replica) = (ground.guest("primary", "10.0.0.55", None), ground.guest("replica", "10.0.0.56", None));
    std::thread::scope(|scope| {
        // The replica does not wait to be started until there is something to copy.
        scope.spawn(|| postgres(&replica, &stacks, "thanatos"));
        scope.spawn(|| postgres(&primary, &stacks, "erebus"));
    });
    let make = "CREATE DATABASE notes";
    primary.text(psql("postgres", make)).unwrap();
    let table = "CREATE TABLE note (body text, place vector(3)); INSERT INTO note VALUES ('hello', '[1,2,3]'); \
                 CREATE INDEX ON note USING hnsw (place vector_l2_ops); SELECT count(*) FROM pg_extension WHERE extname = 'vector'";
    let made = primary.text(psql("notes", table)).unwrap();
    assert!(made.trim().ends_with('1'), "a new database has vectors: {made}");
    let near = "SELECT body FROM note ORDER BY place <-> '[1,2,4]' LIMIT 1";
    let line = psql("notes", near);
    assert_eq!(until(&replica, "postgres", &line, |said| !said.trim().is_empty()).trim(), "hello");
    assert_eq!(replica.text(psql("postgres", "SELECT pg_is_in_recovery()")).unwrap().trim(), "t");
    let written = replica.text(psql("notes", "INSERT INTO note VALUES ('no', '[0,0,0]')")).unwrap_err();
    assert!(written.contains("read-only transaction"), "{written}");
    let followed = primary.text(psql("postgres", "SELECT state, usename FROM pg_stat_replication")).unwrap();
    assert_eq!(followed.trim(), "streaming|replicator");
    for (name, value) in
        [("shared_buffers", "256MB"), ("password_encryption", "scram-sha-256"), ("max_connections", "100")]
    {
        let said = primary.text(psql("postgres", &format!("SHOW {name}"))).unwrap();
        assert_eq!(said.trim(), value, "{name}");
    }
    // Over the network, only who knows the password.
    let login = |password: &str| {
        let variable = format!("PGPASSWORD={password}");
        let line = ["env", &variable, "psql", "--host", "10.0.0.55", "--username", "postgres", "--command", "SELECT 1"];
        replica.text(line).is_ok()
    };
    assert!(login(SECRET) && !login("wrong"));
    // What a backup says can be played back, roles and all.
    let blueprint = stack_real::written(stack_real::EVERYTHING);
    let recipe = blueprint.services[&"postgres".parse().unwrap()].recipe.as_ref().unwrap();
    let mut dump = vec!["env".to_owned(), "PGHOST=/tmp".to_owned()];
    dump.extend(recipe.backup.as_ref().unwrap().command.iter().cloned());
    let dump = primary.text(dump.iter().map(String::as_str)).unwrap();
    assert!(dump.contains("CREATE ROLE replicator") && dump.contains("hello"), "{dump}");
    // At its next start it goes on where it was, and copies nothing.
    let marked = "touch /var/lib/postgresql/data/was-here; systemctl kill --signal=KILL postgres; sleep 0.5; systemctl reset-failed postgres; true";
    replica.text(["sh", "-c", marked]).unwrap();
    postgres(&replica, &stacks, "thanatos");
    primary.text(psql("notes", "INSERT INTO note VALUES ('again', '[9,9,9]')")).unwrap();
    let line = psql("notes", "SELECT count(*) FROM note");
    until(&replica, "postgres", &line, |said| said.trim() == "2");
    replica.text(["test", "-e", "/var/lib/postgresql/data/was-here"]).unwrap();
    held("postgres", "PostgreSQL 17 with pgvector: primary, streaming replica, dump");
}

fn other(ground: &Ground) -> Guest {
    ground.guest("servers", "10.0.0.54", None)
}

#[test]
fn redis_and_valkey_start_as_they_are_told() {
    let Some(ground) = ground() else { return };
    let (guest, stacks) = (other(ground), moved());
    let container = delivered(&guest, &stacks, "gate", "redis")["redis"].clone();
    let script = "mkdir -p /data /etc/redis; cp /opt/stacks/redis/redis.conf /etc/redis/redis.conf";
    guest.text(["sh", "-c", script]).unwrap();
    unit(&guest, "redis-own", &[], &words(&container["command"]));
    let health = words(&container["healthcheck"]["test"])[1..].to_vec();
    let health: Vec<&str> = health.iter().map(String::as_str).collect();
    until(&guest, "redis-own", &health, |_| true);
    assert!(guest.text(["redis-cli", "get", "a"]).unwrap().contains("NOAUTH"));
    let with = |words: &[&str]| {
        let start = ["redis-cli", "--no-auth-warning", "-h", "10.0.0.54", "-a", SECRET];
        guest.text(start.iter().chain(words).copied()).unwrap().trim().to_owned()
    };
    assert_eq!(with(&["set", "a", "1"]), "OK");
    assert_eq!(with(&["config", "get", "maxmemory-policy"]), "maxmemory-policy\nallkeys-lru");
    assert_eq!(with(&["config", "get", "maxmemory"]), "maxmemory\n268435456");
    assert_eq!(with(&["config", "get", "appendonly"]), "appendonly\nyes");
    guest.text(["systemctl", "stop", "redis-own"]).unwrap();

    let containers = delivered(&guest, &stacks, "inference", "tensorzero");
    unit(&guest, "valkey-own", &[], &words(&containers["limits"]["command"]));
    let health = words(&containers["limits"]["healthcheck"]["test"])[1..].to_vec();
    let health: Vec<&str> = health.iter().map(String::as_str).collect();
    until(&guest, "valkey-own", &health, |said| said.trim() == "PONG");
    assert_eq!(guest.text(["valkey-cli", "config", "get", "save"]).unwrap().trim(), "save");
    guest.text(["systemctl", "stop", "valkey-own"]).unwrap();
    held("redis", "Redis 8 starts with its file");
    held("tensorzero", "its door answers; Valkey 8.1 takes the command line");
}

#[test]
fn nats_lets_in_who_knows_its_token() {
    let Some(ground) = ground() else { return };
    let (guest, stacks) = (other(ground), moved());
    let container = delivered(&guest, &stacks, "erebus", "nats")["nats"].clone();
    let script = "mkdir -p /data /etc/nats; cp /opt/stacks/nats/nats.conf /etc/nats/nats.conf";
    guest.text(["sh", "-c", script]).unwrap();
    let line = [vec!["nats-server".to_owned()], words(&container["command"])].concat();
    unit(&guest, "nats-own", &[], &line);
    // The image's BusyBox has `wget`, Debian has `curl`: the address is the health check's own.
    let url = words(&container["healthcheck"]["test"]).pop().unwrap();
    until(&guest, "nats-own", &["curl", "--fail", "--silent", &url], |said| said.contains("\"ok\""));
    let login = |token: &str| {
        let said = format!(
            "exec 3<>/dev/tcp/127.0.0.1/4222; printf 'CONNECT {{\"auth_token\":\"{token}\",\"verbose\":false}}\\r\\nPING\\r\\n' >&3; timeout 2 head -n 2 <&3"
        );
        guest.run(["bash", "-c", &said]).stdout
    };
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let (fine, wrong) = (text(login(SECRET)), text(login("wrong")));
    assert!(fine.contains("PONG") && fine.contains("\"jetstream\":true"), "{fine}");
    assert!(wrong.contains("-ERR 'Authorization Violation'"), "{wrong}");
    guest.text(["systemctl", "stop", "nats-own"]).unwrap();
    held("nats", "NATS 2.10 lets in who knows its token");
}

#[test]
fn bind_answers_for_its_zones() {
    let Some(ground) = ground() else { return };
    let guest = other(ground);
    let blueprint = edge_real::with_zones(7);
    let files = infra::render::everything(&blueprint, jiff::civil::date(2026, 5, 17), |_| None).unwrap();
    let own = files.iter().filter(|file| file.path.as_str().ends_with("named.conf.local"));
    let mut asked = 0;
    for (number, conf) in own.enumerate() {
        let name = format!("named-own-{number}");
        let zones: Vec<_> = blueprint
            .dns
            .zones
            .values()
            .filter(|zone| conf.text.contains(&format!("zone \"{}\"", zone.name)))
            .collect();
        write(&guest, "/etc/bind/named.conf.local", "644", &conf.text);
        for zone in &zones {
            let place = conf.text.lines().filter_map(|line| line.trim().strip_prefix("file \""));
            let place = place
                .map(|rest| rest.trim_end_matches("\";"))
                .find(|path| path.ends_with(&format!("db.{}", zone.name)));
            let text = infra::render::zone(&blueprint.name, zone, None, jiff::civil::date(2026, 5, 17)).unwrap();
            write(&guest, place.unwrap(), "644", &text);
        }
        let main = "options { directory \"/var/cache/bind\"; recursion no; listen-on { 127.0.0.1; }; listen-on-v6 { none; }; };\n\
                    include \"/etc/bind/named.conf.local\";\n";
        write(&guest, "/etc/bind/own.conf", "644", main);
        unit(&guest, &name, &[], &["named", "-f", "-4", "-c", "/etc/bind/own.conf"].map(str::to_owned));
        for zone in &zones {
            let host = format!("nas.{}", zone.name);
            let line = ["dig", "+short", "+norecurse", "@127.0.0.1", &host, "A"];
            let said = until(&guest, &name, &line, |said| !said.trim().is_empty() && !said.starts_with(';'));
            assert_eq!(said.trim(), "10.2.0.5", "{host}");
            let soa = guest.text(["dig", "+short", "@127.0.0.1", &zone.name, "SOA"]).unwrap();
            assert!(soa.contains("2026051700") || soa.contains("20260517"), "{soa}");
            let copy = guest.text(["dig", "@127.0.0.1", &zone.name, "AXFR"]).unwrap();
            assert!(copy.contains("Transfer failed"), "nobody takes the whole zone: {copy}");
            asked += 1;
        }
        guest.text(["systemctl", "stop", &name]).unwrap();
    }
    println!("{asked} zones answered");
    assert!(asked >= 3, "only {asked}");
    held("bind", "BIND 9.20 answers for its zones");
}
