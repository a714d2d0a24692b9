//! Rendered routes, served by a real Caddy.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Duration;

use infra::blueprint::Blueprint;
use infra::render::caddy_users;
use secrecy::{ExposeSecret, SecretString};

use super::caddy::{Caddy, Home};
use super::peers::{Upstream, ask, reply};
use super::{blueprint, there, vrooli_with};

const INGRESS: &str = "
ingress:
  guest: ops-tools
  from: [192.168.10.0/24, tag:phone]
  tls: none
  users: { alice: secret:alice }
  authelia: { guest: plan-hq, portal: auth.example.com }
  authentik: { guest: plan-hq }
guests:
  plan-hq: { routes: { auth.example.com: 9091 } }
";

fn has_caddy() -> bool {
    there("caddy", "version", "caddy (apt-get install caddy)")
}

/// The sites of `routes` (those of proj-x), each leading to an upstream on loopback instead of its guest.
fn sites(routes: &str, upstreams: &[(&str, SocketAddr)], asked: Option<SocketAddr>) -> Blueprint {
    let over = format!("guests:\n  proj-x:\n    routes:\n{routes}");
    let mut blueprint = blueprint(&vrooli_with(&[INGRESS, &over]));
    let ingress = blueprint.ingress.as_mut().unwrap();
    for (site, address) in upstreams {
        ingress.sites.get_mut(*site).unwrap().upstream = *address;
    }
    for provider in [&mut ingress.authelia, &mut ingress.authentik].into_iter().flatten() {
        provider.upstream = asked.unwrap_or(provider.upstream);
    }
    blueprint
}

fn serve(routes: &str, upstreams: &[(&str, SocketAddr)]) -> Caddy {
    Home::new().run(&sites(routes, upstreams, None))
}

#[test]
fn each_site_leads_to_its_own_guest() {
    if !has_caddy() {
        return;
    }
    let (one, two) = (Upstream::saying("one"), Upstream::saying("two"));
    let routes = "      one.example.com: 8080\n      two.example.com: 8081\n";
    let caddy = serve(routes, &[("one.example.com", one.address), ("two.example.com", two.address)]);
    assert_eq!(ask(caddy.http(), "one.example.com", "/a?b=c", "").body(), "one");
    assert_eq!(ask(caddy.http(), "two.example.com", "/", "X-Forwarded-For: 10.9.9.9\r\n").body(), "two");
    let stranger = ask(caddy.http(), "three.example.com", "/", "");
    assert_eq!(stranger.header("content-length"), "0", "a name that is no site leads nowhere");
    assert_eq!((one.asked().len(), two.asked().len()), (1, 1));
    let asked = &one.asked()[0];
    assert_eq!(asked.line, "GET /a?b=c HTTP/1.1");
    assert_eq!((asked.header("host"), asked.header("x-forwarded-proto")), ("one.example.com".into(), "http".into()));
    assert_eq!(two.asked()[0].header("x-forwarded-for"), "127.0.0.1", "not what the visitor says");
    crate::held::held("caddy", "`caddy validate`, and Caddy serves its routes");
}

#[test]
fn headers_for_browsers_are_there_unless_the_service_has_its_own() {
    if !has_caddy() {
        return;
    }
    let own =
        Upstream::start(|_, stream| reply(stream, "200 OK", "X-Frame-Options: DENY\r\nServer: secret/1.0\r\n", ""));
    let caddy = serve("      one.example.com: 8080\n", &[("one.example.com", own.address)]);
    let answer = ask(caddy.http(), "one.example.com", "/", "");
    assert_eq!(answer.header("x-frame-options"), "DENY", "once, and the service's own");
    // In one block of `header`, Caddy sets fields with `?` only where all of them are missing (2.6.2).
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(answer.header("referrer-policy"), "strict-origin-when-cross-origin");
    assert_eq!(answer.header("server"), "", "which program it is, is nobody's business");
}

/// An upstream that writes `head` and `first`, and the rest only when it is told to.
fn in_two_parts(
    head: &'static str,
    first: &'static str,
    rest: &'static str,
) -> (Upstream, std::sync::mpsc::Sender<()>) {
    let (go, told) = channel::<()>();
    let told = Mutex::new(told);
    let upstream = Upstream::start(move |_, stream| {
        write!(stream, "HTTP/1.1 200 OK\r\n{head}\r\n{first}").unwrap();
        stream.flush().unwrap();
        if told.lock().unwrap().recv_timeout(Duration::from_secs(20)).is_ok() {
            let _ = write!(stream, "{rest}");
        }
    });
    (upstream, go)
}

#[test]
fn the_first_token_arrives_before_the_last_one_is_made() {
    if !has_caddy() {
        return;
    }
    for kind in ["application/json", "text/event-stream", "text/plain"] {
        let head: &'static str =
            Box::leak(format!("Content-Type: {kind}\r\nTransfer-Encoding: chunked\r\n").into_boxed_str());
        let (upstream, go) = in_two_parts(head, "5\r\nfirst\r\n", "4\r\nlast\r\n0\r\n\r\n");
        let caddy = serve("      one.example.com: 8080\n", &[("one.example.com", upstream.address)]);
        let mut answer = ask(caddy.http(), "one.example.com", "/", "Accept-Encoding: gzip\r\n");
        assert_eq!(answer.chunk(), "first", "{kind}: it is here, and the rest was not even sent");
        go.send(()).unwrap();
        assert_eq!((answer.chunk(), answer.chunk()), ("last".to_owned(), String::new()));
    }
}

#[test]
fn with_streaming_also_what_says_its_length_is_not_held_back() {
    if !has_caddy() {
        return;
    }
    let (upstream, go) = in_two_parts("Content-Type: text/plain\r\nContent-Length: 9\r\n", "first", "last");
    let caddy =
        serve("      one.example.com: { port: 8080, streaming: true }\n", &[("one.example.com", upstream.address)]);
    let mut answer = ask(caddy.http(), "one.example.com", "/", "");
    assert_eq!(answer.bytes(5), "first");
    go.send(()).unwrap();
    assert_eq!(answer.bytes(4), "last");
}

/// The GPU shall not go on for nobody: without `streaming`, a reader that hangs up is told to the model.
#[test]
fn who_hangs_up_ends_the_generation() {
    if !has_caddy() {
        return;
    }
    let (tell, ended) = channel();
    let tell = Mutex::new(tell);
    let upstream = Upstream::start(move |_, stream| {
        write!(stream, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n").unwrap();
        let closed = matches!(stream.read(&mut [0; 1]), Ok(0)) || stream.write_all(b"1\r\n").is_err();
        tell.lock().unwrap().send(closed).unwrap();
    });
    let caddy = serve("      one.example.com: 8080\n", &[("one.example.com", upstream.address)]);
    let mut answer = ask(caddy.http(), "one.example.com", "/", "");
    assert_eq!(answer.chunk(), "first");
    drop(answer);
    assert_eq!(ended.recv_timeout(Duration::from_secs(20)), Ok(true), "the upstream sees the end");
}

#[test]
fn nobody_gets_in_without_the_password_and_the_service_never_sees_it() {
    if !has_caddy() {
        return;
    }
    let upstream = Upstream::saying("in");
    let home = Home::new();
    let hash = Command::new("caddy").args(["hash-password", "--plaintext", "hunter2"]).output().unwrap().stdout;
    let users = BTreeMap::from([("alice".to_owned(), SecretString::from(String::from_utf8(hash).unwrap()))]);
    std::fs::write(&home.place.users, caddy_users(&users, ' ').unwrap().expose_secret()).unwrap();
    let routes = "      one.example.com: { port: 8080, auth: basic }\n";
    let caddy = home.run(&sites(routes, &[("one.example.com", upstream.address)], None));
    // alice:hunter2, alice:hunter3, eve:hunter2
    let right = "Authorization: Basic YWxpY2U6aHVudGVyMg==\r\nRemote-User: root\r\n";
    let wrong = ["", "Authorization: Basic YWxpY2U6aHVudGVyMw==\r\n", "Authorization: Basic ZXZlOmh1bnRlcjI=\r\n"];
    for header in wrong.into_iter().chain(["Remote-User: alice\r\n"]) {
        let answer = ask(caddy.http(), "one.example.com", "/", header);
        assert_eq!(answer.status, 401, "{header}");
        assert!(answer.header("www-authenticate").starts_with("Basic"));
    }
    assert!(upstream.asked().is_empty(), "nobody who is not let in reaches it");
    assert_eq!(ask(caddy.http(), "one.example.com", "/", right).body(), "in");
    let asked = &upstream.asked()[0];
    assert_eq!((asked.header("authorization"), asked.header("remote-user")), (String::new(), "alice".into()));
}

/// Says who somebody is by their cookie; says nothing of groups, as Authelia of somebody without any.
fn gateway() -> Upstream {
    Upstream::start(|asked, stream| match asked.header("cookie").as_str() {
        "session=alice" => {
            reply(stream, "200 OK", "Remote-User: alice\r\nX-Authentik-Username: alice\r\n", "");
        }
        _ => reply(stream, "302 Found", "Location: https://auth.example.com/\r\n", ""),
    })
}

/// A header that Caddy copies only if the answer has it: until 2.11.2, what the visitor had written went through
/// (GHSA-7r4p-vjf4-gxv4).
const FORGED: &str = "Remote-User: root\r\nRemote-Groups: admins\r\nX-Authentik-Username: root\r\n\
                      X-Authentik-Groups: admins\r\n";

#[test]
fn who_somebody_is_is_said_by_the_gateway_alone() {
    if !has_caddy() {
        return;
    }
    for (auth, path) in [
        ("authelia", "/api/authz/forward-auth?authelia_url=https%3A%2F%2Fauth.example.com%2F"),
        // Caddy keeps the query where the path to ask has none.
        ("authentik", "/outpost.goauthentik.io/auth/caddy?q=1"),
    ] {
        let (upstream, gateway) = (Upstream::saying("in"), gateway());
        let routes = format!("      one.example.com: {{ port: 8080, auth: {auth} }}\n");
        let sites = sites(&routes, &[("one.example.com", upstream.address)], Some(gateway.address));
        let caddy = Home::new().run(&sites);
        let refused = ask(caddy.http(), "one.example.com", "/chat", FORGED);
        assert_eq!((refused.status, refused.header("location").as_str()), (302, "https://auth.example.com/"), "{auth}");
        assert!(upstream.asked().is_empty(), "{auth}: nobody who is not let in reaches it");
        let let_in = format!("Cookie: session=alice\r\n{FORGED}");
        assert_eq!(ask(caddy.http(), "one.example.com", "/chat?q=1", &let_in).body(), "in", "{auth}");
        let asked = gateway.asked().pop().unwrap();
        assert_eq!(asked.line, format!("GET {path} HTTP/1.1"));
        assert_eq!(asked.header("x-forwarded-uri"), "/chat?q=1");
        assert_eq!(
            (asked.header("x-forwarded-method"), asked.header("x-forwarded-host")),
            ("GET".into(), "one.example.com".into())
        );
        let asked = upstream.asked().pop().unwrap();
        let names = if auth == "authelia" { "remote-" } else { "x-authentik-" };
        let (own, other) = if auth == "authelia" {
            ("remote-user", "x-authentik-username")
        } else {
            ("x-authentik-username", "remote-user")
        };
        assert_eq!((asked.header(own).as_str(), asked.header(other).as_str()), ("alice", ""), "{auth}");
        assert!(!asked.header(&format!("{names}groups")).contains("admins"), "{auth}: {asked:?}");
    }
}

#[test]
fn the_login_pages_of_authentik_are_reached_without_a_login() {
    if !has_caddy() {
        return;
    }
    let (upstream, outpost) = (Upstream::saying("in"), Upstream::saying("log in"));
    let routes = "      one.example.com: { port: 8080, auth: authentik }\n";
    let sites = sites(routes, &[("one.example.com", upstream.address)], Some(outpost.address));
    let caddy = Home::new().run(&sites);
    assert_eq!(ask(caddy.http(), "one.example.com", "/outpost.goauthentik.io/start", "").body(), "log in");
    assert!(upstream.asked().is_empty());
}

#[test]
fn a_site_without_a_login_still_believes_no_visitor() {
    if !has_caddy() {
        return;
    }
    let upstream = Upstream::saying("in");
    let caddy = serve("      one.example.com: 8080\n", &[("one.example.com", upstream.address)]);
    assert_eq!(ask(caddy.http(), "one.example.com", "/", FORGED).body(), "in");
    let asked = upstream.asked().pop().unwrap();
    let forged: Vec<&String> =
        asked.headers.keys().filter(|name| name.starts_with("remote-") || name.starts_with("x-authentik-")).collect();
    assert!(forged.is_empty(), "{forged:?}");
}

#[test]
fn a_site_for_the_tailnet_is_closed_to_everybody_else() {
    if !has_caddy() {
        return;
    }
    let upstream = Upstream::saying("in");
    let routes = "      one.example.com: { port: 8080, tailnet_only: true }\n";
    let caddy = serve(routes, &[("one.example.com", upstream.address)]);
    let forged = "X-Forwarded-For: 100.64.0.7\r\nForwarded: for=100.64.0.7\r\n";
    assert_eq!(ask(caddy.http(), "one.example.com", "/", forged).status, 403);
    assert!(upstream.asked().is_empty());
}

#[test]
fn a_websocket_goes_both_ways() {
    if !has_caddy() {
        return;
    }
    let upstream = Upstream::start(|asked, stream| {
        assert_eq!(asked.header("upgrade"), "websocket");
        let head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        let mut frame = [0; 4];
        while stream.read_exact(&mut frame).is_ok() {
            frame.reverse();
            stream.write_all(&frame).unwrap();
        }
    });
    let caddy = serve("      one.example.com: 8080\n", &[("one.example.com", upstream.address)]);
    let upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let mut answer = ask(caddy.http(), "one.example.com", "/ws", upgrade);
    assert_eq!(answer.status, 101);
    for (there, back) in [("abcd", "dcba"), ("1234", "4321")] {
        answer.send(there);
        assert_eq!(answer.bytes(4), back);
    }
}

#[test]
fn a_bad_configuration_is_refused_and_the_old_one_goes_on() {
    if !has_caddy() {
        return;
    }
    let upstream = Upstream::saying("one");
    let caddy = serve("      one.example.com: 8080\n", &[("one.example.com", upstream.address)]);
    let good = std::fs::read_to_string(caddy.home.path("Caddyfile")).unwrap();
    let bad = caddy.home.path("bad");
    // One that cannot be read, and one that can be and not be loaded: the address is not this machine's.
    for text in [good.replace("reverse_proxy", "reverse_porxy"), good.replace("bind 127.0.0.1", "bind 192.0.2.1")] {
        assert_ne!(text, good);
        std::fs::write(&bad, text).unwrap();
        let reload = caddy.home.command("reload", &bad);
        assert!(!reload.status.success(), "{reload:?}");
        assert_eq!(ask(caddy.http(), "one.example.com", "/", "").body(), "one", "the old one answers");
    }
    let other = Upstream::saying("other");
    let routes = "      one.example.com: 8080\n";
    let changed = caddy.home.write("Caddyfile", &sites(routes, &[("one.example.com", other.address)], None));
    let reload = caddy.home.command("reload", &changed);
    assert!(reload.status.success(), "{reload:?}");
    assert_eq!(ask(caddy.http(), "one.example.com", "/", "").body(), "other");
}

#[test]
fn a_reload_does_not_cut_a_generation_short() {
    if !has_caddy() {
        return;
    }
    let (upstream, go) = in_two_parts("Transfer-Encoding: chunked\r\n", "5\r\nfirst\r\n", "4\r\nlast\r\n0\r\n\r\n");
    let caddy = serve("      one.example.com: 8080\n", &[("one.example.com", upstream.address)]);
    let mut answer = ask(caddy.http(), "one.example.com", "/", "");
    assert_eq!(answer.chunk(), "first");
    let other = Upstream::saying("other");
    let routes = "      one.example.com: { port: 8080, timeout: 60 }\n";
    let changed = caddy.home.write("Caddyfile", &sites(routes, &[("one.example.com", other.address)], None));
    let reload = caddy.home.command("reload", &changed);
    assert!(reload.status.success(), "{reload:?}");
    assert_eq!(ask(caddy.http(), "one.example.com", "/", "").body(), "other", "new visitors see the new one");
    go.send(()).unwrap();
    assert_eq!(answer.chunk(), "last", "who was there before reads to the end");
}

#[test]
fn a_certificate_of_its_own_authority_is_what_visitors_are_shown() {
    if !has_caddy() {
        return;
    }
    let upstream = Upstream::saying("in");
    let routes = "      one.example.com: { port: 8080, tls: internal }\n";
    let caddy = serve(routes, &[("one.example.com", upstream.address)]);
    // The leaf is made after the start, and served a moment after it was made.
    caddy.wait("certificate obtained successfully");
    let root = std::fs::read_to_string(caddy.home.path("storage/pki/authorities/local/root.crt")).unwrap();
    assert_eq!(over_tls(caddy.https(), "one.example.com", &root), (200, String::new()), "and no HSTS for it");
    let plain = ask(caddy.http(), "one.example.com", "/", "");
    assert_eq!(plain.status, 308);
    assert!(plain.header("location").starts_with("https://one.example.com"), "{}", plain.header("location"));
}

/// Status and HSTS of an answer over TLS, with `root` as the only authority.
fn over_tls(proxy: SocketAddr, site: &str, root: &str) -> (u16, String) {
    use rustls::pki_types::pem::PemObject;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(rustls::pki_types::CertificateDer::from_pem_slice(root.as_bytes()).unwrap()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let config = std::sync::Arc::new(config);
    let request = format!("GET / HTTP/1.1\r\nHost: {site}\r\nConnection: close\r\n\r\n");
    let mut tries = 0;
    let mut stream = loop {
        let name = site.to_owned().try_into().unwrap();
        let connection = rustls::ClientConnection::new(config.clone(), name).unwrap();
        let mut stream = rustls::StreamOwned::new(connection, TcpStream::connect(proxy).unwrap());
        match stream.write_all(request.as_bytes()) {
            Ok(()) => break stream,
            Err(error) if tries > 200 => panic!("{error}"),
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
        tries += 1;
    };
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).to_lowercase();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
    let hsts = answer.lines().find(|line| line.starts_with("strict-transport-security")).unwrap_or_default();
    (status, hsts.to_owned())
}
