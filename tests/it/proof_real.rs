//! The program that asks over HTTP in guests, in a real perl against servers of the test's own.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use infra::verify::{Ended, HttpRequest, read_replies, requests_script};

/// Answers one connection after the other: takes a request, sends pieces with pauses between them.
fn server(pieces: &'static [&'static str], pause: Duration) -> (u16, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = sender.send(heard(&mut stream));
            for piece in pieces {
                if stream.write_all(piece.as_bytes()).is_err() {
                    break;
                }
                std::thread::sleep(pause);
            }
        }
    });
    (port, receiver)
}

/// A request with its body.
fn heard(stream: &mut TcpStream) -> String {
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut all = Vec::new();
    let mut part = [0; 65536];
    loop {
        let text = String::from_utf8_lossy(&all).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
            let length: usize = length.and_then(|length| length.parse().ok()).unwrap_or(0);
            // What is no UTF-8 is longer as a text.
            if all.len() >= head.len() + 4 + length || body.len() >= length {
                return text;
            }
        }
        match stream.read(&mut part) {
            Ok(0) | Err(_) => return text,
            Ok(count) => all.extend_from_slice(&part[..count]),
        }
    }
}

fn there() -> bool {
    let there = Command::new("perl").arg("-v").output().is_ok();
    if !there {
        println!("not run: install perl");
    }
    there
}

fn asked(
    requests: &[HttpRequest],
    programs: Option<&std::path::Path>,
) -> std::collections::BTreeMap<String, infra::verify::HttpReply> {
    let mut command = Command::new("sh");
    command.args(["-c", &requests_script(requests)]).env("LC_ALL", "C");
    if let Some(programs) = programs {
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", programs.display()));
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    read_replies(&String::from_utf8_lossy(&output.stdout))
}

fn get(key: &str, port: u16) -> HttpRequest {
    HttpRequest {
        key: key.into(),
        host: "127.0.0.1".into(),
        port,
        path: "/x?y=z".into(),
        limit_s: 10,
        ..HttpRequest::default()
    }
}

#[test]
fn a_real_perl_reads_a_stream_as_it_comes_and_looks_at_the_gpu_meanwhile() {
    if !there() {
        return;
    }
    // An event that is torn in two, chunks that are torn in two, and an extension of a chunk.
    let pieces = &[
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "a;x=1\r\ndata: {\"a\"\r\n4\r\n:1}\n",
        "\r\n1\r\n\n\r\ne\r\ndata: [DONE]\n\n\r\n0\r\n\r\n",
    ];
    let (port, requests) = server(pieces, Duration::from_millis(400));
    let programs = tempfile::tempdir().unwrap();
    let program = programs.path().join("nvidia-smi");
    std::fs::write(&program, "#!/bin/sh\necho \"0, GPU-1, Tesla T4, 550.1, 15360, 5000, 87 $#\"\n").unwrap();
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let request = HttpRequest {
        body: Some("{\"it's\":1}".into()),
        samples: true,
        headers: vec!["X-Tenant-Id: infra".into()],
        ..get("a", port)
    };
    let replies = asked(&[request], Some(programs.path()));
    let own = &replies["a"];
    assert_eq!((own.status, &own.ended), (Some(200), &Ended::Whole), "{own:?}");
    let lines: Vec<&str> = own.lines.iter().map(|(_, line)| line.as_str()).collect();
    assert_eq!(lines, ["data: {\"a\":1}", "data: [DONE]"]);
    assert!(own.lines[1].0 - own.lines[0].0 > 0.2, "each line has its own time: {own:?}");
    assert!(own.samples.len() >= 2 && own.samples[0].1.starts_with("0, GPU-1, Tesla T4"), "{own:?}");
    let heard = requests.recv().unwrap();
    assert!(heard.starts_with("POST /x?y=z HTTP/1.1\r\n") && heard.contains("X-Tenant-Id: infra\r\n"), "{heard}");
    assert!(heard.ends_with("\r\n\r\n{\"it's\":1}"), "{heard}");
}

#[test]
fn a_real_perl_tells_how_each_request_ended() {
    if !there() {
        return;
    }
    let (refusing, _kept) =
        server(&["HTTP/1.1 429 Too Many Requests\r\nContent-Length: 3\r\n\r\nno\n"], Duration::ZERO);
    let (slow, _kept_too) =
        server(&["HTTP/1.1 200 OK\r\n\r\n", "one\n", "two\n", "three\n"], Duration::from_millis(700));
    let (silent, _kept_as_well) = server(&[""], Duration::ZERO);
    let gone = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let replies = asked(
        &[
            get("refused", refusing),
            HttpRequest { limit_s: 1, ..get("slow", slow) },
            HttpRequest { until: "two", ..get("enough", slow) },
            get("gone", gone),
            get("hung", silent),
        ],
        None,
    );
    assert_eq!(replies["refused"].fine(), Err("it answers 429: no".to_owned()));
    assert_eq!(replies["slow"].ended, Ended::TimedOut);
    assert_eq!(
        replies["enough"].lines.last().map(|(_, line)| line.as_str()),
        Some("two"),
        "no more is read than is needed"
    );
    assert!(
        matches!(&replies["gone"].ended, Ended::NoConnection(why) if why.contains("refused")),
        "{:?}",
        replies["gone"]
    );
    assert_eq!(replies["hung"].fine(), Err("it hung up without an answer".to_owned()));
}

#[test]
fn a_secret_goes_from_its_file_into_the_header_and_nowhere_else() {
    if !there() {
        return;
    }
    let (port, requests) = server(&["HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"], Duration::ZERO);
    let folder = tempfile::tempdir().unwrap();
    let (file, environment) = (folder.path().join("password"), folder.path().join("env"));
    std::fs::write(&file, "canary-in-file\n").unwrap();
    std::fs::write(&environment, "OTHER=1\nKEY='sk-canary'\n").unwrap();
    let headers = vec![
        format!("X-ClickHouse-Key: @file:{}@", file.display()),
        format!("Authorization: Bearer @env:{}:KEY@", environment.display()),
    ];
    let request = HttpRequest { headers, ..get("a", port) };
    let script = requests_script(std::slice::from_ref(&request));
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    let heard = requests.recv().unwrap();
    assert!(
        heard.contains("X-ClickHouse-Key: canary-in-file\r\n") && heard.contains("Authorization: Bearer sk-canary\r\n"),
        "{heard}"
    );
    let told = format!("{script}{output:?}");
    assert!(output.status.success() && !told.contains("canary"), "{told}");
}

#[test]
fn a_second_of_sound_is_a_file_that_others_can_read() {
    if !there() || Command::new("python3").arg("-V").output().is_err() {
        println!("not run: install perl and python3");
        return;
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let answering = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut all = Vec::new();
        let mut part = [0; 65536];
        // A body of a second of 16-bit samples at 16 kHz, with a head of 44 bytes and a word around it.
        while !all.ends_with(b"tail") {
            let count = stream.read(&mut part).unwrap();
            all.extend_from_slice(&part[..count]);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
        all
    });
    let request = HttpRequest { body: Some("head@wave@tail".into()), ..get("a", port) };
    assert_eq!(asked(&[request], None)["a"].status, Some(200));
    let all = answering.join().unwrap();
    let start = all.windows(4).position(|four| four == b"head").unwrap() + 4;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tone.wav");
    std::fs::write(&path, &all[start..all.len() - 4]).unwrap();
    let program = "import sys, wave; w = wave.open(sys.argv[1]); print(w.getframerate(), w.getnframes(), w.getnchannels(), w.getsampwidth())";
    let output = Command::new("python3").args(["-c", program]).arg(&path).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "16000 16000 1 2", "{output:?}");
}
