//! A web site leads to one place.

use crate::blueprint::draft::{Draft, collision, once};
use crate::diag::{Diagnostic, Diagnostics};

/// Reports sites that two guests claim.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    let routes =
        draft.guests.iter().flat_map(|guest| guest.routes().map(move |(site, _)| (&site.value.0, (guest, site.span))));
    once(routes, |site, (first, first_span), (again, span)| {
        let problem = Diagnostic::error(
            "inventory.route-unique",
            format!("guests `{}` and `{}` both claim the site `{site}`", first.name.value, again.name.value),
        );
        report.push(collision(problem, *first_span, *span).hint("give each its own name, or remove one route"));
    });
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::codes;

    #[test]
    fn route_unique() {
        let over = "guests: { proj-x: { routes: { a.example.com: 80 } }, plan-hq: { routes: { a.example.com: 81 } } }";
        assert!(codes(over).contains(&"inventory.route-unique"));
    }
}
