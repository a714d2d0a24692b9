//! The steps that put a guest into the tailnet and keep it there.
//!
//! A key is made when it is needed, for this guest alone; it goes from the control plane's answer into a file that only
//! the guest's root can read, and both end with the step. Facts: `cmd/tailscale/cli/up.go`, the API description.

use std::collections::BTreeSet;

use super::Device;
use crate::blueprint::ControlPlane;
use crate::model::change::Risk;
use crate::model::step::{Expect, Matcher, Op, Step, Undo};
use crate::model::tailnet::{TailnetDevice, Tailscaled};
use crate::model::{Content, Keep, Piece};
use crate::resources::Resource as _;
use crate::resources::operations::{answer, apt_get, call, call_until, check, exec, output, script, step, within};
use crate::tailnet::{has_terminals, requests};

/// Where Tailscale's packages are.
const PACKAGES: &str = "https://pkgs.tailscale.com/stable";
/// The host that has them.
const PACKAGES_HOST: &str = "pkgs.tailscale.com";
/// SHA-256 of the key that signs them, the same for every release (2596 A99E AAB3 3821 893C 0A79 458C A832 957F 5868).
/// One that is exchanged is refused by `apt-helper` until this is.
const KEYRING_SHA256: &str = "3e03dacf222698c60b8e2f990b809ca1b3e104de127767864284e6c228f1fb39";
/// Where it is kept, and the list of that repository.
const KEYRING: &str = "/usr/share/keyrings/tailscale-archive-keyring.gpg";
const LIST: &str = "/etc/apt/sources.list.d/tailscale.list";
/// In memory, so that a guest that loses power has none.
const KEY_FILE: &str = "/run/infra-tailscale.key";
/// What `tailscale up` said.
const SAID: &str = "/run/infra-tailscale.said";
/// How long a guest may take until it can look up names, and until the control plane lists it, in seconds.
const NAMES_S: u32 = 90;
const LISTED_S: u32 = 60;

/// How a guest joins.
pub(super) struct Join {
    pub tag: String,
    /// Devices that bear the tag already.
    pub known: BTreeSet<String>,
    pub state: State,
}

/// What the guest's own daemon knows of itself.
pub(super) enum State {
    /// Nothing.
    New,
    /// It was this device, and may be it again; its id may be empty.
    Known(String),
}

impl Device<'_> {
    fn step_inside(&self, what: &str, title: String, ops: Vec<Op>) -> Step {
        let mut step = step(&self.addr(), what, title, &self.host.name, ops);
        step.inside = Some(self.guest.inside());
        step.exclusive = vec![format!("{}/guest/{}", self.host.site, self.guest.vmid)];
        step
    }

    /// Installs Tailscale from its own repository, if it is not there, and has its daemon start with the guest.
    pub(super) fn install(&self, there: bool) -> Step {
        let mut ops = Vec::new();
        if !there {
            let resolved =
                output(["sh", "-c", &format!("getent hosts {PACKAGES_HOST} >/dev/null && echo found")], "found");
            let key = format!("{PACKAGES}/$ID/$VERSION_CODENAME.noarmor.gpg");
            let line = format!("deb [signed-by={KEYRING}] {PACKAGES}/%s %s main\\n");
            ops.extend([
                within(NAMES_S, resolved, format!("{} cannot look up {PACKAGES_HOST}", self.guest.name)),
                // Packages that cloud-init installs at the first boot come first.
                script("cloud-init status --wait >/dev/null 2>&1 || true"),
                script(apt_get("update")),
                script(apt_get("install --no-install-recommends ca-certificates")),
                // `apt` reads the key as its own user.
                script(format!(
                    ". /etc/os-release && /usr/lib/apt/apt-helper download-file \"{key}\" {KEYRING} SHA256:{KEYRING_SHA256} && chmod 0644 {KEYRING}"
                )),
                script(format!(". /etc/os-release && printf '{line}' \"$ID\" \"$VERSION_CODENAME\" >{LIST}")),
                script(apt_get("update")),
                script(apt_get("install tailscale")),
            ]);
        }
        ops.push(exec(["systemctl", "enable", "--now", "tailscaled"]));
        let enabled = output(["systemctl", "is-enabled", "tailscaled"], "enabled");
        ops.push(check(enabled, "`tailscaled` was enabled and does not start with the guest"));
        let title = match there {
            true => format!("have tailscaled start with {}", self.guest.name),
            false => format!("install Tailscale in {}", self.guest.name),
        };
        let mut step = self.step_inside("install", title, ops);
        step.undo = match there {
            true => Undo::Ops { ops: vec![exec(["systemctl", "disable", "--now", "tailscaled"])] },
            false => Undo::Ops { ops: vec![script(apt_get("purge tailscale")), exec(["rm", "-f", LIST, KEYRING])] },
        };
        step
    }

    /// Makes a key, joins with it, and takes the key back.
    pub(super) fn join(&self, join: &Join) -> Step {
        let name = &self.guest.name;
        let description = requests::key_description(self.blueprint.name.as_str(), name.as_str());
        let mut up = format!(
            "tailscale up --reset --auth-key=file:{KEY_FILE} --hostname={name} --accept-dns=false --timeout=90s"
        );
        if has_terminals(self.blueprint, name) {
            up.push_str(" --ssh");
        }
        if self.tailnet.control == ControlPlane::Headscale {
            up.push_str(&format!(" --login-server={}", self.tailnet.url));
        }
        let mut known = join.known.clone();
        if let State::Known(own) = &join.state {
            up.push_str(" --force-reauth");
            known.remove(own);
        }
        let joined = output(
            [
                "sh",
                "-c",
                &format!(
                    "tailscale status --json --peers=false | grep -q '\"BackendState\": \"Running\"' && echo joined || cat {SAID}"
                ),
            ],
            "joined",
        );
        let listed = answer(
            requests::devices_besides(&known),
            vec![Expect::new("", Matcher::HasItem("tagged".to_owned(), join.tag.clone()))],
        );
        let ops = vec![
            Op::Obtain {
                request: requests::new_key(&join.tag, &description),
                keep: Keep { key: "key".to_owned(), name: "auth-key".to_owned() },
            },
            Op::PutFile {
                path: KEY_FILE.to_owned(),
                content: Content::new([Piece::Kept("auth-key".to_owned()), Piece::Text("\n".to_owned())]),
                mode: 0o600,
            },
            // The file goes whatever comes of it; what came of it is looked at once the key is taken back.
            script(format!("{up} >{SAID} 2>&1; rm -f {KEY_FILE}")),
            call(requests::remove_keys(&join.tag, &description)),
            check(joined, format!("{name} did not join the tailnet")),
            within(LISTED_S, listed, format!("{name} has joined, and the control plane does not list it")),
        ];
        let again = matches!(join.state, State::Known(_));
        let title = format!("{} the tailnet with {name}", if again { "join anew" } else { "join" });
        let mut step = self.step_inside("join", title, ops);
        let back = script(format!("rm -f {KEY_FILE} {SAID}; tailscale logout || true"));
        // What bore the tag before was not made here, and this guest's own device may have been among it.
        step.undo = Undo::Ops {
            ops: vec![
                back,
                call(requests::remove_keys(&join.tag, &description)),
                call(requests::remove_joined(&join.tag, &join.known)),
            ],
        };
        step.risk = Risk::Reachability;
        step
    }

    /// Connects a device that somebody disconnected; without any option `tailscale up` changes no setting.
    pub(super) fn connect(&self) -> Step {
        let ops = vec![exec(["timeout", "90", "tailscale", "up"])];
        let mut step = self.step_inside("connect", format!("connect {} to the tailnet", self.guest.name), ops);
        step.undo = Undo::Ops { ops: vec![exec(["tailscale", "down"])] };
        step
    }

    /// Sets what is no matter of the login.
    pub(super) fn settings(&self, daemon: &Tailscaled) -> Step {
        let set = |ssh: bool, names: bool| {
            exec(["tailscale".to_owned(), "set".to_owned(), format!("--ssh={ssh}"), format!("--accept-dns={names}")])
        };
        let ops = vec![set(has_terminals(self.blueprint, &self.guest.name), false)];
        let title = format!("set Tailscale's terminals and names of {}", self.guest.name);
        let mut step = self.step_inside("settings", title, ops);
        step.undo = Undo::Ops { ops: vec![set(daemon.ssh, daemon.takes_names)] };
        step.risk = Risk::Reachability;
        step
    }

    /// Gives a device the guest's tag and no other.
    pub(super) fn tags(&self, own: &TailnetDevice, all: &[TailnetDevice]) -> Step {
        let tag = self.tag();
        let others = all.iter().filter(|other| other.id != own.id).map(|other| other.id.clone()).collect();
        let set = answer(
            requests::devices_besides(&others),
            vec![Expect::new("", Matcher::HasItem("tagged".to_owned(), tag.clone()))],
        );
        let request = requests::set_tags(&own.id, [tag.as_str()]);
        let ops = vec![call_until(request, set.clone()), check(set, "the tag was set and is not there")];
        let mut step = step(
            &self.addr(),
            "tags",
            format!("give {} its tag in the tailnet", self.guest.name),
            &self.host.name,
            ops,
        );
        step.undo = if own.tags.is_empty() {
            Undo::irreversible("a device that has a tag belongs to nobody any more, and cannot be given back")
        } else {
            Undo::Ops { ops: vec![call(requests::set_tags(&own.id, own.tags.iter().map(String::as_str)))] }
        };
        step.risk = Risk::Reachability;
        step
    }

    /// Has a device's key never end.
    pub(super) fn expiry(&self, own: &TailnetDevice) -> Step {
        let title = format!("switch off the end of {}'s key in the tailnet", self.guest.name);
        let mut step =
            step(&self.addr(), "expiry", title, &self.host.name, vec![call(requests::set_expiry(&own.id, false))]);
        step.undo = Undo::Ops { ops: vec![call(requests::set_expiry(&own.id, true))] };
        step
    }
}
