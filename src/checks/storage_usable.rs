//! Storages are there and take what is kept on them.

use std::collections::BTreeMap;

use super::standing::addr;
use super::{Area, Check, Finding, Fix, NotRun, Severity, Subject};
use crate::blueprint::{GuestShape, ImageSource};
use crate::model::{Addr, StorageName};
use crate::resources::{Kept, files_kept, storage_problem};

/// See its texts.
pub const CHECK: Check = Check {
    id: "storage-usable",
    area: Area::Storage,
    severity: Severity::Fail,
    title: "storages that the inventory names are there, active, and take what is kept on them",
    needs: &["GET /nodes/N/storage"],
    why: "PVE refuses an unknown storage at once, but a wrong content type or an inactive storage only in the middle of the \
          task. `local` of a fresh host takes neither `import` (cloud images) nor `snippets` (cloud-init files).",
    fix: "Add the content type: `pvesm set STORAGE --content …` with all that it shall take. An inactive one: \
          `pvesm status` says why.",
    mend: None,
    sources: &["pve-storage PVE/Storage.pm", "pve-docs pvesm.adoc"],
    judge,
};

fn judge(subject: &Subject<'_>) -> Result<Vec<Finding>, NotRun> {
    let mut uses: BTreeMap<(&StorageName, &'static str), Vec<Addr>> = BTreeMap::new();
    let files = &subject.host.storage.files;
    for guest in subject.guests() {
        let mut kept = |storage, content| uses.entry((storage, content)).or_default().push(addr(guest));
        match guest.shape {
            GuestShape::Vm(_) => {
                kept(&guest.storage, "images");
                kept(files, "snippets");
            }
            GuestShape::Container(_) => kept(&guest.storage, "rootdir"),
        }
        match subject.blueprint.images.get(&guest.image).map(|image| &image.source) {
            Some(ImageSource::Cloud { .. }) => kept(files, "import"),
            Some(ImageSource::Template { .. }) => kept(files, "vztmpl"),
            None => {}
        }
    }
    if uses.is_empty() {
        return Err(NotRun::skipped("the inventory places no guest on this host"));
    }
    let finding = |((storage, content), addrs): ((&StorageName, &'static str), Vec<Addr>)| {
        let kept = Kept { storage, content, ..files_kept(subject.host, content) };
        let finding = match storage_problem(subject.observed, subject.host, &kept) {
            Err(why) => Finding::blind(why),
            Ok(None) => {
                Finding::pass(format!("it takes `{content}`")).seen("pvesm status", format!("{storage} active"))
            }
            Ok(Some(problem)) => {
                let seen = problem.causes.first().cloned().unwrap_or_else(|| format!("{storage} inactive"));
                problem
                    .hints
                    .iter()
                    .fold(Finding::fail(problem.summary.clone()).seen("pvesm status", seen), |finding, hint| {
                        finding.fix(Fix::by_hand(hint))
                    })
            }
        };
        finding.about(format!("storage {storage}")).concerns(addrs)
    };
    Ok(uses.into_iter().map(finding).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::Verdict::{CouldNotRun, Fail, Pass};
    use super::super::guest_scene::Scene;
    use super::*;
    use crate::model::observed::{Fact, Storage};

    fn scene(local: &[&str], zfs_active: bool) -> Scene {
        let storage = |content: &[&str], active| Storage {
            kind: "dir".into(),
            content: content.iter().map(|c| (*c).to_owned()).collect(),
            active,
            available: 1 << 40,
            total: 1 << 41,
        };
        let mut scene = Scene::new();
        scene.host().storages = Fact::complete(BTreeMap::from([
            ("local".parse().unwrap(), storage(local, true)),
            ("local-zfs".parse().unwrap(), storage(&["images", "rootdir"], zfs_active)),
        ]));
        scene
    }

    #[test]
    fn right_wrong_and_unknown() {
        assert_eq!(scene(&["import", "snippets", "vztmpl"], true).verdicts(&CHECK), [Pass; 5]);
        assert_eq!(scene(&["vztmpl"], true).verdicts(&CHECK), [Fail, Fail, Pass, Pass, Pass]);
        assert!(scene(&["vztmpl"], true).said(&CHECK).contains("pvesm set local --content vztmpl,import"));
        assert_eq!(scene(&["import", "snippets", "vztmpl"], false).verdicts(&CHECK), [Pass, Pass, Pass, Fail, Fail]);
        assert_eq!(Scene::new().verdicts(&CHECK), [CouldNotRun; 5]);
    }
}
