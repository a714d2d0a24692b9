//! ClickHouse: whether it starts, and whom it lets in.
//!
//! Facts: ClickHouse `docker/server/entrypoint.sh` (user and password, `*_FILE`), `src/Common/ErrorCodes.cpp` (numbers, which
//! are exit codes by their last byte), `programs/server/config.xml`. Rows are kept below its data directory by table.

use super::{Family, HttpReply, HttpRequest, Judged, Place};
use crate::lab::guest_disk;
use crate::lab::shell::Call;
use crate::lab::world::World;

/// Where it keeps tables.
pub const DATA: &str = "/var/lib/clickhouse";
const CONFIG: &str = "/etc/clickhouse-server/config.d/infra.xml";

/// See the module.
pub(super) const FAMILY: Family = Family {
    name: "clickhouse",
    repositories: &["clickhouse/clickhouse-server", "clickhouse"],
    bytes: 900_000_000,
    starts_ms: 4_000,
    programs: &["bash", "cat", "clickhouse", "clickhouse-client", "getent", "ls", "sh", "wget"],
    judge,
    listens: |world, place| {
        let metrics = place.file(world, CONFIG).and_then(|text| {
            let (_, rest) = text.split_once("<port>")?;
            rest.split_once("</port>")?.0.trim().parse().ok()
        });
        [8123, 9000, 9009].into_iter().chain(metrics).collect()
    },
    ask,
    run,
};

/// User and password that let somebody in.
#[must_use]
pub fn account(world: &World, place: &Place) -> (String, String) {
    let user = place.env(world, "CLICKHOUSE_USER").unwrap_or("default").to_owned();
    let password = match place.env(world, "CLICKHOUSE_PASSWORD_FILE") {
        Some(path) => place.file(world, path).unwrap_or_default(),
        None => place.env(world, "CLICKHOUSE_PASSWORD").unwrap_or_default().to_owned(),
    };
    (user, password.trim_end_matches('\n').to_owned())
}

fn judge(world: &World, place: &Place) -> Judged {
    if let Some(path) = place.env(world, "CLICKHOUSE_PASSWORD_FILE")
        && place.file(world, path).is_none()
    {
        return Judged::ends(1, [format!("/entrypoint.sh: line 43: {path}: No such file or directory")]);
    }
    if let Some(text) = place.file(world, CONFIG)
        && let Err(why) = well_formed(&text)
    {
        return Judged::ends(
            232,
            [format!(
                "Processing configuration file '/etc/clickhouse-server/config.xml'.\nPoco::Exception. Code: 1000, e.code() = 0, SAXParseException: {why} in '{CONFIG}'"
            )],
        );
    }
    if guest_disk::free(world, place.vmid) < 64 << 20 {
        return Judged::ends(
            243,
            [
                "<Error> Application: Code: 243. DB::Exception: Cannot reserve 1.00 MiB, not enough space. (NOT_ENOUGH_SPACE)",
            ],
        );
    }
    let (user, _) = account(world, place);
    Judged::ready([
        format!("/entrypoint.sh: create new user '{user}' instead 'default'"),
        "Ready for connections.".to_owned(),
    ])
}

/// Whether every element of an XML text is closed in its order.
fn well_formed(text: &str) -> Result<(), String> {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('<') {
        let Some((tag, after)) = after.split_once('>') else {
            return Err("not well-formed (invalid token)".to_owned());
        };
        rest = after;
        if tag.starts_with(['?', '!']) || tag.ends_with('/') {
            continue;
        }
        match tag.strip_prefix('/') {
            Some(name) if open.pop() != Some(name) => return Err("mismatched tag".to_owned()),
            Some(_) => {}
            None => open.push(tag.split_whitespace().next().unwrap_or(tag)),
        }
    }
    if open.is_empty() { Ok(()) } else { Err("no element found".to_owned()) }
}

fn run(call: &mut Call<'_>, place: &Place) -> Option<i32> {
    let _ = (call, place);
    None
}

fn ask(world: &mut World, place: &Place, request: &HttpRequest) -> HttpReply {
    match (request.method.as_str(), request.path()) {
        ("GET" | "HEAD", "/ping") => HttpReply::text(200, "Ok.\n"),
        ("GET", "/metrics") => HttpReply::text(200, "ClickHouseMetrics_Query 1\n"),
        _ => super::answers::clickhouse::ask(world, place, request),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_that_is_not_closed_is_told() {
        assert!(well_formed("<a><b>1</b><c/></a>").is_ok());
        assert!(well_formed("<a><b></a>").is_err() && well_formed("<a>").is_err());
    }
}
