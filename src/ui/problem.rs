//! A problem without a place.

use super::text::{one_line, wrap};
use super::{Role, Terminal};
use crate::diag::{Diagnostic, Severity};

/// Shows a problem that points into no file: what, why, what next.
#[must_use]
pub fn problem_text(diagnostic: &Diagnostic, terminal: &Terminal) -> String {
    let (role, word) = match diagnostic.severity {
        Severity::Error => (Role::Bad, "error"),
        Severity::Warning => (Role::Caution, "warning"),
    };
    let head = terminal.paint(role, format!("{word}[{}]", diagnostic.code));
    let mut out = wrap(&format!("{head}: {}", diagnostic.summary), terminal.width, 2);
    let mut lines = |role: Role, word: &str, texts: &[String]| {
        for text in texts {
            for (at, line) in text.lines().enumerate() {
                let head = if at == 0 { terminal.paint(role, word) } else { " ".repeat(word.len()) };
                out.push_str(&wrap(&format!("  {head} {}", one_line(line)), terminal.width, 4));
            }
        }
    };
    lines(Role::Strong, "cause:", &diagnostic.causes);
    lines(Role::Hint, "help:", &diagnostic.hints);
    out
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    #[test]
    fn what_and_why_and_what_next() {
        let diagnostic = Diagnostic::error("plan.stale", "the plan does not fit any more")
            .cause("vm.plan-hq moved:\nmemory 16 GiB, was 32 GiB")
            .hint("make a new one with `infra plan --out FILE`");
        assert_snapshot!(problem_text(&diagnostic, &Terminal::plain().with_width(44)), @r"
        error[plan.stale]: the plan does not fit any
          more
          cause: vm.plan-hq moved:
                 memory 16 GiB, was 32 GiB
          help: make a new one with `infra plan
            --out FILE`
        ");
    }
}
