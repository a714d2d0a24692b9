//! Chores around the code: `cargo xtask <chore>`.

mod bench;
mod engine_real;
mod generate;
mod layers;
mod process;
mod real_clients;
mod scan;
mod stack_real;
mod test;
mod vm_test;

use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str = "\
Usage: cargo xtask <CHORE>

Chores:
  layers              Hold the direction between the rooms of src/
  generate [--check]  Write docs/ that the program itself knows, or see whether they are fresh
  test [--install]    Everything that must hold; installs missing Debian programs as root, and Python ones below
                      target/, with --install or $CI
  bench               What starting and planning cost
  vm-test [--install] [--record] [--hold] [CASE…]
                      Preflight and prepare against an emulated Debian host with a real kernel, IOMMU and ZFS; builds
                      it once, which takes root, 10 minutes and 5 GiB below target/vm. --record keeps what it answers
                      for the fast suites; --hold runs no case and leaves the machine to you
";

/// The root of the workspace.
fn root() -> PathBuf {
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    own.parent().map(PathBuf::from).unwrap_or(own)
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match args[..] {
        ["layers"] => layers::run(),
        ["generate"] => generate::run(false),
        ["generate", "--check"] => generate::run(true),
        ["test"] => test::run(false),
        ["test", "--install"] => test::run(true),
        ["bench"] => bench::run(),
        ["vm-test", ref arguments @ ..] => vm_test::run(arguments),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(64);
        }
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
