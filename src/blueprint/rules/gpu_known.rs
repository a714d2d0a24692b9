//! GPUs that guests want exist on their hosts.

use crate::blueprint::draft::Draft;
use crate::diag::{Diagnostic, Diagnostics, did_you_mean};

/// Reports GPUs that the guest's host does not have.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    for guest in &draft.guests {
        let Some((host_name, host)) = draft.host_of(guest) else { continue };
        let names = || host.gpus.iter().flatten().map(|(name, _)| name.as_str());
        for gpu in guest.shape.gpus.iter().flatten() {
            if names().any(|name| name == gpu.as_str())
                || draft.broken.name(gpu.as_str())
                || draft.broken.key(host.span, "gpus")
            {
                continue;
            }
            let elsewhere =
                draft.hosts().find(|(_, other)| other.gpus.iter().flatten().any(|(name, _)| name.value == gpu.value));
            let hint = match elsewhere {
                Some((other, _)) => format!("host `{}` has one of that name; place the guest there", other.value),
                None => did_you_mean(gpu.as_str(), names()).unwrap_or_else(|| {
                    let list = names().collect::<Vec<_>>().join(", ");
                    if list.is_empty() {
                        format!("describe it under `hosts.{}.gpus`", host_name.value)
                    } else {
                        format!("known are {list}")
                    }
                }),
            };
            report.push(
                Diagnostic::error(
                    "inventory.gpu-known",
                    format!("host `{}` has no GPU `{}`", host_name.value, gpu.value),
                )
                .at(gpu.span, "")
                .hint(hint),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::{codes, said};

    #[test]
    fn gpu_known() {
        assert_eq!(codes("guests: { plan-hq: { gpus: [rtx4080] } }"), ["inventory.gpu-known"]);
        assert!(said("guests: { plan-hq: { gpus: [rtx4080] } }").contains("did you mean `rtx4090`?"));
    }
}
