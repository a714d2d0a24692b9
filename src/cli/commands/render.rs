//! `infra render`: the files that an inventory makes, without asking a host.

use camino::{Utf8Path, Utf8PathBuf};

use crate::cli::args::InventoryArgs;
use crate::cli::{CommandError, Exit, load};
use crate::diag::{Diagnostic, did_you_mean};
use crate::render::{Rendered, everything};
use crate::ui::Writer;

/// Print or write every file that the inventory makes: the reverse proxy's configuration, zones, names, host firewalls;
/// no host is asked, and no secret is in them
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: infra render -i inventories/vrooli -o rendered")]
pub struct Args {
    #[command(flatten)]
    inventory: InventoryArgs,
    /// Directory to write to, made if it is not there; a zone whose records are as they were keeps its file to the byte
    #[arg(short, long, value_name = "DIR")]
    out: Option<Utf8PathBuf>,
    /// Only this file, such as `ops-tools/Caddyfile`, without a heading
    #[arg(value_name = "FILE")]
    file: Option<Utf8PathBuf>,
}

pub fn run(args: &Args, writer: &mut Writer) -> Result<Exit, CommandError> {
    let sound = load::sound(&args.inventory)?;
    let today = jiff::Zoned::now().date();
    let before = |path: &Utf8PathBuf| std::fs::read_to_string(args.out.as_ref()?.join(path)).ok();
    let mut files = everything(&sound.blueprint, today, before)
        .map_err(|error| Diagnostic::error("render.value", error.to_string()))?;
    if let Some(wanted) = &args.file {
        let paths: Vec<String> = files.iter().map(|file| file.path.to_string()).collect();
        files.retain(|file| file.path == *wanted);
        if files.is_empty() {
            return Err(unknown(wanted, &paths).into());
        }
    }
    match &args.out {
        Some(directory) => {
            for file in &files {
                write(&directory.join(&file.path), &file.text)?;
            }
            let paths: String = files.iter().map(|file| format!("{}\n", directory.join(&file.path))).collect();
            writer.answer(&paths)?;
        }
        None if args.file.is_some() => {
            writer.answer(&files.iter().map(|file| file.text.as_str()).collect::<String>())?
        }
        None => writer.answer(&shown(&files))?,
    }
    Ok(Exit::Fine)
}

/// Each file below its path, as `head` shows several.
fn shown(files: &[Rendered]) -> String {
    let each: Vec<String> = files.iter().map(|file| format!("==> {} <==\n{}", file.path, file.text)).collect();
    each.join("\n")
}

fn unknown(wanted: &Utf8Path, paths: &[String]) -> Diagnostic {
    let hint = did_you_mean(wanted.as_str(), paths.iter().map(String::as_str)).unwrap_or_else(|| {
        if paths.is_empty() { "it makes none".to_owned() } else { format!("it makes {}", paths.join(", ")) }
    });
    Diagnostic::error("render.file", format!("this inventory makes no file `{wanted}`")).hint(hint)
}

fn write(path: &Utf8Path, text: &str) -> Result<(), CommandError> {
    let folder = path.parent().unwrap_or(Utf8Path::new("."));
    std::fs::create_dir_all(folder).and_then(|()| std::fs::write(path, text)).map_err(|error| {
        Diagnostic::error("render.write", format!("`{path}` cannot be written")).cause(error.to_string()).into()
    })
}
