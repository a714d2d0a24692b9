//! What is wrong with a request.

use std::collections::BTreeSet;
use std::fmt;

use super::Type;
use crate::ports::Method;

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Checked {
    /// What the host would refuse.
    pub problems: Vec<Problem>,
    /// Values that were not checked, as the description does not say how.
    pub unchecked: BTreeSet<Unchecked>,
}

/// A value of which the description has no more than the name of a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unchecked {
    /// Where: `cpu`, `hostpci0`, `net0.rate`.
    pub at: String,
    /// What it would have been checked against, such as `pve-vm-cpu-conf`.
    pub rule: String,
}

/// One thing that the host would refuse.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// The parameter, `net0`; none where the call itself is wrong.
    pub parameter: Option<String>,
    /// The very place, `net0.bridge` or `map[1].path`; empty where the call itself is wrong.
    pub at: String,
    /// What was given.
    pub value: Option<String>,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// Nothing is at this path.
    UnknownPath,
    /// Something is there, but not with this verb.
    UnknownMethod {
        /// Those that are there.
        known: Vec<Method>,
    },
    /// Only a login with a password may call it.
    NotForTokens,
    /// There is no such parameter.
    Unknown {
        /// Those that there are.
        known: Vec<String>,
    },
    /// It must be there.
    Missing,
    /// It must be there, as another parameter is.
    Required {
        /// The other one.
        by: String,
    },
    /// It is there more than once.
    Repeated,
    /// It is of another type.
    Type {
        /// What it must be.
        expected: Type,
    },
    /// It is none of the listed values.
    NotListed {
        /// Those.
        allowed: Vec<String>,
    },
    /// It is below the least value.
    TooSmall {
        /// That one.
        minimum: f64,
    },
    /// It is above the greatest value.
    TooLarge {
        /// That one.
        maximum: f64,
    },
    /// It has too few characters.
    TooShort {
        /// As many as it must have.
        minimum: usize,
    },
    /// It has too many characters.
    TooLong {
        /// As many as it may have.
        maximum: usize,
    },
    /// It does not match.
    Pattern {
        /// The regular expression.
        pattern: String,
    },
    /// It is not of the format.
    Format {
        /// Its name in the description.
        format: String,
        /// What that means.
        means: &'static str,
    },
    /// It cannot be taken apart as `key=value,key=value`.
    Options {
        /// Why not.
        why: String,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownPath => f.write_str("there is no such path"),
            Self::UnknownMethod { known } => {
                let known: Vec<&str> = known.iter().map(|method| method.as_str()).collect();
                write!(f, "this path only takes {}", known.join(", "))
            }
            Self::NotForTokens => f.write_str("no API token may call this"),
            Self::Unknown { .. } => f.write_str("there is no such parameter"),
            Self::Missing => f.write_str("it must be given"),
            Self::Required { by } => write!(f, "it must be given, as `{by}` is"),
            Self::Repeated => f.write_str("it is given more than once"),
            Self::Type { expected: Type::Boolean } => f.write_str("it must be 0 or 1"),
            Self::Type { expected } => write!(f, "it must be of type {}", expected.as_str()),
            Self::NotListed { allowed } => write!(f, "it must be one of {}", allowed.join(", ")),
            Self::TooSmall { minimum } => write!(f, "it must be at least {minimum}"),
            Self::TooLarge { maximum } => write!(f, "it must be at most {maximum}"),
            Self::TooShort { minimum } => write!(f, "it must have at least {minimum} characters"),
            Self::TooLong { maximum } => write!(f, "it may have at most {maximum} characters"),
            Self::Pattern { pattern } => write!(f, "it must match `{pattern}`"),
            Self::Format { format, means } => write!(f, "it must be {means} (`{format}`)"),
            Self::Options { why } => f.write_str(why),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.at.is_empty() { write!(f, "{}", self.fault) } else { write!(f, "`{}`: {}", self.at, self.fault) }
    }
}
