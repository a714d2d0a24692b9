//! Choices between a few words.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Makes a choice between words.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident => $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $text)] $variant),+ }

        impl $name {
            /// The word as it is written.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words!(
    /// VM or container.
    KindName {
        /// A virtual machine.
        Vm => "vm",
        /// An unprivileged container.
        Container => "container",
    }
);
words!(
    /// Whether a guest shall run.
    State {
        /// It shall.
        Running => "running",
        /// It shall not.
        Stopped => "stopped",
    }
);
words!(
    /// What happens to a packet.
    Action {
        /// It passes.
        Accept => "accept",
        /// It vanishes.
        Drop => "drop",
        /// It is refused, and the sender is told.
        Reject => "reject",
    }
);
words!(
    /// Which traffic a rule looks at, seen from the guest.
    Direction {
        /// Inbound.
        In => "in",
        /// Outbound.
        Out => "out",
    }
);
words!(
    /// A protocol of a firewall rule.
    Protocol {
        /// TCP.
        Tcp => "tcp",
        /// UDP.
        Udp => "udp",
        /// ICMP of IPv4.
        Icmp => "icmp",
        /// ICMP of IPv6.
        Icmpv6 => "ipv6-icmp",
    }
);
words!(
    /// A protocol with ports.
    TransportName {
        /// TCP.
        Tcp => "tcp",
        /// UDP.
        Udp => "udp",
    }
);
words!(
    /// Who may ever be let in to a port; each one includes those before it.
    AudienceName {
        /// Only what runs in the same guest.
        Inside => "inside",
        /// Guests that say `uses`.
        Guests => "guests",
        /// Also people: `exposes`, `routes`, `access`.
        People => "people",
    }
);
words!(
    /// A compression of ZFS.
    Compression {
        /// The default of ZFS, which is `lz4`.
        On => "on",
        /// None.
        Off => "off",
        /// Fast.
        Lz4 => "lz4",
        /// Smaller.
        Zstd => "zstd",
        /// Between the two.
        ZstdFast => "zstd-fast",
        /// Slow, widely known.
        Gzip => "gzip",
        /// Only runs of zeros.
        Zle => "zle",
        /// Old; `lz4` is better.
        Lzjb => "lzjb",
    }
);
words!(
    /// A reverse proxy.
    ProxyName {
        /// Caddy.
        Caddy => "caddy",
        /// Traefik.
        Traefik => "traefik",
    }
);
words!(
    /// Where a certificate comes from.
    TlsName {
        /// A public authority that looks at the site itself (ports 80 and 443 from the internet).
        Acme => "acme",
        /// A public authority that looks at a record of the zone: the site may be private.
        Dns => "dns",
        /// An authority of the proxy's own; its root certificate has to be brought to whoever visits.
        Internal => "internal",
        /// Tailscale, for names below `ts.net`.
        Tailnet => "tailnet",
        /// Nowhere: plain HTTP.
        None => "none",
    }
);
words!(
    /// Who serves a public zone, as far as the proxies have a module for it.
    DnsProvider {
        /// Cloudflare.
        Cloudflare => "cloudflare",
        /// DigitalOcean.
        Digitalocean => "digitalocean",
        /// Duck DNS.
        Duckdns => "duckdns",
        /// Hetzner.
        Hetzner => "hetzner",
    }
);
words!(
    /// What a visitor has to prove.
    AuthName {
        /// Nothing: the service itself asks, or whoever can reach it may come in.
        None => "none",
        /// A name and a password.
        Basic => "basic",
        /// Whatever Authelia asks.
        Authelia => "authelia",
        /// Whatever authentik asks.
        Authentik => "authentik",
    }
);
words!(
    /// When the GPUs that are passed to VMs are taken by `vfio-pci`.
    VfioBinding {
        /// When the VM starts: Proxmox takes them from whatever driver has them, and nothing is set on the host.
        Start => "start",
        /// At boot, by their ids: no other driver ever touches them.
        Boot => "boot",
    }
);
words!(
    /// Who runs the control plane of a tailnet.
    ControlPlane {
        /// Tailscale.
        Tailscale => "tailscale",
        /// Headscale, on a machine of one's own.
        Headscale => "headscale",
    }
);
words!(
    /// As what the rules of a tailnet are written.
    PolicyStyle {
        /// The newer form.
        Grants => "grants",
        /// The older form, which every control plane knows.
        Acls => "acls",
    }
);
words!(
    /// What happens to whoever opens a terminal over Tailscale SSH.
    SshAction {
        /// They are let in.
        Accept => "accept",
        /// They are let in once they have logged in anew.
        Check => "check",
    }
);

words!(
    /// Who is asked for secrets.
    ProviderName {
        /// Variables of the environment: `INFRA_SECRET_HQ_TOKEN` for `hq-token`.
        Environment => "environment",
        /// Files that nobody else can read, in `secrets/` beside the inventory and in the state directory.
        Files => "files",
        /// A map in YAML or lines `NAME=value`, encrypted with age.
        Age => "age",
        /// A file of SOPS.
        Sops => "sops",
        /// 1Password's `op`.
        OnePassword => "op",
        /// The password store of Unix.
        Pass => "pass",
        /// The key/value engine of HashiCorp Vault.
        Vault => "vault",
        /// A map in YAML, encrypted by ansible-vault.
        AnsibleVault => "ansible-vault",
        /// The person at the terminal, once per run.
        Prompt => "prompt",
    }
);
words!(
    /// Of what a secret is made that is made by itself.
    SecretKind {
        /// Letters and digits.
        Password => "password",
        /// Hex digits.
        Hex => "hex",
        /// Base64 of random bytes.
        Base64 => "base64",
    }
);
words!(
    /// What a variable of a service holds.
    VariableType {
        /// Any text of one line.
        Text => "text",
        /// A whole number.
        Integer => "integer",
        /// A size with its unit.
        Size => "size",
        /// A length of time with its unit.
        Duration => "duration",
        /// Yes or no.
        Boolean => "boolean",
        /// One of some words.
        Enum => "enum",
        /// The name of a model, or an alias of one.
        Model => "model",
    }
);
words!(
    /// What a model does.
    ModelKind {
        /// Answers.
        Chat => "chat",
        /// Turns texts into vectors.
        Embedding => "embedding",
        /// Turns speech into text.
        Transcription => "transcription",
    }
);
words!(
    /// How much a service wants another one.
    Demand {
        /// It does not start without.
        Required => "required",
        /// It uses it where there is one.
        Optional => "optional",
    }
);
words!(
    /// Whether a service uses a GPU.
    GpuDemand {
        /// It does not start without.
        Required => "required",
        /// It uses one where the guest has one.
        Wanted => "wanted",
    }
);
words!(
    /// The program in the image that asks the service how it is.
    HealthProbe {
        /// `curl`.
        Curl => "curl",
        /// `wget`, BusyBox's too.
        Wget => "wget",
        /// `python3`.
        Python => "python",
        /// Bash and its `/dev/tcp`.
        Bash => "bash",
        /// The image holds none: Docker does not look, `infra verify` does.
        None => "none",
    }
);
words!(
    /// Where a service stands between a person and a model.
    StackTier {
        /// Asks a gateway, or a runner.
        Client => "client",
        /// Asks runners for others.
        Gateway => "gateway",
        /// Runs models.
        Runner => "runner",
    }
);
