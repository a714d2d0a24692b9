//! Guests start after those that they use.

use crate::blueprint::draft::Draft;
use crate::diag::{Diagnostic, Diagnostics};

/// Warns about guests that start before one that they use, and about an order that has no effect.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    const CODE: &str = "inventory.startup-order";
    for guest in &draft.guests {
        let Some(startup) = &guest.shape.startup else { continue };
        let Some(order) = startup.order else { continue };
        if let Some(onboot) = guest.shape.onboot.filter(|onboot| !onboot.value) {
            report.push(
                Diagnostic::warning(CODE, format!("the startup order of guest `{}` has no effect", guest.name.value))
                    .at(order.span, "")
                    .related(onboot.span, "it does not start with its host")
                    .hint("remove one of the two"),
            );
        }
        for wanted in guest.shape.uses.iter().flatten() {
            let Some(other) = draft.guest(&wanted.guest) else { continue };
            let same_host = other.own.host == guest.own.host;
            let Some(theirs) = other.shape.startup.as_ref().and_then(|startup| startup.order) else { continue };
            if same_host && order.value < theirs.value {
                report.push(
                    Diagnostic::warning(
                        CODE,
                        format!("guest `{}` starts before `{}`, which it uses", guest.name.value, wanted.guest),
                    )
                    .at(order.span, format!("order {}", order.value))
                    .related(theirs.span, format!("order {}", theirs.value))
                    .hint("lower numbers start first"),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::codes;

    #[test]
    fn startup_order() {
        let over = |x: u32, hq: u32| {
            format!(
                "guests: {{ proj-x: {{ uses: [plan-hq/ollama], startup: {{ order: {x} }} }}, \
                 plan-hq: {{ services: [ollama], startup: {{ order: {hq} }} }} }}"
            )
        };
        assert!(codes(&over(1, 2)).contains(&"inventory.startup-order"));
        assert!(!codes(&over(2, 1)).contains(&"inventory.startup-order"));
        assert_eq!(codes("guests: { proj-x: { onboot: false, startup: { order: 1 } } }"), ["inventory.startup-order"]);
    }
}
