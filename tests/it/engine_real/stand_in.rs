//! What stands in for the programs of the catalogue's images: one static program, compiled by the suite and put into
//! every image. It listens where the real one would be told to listen by the same flags, variables and files, reads what
//! the real one reads, asks whom it asks, and answers the paths that the real one answers. Also the registry.
//!
//! Not a module of the test binary: `rustc` makes it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, exit};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{env, fs, thread};

fn main() {
    let words: Vec<String> = env::args().collect();
    let name = Path::new(&words[0]).file_name().and_then(|name| name.to_str()).unwrap_or("").to_owned();
    let rest = &words[1..];
    match (name.as_str(), rest.first().map(String::as_str)) {
        (_, Some("stand-in-registry")) => registry(&rest[1], &rest[2]),
        ("curl", _) => fetch(rest.iter().find(|word| word.starts_with("http")).expect("an address")),
        ("python3", Some("-c")) => match rest[1].split('\'').find(|part| part.starts_with("http")) {
            Some(url) => fetch(url),
            None => {
                let numbers = rest[1].split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok());
                let port: u16 = numbers.max().expect("a port in the program");
                exit(i32::from(TcpStream::connect(("127.0.0.1", port)).is_err()))
            }
        },
        ("ollama", Some("list")) => fetch("http://127.0.0.1:11434/api/tags"),
        ("mc", Some("ready")) => fetch("http://127.0.0.1:9000/minio/health/live"),
        ("healthcheck", _) => fetch("http://127.0.0.1:3001/"),
        ("pg_isready", _) => fetch("http://127.0.0.1:5432/ready"),
        ("redis-cli" | "valkey-cli", _) => {
            let there = TcpStream::connect("127.0.0.1:6379").is_ok();
            println!("{}", if there { "PONG" } else { "no" });
            exit(i32::from(!there));
        }
        ("gosu", _) => {
            let error = Command::new(&rest[1]).args(&rest[2..]).exec();
            fail(&format!("{}: {error}", rest[1]));
        }
        // BusyBox's own deletes nothing.
        ("find", _) if rest.last().is_some_and(|word| word == "-delete") => {
            for entry in fs::read_dir(&rest[0]).unwrap().flatten() {
                let gone = fs::remove_file(entry.path()).or_else(|_| fs::remove_dir_all(entry.path()));
                gone.unwrap_or_else(|error| fail(&format!("{}: {error}", entry.path().display())));
            }
        }
        ("pg_basebackup", _) => base_backup(rest),
        ("ak", Some("healthcheck")) => fetch("http://127.0.0.1:9000/-/health/live/"),
        _ => serve(rest),
    }
}

fn fail(why: &str) -> ! {
    eprintln!("stand-in: {why}");
    exit(1)
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn list(name: &str) -> Vec<String> {
    variable(name).unwrap_or_default().split(',').filter(|one| !one.is_empty()).map(str::to_owned).collect()
}

/// Ends well if the address answers with what is no error.
fn fetch(url: &str) {
    let (peer, path) = url.trim_start_matches("http://").split_once('/').unwrap_or((url, ""));
    let status = (|| -> std::io::Result<String> {
        let mut stream = TcpStream::connect(peer)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        write!(stream, "GET /{path} HTTP/1.0\r\nhost: localhost\r\n\r\n")?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line)?;
        Ok(line.split(' ').nth(1).unwrap_or_default().to_owned())
    })();
    match status {
        Ok(status) if status.starts_with('2') => exit(0),
        other => fail(&format!("{url}: {other:?}")),
    }
}

fn base_backup(words: &[String]) {
    let after = |flag: &str| words.iter().position(|word| word == flag).map(|at| words[at + 1].clone());
    let (host, port) = (after("--host").unwrap(), after("--port").unwrap());
    if TcpStream::connect(format!("{host}:{port}")).is_err() {
        fail(&format!("the primary {host}:{port} does not answer"));
    }
    fs::write(format!("{}/PG_VERSION", after("--pgdata").unwrap()), "17\n").unwrap();
    exit(0)
}

/// Where the program was told to listen: the number that ends the first value found.
fn port(said: &str, words: &[String]) -> Option<u16> {
    let number = |value: &str| -> Option<u16> {
        let value = value.trim().trim_end_matches(['"', ',', ';', ')', '}', '/']);
        let digits = value.rsplit(|c: char| !c.is_ascii_digit()).next()?;
        digits.parse().ok()
    };
    let (kind, what) = said.split_once(':')?;
    match kind {
        "always" => number(what),
        "flag" => words.iter().enumerate().find_map(|(at, word)| {
            let with = word.strip_prefix(what)?;
            match with.strip_prefix('=') {
                Some(value) => number(value),
                None if with.is_empty() => number(words.get(at + 1)?),
                None => None,
            }
        }),
        "env" => number(&variable(what)?),
        "file" => {
            let (path, key) = what.split_once('#')?;
            let text = fs::read_to_string(path).unwrap_or_else(|error| fail(&format!("{path}: {error}")));
            text.lines().find_map(|line| {
                let value = line.trim_start().strip_prefix(key)?;
                number(value.split("</").next()?)
            })
        }
        _ => None,
    }
}

fn serve(words: &[String]) {
    for name in list("STAND_IN_VARIABLES") {
        if variable(&name).is_none() {
            fail(&format!("{name} is not set"));
        }
    }
    for path in list("STAND_IN_READS") {
        match fs::read(&path) {
            Ok(bytes) if !bytes.is_empty() => {}
            Ok(_) => fail(&format!("{path} is empty")),
            Err(error) => fail(&format!("{path}: {error}")),
        }
    }
    for path in list("STAND_IN_WRITES") {
        let file = format!("{path}/stand-in");
        if let Err(error) = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&file)
            .and_then(|mut file| writeln!(file, "{}", variable("STAND_IN_VERSION").unwrap_or_default()))
        {
            fail(&format!("{file}: {error}"));
        }
    }
    for name in list("STAND_IN_ASKS") {
        let Some(url) = variable(&name) else { fail(&format!("{name} is not set")) };
        let peer = url.split("://").last().unwrap().split('/').next().unwrap();
        let peer = peer.rsplit('@').next().unwrap();
        if let Err(error) = TcpStream::connect(peer) {
            fail(&format!("{name}: {peer}: {error}"));
        }
    }
    let listens = list("STAND_IN_LISTENS");
    let start = Instant::now();
    for said in listens {
        // The first of several ways in which it can be told.
        let port = said.split('|').find_map(|one| port(one, words));
        let Some(port) = port else { fail(&format!("no port: {said} of {words:?}")) };
        let listener = TcpListener::bind(("0.0.0.0", port)).unwrap_or_else(|error| fail(&format!("{port}: {error}")));
        println!("listening on {port}");
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                thread::spawn(move || answer(stream, start));
            }
        });
    }
    println!("{} serves", variable("STAND_IN_VERSION").unwrap_or_default());
    loop {
        thread::park();
    }
}

fn request(stream: &TcpStream) -> Option<(String, String, Vec<String>, Vec<u8>)> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let mut words = first.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let mut head = Vec::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 || line.trim().is_empty() {
            break;
        }
        let line = line.trim().to_owned();
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        head.push(line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((method, path, head, body))
}

fn answer(mut stream: TcpStream, start: Instant) {
    let Some((_, path, _, _)) = request(&stream) else { return };
    let path = path.split('?').next().unwrap_or_default().to_owned();
    let late = variable("STAND_IN_SLOW").and_then(|text| text.parse().ok()).unwrap_or(0);
    let version = variable("STAND_IN_VERSION").unwrap_or_default();
    let known = list("STAND_IN_PATHS").contains(&path) || path == "/stand-in";
    let (status, body) = if variable("STAND_IN_BAD").is_some() || start.elapsed() < Duration::from_secs(late) {
        ("503 Service Unavailable", format!("{version} is not well\n"))
    } else if !known {
        ("404 Not Found", "there is no such path\n".to_owned())
    } else {
        ("200 OK", format!("{version}\n"))
    };
    let length = body.len();
    let _ = write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
}

/// Registries of every name at once: a mirror of Docker Hub, and the proxy that leads to all others. What it has lies in
/// files: `manifests` lists `HOST/REPOSITORY:REFERENCE FILE`, blobs are called by their digests.
fn registry(folder: &str, address: &str) {
    let listener = TcpListener::bind(address).unwrap_or_else(|error| fail(&format!("{address}: {error}")));
    let folder = Arc::new(folder.to_owned());
    for stream in listener.incoming().flatten() {
        let folder = Arc::clone(&folder);
        thread::spawn(move || registry_answer(stream, &folder));
    }
}

fn registry_answer(mut stream: TcpStream, folder: &str) {
    let Some((method, path, _, _)) = request(&stream) else { return };
    let without = path.split('?').next().unwrap_or_default();
    let (host, path) = match without.strip_prefix("http://") {
        Some(rest) => rest.split_once('/').map_or((rest, String::new()), |(host, path)| (host, format!("/{path}"))),
        None => ("docker.io", without.to_owned()),
    };
    let text = fs::read_to_string(format!("{folder}/manifests")).unwrap_or_default();
    let known: BTreeMap<&str, &str> = text.lines().filter_map(|line| line.split_once(' ')).collect();
    let found = if method == "CONNECT" {
        None
    } else if path == "/v2/" {
        Some(("application/json", b"{}".to_vec(), String::new()))
    } else if let Some((repository, reference)) = path.trim_start_matches("/v2/").split_once("/manifests/") {
        let digest = match reference.strip_prefix("sha256:") {
            Some(_) => Some(reference),
            None => known.get(format!("{host}/{repository}:{reference}").as_str()).copied(),
        };
        digest.and_then(|digest| {
            let bytes = fs::read(format!("{folder}/{digest}")).ok()?;
            Some(("application/vnd.docker.distribution.manifest.v2+json", bytes, digest.to_owned()))
        })
    } else if let Some((_, digest)) = path.split_once("/blobs/") {
        let bytes = fs::read(format!("{folder}/{digest}")).ok();
        bytes.map(|bytes| ("application/octet-stream", bytes, digest.to_owned()))
    } else {
        None
    };
    let body = |bytes: &[u8]| if method == "HEAD" { Vec::new() } else { bytes.to_vec() };
    let _ = match found {
        Some((kind, bytes, digest)) => {
            let length = bytes.len();
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\ndocker-content-digest: {digest}\r\n\
                 docker-distribution-api-version: registry/2.0\r\nconnection: close\r\n\r\n"
            );
            stream.write_all(&[head.into_bytes(), body(&bytes)].concat())
        }
        None => {
            let text = r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#;
            let length = text.len();
            let head = format!(
                "HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
            );
            stream.write_all(&[head.into_bytes(), body(text.as_bytes())].concat())
        }
    };
}
