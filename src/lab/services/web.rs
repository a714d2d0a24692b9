//! HTTP as the lab's services speak it: a request and its answer as values.

/// A request to a service in a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HttpRequest {
    /// `GET`, `POST` …
    pub method: String,
    /// The port in the container that it came to.
    pub port: u16,
    /// Path with query, such as `/v1/models?x=1`.
    pub target: String,
    /// Headers as they were sent; names in small letters.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Vec<u8>,
}

impl HttpRequest {
    /// A GET of a path.
    #[must_use]
    pub fn get(port: u16, target: &str) -> Self {
        Self { method: "GET".to_owned(), port, target: target.to_owned(), ..Self::default() }
    }

    /// The path without its query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// A value of the query, decoded.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<String> {
        let (_, query) = self.target.split_once('?')?;
        let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
        let value = value.replace('+', " ");
        Some(percent_encoding::percent_decode_str(&value).decode_utf8_lossy().into_owned())
    }

    /// A header, by its name in small letters.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    #[must_use]
    pub fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

/// An answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HttpReply {
    /// HTTP status.
    pub status: u16,
    /// Headers; names in small letters.
    pub headers: Vec<(String, String)>,
    /// The body in the pieces that it comes in; one that is streamed has several.
    pub pieces: Vec<Vec<u8>>,
    /// How long it takes until the first byte comes, in milliseconds.
    pub first_ms: i64,
    /// How long it takes in all, in milliseconds.
    pub took_ms: i64,
}

impl HttpReply {
    /// A text.
    #[must_use]
    pub fn text(status: u16, text: impl Into<String>) -> Self {
        let headers = vec![("content-type".to_owned(), "text/plain; charset=utf-8".to_owned())];
        Self { status, headers, pieces: vec![text.into().into_bytes()], ..Self::default() }
    }

    /// A JSON value.
    #[must_use]
    pub fn json(status: u16, value: &serde_json::Value) -> Self {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Self { status, headers, pieces: vec![value.to_string().into_bytes()], ..Self::default() }
    }

    /// All of its body.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        self.pieces.concat()
    }
}
