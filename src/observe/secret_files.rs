//! Whether files with secrets hold what they are to hold now.
//!
//! What a file shall be goes to the guest over standard input and is compared there; nothing of the file that is there
//! leaves it. A secret that cannot be had, or a file that cannot be compared, is not known to differ.

use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret as _;

use crate::blueprint::Blueprint;
use crate::client::{Doors, InGuest};
use crate::model::observed::{Fact, Observed};
use crate::ports::{Command, SecretStore, Shell as _, quote};
use crate::render::Content;
use crate::resources::secret_files;

/// How long one comparison may take.
const LIMIT: Duration = Duration::from_secs(30);

/// Compares every file with a secret that is there.
pub(super) async fn compare(blueprint: &Blueprint, doors: &Doors, observed: &mut Observed) {
    let Some(secrets) = doors.secrets() else { return };
    for host in blueprint.hosts.values() {
        let (Some(shell), Some(there)) = (doors.shell(&host.name), observed.hosts.get_mut(&host.name)) else {
            continue;
        };
        for (inside, files) in secret_files(blueprint, &host.name) {
            let Some(Fact::Complete { value: docker }) = there.docker.get_mut(&inside.vmid()) else { continue };
            for (path, content) in files.iter().filter(|(path, _)| docker.files.contains_key(*path)) {
                let Some(filled) = filled(content, secrets) else { continue };
                let compare = format!("cat | cmp -s - {}", quote(path));
                let command =
                    Command::new(["sh", "-c", &compare]).stdin(filled.expose_secret().as_bytes()).limit(LIMIT);
                let differs = match InGuest::new(Arc::clone(shell), inside).run(&command).await {
                    Ok(output) if output.code == 0 => false,
                    Ok(output) if output.code == 1 => true,
                    Ok(_) | Err(_) => continue,
                };
                docker.stale_secrets.insert(path.clone(), differs);
            }
        }
    }
}

fn filled(content: &Content, secrets: &dyn SecretStore) -> Option<secrecy::SecretString> {
    content.filled(|name| secrets.reveal(name).ok()).ok()
}
