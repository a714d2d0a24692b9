//! What must be given is given.

use crate::blueprint::draft::Draft;
use crate::diag::{Diagnostic, Diagnostics, Span, Spanned, did_you_mean};
use crate::inventory::{Dataset, Host, Ingress, Rule};

/// Reports every required key that is missing. Guests may get theirs from a profile.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    let document = &draft.inventory.document;
    let top = Block { what: "the inventory".to_owned(), span: draft.inventory.start, at: draft.inventory.start };
    let mut missing = Missing { draft, found: Vec::new() };
    missing.need(&document.name, &top, "name", "give the environment a name: `name: vrooli`");
    if document.hosts.as_ref().is_none_or(std::collections::BTreeMap::is_empty) {
        missing.need::<()>(&None, &top, "hosts", "describe at least one host under `hosts:`");
    }
    for (name, own) in draft.hosts() {
        missing.host(&format!("host `{}`", name.value), own, name.span);
    }
    for (name, own) in draft.hosts() {
        let Some(firewall) = &own.firewall else { continue };
        let what = format!("the firewall of host `{}`", name.value);
        let block = Block { what, span: firewall.span, at: firewall.span };
        missing.need(&firewall.allow_from, &block, "allow_from", "name the network or the address that you work from");
    }
    for (name, group) in draft.groups() {
        let block = Block { what: format!("firewall group `{}`", name.value), span: group.span, at: name.span };
        missing.need(&group.rules, &block, "rules", "write `rules: []` for a group without rules");
    }
    let rules: Vec<&Spanned<Rule>> = draft.rules().collect();
    for rule in rules {
        let block = Block { what: "this rule".to_owned(), span: rule.span, at: rule.span };
        missing.need(&rule.action, &block, "action", "say what happens: `action: accept`, `drop` or `reject`");
    }
    if let Some(ingress) = &document.ingress {
        missing.ingress(ingress);
    }
    for (name, zone) in draft.zones() {
        let block = Block { what: format!("zone `{}`", name.value.0), span: zone.span, at: name.span };
        if document.dns.as_ref().is_none_or(|dns| dns.opnsense.is_none()) && !draft.broken.name("opnsense") {
            missing.need(&zone.guest, &block, "guest", "name the guest that BIND runs in, or give `dns.opnsense`");
        }
    }
    if let Some(router) = document.dns.as_ref().and_then(|dns| dns.opnsense.as_ref()) {
        let block = Block { what: "the OPNsense".to_owned(), span: router.span, at: router.span };
        missing.need(&router.url, &block, "url", "say where its web interface is: `url: https://10.0.0.1`");
        missing.need(&router.key, &block, "key", "name the secret with the first part of an API key");
        missing.need(&router.secret, &block, "secret", "name the secret with the second part of that API key");
    }
    for (_, site, route) in draft.all_routes() {
        let block = Block { what: format!("the route of `{}`", site.value.0), span: route.span, at: site.span };
        if route.service.is_none() && !draft.broken.key(route.span, "service") {
            missing.need(&route.port, &block, "port", "say which port or which `service` of the guest it leads to");
        }
    }
    if let Some(tailnet) = &document.tailnet {
        let block = Block { what: "the tailnet".to_owned(), span: tailnet.span, at: tailnet.span };
        missing.need(&tailnet.key, &block, "key", "name the secret that opens its API: `key: secret:tailnet-key`");
        if let Some(ssh) = &tailnet.ssh {
            let block = Block { what: "Tailscale SSH".to_owned(), span: ssh.span, at: ssh.span };
            missing.need(&ssh.users, &block, "users", "say as whom one may log in: `users: [root]`");
        }
    }
    for guest in &draft.guests {
        let (own, shape) = (guest.own, &guest.shape);
        let block = Block { what: format!("guest `{}`", guest.name.value), span: own.span, at: guest.name.span };
        missing.need(&own.host, &block, "host", "name the host that it is placed on");
        missing.need(&own.vmid, &block, "vmid", "give it a number of 100 or more that is free in the cluster");
        missing.need(&own.address, &block, "address", "give it a free address of the host's subnet");
        let profile = "write this here, or name a `profile` that has it";
        missing.need(&shape.kind, &block, "kind", "write `kind: vm` or `kind: container`, or name a `profile`");
        missing.need(&shape.cores, &block, "cores", profile);
        missing.need(&shape.memory, &block, "memory", profile);
        missing.need(&shape.disk, &block, "disk", profile);
        missing.need(&shape.image, &block, "image", profile);
        for dataset in shape.datasets.iter().flatten() {
            missing.dataset(dataset);
        }
        for device in shape.devices.iter().flatten() {
            let block = Block { what: "this device".to_owned(), span: device.span, at: device.span };
            missing.need(&device.path, &block, "path", "name the device node, such as `/dev/net/tun`");
        }
    }
    report.extend(missing.found.iter().map(|lack| lack.diagnostic(draft)));
}

/// A block of keys: what it is called, which it is, and where to point.
struct Block {
    what: String,
    span: Span,
    at: Span,
}

struct Missing<'d> {
    draft: &'d Draft<'d>,
    found: Vec<Lack>,
}

/// What one block lacks.
struct Lack {
    what: String,
    at: Span,
    keys: Vec<(String, String)>,
}

impl Lack {
    /// One message per block; keys with the same advice share a line.
    fn diagnostic(&self, draft: &Draft<'_>) -> Diagnostic {
        let quoted = |keys: &[&str]| keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
        let keys: Vec<&str> = self.keys.iter().map(|(key, _)| key.as_str()).collect();
        let problem = Diagnostic::error("inventory.required", format!("{} has no {}", self.what, quoted(&keys)));
        let mut problem = problem.at(self.at, "").hint_maybe(self.perhaps_meant(draft));
        let mut advice: Vec<(&str, Vec<&str>)> = Vec::new();
        for (key, hint) in &self.keys {
            match advice.iter_mut().find(|(known, _)| known == hint) {
                Some((_, keys)) => keys.push(key),
                None => advice.push((hint, vec![key])),
            }
        }
        for (hint, keys) in advice {
            let head = if self.keys.len() > 1 { format!("{}: ", quoted(&keys)) } else { String::new() };
            problem = problem.hint(format!("{head}{hint}"));
        }
        problem
    }

    /// A guest without anything of its own is perhaps another one, mistyped.
    fn perhaps_meant(&self, draft: &Draft<'_>) -> Option<String> {
        let bare = ["host", "vmid", "address"].iter().all(|key| self.keys.iter().any(|(own, _)| own == key));
        let guest = draft.guests.iter().find(|guest| bare && guest.name.span == self.at)?;
        let others = draft.guests.iter().filter(|other| other.own.vmid.is_some()).map(|other| other.name.as_str());
        did_you_mean(guest.name.as_str(), others)
    }
}

impl Missing<'_> {
    fn need<T>(&mut self, value: &Option<T>, block: &Block, key: &str, hint: &str) {
        let inventory_start = block.span == self.draft.inventory.start;
        let known = self.draft.broken.key(block.span, key) || (inventory_start && self.draft.broken.name(key));
        if value.is_some() || known {
            return;
        }
        let lack = (key.to_owned(), hint.to_owned());
        match self.found.iter_mut().find(|found| found.at == block.at && found.what == block.what) {
            // An entry of a profile is looked at once per guest.
            Some(found) if found.keys.contains(&lack) => {}
            Some(found) => found.keys.push(lack),
            None => self.found.push(Lack { what: block.what.clone(), at: block.at, keys: vec![lack] }),
        }
    }

    fn host(&mut self, what: &str, host: &Spanned<Host>, at: Span) {
        let block = |part: &str, span| Block { what: format!("{part}{what}"), span, at };
        let own = block("", host.span);
        self.need(&host.address, &own, "address", "write its name in DNS or its address");
        self.need(&host.api, &own, "api", "write `api: { token_id: …, token: secret:…, fingerprint: … }`");
        self.need(&host.storage, &own, "storage", "write `storage: { guests: local-zfs, files: local }`");
        self.need(&host.network, &own, "network", "write `network: { bridge: vmbr0, subnet: …, gateway: … }`");
        if let Some(api) = &host.api {
            let block = block("the API of ", api.span);
            self.need(&api.token_id, &block, "token_id", "write `user@realm!name`, such as `infra@pve!laptop`");
            self.need(&api.token, &block, "token", "name the secret, such as `secret:hq-token`");
        }
        if let Some(storage) = &host.storage {
            let block = block("the storage of ", storage.span);
            self.need(&storage.guests, &block, "guests", "name a storage for disks, such as `local-zfs`");
            self.need(&storage.files, &block, "files", "name a storage for images and templates, such as `local`");
        }
        if let Some(network) = &host.network {
            let block = block("the network of ", network.span);
            self.need(&network.bridge, &block, "bridge", "name the guests' bridge, such as `vmbr0`");
            self.need(&network.subnet, &block, "subnet", "write the guests' network, such as `10.0.0.0/24`");
            self.need(&network.gateway, &block, "gateway", "write the gateway's address inside the subnet");
        }
        for (name, gpu) in host.gpus.iter().flatten() {
            let block = Block { what: format!("GPU `{}`", name.value), span: gpu.span, at: name.span };
            self.need(&gpu.id, &block, "id", "write vendor and device as `lspci -nn` shows them, such as `10de:2684`");
        }
    }

    fn ingress(&mut self, ingress: &Spanned<Ingress>) {
        let block = |what: &str, span| Block { what: what.to_owned(), span, at: span };
        let own = block("the reverse proxy", ingress.span);
        self.need(&ingress.guest, &own, "guest", "name the guest that it runs in");
        self.need(&ingress.from, &own, "from", "say who may come in: networks, `internet`, `tag:phone`");
        self.need(&ingress.tls, &own, "tls", "say where certificates come from, such as `tls: internal`");
        if let Some(tls) = &ingress.tls {
            let block = block("where certificates come from", tls.span);
            self.need(&tls.by, &block, "by", "write `acme`, `dns`, `internal`, `tailnet` or `none`");
        }
        for asked in [&ingress.authelia, &ingress.authentik].into_iter().flatten() {
            let block = block("whoever says who somebody is", asked.span);
            self.need(&asked.guest, &block, "guest", "name the guest that it runs in");
        }
    }

    fn dataset(&mut self, dataset: &Spanned<Dataset>) {
        let block = Block { what: "this dataset".to_owned(), span: dataset.span, at: dataset.span };
        self.need(&dataset.name, &block, "name", "name it, such as `proj-x`");
        self.need(&dataset.mount, &block, "mount", "say where the container sees it, such as `/workspace`");
    }
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::{codes, said};

    #[test]
    fn required() {
        let own = "inventory.required";
        assert_eq!(codes("guests: { proj-x: { host: null, cores: null } }"), [own], "one message per block");
        assert!(said("guests: { proj-xx: { cores: 8 } }").contains("did you mean `proj-x`?"));
        assert_eq!(codes("guests: { proj-x: { datasets: [{ name: a }], devices: [{ uid: 5 }] } }"), [own, own]);
        assert_eq!(codes("hosts: { hq: { storage: { files: null }, gpus: { rtx4090: { id: null } } } }"), [own, own]);
        assert_eq!(codes("ingress: { authelia: {} }"), [own, "inventory.route-ingress", own], "one of each block");
        assert_eq!(codes("dns: { zones: { example.com: {} } }"), [own]);
        assert_eq!(codes("name: null"), [own]);
        assert_eq!(codes("name: 5"), ["inventory.type"]);
        assert_eq!(codes("guests: { proj-x: { cores: many } }"), ["inventory.type"]);
    }
}
