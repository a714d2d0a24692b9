//! A text that is not what it should be.

/// Why a text could not become a typed value, and what would.
///
/// It has no place: who parsed it knows where the text stood. `Display` prints the problem and, on
/// lines of their own, `hint: …`; [`Invalid::from_message`] reads that form back, so that the value
/// survives serde's stringly errors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// What is wrong, without a final period.
    pub problem: String,
    /// What to write instead.
    pub hint: Option<String>,
}

const HINT: &str = "\nhint: ";

impl Invalid {
    /// A problem without advice.
    pub fn new(problem: impl Into<String>) -> Self {
        Self { problem: problem.into(), hint: None }
    }

    /// Adds advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Reads back what `Display` wrote.
    #[must_use]
    pub fn from_message(message: &str) -> Self {
        match message.split_once(HINT) {
            Some((problem, hint)) => Self::new(problem).hint(hint),
            None => Self::new(message),
        }
    }
}

impl std::fmt::Display for Invalid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.problem)?;
        match &self.hint {
            Some(hint) => write!(f, "{HINT}{hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Invalid {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_reads_back() {
        for invalid in [Invalid::new("no"), Invalid::new("no").hint("say `yes`")] {
            assert_eq!(Invalid::from_message(&invalid.to_string()), invalid);
        }
    }
}
