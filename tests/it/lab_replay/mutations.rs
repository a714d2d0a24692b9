//! A comparison that finds nothing proves nothing: wrong answers have to be seen.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::compare::compare;
use super::recording::Row;
use super::wire::Actual;

/// What is done to an answer; none where there is nothing of the kind in it.
type Mutation = fn(&Actual) -> Option<Actual>;

const MUTATIONS: &[(&str, Mutation)] = &[
    ("another status", |a| Some(Actual { status: if a.status == 200 { 500 } else { 200 }, ..a.clone() })),
    ("another reason", |a| Some(Actual { reason: format!("{} ", a.reason.to_uppercase()), ..a.clone() })),
    ("no content type", |a| {
        a.header("content-type")?;
        let headers = a.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("content-type"));
        Some(Actual { headers: headers.cloned().collect(), ..a.clone() })
    }),
    ("an open connection after an error", |a| {
        a.header("connection").filter(|value| *value == "close")?;
        let headers = a.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("connection"));
        Some(Actual { headers: headers.cloned().collect(), ..a.clone() })
    }),
    ("no body", |a| (!a.body.is_empty()).then(|| Actual { body: Vec::new(), ..a.clone() })),
    ("a missing error", |a| {
        change(a, |body| {
            let errors = body.get_mut("errors")?.as_object_mut()?;
            let name = errors.keys().next()?.clone();
            errors.shift_remove(&name).map(drop)
        })
    }),
    ("another error", |a| {
        change(a, |body| {
            body.get_mut("errors")?.as_object_mut()?.insert("bogus".into(), json!("wrong")).is_none().then_some(())
        })
    }),
    ("another message", |a| change(a, |body| body.get_mut("message").map(|text| *text = json!("something else\n")))),
    ("data of another type", |a| {
        change(a, |body| {
            let data = body.get_mut("data")?;
            *data = if data.is_array() { json!({}) } else { json!([1]) };
            Some(())
        })
    }),
    ("a number as text", |a| change(a, |body| leaf(body, Value::is_number, |v| json!(v.to_string())))),
    ("a text as number", |a| change(a, |body| leaf(body, Value::is_string, |_| json!(7)))),
    ("null in place of a value", |a| change(a, |body| leaf(body, |v| !v.is_null(), |_| Value::Null))),
    ("a missing key", |a| {
        change(a, |body| {
            let map = object(body.get_mut("data")?)?;
            let name = map.keys().next()?.clone();
            map.shift_remove(&name).map(drop)
        })
    }),
    ("an extra key", |a| {
        change(a, |body| object(body.get_mut("data")?)?.insert("bogus".into(), json!(1)).is_none().then_some(()))
    }),
    ("an extra key at the top", |a| {
        change(a, |body| body.as_object_mut()?.insert("bogus".into(), json!(1)).is_none().then_some(()))
    }),
    ("one element less", |a| change(a, |body| body.get_mut("data")?.as_array_mut()?.pop().map(drop))),
    ("one element more", |a| {
        change(a, |body| {
            let list = body.get_mut("data")?.as_array_mut()?;
            let more = list.first().cloned().unwrap_or(json!({"bogus": 1}));
            list.push(more);
            Some(())
        })
    }),
];

fn change(actual: &Actual, change: impl Fn(&mut Value) -> Option<()>) -> Option<Actual> {
    let mut body = serde_json::from_slice(&actual.body).ok()?;
    change(&mut body)?;
    Some(Actual { body: body.to_string().into_bytes(), ..actual.clone() })
}

/// The first object of the data.
fn object(value: &mut Value) -> Option<&mut serde_json::Map<String, Value>> {
    match value {
        Value::Object(map) => (!map.is_empty()).then_some(map),
        Value::Array(list) => list.iter_mut().find_map(object),
        _ => None,
    }
}

/// Changes the first leaf of the data that fits.
fn leaf(value: &mut Value, fits: fn(&Value) -> bool, change: fn(&Value) -> Value) -> Option<()> {
    fn go(value: &mut Value, fits: fn(&Value) -> bool, change: fn(&Value) -> Value) -> Option<()> {
        match value {
            Value::Object(map) => map.iter_mut().find_map(|(_, v)| go(v, fits, change)),
            Value::Array(list) => list.iter_mut().find_map(|v| go(v, fits, change)),
            leaf if fits(leaf) => {
                *leaf = change(leaf);
                Some(())
            }
            _ => None,
        }
    }
    go(value.get_mut("data")?, fits, change)
}

#[test]
fn a_wrong_answer_of_the_lab_is_seen() {
    let Some(replayed) = super::run() else { return };
    let agreed: Vec<(&Row, &Actual)> =
        replayed.outcomes.iter().filter(|o| o.differences.is_empty()).map(|o| (&o.row, &o.actual)).collect();
    let mut unseen = Vec::new();
    for (what, mutate) in MUTATIONS {
        let (mut made, mut seen) = (0, 0);
        let mut areas = BTreeSet::new();
        for (row, actual) in &agreed {
            let Some(wrong) = mutate(actual) else { continue };
            made += 1;
            if compare(row, &wrong, &replayed.chosen).is_empty() {
                unseen.push(format!("{what}: {} {}", row.seq, row.name));
            } else {
                seen += 1;
                areas.insert(row.area());
            }
        }
        println!("{what}: {seen} of {made} seen, in {} areas", areas.len());
        assert!(made > 0, "{what}: no answer to try it on");
    }
    assert!(unseen.is_empty(), "{} wrong answers went unseen:\n{}", unseen.len(), unseen.join("\n"));
}
