//! Every endpoint that we use, with every parameter that we may send.
//!
//! A request can only be built from an [`Endpoint`], and only with parameters that it lists; the
//! contract test holds this table against the API descriptions of 8.4, 9.1 and 9.2.

use crate::ports::{Method, Request};

/// One verb on one path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    /// The verb.
    pub method: Method,
    /// The path as the API description has it, with `{node}` and the like.
    pub path: &'static str,
    /// Parameters that we may send beside those in the path; `net[n]` stands for `net0`, `net1`, …
    pub params: &'static [&'static str],
}

impl Endpoint {
    const fn new(method: Method, path: &'static str, params: &'static [&'static str]) -> Self {
        Self { method, path, params }
    }

    /// A request to it, with the parts of its path in their order.
    ///
    /// # Panics
    /// In debug builds, when the number of parts is wrong.
    pub fn at(&self, parts: &[&str]) -> Call {
        let mut path = String::new();
        let mut parts = parts.iter();
        for segment in self.path.split('/').skip(1) {
            path.push('/');
            if segment.starts_with('{') {
                let part = parts.next();
                debug_assert!(part.is_some(), "{} needs more parts", self.path);
                path.extend(percent_encoding::utf8_percent_encode(part.copied().unwrap_or_default(), SEGMENT));
            } else {
                path.push_str(segment);
            }
        }
        debug_assert!(parts.next().is_none(), "{} has fewer parts", self.path);
        Call { endpoint: *self, request: Request { method: self.method, path, params: Vec::new() } }
    }

    /// Whether `name` is one of its parameters.
    #[must_use]
    pub fn takes(&self, name: &str) -> bool {
        let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
        self.params
            .iter()
            .any(|param| *param == name || (stem.len() < name.len() && param.strip_suffix("[n]") == Some(stem)))
    }
}

/// Everything but what RFC 3986 leaves unreserved.
const SEGMENT: &percent_encoding::AsciiSet =
    &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A request being built.
#[derive(Debug, Clone)]
#[must_use]
pub struct Call {
    endpoint: Endpoint,
    request: Request,
}

impl Call {
    /// Sets a parameter.
    ///
    /// # Panics
    /// In debug builds, when the endpoint does not list it.
    pub fn set(mut self, name: impl Into<String>, value: impl ToString) -> Self {
        let name = name.into();
        debug_assert!(self.endpoint.takes(&name), "{} {} has no `{name}`", self.endpoint.method, self.endpoint.path);
        self.request.params.push((name, value.to_string()));
        self
    }

    /// Sets a parameter if there is a value.
    pub fn set_maybe(self, name: &str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.set(name, value),
            None => self,
        }
    }

    /// Sets many parameters.
    pub fn set_all<N: Into<String>, V: ToString>(self, params: impl IntoIterator<Item = (N, V)>) -> Self {
        params.into_iter().fold(self, |call, (name, value)| call.set(name, value))
    }

    /// The request.
    #[must_use]
    pub fn request(self) -> Request {
        self.request
    }
}

impl From<Call> for Request {
    fn from(call: Call) -> Self {
        call.request
    }
}

macro_rules! endpoints {
    ($($(#[$doc:meta])* $name:ident = $method:ident $path:literal [$($param:literal),* $(,)?];)*) => {
        $($(#[$doc])* pub const $name: Endpoint = Endpoint::new(Method::$method, $path, &[$($param),*]);)*

        /// All of them.
        pub const ALL: &[(&str, Endpoint)] = &[$((stringify!($name), $name)),*];
    };
}

endpoints! {
    /// Version of the host.
    VERSION = Get "/version" [];
    /// Guests, nodes, storages and pools of the cluster.
    CLUSTER_RESOURCES = Get "/cluster/resources" ["type"];
    /// Nodes and quorum.
    CLUSTER_STATUS = Get "/cluster/status" [];
    /// Recent and running tasks of all nodes.
    CLUSTER_TASKS = Get "/cluster/tasks" [];
    /// Whether a number is free, whoever has it.
    NEXT_ID = Get "/cluster/nextid" ["vmid"];
    /// What this token may do.
    PERMISSIONS = Get "/access/permissions" [];

    /// Pools with their comments.
    POOLS = Get "/pools" [];
    /// A new pool.
    POOL_CREATE = Post "/pools" ["poolid", "comment"];
    /// Comment and members of a pool.
    POOL_UPDATE = Put "/pools" ["poolid", "comment", "vms", "allow-move"];
    /// An empty pool goes.
    POOL_DELETE = Delete "/pools" ["poolid"];

    /// PCI mappings.
    PCI_MAPPINGS = Get "/cluster/mapping/pci" [];
    /// A new PCI mapping.
    PCI_MAPPING_CREATE = Post "/cluster/mapping/pci" ["id", "description", "map"];
    /// Another device under the same name.
    PCI_MAPPING_UPDATE = Put "/cluster/mapping/pci/{id}" ["description", "map", "digest"];
    /// A mapping.
    PCI_MAPPING_READ = Get "/cluster/mapping/pci/{id}" [];
    /// A mapping goes.
    PCI_MAPPING_DELETE = Delete "/cluster/mapping/pci/{id}" [];

    /// Devices on a node's bus.
    NODE_PCI = Get "/nodes/{node}/hardware/pci" ["pci-class-blacklist"];
    /// A node's interfaces.
    NODE_NETWORK = Get "/nodes/{node}/network" ["type"];
    /// VMs of a node with their state right now.
    NODE_QEMU = Get "/nodes/{node}/qemu" [];
    /// Containers of a node with their state right now.
    NODE_LXC = Get "/nodes/{node}/lxc" [];

    /// Storages of a node.
    NODE_STORAGES = Get "/nodes/{node}/storage" [];
    /// Volumes of a storage.
    STORAGE_CONTENT = Get "/nodes/{node}/storage/{storage}/content" ["content"];
    /// A volume goes.
    STORAGE_CONTENT_DELETE = Delete "/nodes/{node}/storage/{storage}/content/{volume}" [];
    /// A file from the web onto a storage.
    STORAGE_DOWNLOAD = Post "/nodes/{node}/storage/{storage}/download-url"
        ["content", "filename", "url", "checksum", "checksum-algorithm"];
    /// Container templates that Proxmox offers.
    APPLIANCES = Get "/nodes/{node}/aplinfo" [];
    /// A container template onto a storage.
    APPLIANCE_DOWNLOAD = Post "/nodes/{node}/aplinfo" ["storage", "template"];

    /// A node's clock.
    NODE_TIME = Get "/nodes/{node}/time" [];
    /// Tasks of a node.
    TASKS = Get "/nodes/{node}/tasks" ["vmid", "source", "since", "typefilter", "limit"];
    /// How a task is doing.
    TASK_STATUS = Get "/nodes/{node}/tasks/{upid}/status" [];
    /// What a task says.
    TASK_LOG = Get "/nodes/{node}/tasks/{upid}/log" ["start", "limit"];

    /// A new VM.
    QEMU_CREATE = Post "/nodes/{node}/qemu" [
        "vmid", "name", "description", "tags", "pool", "ostype", "machine", "bios", "cpu", "cores", "memory", "balloon",
        "allow-ksm", "scsihw", "scsi[n]", "ide[n]", "efidisk0", "net[n]", "ipconfig[n]", "nameserver", "searchdomain", "cicustom",
        "ciuser", "sshkeys", "hostpci[n]", "agent", "boot", "serial[n]", "vga", "onboot", "startup", "protection",
    ];
    /// A VM with its disks goes.
    QEMU_DELETE = Delete "/nodes/{node}/qemu/{vmid}" ["purge", "destroy-unreferenced-disks"];
    /// What a VM will be after its next start.
    QEMU_CONFIG = Get "/nodes/{node}/qemu/{vmid}/config" ["current"];
    /// Settings of a VM, at once.
    QEMU_CONFIG_SET = Put "/nodes/{node}/qemu/{vmid}/config" [
        "name", "description", "tags", "ostype", "machine", "bios", "cpu", "cores", "memory", "balloon", "allow-ksm", "scsihw",
        "scsi[n]", "ide[n]", "net[n]", "ipconfig[n]", "nameserver", "searchdomain", "cicustom", "ciuser", "sshkeys",
        "hostpci[n]", "agent", "boot", "serial[n]", "vga", "onboot", "startup", "protection", "delete", "digest",
    ];
    /// What a VM is and will be.
    QEMU_PENDING = Get "/nodes/{node}/qemu/{vmid}/pending" [];
    /// A larger disk.
    QEMU_RESIZE = Put "/nodes/{node}/qemu/{vmid}/resize" ["disk", "size"];
    /// Whether a VM runs.
    QEMU_STATUS = Get "/nodes/{node}/qemu/{vmid}/status/current" [];
    /// A VM starts.
    QEMU_START = Post "/nodes/{node}/qemu/{vmid}/status/start" [];
    /// A VM is asked to shut down.
    QEMU_SHUTDOWN = Post "/nodes/{node}/qemu/{vmid}/status/shutdown" ["timeout", "forceStop"];
    /// A VM is switched off.
    QEMU_STOP = Post "/nodes/{node}/qemu/{vmid}/status/stop" [];
    /// Whether the guest agent answers.
    QEMU_AGENT_PING = Post "/nodes/{node}/qemu/{vmid}/agent/ping" [];

    /// A new container.
    LXC_CREATE = Post "/nodes/{node}/lxc" [
        "vmid", "ostemplate", "hostname", "description", "tags", "pool", "unprivileged", "features", "cores", "cpulimit",
        "cpuunits", "memory", "swap", "rootfs", "net[n]", "nameserver", "searchdomain", "ssh-public-keys", "onboot",
        "startup", "protection",
    ];
    /// A container with its volumes goes.
    LXC_DELETE = Delete "/nodes/{node}/lxc/{vmid}" ["purge", "destroy-unreferenced-disks"];
    /// What a container will be after its next start.
    LXC_CONFIG = Get "/nodes/{node}/lxc/{vmid}/config" ["current"];
    /// Settings of a container, at once.
    LXC_CONFIG_SET = Put "/nodes/{node}/lxc/{vmid}/config" [
        "hostname", "description", "tags", "features", "cores", "cpulimit", "cpuunits", "memory", "swap", "net[n]",
        "nameserver", "searchdomain", "onboot", "startup", "protection", "delete", "digest",
    ];
    /// What a container is and will be.
    LXC_PENDING = Get "/nodes/{node}/lxc/{vmid}/pending" [];
    /// A larger volume.
    LXC_RESIZE = Put "/nodes/{node}/lxc/{vmid}/resize" ["disk", "size"];
    /// Whether a container runs.
    LXC_STATUS = Get "/nodes/{node}/lxc/{vmid}/status/current" [];
    /// A container starts.
    LXC_START = Post "/nodes/{node}/lxc/{vmid}/status/start" [];
    /// A container is asked to shut down.
    LXC_SHUTDOWN = Post "/nodes/{node}/lxc/{vmid}/status/shutdown" ["timeout", "forceStop"];
    /// A container is switched off.
    LXC_STOP = Post "/nodes/{node}/lxc/{vmid}/status/stop" [];

    /// Security groups.
    GROUPS = Get "/cluster/firewall/groups" [];
    /// A new security group.
    GROUP_CREATE = Post "/cluster/firewall/groups" ["group", "comment", "rename"];
    /// An empty security group goes.
    GROUP_DELETE = Delete "/cluster/firewall/groups/{group}" [];
    /// A rule of a group.
    GROUP_RULE = Get "/cluster/firewall/groups/{group}/{pos}" [];
    /// A rule on top of a group. What somebody else wrote into a rule is put back when a run is taken back.
    GROUP_RULE_CREATE = Post "/cluster/firewall/groups/{group}" [
        "type", "action", "enable", "macro", "iface", "source", "dest", "proto", "dport", "sport", "icmp-type", "log",
        "comment", "digest",
    ];
    /// A rule of a group is switched on.
    GROUP_RULE_UPDATE = Put "/cluster/firewall/groups/{group}/{pos}" ["enable", "digest"];
    /// A rule of a group goes.
    GROUP_RULE_DELETE = Delete "/cluster/firewall/groups/{group}/{pos}" ["digest"];

    /// Options of the datacenter's firewall.
    CLUSTER_FIREWALL_OPTIONS = Get "/cluster/firewall/options" [];
    /// Sets them.
    CLUSTER_FIREWALL_OPTIONS_SET = Put "/cluster/firewall/options" ["enable", "policy_in", "delete", "digest"];
    /// Names for addresses.
    ALIASES = Get "/cluster/firewall/aliases" [];
    /// A new alias.
    ALIAS_CREATE = Post "/cluster/firewall/aliases" ["name", "cidr", "comment"];
    /// What a name stands for.
    ALIAS = Get "/cluster/firewall/aliases/{name}" [];
    /// Another address under the same name. A comment that is not repeated is gone.
    ALIAS_UPDATE = Put "/cluster/firewall/aliases/{name}" ["cidr", "comment", "digest"];
    /// An alias goes.
    ALIAS_DELETE = Delete "/cluster/firewall/aliases/{name}" ["digest"];
    /// IP sets of the datacenter.
    IPSETS = Get "/cluster/firewall/ipset" [];
    /// A new IP set.
    IPSET_CREATE = Post "/cluster/firewall/ipset" ["name", "comment", "rename"];
    /// An empty IP set goes.
    IPSET_DELETE = Delete "/cluster/firewall/ipset/{name}" [];
    /// What is in an IP set.
    IPSET = Get "/cluster/firewall/ipset/{name}" [];
    /// Something more in an IP set.
    IPSET_ENTRY_CREATE = Post "/cluster/firewall/ipset/{name}" ["cidr", "comment", "nomatch"];
    /// Something of an IP set goes.
    IPSET_ENTRY_DELETE = Delete "/cluster/firewall/ipset/{name}/{cidr}" ["digest"];
    /// Options of a node's own firewall.
    NODE_FIREWALL_OPTIONS = Get "/nodes/{node}/firewall/options" [];
    /// Sets them.
    NODE_FIREWALL_OPTIONS_SET = Put "/nodes/{node}/firewall/options" ["enable", "delete", "digest"];
    /// A rule of a node.
    NODE_FIREWALL_RULE = Get "/nodes/{node}/firewall/rules/{pos}" [];
    /// A rule on top.
    NODE_FIREWALL_RULE_CREATE = Post "/nodes/{node}/firewall/rules" [
        "type", "action", "enable", "macro", "iface", "source", "dest", "proto", "dport", "sport", "icmp-type", "log",
        "comment", "digest",
    ];
    /// A rule is switched on.
    NODE_FIREWALL_RULE_UPDATE = Put "/nodes/{node}/firewall/rules/{pos}" ["enable", "digest"];
    /// A rule goes.
    NODE_FIREWALL_RULE_DELETE = Delete "/nodes/{node}/firewall/rules/{pos}" ["digest"];

    /// Options of a VM's firewall.
    QEMU_FIREWALL_OPTIONS = Get "/nodes/{node}/qemu/{vmid}/firewall/options" [];
    /// Sets them.
    QEMU_FIREWALL_OPTIONS_SET = Put "/nodes/{node}/qemu/{vmid}/firewall/options"
        ["enable", "policy_in", "policy_out", "macfilter", "ipfilter", "dhcp", "ndp", "radv", "delete", "digest"];
    /// A rule of a VM.
    QEMU_FIREWALL_RULE = Get "/nodes/{node}/qemu/{vmid}/firewall/rules/{pos}" [];
    /// A rule on top.
    QEMU_FIREWALL_RULE_CREATE = Post "/nodes/{node}/qemu/{vmid}/firewall/rules" [
        "type", "action", "enable", "macro", "iface", "source", "dest", "proto", "dport", "sport", "icmp-type", "log",
        "comment", "digest",
    ];
    /// A rule is switched on.
    QEMU_FIREWALL_RULE_UPDATE = Put "/nodes/{node}/qemu/{vmid}/firewall/rules/{pos}" ["enable", "digest"];
    /// IP sets of a VM.
    QEMU_IPSETS = Get "/nodes/{node}/qemu/{vmid}/firewall/ipset" [];
    /// A new IP set of a VM.
    QEMU_IPSET_CREATE = Post "/nodes/{node}/qemu/{vmid}/firewall/ipset" ["name", "comment", "rename"];
    /// An empty IP set of a VM goes.
    QEMU_IPSET_DELETE = Delete "/nodes/{node}/qemu/{vmid}/firewall/ipset/{name}" [];
    /// What is in an IP set of a VM.
    QEMU_IPSET = Get "/nodes/{node}/qemu/{vmid}/firewall/ipset/{name}" [];
    /// Something more in an IP set of a VM.
    QEMU_IPSET_ENTRY_CREATE = Post "/nodes/{node}/qemu/{vmid}/firewall/ipset/{name}" ["cidr", "comment", "nomatch"];
    /// Something of an IP set of a VM goes.
    QEMU_IPSET_ENTRY_DELETE = Delete "/nodes/{node}/qemu/{vmid}/firewall/ipset/{name}/{cidr}" ["digest"];
    /// A rule goes.
    QEMU_FIREWALL_RULE_DELETE = Delete "/nodes/{node}/qemu/{vmid}/firewall/rules/{pos}" ["digest"];

    /// Options of a container's firewall.
    LXC_FIREWALL_OPTIONS = Get "/nodes/{node}/lxc/{vmid}/firewall/options" [];
    /// Sets them.
    LXC_FIREWALL_OPTIONS_SET = Put "/nodes/{node}/lxc/{vmid}/firewall/options"
        ["enable", "policy_in", "policy_out", "macfilter", "ipfilter", "dhcp", "ndp", "radv", "delete", "digest"];
    /// A rule of a container.
    LXC_FIREWALL_RULE = Get "/nodes/{node}/lxc/{vmid}/firewall/rules/{pos}" [];
    /// A rule on top.
    LXC_FIREWALL_RULE_CREATE = Post "/nodes/{node}/lxc/{vmid}/firewall/rules" [
        "type", "action", "enable", "macro", "iface", "source", "dest", "proto", "dport", "sport", "icmp-type", "log",
        "comment", "digest",
    ];
    /// A rule is switched on.
    LXC_FIREWALL_RULE_UPDATE = Put "/nodes/{node}/lxc/{vmid}/firewall/rules/{pos}" ["enable", "digest"];
    /// IP sets of a container.
    LXC_IPSETS = Get "/nodes/{node}/lxc/{vmid}/firewall/ipset" [];
    /// A new IP set of a container.
    LXC_IPSET_CREATE = Post "/nodes/{node}/lxc/{vmid}/firewall/ipset" ["name", "comment", "rename"];
    /// An empty IP set of a container goes.
    LXC_IPSET_DELETE = Delete "/nodes/{node}/lxc/{vmid}/firewall/ipset/{name}" [];
    /// What is in an IP set of a container.
    LXC_IPSET = Get "/nodes/{node}/lxc/{vmid}/firewall/ipset/{name}" [];
    /// Something more in an IP set of a container.
    LXC_IPSET_ENTRY_CREATE = Post "/nodes/{node}/lxc/{vmid}/firewall/ipset/{name}" ["cidr", "comment", "nomatch"];
    /// Something of an IP set of a container goes.
    LXC_IPSET_ENTRY_DELETE = Delete "/nodes/{node}/lxc/{vmid}/firewall/ipset/{name}/{cidr}" ["digest"];
    /// A rule goes.
    LXC_FIREWALL_RULE_DELETE = Delete "/nodes/{node}/lxc/{vmid}/firewall/rules/{pos}" ["digest"];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_parts_are_encoded() {
        let request = STORAGE_CONTENT_DELETE.at(&["pve1", "local", "local:vztmpl/x.tar.zst"]).request();
        assert_eq!(request.path, "/nodes/pve1/storage/local/content/local%3Avztmpl%2Fx.tar.zst");
    }

    #[test]
    fn indexed_parameters_are_known() {
        assert!(QEMU_CREATE.takes("net0"));
        assert!(QEMU_CREATE.takes("hostpci12"));
        assert!(!QEMU_CREATE.takes("net"));
        assert!(!QEMU_CREATE.takes("args"));
    }
}
