//! Both sides of a proxy, as simple as they can be: upstreams that a test writes, and a client that says what came.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// Nothing here takes this long; a test that waits for what never comes ends all the same.
const PATIENCE: Duration = Duration::from_secs(20);

/// What was asked of an upstream.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Method, path and version.
    pub line: String,
    /// Headers by name in lower case, each value.
    pub headers: BTreeMap<String, Vec<String>>,
}

impl Asked {
    /// The only value of a header, empty without one.
    pub fn header(&self, name: &str) -> String {
        self.headers.get(name).map(|values| values.join(", ")).unwrap_or_default()
    }
}

/// An upstream on loopback; it ends with the test.
pub struct Upstream {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Upstream {
    /// Answers each connection by `answer`, one request per connection.
    pub fn start(answer: impl Fn(&Asked, &mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, answer) = (asked.clone(), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, answer) = (log.clone(), answer.clone());
                thread::spawn(move || {
                    stream.set_read_timeout(Some(PATIENCE)).unwrap();
                    let mut reader = BufReader::new(stream.try_clone().unwrap());
                    let Some((line, headers)) = head(&mut reader) else { return };
                    let asked = Asked { line, headers };
                    log.lock().unwrap().push(asked.clone());
                    let mut stream = stream;
                    answer(&asked, &mut stream);
                });
            }
        });
        Self { address, asked }
    }

    /// Answers everything with 200 and `body`.
    pub fn saying(body: &'static str) -> Self {
        Self::start(move |_, stream| reply(stream, "200 OK", "", body))
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

/// Writes a whole answer; `headers` are lines with their ends.
pub fn reply(stream: &mut TcpStream, status: &str, headers: &str, body: &str) {
    let length = body.len();
    let _ = write!(stream, "HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}");
}

fn head(reader: &mut impl BufRead) -> Option<(String, BTreeMap<String, Vec<String>>)> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let mut lines = lines.into_iter();
    let first = lines.next()?;
    let mut headers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in lines {
        let (name, value) = line.split_once(':')?;
        headers.entry(name.to_ascii_lowercase()).or_default().push(value.trim().to_owned());
    }
    Some((first, headers))
}

/// A request on its way: the answer's head is there, its body comes as it comes.
pub struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, Vec<String>>,
    reader: BufReader<TcpStream>,
}

/// Asks `path` of `site` at `proxy`; `headers` are lines with their ends.
pub fn ask(proxy: SocketAddr, site: &str, path: &str, headers: &str) -> Answer {
    let mut stream = TcpStream::connect(proxy).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {site}\r\n{headers}\r\n").unwrap();
    let mut reader = BufReader::new(stream);
    let (line, headers) = head(&mut reader).expect("the proxy answers");
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    Answer { status, headers, reader }
}

impl Answer {
    /// The only value of a header, empty without one.
    pub fn header(&self, name: &str) -> String {
        self.headers.get(name).map(|values| values.join(", ")).unwrap_or_default()
    }

    /// The next chunk of a chunked body; empty at its end.
    pub fn chunk(&mut self) -> String {
        let mut size = String::new();
        self.reader.read_line(&mut size).expect("a chunk comes");
        let size = usize::from_str_radix(size.trim(), 16).expect("the size of a chunk");
        let mut chunk = vec![0; size + 2];
        self.reader.read_exact(&mut chunk).expect("the whole chunk comes");
        String::from_utf8_lossy(&chunk[..size]).into_owned()
    }

    /// As many bytes as are asked for.
    pub fn bytes(&mut self, count: usize) -> String {
        let mut bytes = vec![0; count];
        self.reader.read_exact(&mut bytes).expect("the bytes come");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The whole body, which says how long it is.
    pub fn body(&mut self) -> String {
        let length = self.header("content-length").parse().expect("a body of known length");
        self.bytes(length)
    }

    /// Writes to an upgraded connection.
    pub fn send(&mut self, text: &str) {
        self.reader.get_mut().write_all(text.as_bytes()).unwrap();
    }
}
