//! `image`: a cloud image or a container template on a host's file storage.
//!
//! Fetched by the host itself, with its checksum. PVE takes disk images only as content type `import`
//! and only as `.qcow2`, `.raw` or `.vmdk`; templates come from its own appliance list. An image that
//! is there is taken to be what its name says; it is shared, so only an explicit target removes it.

use super::difference::{Fields, between, change};
use super::operations::{answer, check, step, task};
use super::storage::{files_kept, takes};
use super::{Changed, Context, Finding, Removal, Resource};
use crate::blueprint::{Blueprint, Host, Image, ImageSource};
use crate::diag::{Diagnostic, Diagnostics, did_you_mean};
use crate::model::change::Action;
use crate::model::step::{Condition, Expect, Matcher, Undo};
use crate::model::{Addr, HostName, Kind};
use crate::proxmox::endpoints::{APPLIANCE_DOWNLOAD, STORAGE_CONTENT, STORAGE_CONTENT_DELETE, STORAGE_DOWNLOAD};

struct ImageOnHost<'a> {
    host: &'a Host,
    image: &'a Image,
}

pub fn desired(blueprint: &Blueprint) -> Vec<Box<dyn Resource + '_>> {
    let mut images: Vec<Box<dyn Resource + '_>> = Vec::new();
    for host in blueprint.hosts.values() {
        for image in blueprint.images.values() {
            if blueprint.guests.values().any(|guest| guest.host == host.name && guest.image == image.name) {
                images.push(Box::new(ImageOnHost { host, image }));
            }
        }
    }
    images
}

/// The address of an image on a host.
pub fn addr(host: &HostName, image: &str) -> Addr {
    Addr::placed(Kind::Image, host, image)
}

/// The content type that an image is kept as.
fn content(image: &Image) -> &'static str {
    match image.source {
        ImageSource::Cloud { .. } => "import",
        ImageSource::Template { .. } => "vztmpl",
    }
}

/// The volume id of an image on a host.
pub fn volume(host: &Host, image: &Image) -> String {
    let file = match &image.source {
        ImageSource::Cloud { file, .. } | ImageSource::Template { file } => file,
    };
    format!("{}:{}/{file}", host.storage.files, content(image))
}

impl ImageOnHost<'_> {
    fn has(&self, matcher: fn(String, String) -> Matcher) -> Condition {
        let call = STORAGE_CONTENT.at(&[self.host.node.as_str(), self.host.storage.files.as_str()]);
        answer(call, vec![Expect::new("", matcher("volid".into(), volume(self.host, self.image)))])
    }

    /// What is wrong with a template's name that the host's own index does not have.
    fn not_offered(&self, context: &Context<'_>) -> Option<Diagnostic> {
        let ImageSource::Template { file } = &self.image.source else { return None };
        let appliances = &context.observed.hosts[&self.host.name].appliances;
        let offered = appliances.value().filter(|offered| appliances.is_complete() && !offered.contains(file))?;
        let problem = Diagnostic::error(
            "plan.no-such-template",
            format!("host `{}` has no container template `{file}` and knows none by that name", self.host.name),
        )
        .at(self.image.span, "declared here")
        .cause(match offered.len() {
            0 => "its list of templates is empty".to_owned(),
            known => format!("it is not among the {known} templates that its list offers"),
        })
        .hint_maybe(did_you_mean(file, offered.iter().map(String::as_str)));
        Some(problem.hint("on the host: `pveam update` renews the list, `pveam available` shows it"))
    }

    fn fields(&self) -> Fields {
        Fields::from([("volume".to_owned(), volume(self.host, self.image))])
    }
}

impl Resource for ImageOnHost<'_> {
    fn addr(&self) -> Addr {
        addr(&self.host.name, &self.image.name)
    }

    fn host(&self) -> &HostName {
        &self.host.name
    }

    fn find(&self, context: &Context<'_>) -> Finding {
        let desired = self.fields();
        if let Err(finding) = takes(context, self.host, &files_kept(self.host, content(self.image))) {
            return finding;
        }
        let storage = &self.host.storage.files;
        let volumes = context.observed.hosts[&self.host.name].volumes.get(storage);
        let Some(there) = volumes.and_then(|volumes| volumes.value().filter(|_| volumes.is_complete())) else {
            let why = volumes.and_then(|v| v.why()).unwrap_or("was not asked for");
            return Finding::Gap { why: format!("content of storage `{storage}`: {why}") };
        };
        if there.contains_key(&volume(self.host, self.image)) {
            return Finding::Unchanged { desired };
        }
        if let Some(problem) = self.not_offered(context) {
            return Finding::Refused(problem.into());
        }
        let node = self.host.node.as_str();
        let (request, what) = match &self.image.source {
            ImageSource::Cloud { url, sha256, file } => (
                STORAGE_DOWNLOAD
                    .at(&[node, storage.as_str()])
                    .set("content", "import")
                    .set("filename", file)
                    .set("url", url)
                    .set("checksum", sha256)
                    .set("checksum-algorithm", "sha256")
                    .request(),
                file,
            ),
            ImageSource::Template { file } => {
                (APPLIANCE_DOWNLOAD.at(&[node]).set("storage", storage).set("template", file).request(), file)
            }
        };
        let addr = self.addr();
        let there = self.has(Matcher::HasItem);
        let mut step = step(
            &addr,
            "download",
            format!("download {what}"),
            &self.host.name,
            vec![
                task(request, there.clone()),
                check(
                    there,
                    "the download ended well, and the volume is not listed: does the token have Datastore.Audit on the storage?",
                ),
            ],
        );
        step.undo = Undo::nothing("an image harms nobody, and the next apply finds it");
        // Two downloads of one file at a time fail; of different files they do not.
        step.exclusive = vec![format!("{}/volume/{}", self.host.name, volume(self.host, self.image))];
        Finding::Changed(Changed {
            change: change(addr, Action::Create, &between(&Fields::new(), &desired), context.memory),
            steps: vec![step],
            desired,
            seen: "absent".into(),
            notes: Vec::new(),
        })
    }

    fn removal(&self, context: &Context<'_>) -> Option<Removal> {
        let storage = &self.host.storage.files;
        let there = context.observed.hosts[&self.host.name].volumes.get(storage)?.value()?;
        let volume = volume(self.host, self.image);
        there.get(&volume)?;
        let addr = self.addr();
        let gone = self.has(Matcher::LacksItem);
        let request = STORAGE_CONTENT_DELETE.at(&[self.host.node.as_str(), storage.as_str(), &volume]);
        let mut step = step(
            &addr,
            "destroy",
            format!("remove {volume}"),
            &self.host.name,
            vec![task(request, gone.clone()), check(gone, "the volume is still listed")],
        );
        step.undo = Undo::nothing("the next apply downloads it again");
        Some(Removal {
            change: change(addr, Action::Destroy, &[], context.memory),
            steps: vec![step],
            holds_data: false,
            seen: volume,
            refused: Diagnostics::new(),
        })
    }
}
