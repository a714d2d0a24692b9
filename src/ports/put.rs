//! Writing a file through a [`Shell`], so that it is either the old one or the new one.

use sha2::{Digest, Sha256};

use super::{Command, Output, Shell, TransportError};

/// Why a file could not be written. The target is as it was unless the error says `Uncertain`;
/// putting the same file again is always safe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PutError {
    /// The door did not answer.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// One of the programs failed.
    #[error("cannot write {path}: `{program}` exited with {code}: {message}")]
    Failed {
        /// The file.
        path: String,
        /// Which program.
        program: String,
        /// Its exit code.
        code: i32,
        /// What it printed to standard error.
        message: String,
    },
    /// The path is relative, or names a directory.
    #[error("`{0}` is not the absolute path of a file")]
    Path(String),
}

/// Writes `content` under a temporary name beside `path` and renames it over.
///
/// The temporary file has its final permission bits before it has its content, so that a secret is
/// never readable for a moment. Below `/etc/pve` the cluster file system fixes the bits itself and
/// refuses `chmod`; there `mode` is not used.
pub async fn put(shell: &dyn Shell, path: &str, content: &[u8], mode: u32) -> Result<(), PutError> {
    let (dir, name) = path
        .rsplit_once('/')
        .filter(|(_, name)| path.starts_with('/') && !name.is_empty())
        .ok_or_else(|| PutError::Path(path.to_owned()))?;
    let digest = Sha256::digest(content);
    let temporary = format!("{dir}/.{name}.infra-{:02x}{:02x}{:02x}{:02x}", digest[0], digest[1], digest[2], digest[3]);
    let into = format!("of={temporary}");
    let cluster = path.starts_with("/etc/pve/");
    let mut commands = Vec::new();
    if cluster {
        commands.push(Command::new(["dd", &into, "bs=65536", "status=none"]).stdin(content));
    } else {
        commands.push(Command::new(["install", "-m", &format!("{mode:04o}"), "-T", "/dev/null", &temporary]));
        commands.push(Command::new(["dd", &into, "bs=65536", "conv=fsync", "status=none"]).stdin(content));
    }
    commands.push(Command::new(["mv", "-T", &temporary, path]));
    for command in &commands {
        let output = shell.run(command).await?;
        if output.code != 0 {
            // what is left lies beside the target under a name nobody reads; failing to remove it changes nothing
            let _ = shell.run(&Command::new(["rm", "-f", &temporary])).await;
            return Err(failed(path, command, &output));
        }
    }
    Ok(())
}

fn failed(path: &str, command: &Command, output: &Output) -> PutError {
    PutError::Failed {
        path: path.to_owned(),
        program: command.argv[0].clone(),
        code: output.code,
        message: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    }
}
