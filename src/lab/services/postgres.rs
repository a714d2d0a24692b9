//! PostgreSQL, with pgvector or without: its first start, its configuration, a replica's primary.
//!
//! Facts: docker-library/postgres `docker-entrypoint.sh`; PostgreSQL's own messages.

use super::{Family, HttpReply, Judged, Place};
use crate::lab::docker::network::{From, connect};
use crate::lab::guest_disk;
use crate::lab::shell::Call;
use crate::lab::world::World;

/// See the module.
pub(super) const FAMILY: Family = Family {
    name: "postgres",
    repositories: &["pgvector/pgvector", "postgres"],
    bytes: 440_000_000,
    starts_ms: 5_000,
    programs: &["bash", "cat", "getent", "ls", "pg_dumpall", "pg_isready", "postgres", "psql", "sh"],
    judge,
    listens: |world, place| vec![port(world, place)],
    ask: |_, _, _| HttpReply { status: 0, ..HttpReply::default() },
    run,
};

fn config(world: &World, place: &Place) -> Option<String> {
    let command = place.container(world)?.command.clone()?;
    command.iter().find_map(|word| word.strip_prefix("config_file=")).map(str::to_owned)
}

fn port(world: &World, place: &Place) -> u16 {
    let text = config(world, place).and_then(|path| place.file(world, &path)).unwrap_or_default();
    let own =
        text.lines().find_map(|line| line.strip_prefix("port")?.trim_start().strip_prefix('=')?.trim().parse().ok());
    own.unwrap_or(5432)
}

fn judge(world: &World, place: &Place) -> Judged {
    if let Some(path) = config(world, place)
        && place.file(world, &path).is_none()
    {
        return Judged::ends(
            2,
            [format!("postgres: could not access the server configuration file \"{path}\": No such file or directory")],
        );
    }
    let secret = place.env(world, "POSTGRES_PASSWORD_FILE");
    if let Some(path) = secret
        && place.file(world, path).is_none()
    {
        return Judged::ends(
            1,
            [format!("/usr/local/bin/docker-entrypoint.sh: line 16: {path}: No such file or directory")],
        );
    }
    let primary = place.env(world, "PRIMARY_HOST").map(str::to_owned);
    let trusts = place.env(world, "POSTGRES_HOST_AUTH_METHOD") == Some("trust");
    if primary.is_none() && secret.is_none() && place.env(world, "POSTGRES_PASSWORD").is_none() && !trusts {
        return Judged::ends(1, ["Error: Database is uninitialized and superuser password is not specified."]);
    }
    if guest_disk::free(world, place.vmid) < 1 << 20 {
        return Judged::ends(1, ["FATAL:  could not write lock file \"postmaster.pid\": No space left on device"]);
    }
    if let Some(host) = primary {
        let port = place.env(world, "PRIMARY_PORT").and_then(|text| text.parse().ok()).unwrap_or(5432);
        if connect(world, place.vmid, From::Container(&place.name), &host, port).is_err() {
            let line = format!(
                "pg_basebackup: error: connection to server at \"{host}\", port {port} failed: Connection refused"
            );
            return Judged::unwell(
                "127.0.0.1:5432 - no response",
                [line, "the primary does not let itself be copied yet; trying again".to_owned()],
            );
        }
    }
    Judged::ready(["LOG:  database system is ready to accept connections"])
}

fn run(call: &mut Call<'_>, place: &Place) -> Option<i32> {
    match call.name {
        "pg_isready" => {
            let port = port(call.world, place);
            call.print(format!("127.0.0.1:{port} - accepting connections"));
            Some(0)
        }
        "pg_dumpall" => {
            call.print("--\n-- PostgreSQL database cluster dump\n--");
            Some(0)
        }
        _ => None,
    }
}
