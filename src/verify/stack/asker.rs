//! HTTP from inside a guest: a perl program asks, writes down when each line of an answer came, and looks at the GPU
//! meanwhile.
//!
//! perl because it is essential to Debian and Ubuntu (`perl-base`), while curl is in none of their container templates.
//! Times are those of `/proc/uptime`, to 10 ms: `perl-base` has no finer clock. A secret goes into a header as the name
//! of the file that it is in ([`Secret`]); the program reads it there and prints nothing of it.

use std::collections::BTreeMap;
use std::fmt;

use crate::ports::quote;

/// The program; there is no single quote in it.
const PROGRAM: &str = include_str!("ask.pl");

/// What `nvidia-smi` is asked for, while a request is answered and else.
pub(super) const GPU_QUERY: &str = "--query-gpu=index,uuid,name,driver_version,memory.total,memory.used,utilization.gpu \
                                    --format=csv,noheader,nounits";

/// One request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// What its answer is told by: a word without blanks.
    pub key: String,
    /// Name or address of the server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// `POST` if there is a body, else `GET`.
    pub body: Option<String>,
    /// Path with query.
    pub path: String,
    /// Headers, each `Name: value`; see [`Secret`].
    pub headers: Vec<String>,
    /// Seconds until it is given up.
    pub limit_s: u32,
    /// A text in a line after which no more is read; empty if all is.
    pub until: &'static str,
    /// Whether the GPU is looked at meanwhile.
    pub samples: bool,
}

/// Where in the guest a secret is that belongs into a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Secret {
    /// All of a file.
    File(String),
    /// A variable of an environment file.
    Variable(String, String),
}

impl fmt::Display for Secret {
    /// As the program reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "@file:{path}@"),
            Self::Variable(path, name) => write!(f, "@env:{path}:{name}@"),
        }
    }
}

/// A body of which the program makes a second of sound in place of this mark (WAV, 16 kHz, one channel).
pub(super) const WAVE: &str = "@wave@";

/// What came of a request.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reply {
    /// HTTP status, if anything was answered.
    pub status: Option<u16>,
    /// Lines of the body, each with the seconds since the request was begun.
    pub lines: Vec<(f64, String)>,
    /// What `nvidia-smi` printed meanwhile, likewise.
    pub samples: Vec<(f64, String)>,
    /// How it ended.
    pub ended: Ended,
    /// Seconds that it took.
    pub took_s: f64,
}

/// How a request ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Ended {
    /// Nothing is known of it.
    #[default]
    NotAsked,
    /// All was read that was to be.
    Whole,
    /// There was no connection, with what the system said.
    NoConnection(String),
    /// It took too long.
    TimedOut,
}

impl Reply {
    /// The body.
    #[must_use]
    pub fn body(&self) -> String {
        self.lines.iter().map(|(_, line)| line.as_str()).collect::<Vec<_>>().join("\n")
    }

    /// The body as JSON, if it was answered with 200.
    ///
    /// # Errors
    /// With what came instead, in a sentence.
    pub fn json(&self) -> Result<serde_json::Value, String> {
        self.fine()?;
        serde_json::from_str(&self.body()).map_err(|_| "what it answers is no JSON".to_owned())
    }

    /// Nothing, if it was answered with 200.
    ///
    /// # Errors
    /// With what came instead, in a sentence.
    pub fn fine(&self) -> Result<(), String> {
        match (&self.ended, self.status) {
            (Ended::NotAsked, _) => Err("it was not asked".to_owned()),
            (Ended::NoConnection(why), _) => Err(format!("nobody answers: {why}")),
            (Ended::TimedOut, _) => Err(format!("it took longer than {:.0} s", self.took_s)),
            (Ended::Whole, Some(200)) => Ok(()),
            (Ended::Whole, None) => Err("it hung up without an answer".to_owned()),
            (Ended::Whole, Some(status)) => {
                let said = self.body();
                let said: String = said.chars().take(200).collect();
                Err(if said.is_empty() {
                    format!("it answers {status}")
                } else {
                    format!("it answers {status}: {said}")
                })
            }
        }
    }
}

/// The script that makes all of the requests, one after the other.
#[must_use]
pub fn script(requests: &[Request]) -> String {
    let mut script = format!("perl -MIO::Socket::IP -e '{PROGRAM}'");
    for request in requests {
        let method = if request.body.is_some() { "POST" } else { "GET" };
        let sample = if request.samples { GPU_QUERY } else { "" };
        let headers: String = request.headers.iter().map(|header| format!("{header}\r\n")).collect();
        let words: [&str; 10] = [
            &request.key,
            &request.host,
            &request.port.to_string(),
            method,
            &request.path,
            &request.limit_s.to_string(),
            request.until,
            sample,
            &headers,
            request.body.as_deref().unwrap_or_default(),
        ];
        for word in words {
            script.push(' ');
            script.push_str(&quote(word));
        }
    }
    script.push('\n');
    script
}

/// What the script printed, by key.
#[must_use]
pub fn read(stdout: &str) -> BTreeMap<String, Reply> {
    let mut replies = BTreeMap::new();
    let mut reply = Reply::default();
    for line in stdout.lines() {
        let Some((kind, rest)) = line.split_once(' ') else { continue };
        match kind {
            ">" => reply = Reply::default(),
            "<" => {
                let mut words = rest.splitn(4, ' ');
                let key = words.next().unwrap_or_default().to_owned();
                let code = words.next().unwrap_or_default();
                reply.took_s = words.next().and_then(|word| word.parse().ok()).unwrap_or_default();
                let why = words.next().unwrap_or_default().trim().to_owned();
                reply.ended = match code {
                    "0" => Ended::Whole,
                    "2" => Ended::TimedOut,
                    _ => Ended::NoConnection(why),
                };
                replies.insert(key, std::mem::take(&mut reply));
            }
            _ => {
                let (at, text) = rest.split_once(' ').unwrap_or((rest, ""));
                let Ok(at) = at.parse::<f64>() else { continue };
                match kind {
                    "h" => reply.status = text.split(' ').nth(1).and_then(|status| status.parse().ok()),
                    "b" => reply.lines.push((at, text.to_owned())),
                    "g" => reply.samples.push((at, text.to_owned())),
                    _ => {}
                }
            }
        }
    }
    replies
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_can_stand_in_single_quotes() {
        assert!(!PROGRAM.contains('\''));
    }

    #[test]
    fn what_was_printed_is_read_by_key() {
        let text = "> a\nh 0.02 HTTP/1.1 200 OK\nb 0.51 data: {\"n\":0}\ng 0.55 0, GPU-1, T4\nb 0.60 x\n< a 0 0.61 \n\
                    > b\n< b 1 0.00 Connection refused\n> c\nh 0.01 HTTP/1.1 429 Too Many Requests\nb 0.01 no\n< c 0 0.01 \n> d\n";
        let read = read(text);
        assert_eq!(read["a"].status, Some(200));
        assert_eq!(read["a"].lines, [(0.51, "data: {\"n\":0}".to_owned()), (0.6, "x".to_owned())]);
        assert_eq!((read["a"].samples.len(), read["a"].took_s), (1, 0.61));
        assert_eq!(read["b"].fine(), Err("nobody answers: Connection refused".to_owned()));
        assert_eq!(read["c"].fine(), Err("it answers 429: no".to_owned()));
        assert_eq!((read.len(), read.get("d")), (3, None), "what did not end is not known");
    }

    #[test]
    fn a_secret_is_named_and_not_told() {
        let key = Secret::Variable("/opt/stacks/x/.env.x".into(), "KEY".into());
        let headers = vec![format!("Authorization: Bearer {key}")];
        let script = script(&[Request { key: "a".into(), headers, ..Request::default() }]);
        assert!(script.contains("'Authorization: Bearer @env:/opt/stacks/x/.env.x:KEY@\r\n'"), "{script}");
    }
}
