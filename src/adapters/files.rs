//! The operator's files: which belong to an inventory, and their bytes.

use std::io::ErrorKind;

use camino::{Utf8Path, Utf8PathBuf};

use crate::diag::Invalid;
use crate::inventory::{InventoryFiles, Layer, SourceFile};

/// Reads everything that the inventory at `paths` is made from, one layer per path.
///
/// Nothing fails here: what cannot be read is in the result with the reason, and loading reports it.
#[must_use]
pub fn read_inventory(paths: &[Utf8PathBuf]) -> InventoryFiles {
    let mut files = InventoryFiles::default();
    let mut profile_dirs: Vec<Utf8PathBuf> = Vec::new();
    let mut template_dirs: Vec<Utf8PathBuf> = Vec::new();
    for path in paths {
        files.layers.push(Layer { path: path.clone(), files: layer(path) });
        let fresh = |dirs: &[Utf8PathBuf], dir: &Utf8PathBuf| !dirs.iter().any(|known| same(known, dir));
        if let Some(dir) = near(path, "profiles").filter(|dir| fresh(&profile_dirs, dir)) {
            files.profiles.extend(yaml_files(&dir).unwrap_or_default().iter().map(|file| read(file)));
            profile_dirs.push(dir);
        }
        if let Some(dir) = near(path, "templates").filter(|dir| fresh(&template_dirs, dir)) {
            files.templates.extend(templates(&dir).iter().map(|file| read(file)));
            template_dirs.push(dir);
        }
    }
    files
}

/// The only inventory below `inventories/` of `dir`, if nothing else was asked for.
///
/// # Errors
/// When there is none or more than one, with what to write.
pub fn only_inventory(dir: &Utf8Path) -> Result<Utf8PathBuf, Invalid> {
    match inventories(dir).as_slice() {
        [one] => Ok(one.strip_prefix(dir).unwrap_or(one).to_owned()),
        [] => Err(Invalid::new("there is no inventory in `./inventories`")
            .hint("name one with `-i PATH` or INFRA_INVENTORY; `infra schema inventory` says what is in one")),
        several => {
            let names: Vec<&str> = several.iter().filter_map(|path| path.file_name()).collect();
            Err(Invalid::new(format!("there are {} inventories in `./inventories`", several.len())).hint(format!(
                "name one with `-i inventories/NAME` or INFRA_INVENTORY; there are {}",
                names.join(", ")
            )))
        }
    }
}

/// Every inventory below `inventories/` of `dir`: directories that hold a YAML file.
#[must_use]
pub fn inventories(dir: &Utf8Path) -> Vec<Utf8PathBuf> {
    let mut found: Vec<Utf8PathBuf> = entries(&dir.join("inventories"))
        .unwrap_or_default()
        .into_iter()
        .filter(|path| path.is_dir() && yaml_files(path).is_ok_and(|files| !files.is_empty()))
        .collect();
    found.sort();
    found
}

/// Replaces the text of a file as a whole or not at all; who may read it stays as it was.
///
/// # Errors
/// When it cannot be written; what was there before is there still.
pub fn replace(path: &Utf8Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    // What a link leads to is replaced, and not the link.
    let path = path.canonicalize_utf8().unwrap_or_else(|_| path.to_owned());
    let new = path.with_file_name(format!(".{}.new", path.file_name().unwrap_or("file")));
    let mut file = std::fs::File::create(&new)?;
    if let Ok(before) = std::fs::metadata(&path) {
        file.set_permissions(before.permissions())?;
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&new, &path)
}

fn layer(path: &Utf8Path) -> Vec<SourceFile> {
    if !path.is_dir() {
        return vec![read(path)];
    }
    match yaml_files(path) {
        Ok(files) => files.iter().map(|file| read(file)).collect(),
        Err(why) => vec![SourceFile { path: path.to_owned(), content: Err(why) }],
    }
}

fn read(path: &Utf8Path) -> SourceFile {
    let content = std::fs::read(path).map_err(|error| why(&error));
    SourceFile { path: path.to_owned(), content }
}

/// The reason in words that do not change with the system.
fn why(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "there is no such file".to_owned(),
        ErrorKind::PermissionDenied => "reading it is not permitted".to_owned(),
        ErrorKind::IsADirectory => "it is a directory".to_owned(),
        _ => error.to_string(),
    }
}

fn entries(dir: &Utf8Path) -> Result<Vec<Utf8PathBuf>, String> {
    let found = dir.read_dir_utf8().map_err(|error| why(&error))?;
    Ok(found.filter_map(|entry| entry.ok().map(camino::Utf8DirEntry::into_path)).collect())
}

/// YAML files of a directory, sorted; editors' hidden files are left out, and those that are encrypted.
fn yaml_files(dir: &Utf8Path) -> Result<Vec<Utf8PathBuf>, String> {
    let is_yaml = |path: &Utf8PathBuf| {
        let name = path.file_name().unwrap_or_default();
        let inner = name.strip_suffix(".yaml").or_else(|| name.strip_suffix(".yml"));
        inner.is_some_and(|inner| !name.starts_with('.') && !inner.ends_with(".sops") && !inner.ends_with(".vault"))
    };
    let mut files: Vec<Utf8PathBuf> = entries(dir)?.into_iter().filter(is_yaml).collect();
    files.sort();
    Ok(files)
}

/// `template.yaml` of every service below a directory and the templates beside it, sorted.
fn templates(dir: &Utf8Path) -> Vec<Utf8PathBuf> {
    let folders = entries(dir).unwrap_or_default();
    let mut files: Vec<Utf8PathBuf> = folders.iter().flat_map(|folder| entries(folder).unwrap_or_default()).collect();
    let filled =
        |path: &Utf8PathBuf| path.extension() == Some("j2") && !path.file_name().is_some_and(|n| n.starts_with('.'));
    files.retain(|file| file.file_name() == Some("template.yaml") || filled(file));
    files.retain(|file| file.is_file());
    files.sort();
    files
}

/// The directory of that name beside the inventory, else in the nearest directory above.
fn near(path: &Utf8Path, name: &str) -> Option<Utf8PathBuf> {
    let start = if path.is_dir() { path.to_owned() } else { path.parent()?.to_owned() };
    let start = if start.as_str().is_empty() { Utf8PathBuf::from(".") } else { start };
    // Climbing needs the whole way; what is shown is as short as what was typed.
    let full = start.canonicalize_utf8().ok()?;
    let mut shown = start;
    for dir in full.ancestors() {
        if dir.join(name).is_dir() {
            return Some(tidy(&shown.join(name)));
        }
        shown.push("..");
    }
    None
}

/// Removes `x/..` and `.` where that leaves the same path.
fn tidy(path: &Utf8Path) -> Utf8PathBuf {
    let mut tidy = Utf8PathBuf::new();
    for part in path.components() {
        match part.as_str() {
            "." => {}
            ".." if tidy.file_name().is_some_and(|name| name != "..") && !tidy.is_symlink() => {
                tidy.pop();
            }
            part => tidy.push(part),
        }
    }
    tidy
}

fn same(a: &Utf8Path, b: &Utf8Path) -> bool {
    a == b || matches!((a.canonicalize_utf8(), b.canonicalize_utf8()), (Ok(a), Ok(b)) if a == b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[&str]) -> (tempfile::TempDir, Utf8PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(dir.path().to_owned()).unwrap();
        for file in files {
            let path = root.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, file).unwrap();
        }
        (dir, root)
    }

    fn names(files: &[SourceFile]) -> Vec<&str> {
        files.iter().filter_map(|file| file.path.file_name()).collect()
    }

    #[test]
    fn a_directory_is_all_its_yaml_files_and_the_nearest_profiles() {
        let (_dir, root) = tree(&[
            "inventories/a/two.yml",
            "inventories/a/one.yaml",
            "inventories/a/.hidden.yaml",
            "inventories/a/secrets.sops.yaml",
            "inventories/a/secrets.vault.yml",
            "inventories/a/README.md",
            "profiles/p.yaml",
            "over.yaml",
        ]);
        let files = read_inventory(&[root.join("inventories/a"), root.join("over.yaml")]);
        assert_eq!(names(&files.layers[0].files), ["one.yaml", "two.yml"]);
        assert_eq!(names(&files.layers[1].files), ["over.yaml"]);
        assert_eq!(names(&files.profiles), ["p.yaml"], "the same directory counts once");
        assert_eq!(files.profiles[0].path, root.join("profiles/p.yaml"));
        assert_eq!(only_inventory(&root).unwrap(), "inventories/a");
    }

    #[test]
    fn profiles_beside_the_inventory_come_first() {
        let (_dir, root) = tree(&["inventories/a/x.yaml", "inventories/a/profiles/near.yaml", "profiles/far.yaml"]);
        let files = read_inventory(&[root.join("inventories/a")]);
        assert_eq!(names(&files.profiles), ["near.yaml"]);
        assert_eq!(names(&files.layers[0].files), ["x.yaml"]);
    }

    #[test]
    fn what_is_not_there_is_said() {
        let (_dir, root) = tree(&["inventories/a/x.yaml", "inventories/b/x.yaml"]);
        let files = read_inventory(&[root.join("nope.yaml")]);
        assert_eq!(files.layers[0].files[0].content, Err("there is no such file".to_owned()));
        let several = only_inventory(&root).unwrap_err();
        assert!(several.hint.unwrap().ends_with("there are a, b"));
        assert!(only_inventory(&root.join("inventories")).is_err());
    }
}
