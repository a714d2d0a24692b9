//! The program: everything is in the library.

fn main() -> std::process::ExitCode {
    infra::cli::main()
}
