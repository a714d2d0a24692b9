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
    /// When the GPUs that are passed to VMs are taken by `vfio-pci`.
    VfioBinding {
        /// When the VM starts: Proxmox takes them from whatever driver has them, and nothing is set on the host.
        Start => "start",
        /// At boot, by their ids: no other driver ever touches them.
        Boot => "boot",
    }
);
