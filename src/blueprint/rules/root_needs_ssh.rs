//! What Proxmox gives to root@pam alone needs SSH.

use crate::blueprint::draft::Draft;
use crate::diag::{Diagnostic, Diagnostics, Span, Spanned};

/// Reports bind mounts, device nodes and `keyctl` on hosts without `ssh`: no API token may set them.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    for guest in &draft.guests {
        let Some((host_name, host)) = draft.host_of(guest) else { continue };
        if host.ssh.is_some() || draft.broken.key(host.span, "ssh") {
            continue;
        }
        let shape = &guest.shape;
        let keyctl = shape.keyctl.filter(|keyctl| keyctl.value).map(|keyctl| keyctl.span);
        let wanted = [("datasets", first(&shape.datasets)), ("devices", first(&shape.devices)), ("keyctl", keyctl)];
        for (key, span) in wanted {
            let Some(span) = span else { continue };
            report.push(
                Diagnostic::error(
                    "inventory.root-needs-ssh",
                    format!("`{key}` of guest `{}` needs SSH to host `{}`", guest.name.value, host_name.value),
                )
                .cause("Proxmox lets only root@pam set this, whatever the API token may do")
                .at(span, "")
                .related(host_name.span, "has no `ssh`")
                .hint("give the host `ssh: { user: root, host_key: … }`"),
            );
        }
    }
}

fn first<T>(list: &Option<Vec<Spanned<T>>>) -> Option<Span> {
    list.iter().flatten().next().map(|item| item.span)
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::codes;

    #[test]
    fn root_needs_ssh() {
        let own = "inventory.root-needs-ssh";
        assert_eq!(codes("hosts: { hq: { ssh: null } }"), [own]);
        let more =
            "hosts: { hq: { ssh: null } }\nguests: { proj-x: { datasets: [], keyctl: true, devices: [/dev/kvm] } }";
        assert_eq!(codes(more), [own, own]);
    }
}
