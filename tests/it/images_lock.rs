//! `infra images lock` against registries on loopback: one of the test's own making that answers in every way there is,
//! and Debian's `docker-registry`, the real distribution, where it is installed.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use sha2::{Digest, Sha256};

/// What the registry's tokens and the user's login are; neither is ever shown.
const TOKEN: &str = "t0ken-canary";
const LOGIN: &str = "azk6Y2FuYXJ5";

fn digest(body: &str) -> String {
    let hash: String = Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hash}")
}

/// A registry: manifests by repository, and what it was asked.
#[derive(Clone)]
struct Registry {
    port: u16,
    manifests: Arc<Mutex<BTreeMap<String, String>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Registry {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let registry = Self { port, manifests: Arc::default(), asked: Arc::default() };
        let own = registry.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let own = own.clone();
                std::thread::spawn(move || own.answer(stream));
            }
        });
        registry
    }

    fn put(&self, repository: &str, manifest: &str) {
        self.manifests.lock().unwrap().insert(repository.to_owned(), manifest.to_owned());
    }

    fn answer(&self, mut stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut lines = Vec::new();
        let mut line = String::new();
        while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
            lines.push(std::mem::take(&mut line).trim().to_owned());
        }
        let Some(first) = lines.first() else { return };
        self.asked.lock().unwrap().push(first.clone());
        let header = |name: &str| {
            let found =
                lines.iter().find_map(|line| line.split_once(": ").filter(|(key, _)| key.eq_ignore_ascii_case(name)));
            found.map(|(_, value)| value.to_owned()).unwrap_or_default()
        };
        let (method, path) = (first.split(' ').next().unwrap(), first.split(' ').nth(1).unwrap());
        let (status, headers, body) = self.says(method, path, &header("authorization"), &header("accept"));
        let length = if status.starts_with("204") { 0 } else { body.len() };
        let body = if method == "HEAD" { "" } else { body.as_str() };
        let _ =
            write!(stream, "HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    }

    fn says(&self, method: &str, path: &str, pass: &str, accept: &str) -> (&'static str, String, String) {
        let nothing = String::new;
        if let Some(query) = path.strip_prefix("/token?") {
            let fine = query.contains("service=loopback") && !query.contains("private");
            return match fine {
                true => ("200 OK", nothing(), format!("{{\"token\": \"{TOKEN}\"}}")),
                false => ("401 Unauthorized", nothing(), nothing()),
            };
        }
        let repository = path.trim_start_matches("/v2/").split("/manifests/").next().unwrap();
        let kind = repository.split('/').next().unwrap();
        let challenge = |scheme: &str| {
            let realm = format!("http://127.0.0.1:{}/token", self.port);
            format!(
                "WWW-Authenticate: {scheme} realm=\"{realm}\",service=\"loopback\",scope=\"repository:{repository}:pull\"\r\n"
            )
        };
        match kind {
            "token" | "private" if pass != format!("Bearer {TOKEN}") => {
                return ("401 Unauthorized", challenge("Bearer"), nothing());
            }
            "login" if pass != format!("Basic {LOGIN}") => return ("401 Unauthorized", challenge("Basic"), nothing()),
            "busy" => return ("429 Too Many Requests", nothing(), nothing()),
            "page" => return ("502 Bad Gateway", nothing(), "<html>".into()),
            _ => {}
        }
        // Whoever does not know lists is given one platform's, which is not what is to be locked.
        assert!(accept.contains("image.index") && accept.contains("manifest.list"), "{method} accepts {accept}");
        let Some(body) = self.manifests.lock().unwrap().get(repository).cloned() else {
            return ("404 Not Found", nothing(), nothing());
        };
        let said = if kind == "silent" { nothing() } else { format!("Docker-Content-Digest: {}\r\n", digest(&body)) };
        ("200 OK", said, body)
    }
}

const INVENTORY: &str = r#"schema: 1
name: mine
ssh_keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA me]
hosts:
  hq:
    address: 192.168.10.2
    api:
      token_id: infra@pve!laptop
      token: secret:hq-token
      fingerprint: 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF
    ssh: { user: root }
    storage: { guests: local-zfs, files: local }
    network: { bridge: vmbr0, subnet: 10.0.0.0/24, gateway: 10.0.0.1 }
images: { debian: { template: debian-12-standard_12.12-1_amd64.tar.zst } }
guests:
  box:
    kind: container
    host: hq
    vmid: 104
    address: 10.0.0.123
    cores: 2
    memory: 8GiB
    disk: 80GiB
    image: debian
    nesting: true
    keyctl: true
    services: [SERVICES]
"#;

/// An inventory whose services run as images of a registry, in a directory of its own.
struct Desk {
    directory: tempfile::TempDir,
}

struct Answer {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Desk {
    fn new(port: u16, repositories: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut services = Vec::new();
        for repository in repositories {
            let name = repository.replace('/', "-");
            let folder = directory.path().join("templates").join(&name);
            std::fs::create_dir_all(&folder).unwrap();
            let template =
                format!("description: x\nimage: 127.0.0.1:{port}/{repository}:1.0\nneeds: {{ memory: 64MiB }}\n");
            std::fs::write(folder.join("template.yaml"), template).unwrap();
            std::fs::write(folder.join("compose.yaml.j2"), format!("services: {{ {name}: {{}} }}\n")).unwrap();
            services.push(name);
        }
        std::fs::create_dir(directory.path().join("mine")).unwrap();
        let text = INVENTORY.replace("SERVICES", &services.join(", "));
        std::fs::write(directory.path().join("mine/inventory.yaml"), text).unwrap();
        Self { directory }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.path(path)).unwrap_or_default()
    }

    fn infra(&self, arguments: &[&str]) -> Answer {
        let mut command = assert_cmd::Command::new(assert_cmd::cargo::cargo_bin!("infra"));
        command.env_clear().env("LANG", "C.UTF-8").env("HOME", self.directory.path()).current_dir(&self.directory);
        let output = command.args(arguments).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let answer = Answer { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) };
        for canary in [TOKEN, LOGIN] {
            assert!(!format!("{}{}", answer.out, answer.err).contains(canary), "a pass is shown:\n{}", answer.err);
        }
        answer
    }

    fn lock(&self, more: &[&str]) -> Answer {
        self.infra(&[&["images", "lock", "-i", "mine"], more].concat())
    }
}

#[test]
fn what_a_tag_is_made_of_is_written_beside_the_inventory_and_used() {
    let registry = Registry::start();
    for repository in ["open/a", "token/b", "silent/c"] {
        registry.put(repository, &format!("{{\"manifests\": [\"{repository}\"]}}"));
    }
    let desk = Desk::new(registry.port, &["open/a", "token/b", "silent/c"]);
    let checked = desk.lock(&["--check"]);
    assert_eq!((checked.code, desk.read("mine/image-digests.yaml").as_str()), (Some(1), ""), "{}", checked.err);

    let locked = desk.lock(&[]);
    assert_eq!(locked.code, Some(0), "{}{}", locked.out, locked.err);
    let text = desk.read("mine/image-digests.yaml");
    for repository in ["open/a", "token/b", "silent/c"] {
        let line = format!(
            "  127.0.0.1:{}/{repository}:1.0: {}\n",
            registry.port,
            digest(&format!("{{\"manifests\": [\"{repository}\"]}}"))
        );
        assert!(text.contains(&line), "{text}");
    }
    let rendered = desk.infra(&["render", "-i", "mine", "box/stacks/open-a/compose.yaml"]);
    assert!(rendered.out.contains(":1.0@sha256:"), "{}", rendered.out);
    assert_eq!(desk.lock(&["--check"]).code, Some(0));
    let again = desk.lock(&[]);
    assert!(again.out.contains("as it was") && !again.out.contains("written"), "{}", again.out);
    let asked = registry.asked.lock().unwrap().join("\n");
    assert!(!asked.contains("GET /v2/open/a") && !asked.contains("GET /v2/token/b"), "HEAD is enough:\n{asked}");
    assert!(asked.contains("GET /v2/silent/c"), "{asked}");
}

#[test]
fn a_moved_tag_is_told_and_locked_anew_only_when_asked() {
    let registry = Registry::start();
    registry.put("open/a", "one");
    let desk = Desk::new(registry.port, &["open/a"]);
    assert_eq!(desk.lock(&[]).code, Some(0));
    let commented =
        desk.read("mine/image-digests.yaml").replace(&digest("one"), &format!("{} # looked at", digest("one")));
    std::fs::write(desk.path("mine/image-digests.yaml"), &commented).unwrap();
    registry.put("open/a", "two");

    let told = desk.lock(&[]);
    assert_eq!(told.code, Some(0));
    assert!(
        told.out.contains("moved") && told.out.contains(&digest("one")) && told.out.contains(&digest("two")),
        "{}",
        told.out
    );
    assert_eq!(desk.read("mine/image-digests.yaml"), commented, "what is locked stays");
    assert_eq!(desk.lock(&["--check"]).code, Some(1));

    assert_eq!(desk.lock(&["--upgrade"]).code, Some(0));
    assert_eq!(desk.read("mine/image-digests.yaml"), commented.replace(&digest("one"), &digest("two")));
}

#[test]
fn one_registry_that_does_not_answer_keeps_no_other_from_being_locked() {
    let registry = Registry::start();
    registry.put("open/a", "one");
    let desk = Desk::new(registry.port, &["open/a", "gone/d", "busy/e", "private/f", "page/h"]);
    let answer = desk.lock(&[]);
    assert_eq!(answer.code, Some(1), "{}", answer.out);
    assert!(desk.read("mine/image-digests.yaml").contains(&digest("one")));
    for said in ["has no `gone/d:1.0`", "asked too often", "it wants a login", "status 502"] {
        assert!(answer.out.contains(said), "`{said}` is not in\n{}", answer.out);
    }
    for hint in ["look which tags there are", "`docker login", "wait, or log in", "what stands between"] {
        assert!(answer.err.contains(hint), "`{hint}` is not in\n{}", answer.err);
    }
    let nobody = Desk::new(1, &["open/a"]).lock(&[]);
    assert_eq!(nobody.code, Some(1));
    assert!(nobody.out.contains("127.0.0.1:1 does not answer") && nobody.err.contains("HTTPS_PROXY"), "{}", nobody.err);
}

#[test]
fn a_login_of_docker_is_used_and_not_shown() {
    let registry = Registry::start();
    registry.put("login/g", "one");
    let desk = Desk::new(registry.port, &["login/g"]);
    let without = desk.lock(&[]);
    assert!(without.out.contains("asks for a name and a password"), "{}", without.out);
    std::fs::create_dir(desk.path(".docker")).unwrap();
    let config = format!("{{\"auths\": {{\"127.0.0.1:{}\": {{\"auth\": \"{LOGIN}\"}}}}}}", registry.port);
    std::fs::write(desk.path(".docker/config.json"), config).unwrap();
    assert_eq!(desk.lock(&[]).code, Some(0));
    assert!(desk.read("mine/image-digests.yaml").contains(&digest("one")));
}

#[test]
fn digests_go_to_where_digests_are_and_into_a_file_that_stands_alone() {
    let registry = Registry::start();
    registry.put("open/a", "one");
    registry.put("open/b", "two");
    let desk = Desk::new(registry.port, &["open/a", "open/b"]);
    let name = |repository: &str| format!("127.0.0.1:{}/{repository}:1.0", registry.port);
    let before = format!("# ours\nimage_digests:\n  {}: {} # by hand\nx-rest: 1\n", name("open/a"), digest("one"));
    std::fs::write(desk.path("mine/zz.yaml"), &before).unwrap();
    assert_eq!(desk.lock(&[]).code, Some(0));
    let line = format!("  {}: {}\n", name("open/b"), digest("two"));
    assert_eq!(desk.read("mine/zz.yaml"), before.replace("x-rest", &format!("{line}x-rest")));
    assert!(!desk.path("mine/image-digests.yaml").exists());

    let alone = Desk::new(registry.port, &["open/a"]);
    let text = alone.read("mine/inventory.yaml");
    std::fs::rename(alone.path("mine/inventory.yaml"), alone.path("alone.yaml")).unwrap();
    let answer = alone.infra(&["images", "lock", "-i", "alone.yaml"]);
    assert_eq!(answer.code, Some(0), "{}{}", answer.out, answer.err);
    assert_eq!(alone.read("alone.yaml"), format!("{text}\nimage_digests:\n  {}: {}\n", name("open/a"), digest("one")));
}

/// Debian's `docker-registry`, or where somebody unpacked it.
fn real_registry() -> Option<PathBuf> {
    let named = std::env::var_os("INFRA_DOCKER_REGISTRY").map(PathBuf::from);
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/docker-registry/usr/bin/docker-registry");
    let found = named.into_iter().chain([own, "/usr/bin/docker-registry".into()]).find(|path| path.is_file());
    if found.is_none() {
        println!("not run: install docker-registry");
    }
    found
}

/// One request, with the connection closed after it: status, headers in lower case, body.
fn request(port: u16, head: &str, body: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    let length = body.len();
    write!(stream, "{head}\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}")
        .ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let status = text.split(' ').nth(1)?.parse().ok()?;
    Some((status, text))
}

#[test]
fn the_real_registry_says_the_same() {
    let Some(program) = real_registry() else { return };
    let directory = tempfile::tempdir().unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = format!(
        "version: 0.1\nlog: {{ level: error }}\nstorage: {{ filesystem: {{ rootdirectory: {}/data }} }}\nhttp: {{ addr: \"127.0.0.1:{port}\" }}\n",
        directory.path().display()
    );
    let file = directory.path().join("config.yml");
    std::fs::write(&file, config).unwrap();
    let mut child =
        Command::new(program).arg("serve").arg(&file).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let result = std::panic::catch_unwind(|| {
        let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while request(port, "GET /v2/ HTTP/1.1", "").is_none() {
            assert!(std::time::Instant::now() < until, "the registry does not come up");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        // An image of one empty configuration, and a list of platforms that leads to it.
        let empty = "{}";
        let (_, started) = request(port, "POST /v2/real/x/blobs/uploads/ HTTP/1.1", "").unwrap();
        let location = started.lines().find_map(|line| line.strip_prefix("Location: ")).unwrap().trim().to_owned();
        let path = location.split_once(&format!(":{port}")).map_or(location.as_str(), |(_, path)| path);
        let put = format!("PUT {path}&digest={} HTTP/1.1\r\nContent-Type: application/octet-stream", digest(empty));
        assert_eq!(request(port, &put, empty).unwrap().0, 201);
        let image = format!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{}","size":2}},"layers":[]}}"#,
            digest(empty)
        );
        let head = format!(
            "PUT /v2/real/x/manifests/{} HTTP/1.1\r\nContent-Type: application/vnd.oci.image.manifest.v1+json",
            digest(&image)
        );
        let (status, said) = request(port, &head, &image).unwrap();
        assert_eq!(status, 201, "{said}");
        let list = format!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{}","size":{},"platform":{{"architecture":"amd64","os":"linux"}}}}]}}"#,
            digest(&image),
            image.len()
        );
        let head = "PUT /v2/real/x/manifests/1.0 HTTP/1.1\r\nContent-Type: application/vnd.oci.image.index.v1+json";
        let (status, said) = request(port, head, &list).unwrap();
        assert_eq!(status, 201, "{said}");

        let desk = Desk::new(port, &["real/x", "real/none"]);
        let answer = desk.lock(&[]);
        let text = desk.read("mine/image-digests.yaml");
        assert!(text.contains(&digest(&list)), "the digest of the list, and not of a platform:\n{text}{}", answer.out);
        assert!(answer.out.contains("has no `real/none:1.0`"), "{}", answer.out);
    });
    child.kill().unwrap();
    child.wait().unwrap();
    result.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}
