//! `pct listsnapshot` and `qm listsnapshot`: a tree, the newest at the end.

use std::collections::BTreeMap;

use serde_json::Value;

use super::api::{Done, ask, refuse};
use crate::lab::shell::call::Call;

pub(super) fn run(call: &mut Call<'_>, guest: &str) -> i32 {
    let rows = match ask(call, "GET", &format!("{guest}/snapshot"), Vec::new()) {
        Ok(Done::Data(Value::Array(rows))) => rows,
        Ok(_) => return 255,
        Err(refusal) => return refuse(call, &refusal, ""),
    };
    let text = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
    let mut below: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
    for row in &rows {
        below.entry(text(row, "parent")).or_default().push(row);
    }
    let mut open: Vec<(usize, &Value)> = below.get("").into_iter().flatten().map(|row| (0, *row)).collect();
    while let Some((depth, row)) = open.pop() {
        let name = text(row, "name");
        let time = row["snaptime"].as_i64().and_then(|time| jiff::Timestamp::from_second(time).ok());
        let time = time.map(|time| time.strftime("%Y-%m-%d %H:%M:%S").to_string()).unwrap_or_default();
        let said = text(row, "description");
        let said = said.lines().next().filter(|line| !line.is_empty()).unwrap_or("no-description").to_owned();
        let head = format!("{}`-> {name}", " ".repeat(depth));
        call.print(format!("{head:<32}{time:<19}     {said}"));
        open.extend(below.get(&name).into_iter().flatten().map(|row| (depth + 1, *row)));
    }
    0
}
