//! `infra images`: what the containers of an inventory are made of.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::adapters::files::{self, read_inventory};
use crate::adapters::{Registries, RegistryError, logins};
use crate::blueprint::Blueprint;
use crate::cli::args::InventoryArgs;
use crate::cli::{CommandError, Exit, error, load};
use crate::diag::{Diagnostic, SourceMap};
use crate::inventory::{self, Digest, ImageRef, LockedImage, with_image_digests};
use crate::ui::{Role, Terminal, Writer, plural};

/// The file of digests in a directory that has none yet.
const FILE: &str = "image-digests.yaml";
/// How many registries are asked at once.
const AT_ONCE: usize = 4;

/// The images that services run as
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub struct Args {
    #[command(subcommand)]
    pub verb: Verb,
}

/// What is done with images.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    Lock(LockArgs),
}

/// Ask registries what each image of the inventory is made of, and write it into `image_digests`
///
/// From then on exactly that is pulled, whatever becomes of the tag. What is locked stays as it is; a tag that was moved
/// since is told. Digests are of whole lists of platforms. In a directory they are written to `image-digests.yaml`, or
/// to where `image_digests` are already; comments stay. Nothing is pulled, and no host is asked.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: infra images lock -i inventories/vrooli")]
pub struct LockArgs {
    #[command(flatten)]
    inventory: InventoryArgs,
    /// Lock anew what was locked: tags that were moved
    #[arg(long, conflicts_with = "check")]
    upgrade: bool,
    /// Write nothing; 1 when an image is not locked, or its tag was moved
    #[arg(long)]
    check: bool,
}

/// What became of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Found {
    /// It was not locked, and this is what it is made of.
    New(Digest),
    /// It is what was locked.
    Same(Digest),
    /// Its tag is something else now.
    Moved { was: Digest, now: Digest },
    /// Its registry did not say.
    Unknown(RegistryError),
}

pub async fn run(args: &Args, writer: &mut Writer) -> Result<Exit, CommandError> {
    match &args.verb {
        Verb::Lock(args) => lock(args, writer).await,
    }
}

async fn lock(args: &LockArgs, writer: &mut Writer) -> Result<Exit, CommandError> {
    let sound = load::sound(&args.inventory)?;
    let loaded = inventory::load(&read_inventory(&sound.paths));
    let locked: Vec<LockedImage> = loaded
        .inventory
        .iter()
        .flat_map(|inventory| inventory.document.image_digests.iter().flatten())
        .map(|(name, digest)| LockedImage::of(name, digest))
        .collect();
    let images = asked(&sound.blueprint, &locked);
    let registries = Registries::new(logins(&docker_config())).map_err(|problem| failed(&problem))?;
    let found = ask(Arc::new(registries), images, &locked).await;
    let wanted: BTreeMap<String, Digest> = found
        .iter()
        .filter_map(|(name, found)| match found {
            Found::New(digest) => Some((name.clone(), digest.clone())),
            Found::Moved { now, .. } if args.upgrade => Some((name.clone(), now.clone())),
            _ => None,
        })
        .collect();
    let terminal = writer.out();
    let mut answer = table(&found, args, &terminal);
    let unused = locked.iter().filter(|entry| !found.contains_key(&entry.name));
    for entry in unused {
        let _ = writeln!(answer, "{} {} runs nowhere", terminal.paint(Role::Faint, "unused  "), entry.name);
    }
    if !args.check && !wanted.is_empty() {
        for path in write(&sound.paths, &loaded.sources, &locked, &wanted)? {
            let _ = writeln!(answer, "{path} is written");
        }
    }
    writer.answer(&answer)?;
    let failures = found.values().filter(|found| matches!(found, Found::Unknown(_))).count();
    let open = found.values().filter(|found| matches!(found, Found::New(_) | Found::Moved { .. })).count();
    let moved = found.values().any(|found| matches!(found, Found::Moved { .. }));
    if moved && !args.upgrade {
        writer.tell("a tag that was moved is another image by the same name: look at what changed, then `--upgrade`\n");
    }
    for hint in hints(&found) {
        writer.tell(&format!("{hint}\n"));
    }
    if failures > 0 {
        writer.tell(&format!("{} could not be asked for\n", plural(failures, "image", "images")));
    }
    Ok(if failures > 0 || args.check && open > 0 { Exit::Failed } else { Exit::Fine })
}

/// Images that run somewhere and whose digest is not written beside their tag, by `repository:tag`.
fn asked(blueprint: &Blueprint, locked: &[LockedImage]) -> BTreeMap<String, ImageRef> {
    let deployments = blueprint.guests.values().flat_map(|guest| guest.deployments.values());
    let images = deployments.flat_map(|deployment| {
        // The one for the guest's GPU is the image itself already.
        let more = deployment.images.iter().filter(|(name, _)| !matches!(name.as_str(), "nvidia" | "amd"));
        std::iter::once(&deployment.image).chain(more.map(|(_, image)| image))
    });
    let named = images.map(|image| (ImageRef { digest: None, ..image.clone() }, image.digest.as_ref()));
    named
        .map(|(image, digest)| (image.to_string(), image, digest))
        .filter(|(name, _, digest)| {
            let own = locked.iter().find(|entry| entry.name == *name).map(|entry| &entry.digest);
            digest.is_none() || *digest == own
        })
        .map(|(name, image, _)| (name, image))
        .collect()
}

async fn ask(
    registries: Arc<Registries>,
    images: BTreeMap<String, ImageRef>,
    locked: &[LockedImage],
) -> BTreeMap<String, Found> {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut asked = JoinSet::new();
    for (name, image) in images {
        let (registries, places) = (Arc::clone(&registries), Arc::clone(&places));
        asked.spawn(async move {
            let _place = places.acquire().await;
            (name, registries.digest(&image).await)
        });
    }
    let mut found = BTreeMap::new();
    while let Some(Ok((name, answer))) = asked.join_next().await {
        let was = locked.iter().find(|entry| entry.name == name).map(|entry| entry.digest.clone());
        let what = match (answer, was) {
            (Err(error), _) => Found::Unknown(error),
            (Ok(now), None) => Found::New(now),
            (Ok(now), Some(was)) if was == now => Found::Same(now),
            (Ok(now), Some(was)) => Found::Moved { was, now },
        };
        found.insert(name, what);
    }
    found
}

fn table(found: &BTreeMap<String, Found>, args: &LockArgs, terminal: &Terminal) -> String {
    let mut out = String::new();
    for (name, found) in found {
        let (role, word, what) = match found {
            Found::New(digest) if args.check => (Role::Bad, "open", digest.0.clone()),
            Found::New(digest) => (Role::Good, "locked", digest.0.clone()),
            Found::Same(digest) => (Role::Faint, "as it was", digest.0.clone()),
            Found::Moved { was, now } if args.upgrade => {
                (Role::Change, "upgraded", format!("{} (was {})", now.0, was.0))
            }
            Found::Moved { was, now } => (Role::Caution, "moved", format!("{} (locked {})", now.0, was.0)),
            Found::Unknown(error) => (Role::Bad, "failed", error.to_string()),
        };
        let _ = writeln!(out, "{} {name} {what}", terminal.paint(role, format!("{word:<9}")));
    }
    if found.is_empty() {
        out.push_str("no service of this inventory runs in a container\n");
    }
    out
}

/// What to do about failures, each said once.
fn hints(found: &BTreeMap<String, Found>) -> BTreeSet<String> {
    let errors = found.values().filter_map(|found| match found {
        Found::Unknown(error) => Some(error.hint()),
        _ => None,
    });
    errors.collect()
}

/// Writes digests to where they belong; which files were written.
fn write(
    paths: &[Utf8PathBuf],
    sources: &SourceMap,
    locked: &[LockedImage],
    wanted: &BTreeMap<String, Digest>,
) -> Result<Vec<Utf8PathBuf>, CommandError> {
    let path_of = |entry: &LockedImage| sources.path(entry.value.file).to_owned();
    // New ones go beside the last of those that there are.
    let last = locked.iter().max_by_key(|entry| (entry.value.file, entry.value.end));
    let home = last.map_or_else(|| first_home(paths), path_of);
    let mut by_file: BTreeMap<Utf8PathBuf, BTreeMap<String, Digest>> = BTreeMap::new();
    for (name, digest) in wanted {
        let there = locked.iter().find(|entry| entry.name == *name);
        let path = there.map_or_else(|| home.clone(), path_of);
        by_file.entry(path).or_default().insert(name.clone(), digest.clone());
    }
    let mut written = Vec::new();
    for (path, wanted) in by_file {
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(problem) if problem.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(problem) => return Err(error::file("read", &path, &problem)),
        };
        let own: Vec<LockedImage> = locked.iter().filter(|entry| path_of(entry) == path).cloned().collect();
        let text = with_image_digests(&text, &own, &wanted).map_err(|invalid| {
            CommandError::from(
                Diagnostic::error("images.lock", format!("`{path}` is not changed"))
                    .cause(invalid.problem)
                    .hint_maybe(invalid.hint),
            )
        })?;
        files::replace(&path, &text).map_err(|problem| error::file("written", &path, &problem))?;
        written.push(path);
    }
    Ok(written)
}

/// Where the first digests of an inventory go: into its file, or into one of their own in its directory.
fn first_home(paths: &[Utf8PathBuf]) -> Utf8PathBuf {
    let first = paths.first().map_or(Utf8Path::new("."), Utf8PathBuf::as_path);
    if first.is_dir() { first.join(FILE) } else { first.to_owned() }
}

fn docker_config() -> Utf8PathBuf {
    let own = std::env::var("DOCKER_CONFIG").map(Utf8PathBuf::from);
    let home = || std::env::var("HOME").map(|home| Utf8Path::new(&home).join(".docker"));
    own.or_else(|_| home()).unwrap_or_default().join("config.json")
}

fn failed(problem: &RegistryError) -> CommandError {
    Diagnostic::error("images.registry", problem.to_string()).hint(problem.hint()).into()
}
