//! The reverse proxy in a container: whether Caddy is there, and which configuration it has.

use crate::diag::Invalid;
use crate::model::Vmid;
use crate::model::observed::ReverseProxy;
use crate::ports::Output;

/// Asks for Caddy's version, the first line and digest of its configuration, and the digest of one that waits.
#[must_use]
pub fn command(vmid: Vmid) -> Vec<String> {
    let script = "caddy version; head -n 1 /etc/caddy/Caddyfile; \
                  sha256sum /etc/caddy/Caddyfile /etc/caddy/Caddyfile.infra-new";
    ["pct", "exec", &vmid.to_string(), "--", "sh", "-c", script].map(str::to_owned).into()
}

/// What the container answers; `None` if Caddy is not in it. The last command fails where nothing waits.
///
/// # Errors
/// If the container does not run commands at all.
pub fn read(output: &Output) -> Result<Option<ReverseProxy>, Invalid> {
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if stderr.lines().any(|line| line.contains("caddy: not found")) {
        return Ok(None);
    }
    let mut lines = stdout.lines();
    let Some(version) = lines.next().filter(|version| version.contains('.')) else {
        let said = stderr.lines().next().unwrap_or("it says nothing").trim();
        return Err(Invalid::new(format!("the container does not answer: {said}")));
    };
    let mut proxy = ReverseProxy { version: version.to_owned(), ..ReverseProxy::default() };
    for line in lines {
        match line.split_once("  ") {
            Some((digest, "/etc/caddy/Caddyfile")) => proxy.sha256 = Some(digest.to_owned()),
            Some((_, "/etc/caddy/Caddyfile.infra-new")) => proxy.waiting = true,
            _ if proxy.first_line.is_none() => proxy.first_line = Some(line.to_owned()),
            _ => {}
        }
    }
    Ok(Some(proxy))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::output;

    const SUM: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn what_is_not_there_is_told_from_what_does_not_answer() {
        let there = format!("2.6.2\n# Written by infra for t\n{SUM}  /etc/caddy/Caddyfile\n");
        let missing = "sha256sum: /etc/caddy/Caddyfile.infra-new: No such file or directory\n";
        let proxy = read(&output(1, &there, missing)).unwrap().unwrap();
        assert_eq!((proxy.version.as_str(), proxy.sha256.as_deref(), proxy.waiting), ("2.6.2", Some(SUM), false));
        assert_eq!(proxy.first_line.as_deref(), Some("# Written by infra for t"));
        let waiting = format!("{there}{SUM}  /etc/caddy/Caddyfile.infra-new\n");
        assert!(read(&output(0, &waiting, "")).unwrap().unwrap().waiting);
        assert_eq!(read(&output(1, "", "sh: 1: caddy: not found\n")), Ok(None));
        assert!(read(&output(255, "", "container '104' not running!\n")).is_err());
    }
}
