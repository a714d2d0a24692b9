//! Keys of VMs stand with VMs, keys of containers with containers.

use crate::blueprint::draft::Draft;
use crate::diag::{Diagnostic, Diagnostics, Span, Spanned};
use crate::inventory::{KindName, Shape};

/// Reports keys that the guest's kind does not have.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    for guest in &draft.guests {
        let Some(kind) = guest.kind() else { continue };
        let (word, other, foreign) = match kind {
            KindName::Vm => ("VM", "containers", container_keys(&guest.shape)),
            KindName::Container => ("container", "VMs", vm_keys(&guest.shape)),
        };
        for (key, span) in foreign {
            let Some(span) = span else { continue };
            let problem = Diagnostic::error(
                "inventory.kind-keys",
                format!("`{key}` is for {other}, and `{}` is a {word}", guest.name.value),
            )
            .at(span, "");
            let problem = match guest.shape.kind {
                Some(kind) => problem.related(kind.span, "its kind"),
                None => problem,
            };
            report.push(match key {
                "gpus" => problem.hint(
                    "a container shares the host's driver instead: pass its device nodes with `devices`, or use `kind: vm`",
                ),
                "user" | "packages" => problem.hint("it is cloud-init that does this, which only VMs have here"),
                "ksm" => problem.hint("only the memory of VMs is ever merged: remove `ksm`"),
                "datasets" => problem.hint("a VM has its disk; a dataset can only be mounted into a container"),
                _ => problem.hint(format!("remove `{key}`, or change `kind`")),
            });
        }
    }
}

fn vm_keys(shape: &Shape) -> Vec<(&'static str, Option<Span>)> {
    vec![
        ("gpus", list(&shape.gpus)),
        ("cpu", one(&shape.cpu)),
        ("ksm", one(&shape.ksm)),
        ("user", one(&shape.user)),
        ("packages", list(&shape.packages)),
        ("agent", one(&shape.agent)),
    ]
}

fn container_keys(shape: &Shape) -> Vec<(&'static str, Option<Span>)> {
    vec![
        ("swap", one(&shape.swap)),
        ("nesting", one(&shape.nesting)),
        ("keyctl", one(&shape.keyctl)),
        ("limits", one(&shape.limits)),
        ("datasets", list(&shape.datasets)),
        ("devices", list(&shape.devices)),
    ]
}

fn one<T>(value: &Option<Spanned<T>>) -> Option<Span> {
    value.as_ref().map(|value| value.span)
}

fn list<T>(value: &Option<Vec<Spanned<T>>>) -> Option<Span> {
    value.iter().flatten().next().map(|value| value.span)
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::codes;

    #[test]
    fn kind_keys() {
        let own = "inventory.kind-keys";
        assert_eq!(codes("guests: { plan-hq: { gpus: [] }, proj-x: { gpus: [rtx4090], user: me } }"), [own, own]);
        assert_eq!(codes("guests: { plan-hq: { swap: 1GiB, keyctl: true, devices: [/dev/kvm] } }"), [own, own, own]);
    }
}
