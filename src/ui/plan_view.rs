//! A plan as a person reads it: what it touches first, then one line per object.

use std::collections::BTreeSet;

use super::diff_view::{Line, compare};
use super::text::{columns, cut, join_and, one_line, pad, plural, wrap};
use super::{Role, Terminal};
use crate::model::change::{Action, Change, FieldChange, FieldValue, Risk, Via};
use crate::plan::Plan;

/// How much of a plan is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// One line per object, and up to five fields of what is changed.
    Usual,
    /// Every field of everything, and the differences of texts.
    Full,
}

/// Fields of one object that are shown unless all are asked for.
const FIELDS: usize = 5;
/// From here on addresses and reasons stand in columns.
const WIDE: usize = 72;

/// Shows a plan.
///
/// `hosts` is how many hosts were looked at; a plan without changes holds no trace of them.
#[must_use]
pub fn plan_text(plan: &Plan, hosts: usize, detail: Detail, terminal: &Terminal) -> String {
    let mut out = String::new();
    if plan.is_empty() {
        let resources = plan.memory.len();
        let are = if resources == 1 { "is" } else { "are" };
        let seen = if plan.gaps.is_empty() { "No changes." } else { "No changes to what could be seen." };
        out.push_str(&wrap(
            &format!(
                "{} {} on {} {are} as the inventory says.",
                terminal.paint(Role::Good, seen),
                plural(resources, "resource", "resources"),
                plural(hosts, "host", "hosts"),
            ),
            terminal.width,
            0,
        ));
    } else {
        out.push_str(&wrap(&blast_radius(plan, terminal), terminal.width, 2));
        out.push('\n');
        let addr_width = plan.changes.iter().map(|c| columns(&c.addr.to_string())).max().unwrap_or(0);
        let addr_width = if terminal.width >= WIDE { addr_width.min(terminal.width / 2) } else { 0 };
        for change in &plan.changes {
            out.push_str(&wrap(&change_line(change, addr_width, terminal), terminal.width, 4));
            out.push_str(&field_lines(change, detail, terminal));
        }
    }
    out.push_str(&remarks(plan, !plan.is_empty() || detail == Detail::Full, terminal));
    out
}

/// `2 to create, 1 to restart (plan-hq is down for a while) · hosts: hq`.
fn blast_radius(plan: &Plan, terminal: &Terminal) -> String {
    let summary = plan.summary();
    let names = |action: Action| -> Vec<&str> {
        plan.changes.iter().filter(|c| c.action == action).map(|c| c.addr.name.as_str()).collect()
    };
    let mut parts = Vec::new();
    let mut part = |count: usize, words: &str, role: Role, remark: Option<String>| {
        if count > 0 {
            let remark = remark.map(|r| format!(" ({r})")).unwrap_or_default();
            parts.push(format!("{}{remark}", terminal.paint(role, format!("{count} to {words}"))));
        }
    };
    part(summary.create, "create", Role::Good, None);
    part(summary.update, "update", Role::Change, None);
    let down = names(Action::Restart);
    let are = if down.len() == 1 { "is" } else { "are" };
    let down = format!("{} {are} down for a while", join_and(&down));
    part(summary.restart, "restart", Role::Caution, Some(down));
    part(summary.replace, "replace", Role::Bad, Some(join_and(names(Action::Replace))));
    part(summary.destroy, "destroy", Role::Bad, Some(join_and(names(Action::Destroy))));
    let mut line = parts.join(", ");
    let dot = terminal.dot();
    if summary.drift > 0 {
        line.push_str(&format!(" {dot} {}", terminal.paint(Role::Caution, format!("{} drifted", summary.drift))));
    }
    let lost: Vec<String> =
        plan.changes.iter().filter(|c| c.risk == Risk::DataLoss).map(|c| c.addr.to_string()).collect();
    if !lost.is_empty() {
        line.push_str(&format!(" {dot} {} {}", terminal.paint(Role::Bad, "data is lost:"), join_and(lost)));
    }
    let hosts: BTreeSet<&str> = plan.steps.iter().map(|s| s.host.as_str()).collect();
    if !hosts.is_empty() {
        let hosts: Vec<&str> = hosts.into_iter().collect();
        line.push_str(&format!(" {dot} hosts: {}", hosts.join(", ")));
    }
    line
}

fn symbol(action: Action, terminal: &Terminal) -> (&'static str, Role) {
    match action {
        Action::None => (" ", Role::Faint),
        Action::Create => ("+", Role::Good),
        Action::Update => ("~", Role::Change),
        Action::Restart => (if terminal.unicode { "↻" } else { "@" }, Role::Caution),
        Action::Replace => (if terminal.unicode { "±" } else { "#" }, Role::Bad),
        Action::Destroy => ("-", Role::Bad),
    }
}

/// `~ update   vm.plan-hq  memory differs  [drift] [via ssh]`.
fn change_line(change: &Change, addr_width: usize, terminal: &Terminal) -> String {
    let (symbol, role) = symbol(change.action, terminal);
    let word = terminal.paint(role, format!("{symbol} {}", pad(change.action.as_str(), 7)));
    let addr = pad(&terminal.paint(Role::Strong, change.addr.to_string()), addr_width);
    let mut line = format!("{word}  {addr}  {}", one_line(&change.reason));
    let mut mark = |role: Role, text: &str| line.push_str(&format!("  {}", terminal.paint(role, format!("[{text}]"))));
    if change.drift {
        mark(Role::Caution, "drift");
    }
    match change.risk {
        Risk::None => {}
        Risk::Downtime => mark(Role::Caution, "downtime"),
        Risk::Reachability => mark(Role::Caution, "changes who reaches whom"),
        Risk::DataLoss => mark(Role::Bad, "data is lost"),
    }
    if change.via != Via::Api {
        mark(Role::Faint, &format!("via {}", change.via.as_str()));
    }
    line
}

fn field_lines(change: &Change, detail: Detail, terminal: &Terminal) -> String {
    let shown = match (detail, change.action) {
        (Detail::Full, _) => change.fields.len(),
        // That a new thing gets everything it needs is no news.
        (Detail::Usual, Action::Create) => 0,
        (Detail::Usual, _) => FIELDS,
    };
    let mut out = String::new();
    let width = change.fields.iter().take(shown).map(|f| columns(&f.path)).max().unwrap_or(0);
    let width = if terminal.width >= WIDE { width.min(terminal.width / 3) } else { 0 };
    for field in change.fields.iter().take(shown) {
        out.push_str(&field_text(field, change.action, width, detail, terminal));
    }
    let more = change.fields.len().saturating_sub(shown);
    if more > 0 && change.action != Action::Create {
        let more = format!("    {} {more} more; `--full` shows all", terminal.ellipsis());
        out.push_str(&wrap(&terminal.paint(Role::Faint, more), terminal.width, 6));
    }
    out
}

fn field_text(field: &FieldChange, action: Action, path_width: usize, detail: Detail, terminal: &Terminal) -> String {
    let mut marks = String::new();
    if field.drift {
        marks.push_str(&format!("  {}", terminal.paint(Role::Caution, "[drift]")));
    }
    if field.needs_restart && action == Action::Restart {
        marks.push_str(&format!("  {}", terminal.paint(Role::Caution, "[needs a restart]")));
    }
    let path = pad(&field.path, path_width);
    let text = |value: &FieldValue| match value {
        FieldValue::Text(text) => text.clone(),
        FieldValue::Absent | FieldValue::Sensitive { .. } => String::new(),
    };
    let (from, to) = (text(&field.from), text(&field.to));
    if from.contains('\n') || to.contains('\n') {
        let (gone, new) = compare(&from, &to).iter().fold((0, 0), |(gone, new), line| match line {
            Line::Gone(_) => (gone + 1, new),
            Line::New(_) => (gone, new + 1),
            _ => (gone, new),
        });
        let count = format!("{}, {new} new", plural(gone, "line gone", "lines gone"));
        let mut out = wrap(&format!("    {path}  {count}{marks}"), terminal.width, 6);
        if detail == Detail::Full {
            out.push_str(&diff_lines(&from, &to, terminal));
        }
        return out;
    }
    let value = |value: &FieldValue| {
        let line = one_line(&value.to_string());
        // A key or an option string can be long; what matters is that it differs.
        let most = if detail == Detail::Full { usize::MAX } else { terminal.width.saturating_sub(6).max(20) };
        match value {
            FieldValue::Text(_) => cut(&line, most, terminal.ellipsis()),
            FieldValue::Absent | FieldValue::Sensitive { .. } => terminal.paint(Role::Faint, line),
        }
    };
    let line = if action == Action::Create {
        format!("    {path}  {}{marks}", value(&field.to))
    } else {
        format!("    {path}  {} {} {}{marks}", value(&field.from), terminal.arrow(), value(&field.to))
    };
    wrap(&line, terminal.width, 6)
}

fn diff_lines(from: &str, to: &str, terminal: &Terminal) -> String {
    let mut out = String::new();
    for line in compare(from, to) {
        let (role, text) = match line {
            Line::Same(text) => (Role::Faint, format!("  {}", one_line(text))),
            Line::Gone(text) => (Role::Bad, format!("- {}", one_line(text))),
            Line::New(text) => (Role::Good, format!("+ {}", one_line(text))),
            Line::Folded(count) => (Role::Faint, format!("  {} {count} the same", terminal.ellipsis())),
        };
        out.push_str(&format!("      {}\n", terminal.paint(role, text)));
    }
    out
}

/// How an orphan is removed, if there is one.
fn remove_orphan(plan: &Plan) -> Option<String> {
    let addr = match plan.orphans.as_slice() {
        [] => return None,
        [one] => one.addr.to_string(),
        _ => "ADDR".to_owned(),
    };
    Some(format!(
        "Remove {} with `infra destroy --target {addr} --allow-destroy {addr}`.",
        if plan.orphans.len() == 1 { "it" } else { "one" }
    ))
}

/// Orphans, gaps and notes, each under its own heading.
fn remarks(plan: &Plan, with_notes: bool, terminal: &Terminal) -> String {
    let mut out = String::new();
    let mut section = |title: &str, role: Role, lines: Vec<String>| {
        if !lines.is_empty() {
            out.push('\n');
            out.push_str(&wrap(&terminal.paint(role, title), terminal.width, 2));
            for line in lines {
                out.push_str(&wrap(&format!("  {line}"), terminal.width, 4));
            }
        }
    };
    section(
        "Ours, but not in the inventory any more; left alone:",
        Role::Caution,
        plan.orphans
            .iter()
            .map(|o| format!("{}  {}  on {}", o.addr, one_line(&o.description), o.host))
            .chain(remove_orphan(plan))
            .collect(),
    );
    section(
        "Not planned, as it could not be seen:",
        Role::Caution,
        plan.gaps.iter().map(|g| format!("{}  {}", g.addr, one_line(&g.why))).collect(),
    );
    if with_notes {
        section("Notes:", Role::Strong, plan.notes.iter().map(|note| one_line(note)).collect());
    }
    out
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::super::sample;
    use super::*;

    #[test]
    fn what_it_touches_comes_first_and_then_one_line_per_object() {
        assert_snapshot!(plan_text(&sample::plan(), 1, Detail::Usual, &Terminal::plain().with_width(110)), @r"
        1 to create, 1 to update, 1 to restart (plan-hq is down for a while), 1 to destroy (hq:rpool/containers/old) ·
          1 drifted · data is lost: dataset.hq:rpool/containers/old · hosts: hq

        + create   ct.proj-x                        does not exist  [via api+ssh]
        ↻ restart  vm.plan-hq                       memory differs  [drift]  [downtime]
            memory  16 GiB → 32 GiB  [drift]  [needs a restart]
        ~ update   guest_firewall.proj-y            rules and 6 more differ  [changes who reaches whom]
            rules    0 lines gone, 1 new
            option0  (not set) → 1
            option1  (not set) → 1
            option2  (not set) → 1
            option3  (not set) → 1
            … 2 more; `--full` shows all
        - destroy  dataset.hq:rpool/containers/old  named with `--allow-destroy`  [data is lost]  [via ssh]

        Ours, but not in the inventory any more; left alone:
          ct.proj-old  vmid 107 on pve1, running  on hq
          Remove it with `infra destroy --target ct.proj-old --allow-destroy ct.proj-old`.

        Not planned, as it could not be seen:
          ct.far  node pve2 does not answer

        Notes:
          the datacenter's firewall is off: no rule of any guest is enforced
        ");
    }

    #[test]
    fn full_shows_every_field_and_the_difference_of_texts() {
        assert_snapshot!(plan_text(&sample::plan(), 1, Detail::Full, &Terminal::plain().with_width(110)), @r"
        1 to create, 1 to update, 1 to restart (plan-hq is down for a while), 1 to destroy (hq:rpool/containers/old) ·
          1 drifted · data is lost: dataset.hq:rpool/containers/old · hosts: hq

        + create   ct.proj-x                        does not exist  [via api+ssh]
            vmid   104
            mp0    /rpool/containers/proj-x,mp=/workspace
            token  (sensitive)
        ↻ restart  vm.plan-hq                       memory differs  [drift]  [downtime]
            memory  16 GiB → 32 GiB  [drift]  [needs a restart]
        ~ update   guest_firewall.proj-y            rules and 6 more differ  [changes who reaches whom]
            rules    0 lines gone, 1 new
                in accept tcp 22
              + in accept tcp 80
                in drop
            option0  (not set) → 1
            option1  (not set) → 1
            option2  (not set) → 1
            option3  (not set) → 1
            option4  (not set) → 1
            option5  (not set) → 1
        - destroy  dataset.hq:rpool/containers/old  named with `--allow-destroy`  [data is lost]  [via ssh]

        Ours, but not in the inventory any more; left alone:
          ct.proj-old  vmid 107 on pve1, running  on hq
          Remove it with `infra destroy --target ct.proj-old --allow-destroy ct.proj-old`.

        Not planned, as it could not be seen:
          ct.far  node pve2 does not answer

        Notes:
          the datacenter's firewall is off: no rule of any guest is enforced
        ");
    }

    #[test]
    fn forty_columns_stay_readable() {
        let text = plan_text(&sample::plan(), 1, Detail::Usual, &Terminal::plain().with_width(40));
        assert!(text.lines().all(|line| columns(line) <= 40), "{text}");
        assert_snapshot!(text, @r"
        1 to create, 1 to update, 1 to restart
          (plan-hq is down for a while), 1 to
          destroy (hq:rpool/containers/old) · 1
          drifted · data is lost:
          dataset.hq:rpool/containers/old ·
          hosts: hq

        + create   ct.proj-x  does not exist
            [via api+ssh]
        ↻ restart  vm.plan-hq  memory differs
            [drift]  [downtime]
            memory  16 GiB → 32 GiB  [drift]
              [needs a restart]
        ~ update   guest_firewall.proj-y  rules
            and 6 more differ  [changes who
            reaches whom]
            rules  0 lines gone, 1 new
            option0  (not set) → 1
            option1  (not set) → 1
            option2  (not set) → 1
            option3  (not set) → 1
            … 2 more; `--full` shows all
        - destroy
            dataset.hq:rpool/containers/old
            named with `--allow-destroy`  [data
            is lost]  [via ssh]

        Ours, but not in the inventory any more;
          left alone:
          ct.proj-old  vmid 107 on pve1, running
            on hq
          Remove it with `infra destroy --target
            ct.proj-old --allow-destroy
            ct.proj-old`.

        Not planned, as it could not be seen:
          ct.far  node pve2 does not answer

        Notes:
          the datacenter's firewall is off: no
            rule of any guest is enforced
        ");
    }

    #[test]
    fn nothing_to_do_is_one_line() {
        let mut plan = sample::plan();
        (plan.changes, plan.steps, plan.orphans, plan.gaps) = Default::default();
        assert_snapshot!(plan_text(&plan, 1, Detail::Usual, &Terminal::plain()), @"No changes. 3 resources on 1 host are as the inventory says.");
    }

    #[test]
    fn ascii_terminals_get_ascii() {
        let terminal = Terminal { unicode: false, ..Terminal::plain() };
        assert!(plan_text(&sample::plan(), 1, Detail::Full, &terminal).is_ascii());
    }

    #[test]
    fn colour_changes_no_layout() {
        let plain = Terminal::plain();
        let colour = Terminal { colour: true, ..plain };
        let stripped = anstream::adapter::strip_str(&plan_text(&sample::plan(), 1, Detail::Full, &colour)).to_string();
        assert_eq!(stripped, plan_text(&sample::plan(), 1, Detail::Full, &plain));
    }
}
