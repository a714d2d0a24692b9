//! Names as containers find them: `getent` is run in each container for those that it uses.
//!
//! Docker's own name server knows containers of the same network alone, and only those that run. An image without
//! `getent` proves nothing.

use std::collections::BTreeMap;

use super::expect::{Expected, Node};
use super::facts::Look;
use crate::verify::Verdict;
use crate::verify::proof::{NO_PROGRAM, TIMED_OUT, between_marks};

/// A name of the internet that stands for all others.
const OUTSIDE: &str = "debian.org";
/// Seconds until a lookup is given up: Docker's name server asks each of the guest's several times.
const PATIENCE_S: u32 = 8;
/// What `docker exec` exits with if the image lacks the program (126 or 127 by runc's version).
const NOT_IN_IMAGE: [i32; 2] = [126, NO_PROGRAM];

/// What is looked up in which container: container's name, name, and whose address must come out.
pub type Lookups = Vec<(Node, String, Option<Node>)>;

/// What running containers of a guest must find.
#[must_use]
pub fn lookups(expected: &[Expected], look: &Look, goes_out: bool) -> Lookups {
    let runs =
        |node: &Node| look.containers.get(&node.name()).is_some_and(|own| own.status == "running" && !own.restarting);
    let mut all = Vec::new();
    for one in expected.iter().filter(|one| runs(&one.node) && !one.host_network) {
        // Docker forgets the name of a container that does not run; that it does not is said of itself.
        let known = one.knows.iter().filter(|(_, whose)| runs(whose));
        all.extend(known.map(|(name, whose)| (one.node.clone(), name.clone(), Some(whose.clone()))));
        if goes_out && one.leads_out {
            all.push((one.node.clone(), OUTSIDE.to_owned(), None));
        }
    }
    all
}

/// The script that looks all of them up.
#[must_use]
pub fn script(lookups: &Lookups) -> String {
    let mut lines = String::new();
    for (index, (node, name, _)) in lookups.iter().enumerate() {
        lines.push_str(&format!(
            "timeout {PATIENCE_S} docker exec {} getent hosts {name}\necho \"= {index} $?\"\n",
            node.name()
        ));
    }
    lines.push_str("true\n");
    lines
}

/// What follows, by container.
#[must_use]
pub fn judge(
    lookups: &Lookups,
    look: &Look,
    printed: Result<&str, &String>,
) -> BTreeMap<Node, Vec<(String, Verdict, String)>> {
    let marks = printed.map(between_marks);
    let mut all: BTreeMap<Node, Vec<(String, Verdict, String)>> = BTreeMap::new();
    for (index, (node, name, whose)) in lookups.iter().enumerate() {
        let (verdict, says) = match &marks {
            Err(why) => (Verdict::CouldNotRun, (*why).clone()),
            Ok(marks) => match marks.iter().find(|(key, ..)| *key == index.to_string()) {
                None => (Verdict::CouldNotRun, "it was not asked".to_owned()),
                Some((_, code, text)) => {
                    found(*code, text, whose.as_ref().and_then(|whose| look.containers.get(&whose.name())))
                }
            },
        };
        all.entry(node.clone()).or_default().push((name.clone(), verdict, says));
    }
    all
}

fn found(code: i32, text: &str, whose: Option<&super::containers::Container>) -> (Verdict, String) {
    let first = text.split_whitespace().next().unwrap_or_default();
    match code {
        0 => match whose {
            Some(whose) if !whose.addresses.is_empty() && !whose.addresses.iter().any(|own| own == first) => {
                (Verdict::Fail, format!("it is {first}, and should be {}", whose.addresses.join(" or ")))
            }
            _ => (Verdict::Pass, format!("it is {first}")),
        },
        TIMED_OUT => (Verdict::Fail, "the container's name server does not answer".to_owned()),
        code if NOT_IN_IMAGE.contains(&code) => (Verdict::Unproven, "its image has no `getent`".to_owned()),
        // getent(1): 2 = a key was not found.
        2 => (Verdict::Fail, "the container does not find it".to_owned()),
        code => (Verdict::Fail, format!("`getent` exits with {code} in the container")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_without_getent_proves_nothing() {
        assert_eq!(found(127, "", None).0, Verdict::Unproven);
        assert_eq!(found(126, "OCI runtime exec failed", None).0, Verdict::Unproven);
        assert_eq!(found(2, "", None), (Verdict::Fail, "the container does not find it".to_owned()));
        assert_eq!(found(124, "", None).0, Verdict::Fail);
        assert_eq!(found(0, "172.18.0.2      ollama\n", None).0, Verdict::Pass);
    }
}
