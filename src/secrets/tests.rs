//! Who is asked, in which order, and what is said when nobody can answer.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;

use camino::Utf8PathBuf;
use secrecy::ExposeSecret as _;

use super::{Environment, Files, SecretError, Secrets, Source};

fn directory(files: &[(&str, &str, u32)]) -> (tempfile::TempDir, Utf8PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::from_path_buf(dir.path().to_owned()).unwrap();
    for (name, text, mode) in files {
        std::fs::write(path.join(name), text).unwrap();
        std::fs::set_permissions(path.join(name), std::fs::Permissions::from_mode(*mode)).unwrap();
    }
    (dir, path)
}

fn secrets(variables: &[(&str, &str)], path: &camino::Utf8Path) -> Secrets {
    let variables: BTreeMap<String, String> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let environment = Environment::new(move |name| variables.get(name).cloned());
    let source = |name: &str, provider| Source { name: name.to_owned(), provider };
    Secrets::new(vec![
        source("environment", Box::new(environment)),
        source("files", Box::new(Files::new([path.to_owned()]))),
    ])
}

#[test]
fn the_environment_comes_first_and_a_final_line_break_is_none_of_the_secret() {
    let (_guard, path) = directory(&[("hq-token", "from-file\n", 0o600), ("other", "x", 0o400)]);
    let both = secrets(&[("INFRA_SECRET_HQ_TOKEN", "from-env")], &path);
    assert_eq!(both.resolve("hq-token").unwrap().expose_secret(), "from-env");
    assert_eq!(both.resolve("other").unwrap().expose_secret(), "x");
    assert_eq!(secrets(&[], &path).resolve("hq-token").unwrap().expose_secret(), "from-file");
}

#[test]
fn a_missing_secret_names_every_place_that_was_looked_at() {
    let (_guard, path) = directory(&[]);
    let error = secrets(&[], &path).resolve("hq-token").unwrap_err();
    assert!(error.to_string().contains("INFRA_SECRET_HQ_TOKEN"), "{error}");
    assert!(error.to_string().contains(path.join("hq-token").as_str()), "{error}");
}

#[test]
fn a_file_that_others_can_read_is_refused_with_the_way_out() {
    for mode in [0o644, 0o640, 0o604, 0o660] {
        let (_guard, path) = directory(&[("hq-token", "s3cret", mode)]);
        let error = secrets(&[], &path).resolve("hq-token").unwrap_err();
        assert!(matches!(&error, SecretError::Exposed { mode: seen, .. } if *seen == mode), "{error}");
        assert!(error.hint().unwrap().starts_with("chmod 600"));
        assert!(!format!("{error:?}{error}").contains("s3cret"));
    }
}

#[test]
fn what_cannot_be_a_secret_is_said_without_showing_it() {
    let (_guard, path) = directory(&[("empty", "\n", 0o600), ("lines", "s3cret\nmore\n", 0o600)]);
    for name in ["empty", "lines"] {
        let error = secrets(&[], &path).resolve(name).unwrap_err();
        assert!(matches!(error, SecretError::Unusable { .. }));
        assert!(!format!("{error:?}{error}").contains("s3cret"));
    }
    for name in ["", "../hq-token", "a/b", "..", "-a", "a b", "ä"] {
        assert!(matches!(secrets(&[], &path).resolve(name), Err(SecretError::Name { .. })), "{name}");
    }
}
