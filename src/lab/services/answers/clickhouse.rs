//! ClickHouse's queries over HTTP (port 8123): in the body of a POST or in `?query=`.
//!
//! Of SQL only what is asked here is known: `SELECT … FROM table [WHERE column = 'text'] [FORMAT …]`, with columns, a key of
//! a map (`tags['x'] AS y`), `count()` and numbers. What it does not know it refuses as a syntax error, code 62.

use serde_json::{Map, Value, json};

use crate::lab::guest_disk;
use crate::lab::services::clickhouse::{DATA, account};
use crate::lab::services::{HttpReply, HttpRequest, Place};
use crate::lab::world::World;

/// Answers a request.
pub fn ask(world: &mut World, place: &Place, request: &HttpRequest) -> HttpReply {
    if request.path() != "/" {
        return HttpReply::text(404, "There is no handle. Use / or /ping for health checks.");
    }
    let body = String::from_utf8_lossy(&request.body).into_owned();
    let query = [request.query("query").unwrap_or_default(), body].join("");
    if query.trim().is_empty() {
        return HttpReply::text(200, "Ok.\n");
    }
    if let Err(refused) = authenticated(world, place, request) {
        return refused;
    }
    let database = request.query("database").unwrap_or_else(|| "default".to_owned());
    match selected(world, place, &database, &query) {
        Ok(lines) => HttpReply { first_ms: 8, took_ms: 8, ..HttpReply::text(200, lines) },
        Err((status, code, why)) => HttpReply::text(status, format!("Code: {code}. DB::Exception: {why}\n")),
    }
}

fn authenticated(world: &World, place: &Place, request: &HttpRequest) -> Result<(), HttpReply> {
    let user = request.header("x-clickhouse-user").unwrap_or("default");
    let key = request.header("x-clickhouse-key").unwrap_or_default();
    if account(world, place) == (user.to_owned(), key.to_owned()) {
        return Ok(());
    }
    let why = format!(
        "{user}: Authentication failed: password is incorrect, or there is no user with such name. (AUTHENTICATION_FAILED)"
    );
    Err(HttpReply::text(403, format!("Code: 516. DB::Exception: {why}\n")))
}

fn tables(world: &World, place: &Place) -> Map<String, Value> {
    place.kept(world, DATA, "tables").and_then(Value::as_object).cloned().unwrap_or_default()
}

/// Puts a row into a table, which is made if it is not there. On a full disk nothing is kept (code 243).
pub fn insert(world: &mut World, place: &Place, table: &str, row: Value) {
    if guest_disk::free(world, place.vmid) < 1 << 20 {
        return;
    }
    let mut all = tables(world, place);
    let rows = all.entry(table.to_owned()).or_insert_with(|| json!([]));
    if let Some(rows) = rows.as_array_mut() {
        rows.push(row);
    }
    let bytes = u64::try_from(Value::Object(all.clone()).to_string().len()).unwrap_or(0);
    place.keep(world, DATA, "tables", Value::Object(all), (64 << 20) + bytes);
}

type Refused = (u16, u32, String);

fn selected(world: &World, place: &Place, database: &str, query: &str) -> Result<String, Refused> {
    let syntax = || (400, 62, format!("Syntax error: failed at position 1: {query} (SYNTAX_ERROR)"));
    let text = query.trim().trim_end_matches(';');
    let rest = text.strip_prefix("SELECT ").or_else(|| text.strip_prefix("select ")).ok_or_else(syntax)?;
    let (rest, format) = rest.split_once(" FORMAT ").unwrap_or((rest, "TabSeparated"));
    let (what, from) = rest.split_once(" FROM ").map_or((rest, None), |(what, from)| (what, Some(from)));
    let columns: Vec<(String, String)> = what.split(", ").map(|own| column(own.trim())).collect();
    let Some(from) = from else {
        return Ok(format!("{}\n", columns.iter().map(|(own, _)| own.as_str()).collect::<Vec<_>>().join("\t")));
    };
    let (table, filter) = from.split_once(" WHERE ").map_or((from, None), |(table, filter)| (table, Some(filter)));
    let table = table.trim();
    let full = if table.contains('.') { table.to_owned() } else { format!("{database}.{table}") };
    let all = tables(world, place);
    let Some(rows) = all.get(&full).and_then(Value::as_array) else {
        let known = full.split('.').next().is_some_and(|database| {
            database == "default" || all.keys().any(|name| name.split('.').next() == Some(database))
        });
        return Err(match known {
            true => (404, 60, format!("Unknown table expression identifier '{table}'. (UNKNOWN_TABLE)")),
            false => (404, 81, format!("Database {database} does not exist. (UNKNOWN_DATABASE)")),
        });
    };
    let wanted = match filter {
        None => None,
        Some(filter) => {
            let (name, value) = filter.split_once('=').ok_or_else(syntax)?;
            let value =
                value.trim().strip_prefix('\'').and_then(|value| value.strip_suffix('\'')).ok_or_else(syntax)?;
            Some((name.trim().to_owned(), value.to_owned()))
        }
    };
    let fits = |row: &&Value| wanted.as_ref().is_none_or(|(name, value)| valued(row, name).as_str() == Some(value));
    let rows: Vec<&Value> = rows.iter().filter(fits).collect();
    if columns.iter().any(|(own, _)| own == "count()") {
        return Ok(format!("{}\n", rows.len()));
    }
    let mut lines = String::new();
    for row in rows {
        let values: Vec<(String, Value)> = columns.iter().map(|(own, name)| (name.clone(), valued(row, own))).collect();
        if format.trim() == "JSONEachRow" {
            lines.push_str(&format!("{}\n", Value::Object(values.into_iter().collect())));
        } else {
            let texts = values.iter().map(|(_, value)| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
            lines.push_str(&format!("{}\n", texts.collect::<Vec<_>>().join("\t")));
        }
    }
    Ok(lines)
}

/// What is selected, and as what.
fn column(text: &str) -> (String, String) {
    match text.split_once(" AS ") {
        Some((own, name)) => (own.trim().to_owned(), name.trim().to_owned()),
        None => (text.to_owned(), text.to_owned()),
    }
}

/// A column of a row; a key that a map does not have is an empty text.
fn valued(row: &Value, column: &str) -> Value {
    match column.strip_suffix("']").and_then(|own| own.split_once("['")) {
        Some((map, key)) => row[map].get(key).cloned().unwrap_or_else(|| json!("")),
        None => row[column].clone(),
    }
}
