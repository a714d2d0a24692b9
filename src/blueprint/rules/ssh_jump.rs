//! Ways through other machines exist and come to an end.

use crate::blueprint::draft::Draft;
use crate::diag::{Diagnostic, Diagnostics, did_you_mean};
use crate::inventory::Jump;
use crate::model::HostName;

/// Reports jumps to unknown hosts, to hosts without SSH, in a circle, and jumps given in two ways.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    const CODE: &str = "inventory.ssh-jump";
    for (name, host) in draft.hosts() {
        let Some(jump) = host.ssh.as_ref().and_then(|ssh| ssh.jump.as_ref()) else { continue };
        let Jump { name: named, host: address, .. } = &jump.value;
        match (named, address) {
            (Some(_), Some(address)) => report.push(
                Diagnostic::error(CODE, "this jump names a host of the inventory and an address")
                    .at(address.span, "")
                    .hint("keep `name` or `host`"),
            ),
            (None, None) if !draft.broken.key(jump.span, "host") && !draft.broken.key(jump.span, "name") => report
                .push(
                    Diagnostic::error(CODE, "this jump does not say where to")
                        .at(jump.span, "")
                        .hint("write `jump: gate` for another host of the inventory, or `jump: { host: …, user: … }`"),
                ),
            _ => {}
        }
        let Some(next) = named else { continue };
        match draft.host(&next.value) {
            None if draft.broken.name(next.as_str()) => {}
            None => report.push(
                Diagnostic::error(CODE, format!("there is no host `{}` to jump through", next.value))
                    .at(next.span, "")
                    .hint(did_you_mean(next.as_str(), draft.hosts().map(|(name, _)| name.as_str())).unwrap_or_else(
                        || {
                            "for a machine that is no host of the inventory, write `jump: { host: …, user: … }`"
                                .to_owned()
                        },
                    )),
            ),
            Some((_, gate)) if gate.ssh.is_none() => report.push(
                Diagnostic::error(CODE, format!("host `{}` has no `ssh` to jump through", next.value))
                    .at(next.span, "")
                    .hint("give that host an `ssh` block, or write the jump as a block of its own"),
            ),
            Some(_) => {
                if let Some(way) = circle(draft, &name.value) {
                    report.push(
                        Diagnostic::error(CODE, format!("the way to host `{}` goes in a circle", name.value))
                            .at(next.span, way.join(" → "))
                            .hint("remove one `jump`"),
                    );
                }
            }
        }
    }
}

/// The way from a host back to itself. Who only leads into a circle is not in it.
fn circle(draft: &Draft<'_>, start: &HostName) -> Option<Vec<String>> {
    let mut way = vec![start.to_string()];
    let mut here = start.clone();
    for _ in draft.hosts() {
        let (_, host) = draft.host(&here)?;
        here = host.ssh.as_ref()?.jump.as_ref()?.name.as_ref()?.value.clone();
        way.push(here.to_string());
        if here == *start {
            return Some(way);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::{HOST, codes};

    #[test]
    fn ssh_jump() {
        let own = "inventory.ssh-jump";
        assert_eq!(codes("hosts: { hq: { ssh: { jump: gate } } }"), [own]);
        assert_eq!(codes("hosts: { hq: { ssh: { jump: hq } } }"), [own]);
        assert_eq!(codes("hosts: { hq: { ssh: { jump: {} } } }"), [own]);
        assert_eq!(codes("hosts: { hq: { ssh: { jump: { host: gate.example.com, user: me } } } }"), [""; 0]);
        let two = |hq: &str, b: &str| {
            format!("hosts: {{ hq: {{ ssh: {{ {hq} }} }}, b: {{ address: b, {} }} }}", HOST.replace("ssh: {}", b))
        };
        assert_eq!(codes(&two("jump: b", "ssh: { jump: hq }")), [own, own]);
        assert_eq!(codes(&two("jump: b", "ssh: {}")), [""; 0]);
        assert_eq!(codes(&two("jump: b", "ssh: null")), [own]);
    }
}
