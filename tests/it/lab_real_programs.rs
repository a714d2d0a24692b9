//! `find` and `grep` of the lab print what those of this machine print, over the same files.

use std::process::Command;

use infra::lab::shell::run_line;
use infra::lab::world::{File, Node, World};
use infra::ports::quote_all;

const FILES: &[(&str, &str)] = &[
    ("a.conf", "options vfio-pci ids=10de:2684\n# softdep nouveau pre: vfio-pci\n\nblacklist nouveau\n"),
    ("b.conf", "softdep nouveau pre: vfio-pci\nno newline at the end"),
    ("empty", ""),
    ("sub/a.conf", "vfio\nvfio_pci\n"),
    ("sub/deep/type", "DMA-FQ\n"),
    ("sub/deep/x.txt", "one (two) three+\n"),
];

/// Commands; `@` stands for the directory.
const COMMANDS: &[&[&str]] = &[
    &["find", "@"],
    &["find", "@", "-type", "f"],
    &["find", "@", "-type", "d"],
    &["find", "@", "-mindepth", "1", "-maxdepth", "1"],
    &["find", "@", "-maxdepth", "0"],
    &["find", "@", "-name", "*.conf"],
    &["find", "@", "-name", "[ab].c?nf", "-type", "f"],
    &["find", "@/sub", "@/missing", "-name", "type"],
    &["find", "@", "-path", "*/sub/*", "-type", "f"],
    &["find", "@", "(", "-name", "type", "-o", "-name", "empty", ")", "-exec", "grep", "-H", ".", "{}", "+"],
    &["find", "@", "-type", "f", "!", "-name", "*.conf"],
    &["find", "@", "-type", "f", "-empty"],
    &["find", "@", "-type", "f", "-size", "+0"],
    &["find", "@", "-name", "deep", "-prune", "-o", "-type", "f", "-print"],
    &["find", "@", "-type", "f", "-printf", "%s %f %d %y %h\\n"],
    &["find", "@", "-name", "type", "-exec", "cat", "{}", ";"],
    &["find", "@/empty", "-maxdepth", "0", "-type", "f", "-size", "+0"],
    &["grep", "vfio", "@/a.conf"],
    &["grep", "-H", "vfio", "@/a.conf"],
    &["grep", "-h", "vfio", "@/a.conf", "@/b.conf"],
    &["grep", "vfio", "@/a.conf", "@/b.conf"],
    &["grep", "-n", "-i", "NOUVEAU", "@/a.conf"],
    &["grep", "-m", "1", "vfio", "@/a.conf"],
    &["grep", "-c", "vfio", "@/a.conf", "@/empty"],
    &["grep", "-l", "vfio", "@/a.conf", "@/empty"],
    &["grep", "-v", "vfio", "@/a.conf"],
    &["grep", "-o", "vfio[_-]pci", "@/a.conf"],
    &["grep", "-q", "vfio", "@/a.conf"],
    &["grep", "-w", "vfio", "@/sub/a.conf"],
    &["grep", "-x", "vfio", "@/sub/a.conf"],
    &["grep", "-F", "(two) three+", "@/sub/deep/x.txt"],
    &["grep", "(two) three+", "@/sub/deep/x.txt"],
    &["grep", "-E", "\\(two\\) three\\+", "@/sub/deep/x.txt"],
    &["grep", "-E", "^[[:space:]]*(softdep|blacklist)[[:space:]]", "@/a.conf"],
    &["grep", "one\\|vfio", "@/sub/deep/x.txt"],
    &["grep", "-e", "softdep", "-e", "options", "@/a.conf"],
    &["grep", "-rs", "vfio", "@/sub", "@/missing"],
    &["grep", "-r", "vfio", "@"],
    &["grep", "vfio", "@/missing"],
    &["grep", "-s", "vfio", "@/missing"],
    &["grep", "vfio", "@/sub"],
    &["grep", "nothing", "@/empty"],
    &["grep", "-sH", "", "@/a.conf", "@/empty"],
    &["grep", ".", "@/b.conf"],
];

/// Lines in an order of their own; directories are listed in no order that anybody could rely on.
fn lines(bytes: &[u8]) -> Vec<String> {
    let mut lines: Vec<String> = String::from_utf8_lossy(bytes).split_inclusive('\n').map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn find_and_grep_print_what_the_real_ones_print() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().canonicalize().unwrap().to_str().unwrap().to_owned();
    let mut node = Node { online: true, ..Node::default() };
    for (name, text) in FILES {
        let path = format!("{root}/{name}");
        std::fs::create_dir_all(std::path::Path::new(&path).parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        node.files.insert(path, File { content: text.as_bytes().to_vec(), mode: 0o644, ..File::default() });
    }
    let mut world = World { nodes: [("pve1".to_owned(), node)].into(), ..World::default() };
    let mut different = Vec::new();
    for command in COMMANDS {
        let argv: Vec<String> = command.iter().map(|word| word.replace('@', &root)).collect();
        let real = match Command::new(&argv[0]).args(&argv[1..]).env("LC_ALL", "C").output() {
            Ok(real) => real,
            Err(error) => {
                println!("not run: {} is not here: {error}", argv[0]);
                return;
            }
        };
        let ours = run_line(&mut world, "pve1", &quote_all(&argv), b"");
        let quotes = |text: Vec<String>| text.into_iter().map(|line| line.replace(['‘', '’'], "'")).collect::<Vec<_>>();
        if (real.status.code(), lines(&real.stdout), quotes(lines(&real.stderr)))
            != (Some(ours.code), lines(&ours.stdout), lines(&ours.stderr))
        {
            different.push(format!(
                "{}\n real {:?} {}{}\n lab  {} {}{}",
                command.join(" "),
                real.status.code(),
                String::from_utf8_lossy(&real.stdout),
                String::from_utf8_lossy(&real.stderr),
                ours.code,
                String::from_utf8_lossy(&ours.stdout),
                String::from_utf8_lossy(&ours.stderr)
            ));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}
