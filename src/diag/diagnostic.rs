//! One problem, and many of them.

use serde::Serialize;

use super::Span;

/// How bad a [`Diagnostic`] is. Only an `Error` makes a command refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; nothing is refused.
    Warning,
    /// Refused: nothing may be done on top of it.
    Error,
}

/// A place in a source file with what there is to say about that very place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Label {
    /// Where.
    pub span: Span,
    /// What is said beside the underlined text; empty for a bare underline.
    pub text: String,
}

/// One problem with its places, causes and ways out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// A stable, dotted, kebab-case id such as `inventory.unknown-key` or `plan.foreign-vmid`.
    pub code: &'static str,
    /// Whether it refuses.
    pub severity: Severity,
    /// One sentence without a final period: what is wrong.
    pub summary: String,
    /// Why it is wrong, or what led to it, outermost first.
    pub causes: Vec<String>,
    /// What to do next, one line each.
    pub hints: Vec<String>,
    /// The place that is wrong; problems of a host have none.
    pub primary: Option<Label>,
    /// Further places, such as the entry that this one collides with.
    pub related: Vec<Label>,
}

impl Diagnostic {
    /// Starts an error.
    pub fn error(code: &'static str, summary: impl Into<String>) -> Self {
        Self::new(code, Severity::Error, summary)
    }

    /// Starts a warning.
    pub fn warning(code: &'static str, summary: impl Into<String>) -> Self {
        Self::new(code, Severity::Warning, summary)
    }

    fn new(code: &'static str, severity: Severity, summary: impl Into<String>) -> Self {
        Self {
            code,
            severity,
            summary: summary.into(),
            causes: Vec::new(),
            hints: Vec::new(),
            primary: None,
            related: Vec::new(),
        }
    }

    /// Points at the place that is wrong.
    #[must_use]
    pub fn at(mut self, span: Span, text: impl Into<String>) -> Self {
        self.primary = Some(Label { span, text: text.into() });
        self
    }

    /// Points at the place that is wrong, if it is known.
    #[must_use]
    pub fn at_maybe(self, span: Option<Span>, text: impl Into<String>) -> Self {
        match span {
            Some(span) => self.at(span, text),
            None => self,
        }
    }

    /// Points at a further place.
    #[must_use]
    pub fn related(mut self, span: Span, text: impl Into<String>) -> Self {
        self.related.push(Label { span, text: text.into() });
        self
    }

    /// Adds a reason.
    #[must_use]
    pub fn cause(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    /// Adds a way out.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Adds a way out, if there is one.
    #[must_use]
    pub fn hint_maybe(self, hint: Option<String>) -> Self {
        match hint {
            Some(hint) => self.hint(hint),
            None => self,
        }
    }
}

/// Problems in the order they were found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// Nothing wrong so far.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one problem.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    /// Adds all problems of `other`.
    pub fn extend(&mut self, other: impl IntoIterator<Item = Diagnostic>) {
        self.0.extend(other);
    }

    /// Whether anything refuses.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|d| d.severity == Severity::Error)
    }

    /// Whether nothing at all was said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many problems refuse.
    #[must_use]
    pub fn error_count(&self) -> usize {
        self.0.iter().filter(|d| d.severity == Severity::Error).count()
    }

    /// How many problems do not refuse.
    #[must_use]
    pub fn warning_count(&self) -> usize {
        self.0.len() - self.error_count()
    }

    /// The problems in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.0.iter()
    }

    /// Orders problems by file and position; those without a place come last.
    pub fn sort_by_place(&mut self) {
        self.0.sort_by_key(|d| match &d.primary {
            Some(label) => (0, label.span.file.0, label.span.start),
            None => (1, 0, 0),
        });
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Self(vec![diagnostic])
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl FromIterator<Diagnostic> for Diagnostics {
    fn from_iter<T: IntoIterator<Item = Diagnostic>>(iter: T) -> Self {
        Self(iter.into_iter().collect())
    }
}
