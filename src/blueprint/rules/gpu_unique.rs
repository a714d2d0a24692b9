//! A GPU belongs to one guest, and is described once.

use crate::blueprint::draft::{Draft, collision, once};
use crate::diag::{Diagnostic, Diagnostics};

/// Reports GPUs that are wanted twice, and two descriptions that fit the same card.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    const CODE: &str = "inventory.gpu-unique";
    let wanted = draft.guests.iter().flat_map(|guest| {
        let host = guest.own.host.as_ref().map(|host| &host.value);
        guest.shape.gpus.iter().flatten().filter_map(move |gpu| Some(((host?, &gpu.value), (guest, gpu.span))))
    });
    once(wanted, |(_, gpu), (first, first_span), (again, span)| {
        let who = if first.name == again.name {
            format!("guest `{}` wants the GPU `{gpu}` twice", first.name.value)
        } else {
            format!("guests `{}` and `{}` both want the GPU `{gpu}`", first.name.value, again.name.value)
        };
        let problem = collision(Diagnostic::error(CODE, who), *first_span, *span);
        report.push(problem.hint("a GPU is passed through whole; give it to one of them, or add a second card"));
    });
    for (_, host) in draft.hosts() {
        let described = host.gpus.iter().flatten().filter_map(|(name, gpu)| {
            let address = gpu.address.as_ref().map(|address| address.value.device());
            Some(((gpu.id?.value.to_string(), gpu.subsystem.map(|id| id.value.to_string()), address), name))
        });
        once(described, |_, first, again| {
            report.push(
                Diagnostic::error(CODE, format!("GPUs `{}` and `{}` cannot be told apart", first.value, again.value))
                    .at(again.span, "this one")
                    .related(first.span, "and this one")
                    .hint("give each of two equal cards its `address`, such as `0000:01:00`"),
            );
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::{CONTAINER, codes};

    #[test]
    fn gpu_unique() {
        let own = "inventory.gpu-unique";
        let vm = CONTAINER.replace("container", "vm").replace("image: debian", "image: ubuntu").replace("1GiB", "4GiB");
        let second = format!("guests: {{ b: {{ {vm}, vmid: 101, address: 10.0.0.11, gpus: [rtx4090] }} }}");
        assert_eq!(codes(&second), [own]);
        assert_eq!(codes("guests: { plan-hq: { gpus: [rtx4090, rtx4090] } }"), [own]);
        assert_eq!(codes("hosts: { hq: { gpus: { other: { id: 10de:2684 } } } }"), [own]);
        let apart = "hosts: { hq: { gpus: { rtx4090: { address: 0000:01:00 }, other: { id: 10de:2684, address: 0000:02:00 } } } }";
        assert_eq!(codes(apart), [""; 0]);
    }
}
