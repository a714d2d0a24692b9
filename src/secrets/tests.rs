//! Who is asked, in which order, and what is said when nobody can answer.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use camino::Utf8PathBuf;
use secrecy::ExposeSecret as _;

use super::{Asker, Environment, Files, Own, Prompt, SecretError, Secrets, Source, StandIns, Standing};
use crate::blueprint::Generate;
use crate::inventory::SecretKind;
use crate::ports::SecretStore as _;

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

fn made_by(own: Own, sources: Vec<Source>) -> Secrets {
    let how = Generate { length: 32, kind: SecretKind::Password };
    Secrets::new(sources).with_own(own).with_makes([("db".to_owned(), how)].into())
}

#[test]
fn a_secret_is_made_once_and_found_again_by_whoever_comes_later() {
    let (_guard, path) = directory(&[]);
    let fresh = || made_by(Own::open(path.join("store")), Vec::new());
    let first = fresh();
    assert!(matches!(first.standing("db"), Ok(Standing::ToMake(_))));
    assert!(matches!(first.resolve("db"), Err(SecretError::NotMade { .. })), "asking for it makes nothing");
    assert!(!path.join("store").exists(), "looking makes nothing");
    assert!(first.ensure("db").unwrap() && !first.ensure("db").unwrap());
    let value = first.resolve("db").unwrap();
    let second = fresh();
    assert!(matches!(second.standing("db"), Ok(Standing::There { .. })));
    assert!(!second.ensure("db").unwrap());
    assert_eq!(second.resolve("db").unwrap().expose_secret(), value.expose_secret());
}

#[test]
fn nothing_is_made_anew_while_somebody_who_may_have_it_cannot_tell() {
    let (_guard, path) = directory(&[("db", "two\nlines\n", 0o600)]);
    let files = || vec![Source { name: "files".to_owned(), provider: Box::new(Files::new([path.clone()])) }];
    let broken = made_by(Own::open(path.join("store")), files());
    assert!(broken.standing("db").is_err() && broken.ensure("db").is_err());
    // Encrypted for somebody whose identity is not here.
    std::fs::create_dir(path.join("sealed")).unwrap();
    std::fs::write(path.join("sealed/db.age"), "sealed").unwrap();
    let own = || Own::sealed(path.join("sealed"), vec!["age1xyzxyzxyz".to_owned()], vec![path.join("none.txt")]);
    let closed = made_by(own(), Vec::new());
    assert!(closed.standing("db").unwrap_err().to_string().contains("no identity is there"));
    assert!(closed.ensure("db").is_err());
    assert_eq!(std::fs::read_to_string(path.join("sealed/db.age")).unwrap(), "sealed");
    // In clear and for everybody to read: that it is no secret any more is no reason to make another one.
    let open = Own::open(path.join("open"));
    open.add("db", &"x".into()).unwrap();
    std::fs::set_permissions(path.join("open/db"), std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(made_by(open, Vec::new()).ensure("db"), Err(SecretError::Exposed { .. })));
}

#[test]
fn the_lab_makes_what_is_made_and_has_something_for_every_other_name() {
    let (_guard, path) = directory(&[]);
    let lab = made_by(Own::open(path.join("store")), Vec::new()).with_fallback(Box::new(StandIns));
    assert!(matches!(lab.standing("db"), Ok(Standing::ToMake(_))));
    assert!(matches!(lab.standing("given"), Ok(Standing::There { .. })));
    assert_eq!(lab.resolve("given").unwrap().expose_secret(), StandIns.reveal("given").unwrap().expose_secret());
}

#[test]
fn a_person_comes_last_and_is_asked_once() {
    let (_guard, path) = directory(&[("known", "x", 0o600)]);
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let asker: Asker = Arc::new(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        Ok("typed".into())
    });
    let secrets = Secrets::new(vec![
        Source { name: "prompt".to_owned(), provider: Box::new(Prompt::new(Some(asker))) },
        Source { name: "files".to_owned(), provider: Box::new(Files::new([path])) },
    ]);
    assert!(matches!(secrets.standing("new"), Ok(Standing::Asked)), "a plan asks nobody");
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    for (name, value) in [("known", "x"), ("new", "typed"), ("new", "typed")] {
        assert_eq!(secrets.resolve(name).unwrap().expose_secret(), value);
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}
