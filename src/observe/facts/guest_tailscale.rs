//! Tailscale in a guest: whether it is there, and what its daemon says.
//!
//! Asked in the one batch of the guest's host: `pct exec`, or the guest agent of a VM. Of the daemon's settings only the
//! lines that are needed leave the guest. Facts: `ipn/ipnstate` and `ipn/prefs.go` of tailscale/tailscale.

use serde::Deserialize;

use crate::client::answered;
use crate::diag::Invalid;
use crate::model::Inside;
use crate::model::tailnet::{GuestTailscale, Login, Tailscaled};
use crate::ports::Output;

/// What stands between the answers.
const ENABLED: &str = "--- enabled";
const STATUS: &str = "--- status";
const SETTINGS: &str = "--- settings";

/// How long one guest's agent may take, in seconds.
const AGENT_S: u64 = 20;

/// Asks for the release, whether `tailscaled` starts with the guest, its state, and three of its settings.
#[must_use]
pub fn command(inside: Inside) -> Vec<String> {
    let script = format!(
        "cat /etc/os-release; echo '{ENABLED}'; systemctl is-enabled tailscaled; echo '{STATUS}'; \
         tailscale status --json --peers=false; echo; echo '{SETTINGS}'; \
         tailscale debug prefs | grep -E '\"(ControlURL|RunSSH|CorpDNS)\":'"
    );
    inside.argv(&["sh".to_owned(), "-c".to_owned(), script], AGENT_S, false)
}

/// What of `tailscale status --json` is read.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Status {
    backend_state: String,
    #[serde(rename = "MagicDNSSuffix", default)]
    zone: String,
    #[serde(default)]
    have_node_key: bool,
    #[serde(rename = "Self")]
    own: Option<Own>,
}

#[derive(Deserialize)]
struct Own {
    #[serde(rename = "ID", default)]
    id: String,
    #[serde(rename = "Expired", default)]
    expired: bool,
}

/// What a guest answers.
///
/// # Errors
/// If it runs no commands, or answers what nobody understands.
pub fn read(inside: Inside, output: &Output) -> Result<GuestTailscale, Invalid> {
    let Output { stdout, stderr, .. } =
        answered(inside, output.clone()).map_err(|error| Invalid::new(format!("{inside} does not answer: {error}")))?;
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    let part = |from: &str, to: Option<&str>| -> Option<&str> {
        let (_, rest) = stdout.split_once(from)?;
        Some(to.map_or(rest, |to| rest.split_once(to).map_or(rest, |(part, _)| part)).trim())
    };
    let (Some(enabled), Some(status), Some(settings)) =
        (part(ENABLED, Some(STATUS)), part(STATUS, Some(SETTINGS)), part(SETTINGS, None))
    else {
        let said = stderr.lines().next().unwrap_or("it says nothing").trim();
        return Err(Invalid::new(format!("{inside} does not answer: {said}")));
    };
    let release = stdout.split(ENABLED).next().unwrap_or_default();
    let key = |name: &str| {
        let value = release.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        value.unwrap_or_default().trim_matches('"').to_owned()
    };
    let system = format!("{} {}", key("ID"), key("VERSION_CODENAME"));
    Ok(GuestTailscale {
        system: system.trim().to_owned(),
        installed: !stderr.lines().any(|line| line.contains("tailscale: not found")),
        enabled: enabled == "enabled",
        daemon: if status.is_empty() { None } else { Some(daemon(status, settings)?) },
    })
}

fn daemon(status: &str, settings: &str) -> Result<Tailscaled, Invalid> {
    let status: Status = serde_json::from_str(status)
        .map_err(|error| Invalid::new(format!("`tailscale status --json` is not understood: {error}")))?;
    let own = status.own.unwrap_or(Own { id: String::new(), expired: false });
    // A line such as `"RunSSH": true,`.
    let setting = |name: &str| {
        let lines = settings.lines().filter_map(|line| line.trim().trim_end_matches(',').split_once(": "));
        lines
            .filter(|(key, _)| key.trim_matches('"') == name)
            .map(|(_, value)| value.trim_matches('"').to_owned())
            .next()
    };
    Ok(Tailscaled {
        login: match status.backend_state.as_str() {
            "Running" | "Starting" if own.expired => Login::Expired,
            "Running" | "Starting" => Login::Running,
            "NeedsLogin" if own.expired => Login::Expired,
            "Stopped" => Login::Stopped,
            "NeedsMachineAuth" => Login::Unapproved,
            _ => Login::LoggedOut,
        },
        id: own.id,
        has_key: status.have_node_key,
        zone: status.zone,
        control_url: setting("ControlURL").unwrap_or_default(),
        ssh: setting("RunSSH").as_deref() == Some("true"),
        takes_names: setting("CorpDNS").as_deref() != Some("false"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::output;

    fn container() -> Inside {
        Inside::Container { vmid: "104".parse().unwrap() }
    }

    /// As 1.78 prints it, with what is not read left out.
    const STATUS_JSON: &str = r#"{
  "Version": "1.78.1-t0f1b2c3d4-g5e6f7a8b9",
  "TUN": true,
  "BackendState": "Running",
  "HaveNodeKey": true,
  "AuthURL": "",
  "TailscaleIPs": ["100.64.0.2", "fd7a:115c:a1e0::3"],
  "Self": {
    "ID": "nABCDE2CNTRL",
    "PublicKey": "nodekey:00",
    "HostName": "plan-hq",
    "DNSName": "plan-hq.tail1234.ts.net.",
    "OS": "linux",
    "UserID": 1234,
    "Tags": ["tag:plan-hq"],
    "Online": true
  },
  "Health": [],
  "MagicDNSSuffix": "tail1234.ts.net",
  "CurrentTailnet": {"Name": "example.com", "MagicDNSSuffix": "tail1234.ts.net", "MagicDNSEnabled": true},
  "CertDomains": null,
  "Peer": null,
  "User": null,
  "ClientVersion": null
}"#;
    const PREFS: &str =
        "\t\"ControlURL\": \"https://controlplane.tailscale.com\",\n\t\"CorpDNS\": false,\n\t\"RunSSH\": true,\n";

    fn said(enabled: &str, status: &str, settings: &str) -> String {
        let release = "PRETTY_NAME=\"Debian GNU/Linux 13 (trixie)\"\nVERSION_CODENAME=trixie\nID=debian\n";
        format!("{release}{ENABLED}\n{enabled}\n{STATUS}\n{status}\n{SETTINGS}\n{settings}")
    }

    #[test]
    fn what_is_there_is_told_with_its_state_and_settings() {
        let there = read(container(), &output(0, &said("enabled", STATUS_JSON, PREFS), "")).unwrap();
        assert_eq!((there.system.as_str(), there.installed, there.enabled), ("debian trixie", true, true));
        let daemon = there.daemon.unwrap();
        assert_eq!(
            (daemon.login, daemon.id.as_str(), daemon.zone.as_str()),
            (Login::Running, "nABCDE2CNTRL", "tail1234.ts.net")
        );
        assert_eq!((daemon.ssh, daemon.takes_names), (true, false));
        assert_eq!(daemon.control_url, "https://controlplane.tailscale.com");
        let login = |status: &str| {
            let text = said("disabled", status, "");
            let there = read(container(), &output(1, &text, "")).unwrap();
            assert!(!there.enabled);
            there.daemon.unwrap().login
        };
        assert_eq!(login(&STATUS_JSON.replace("\"Running\"", "\"NeedsLogin\"")), Login::LoggedOut);
        assert_eq!(login(&STATUS_JSON.replace("\"Online\": true", "\"Expired\": true")), Login::Expired);
        assert_eq!(login(&STATUS_JSON.replace("\"Running\"", "\"Stopped\"")), Login::Stopped);
        assert_eq!(login(&STATUS_JSON.replace("\"Running\"", "\"NeedsMachineAuth\"")), Login::Unapproved);
        assert_eq!(login(r#"{"BackendState": "NoState", "Self": null}"#), Login::LoggedOut);
    }

    #[test]
    fn what_is_not_installed_is_told_from_what_does_not_run_and_from_what_does_not_answer() {
        let missing = "Failed to get unit file state for tailscaled.service: No such file or directory\n\
                       sh: 1: tailscale: not found\nsh: 1: tailscale: not found\n";
        let there = read(container(), &output(1, &said("", "", ""), missing)).unwrap();
        assert_eq!((there.installed, there.enabled, there.daemon), (false, false, None));
        let down = "failed to connect to local tailscaled; it doesn't appear to be running (sudo systemctl start tailscaled ?)\n";
        let there = read(container(), &output(1, &said("enabled", "", ""), down)).unwrap();
        assert_eq!((there.installed, there.enabled, there.daemon), (true, true, None));
        assert!(read(container(), &output(255, "", "container '104' not running!\n")).is_err());
        assert!(read(container(), &output(0, &said("enabled", "{", ""), "")).is_err());
    }

    #[test]
    fn a_vm_answers_through_its_agent() {
        let inside = Inside::Vm { vmid: "100".parse().unwrap() };
        let asked = command(inside);
        assert_eq!(asked[..7], ["qm", "guest", "exec", "100", "--timeout", "20", "--"].map(str::to_owned));
        let answer = serde_json::json!({"exited": 1, "exitcode": 0, "out-data": said("enabled", STATUS_JSON, PREFS)});
        assert!(read(inside, &output(0, &answer.to_string(), "")).unwrap().daemon.is_some());
        let why = read(inside, &output(255, "", "QEMU guest agent is not running\n")).unwrap_err();
        assert!(why.problem.contains("QEMU guest agent is not running"), "{}", why.problem);
    }
}
