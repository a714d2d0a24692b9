//! A host proves who it is, in exactly one way.

use crate::blueprint::draft::Draft;
use crate::diag::{Diagnostic, Diagnostics};

/// Reports an API with neither a fingerprint nor a CA file, or with both.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    const CODE: &str = "inventory.host-trust";
    for (name, host) in draft.hosts() {
        let Some(api) = &host.api else { continue };
        match (&api.fingerprint, &api.ca_file) {
            (Some(fingerprint), Some(file)) => report.push(
                Diagnostic::error(CODE, format!("the API of host `{}` is trusted in two ways", name.value))
                    .at(file.span, "this")
                    .related(fingerprint.span, "and this")
                    .hint("keep one; in an overlay, `fingerprint: null` removes the other"),
            ),
            (None, None) if !["fingerprint", "ca_file"].iter().any(|key| draft.broken.key(api.span, key)) => {
                report.push(
                    Diagnostic::error(CODE, format!("nothing says how host `{}` proves who it is", name.value))
                        .at(name.span, "")
                        .hint("write `fingerprint:` with what `pvenode cert info` shows on the host, or `ca_file:`"),
                );
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::codes;

    #[test]
    fn host_trust() {
        assert_eq!(codes("hosts: { hq: { api: { ca_file: ca.pem } } }"), ["inventory.host-trust"]);
        assert_eq!(codes("hosts: { hq: { api: { fingerprint: null } } }"), ["inventory.host-trust"]);
        assert_eq!(codes("hosts: { hq: { api: { fingerprint: AB } } }"), ["inventory.value"]);
        assert_eq!(codes("hosts: { hq: { api: { fingerprint: null, ca_file: ca.pem } } }"), [""; 0]);
    }
}
