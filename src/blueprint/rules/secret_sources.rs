//! Where secrets come from is said once, with what each provider needs and nothing that it does not know.

use std::collections::{BTreeMap, BTreeSet};

use crate::blueprint::draft::Draft;
use crate::blueprint::recipe::secret_name;
use crate::diag::{Diagnostic, Diagnostics, Span, Spanned, did_you_mean};
use crate::inventory::{ProviderName, SecretEntry, SecretKey, SecretSource, SecretsSection};

const CODE: &str = "inventory.secret-sources";
/// Fewer characters could be tried out; more than this no image was seen to take.
const LENGTH: std::ops::RangeInclusive<u32> = 16..=128;

/// Reports providers that lack something or are told what means nothing to them, two of one name, and entries of `names`
/// that lead nowhere.
pub(super) fn check(draft: &Draft<'_>, report: &mut Diagnostics) {
    let used = used(draft);
    same_variable(&used, draft, report);
    let Some(section) = &draft.inventory.document.secrets else { return };
    let mut names: BTreeMap<&str, Span> = BTreeMap::new();
    for own in section.from.iter().flatten() {
        source(own, draft, report);
        let Some(name) = own.name.as_ref().map(|name| name.value.as_str()).or(own.provider.map(|p| p.value.as_str()))
        else {
            continue;
        };
        if let Some(first) = names.insert(name, own.span) {
            report.push(
                Diagnostic::error(CODE, format!("two sources of secrets are called `{name}`"))
                    .at(own.span, "this")
                    .related(first, "and this")
                    .hint("give one of them another `name`"),
            );
        }
    }
    if section.from.is_none() {
        names
            .extend([(ProviderName::Environment.as_str(), section.span), (ProviderName::Files.as_str(), section.span)]);
    }
    for (name, own) in section.names.iter().flatten() {
        entry(name, own, (&names, &used), section, report);
    }
}

/// What a provider must be told, and what it may.
fn keys(provider: ProviderName) -> (&'static [&'static str], &'static [&'static str]) {
    match provider {
        ProviderName::Environment | ProviderName::Files | ProviderName::Prompt => (&[], &[]),
        ProviderName::Age => (&["file", "identities"], &[]),
        ProviderName::Sops => (&["file"], &[]),
        ProviderName::OnePassword => (&[], &["vault", "account", "field"]),
        ProviderName::Pass => (&[], &["path"]),
        ProviderName::Vault => (&[], &["mount", "path", "field"]),
        ProviderName::AnsibleVault => (&["file"], &["password_file"]),
    }
}

fn source(own: &Spanned<SecretSource>, draft: &Draft<'_>, report: &mut Diagnostics) {
    let Some(provider) = own.provider else {
        if !draft.broken.key(own.span, "provider") {
            report.push(
                Diagnostic::error(CODE, "a source of secrets has no `provider`")
                    .at(own.span, "")
                    .hint("write `provider: sops`, or its name alone, such as `- environment`"),
            );
        }
        return;
    };
    let given = [
        ("file", own.file.as_ref().map(|v| v.span)),
        ("identities", own.identities.as_ref().map(|list| list.first().map_or(own.span, |v| v.span))),
        ("password_file", own.password_file.as_ref().map(|v| v.span)),
        ("vault", own.vault.as_ref().map(|v| v.span)),
        ("account", own.account.as_ref().map(|v| v.span)),
        ("mount", own.mount.as_ref().map(|v| v.span)),
        ("path", own.path.as_ref().map(|v| v.span)),
        ("field", own.field.as_ref().map(|v| v.span)),
    ];
    let (needed, known) = keys(provider.value);
    for key in needed {
        let there = given.iter().any(|(name, span)| name == key && span.is_some());
        if !there && !draft.broken.key(own.span, key) {
            report.push(
                Diagnostic::error(CODE, format!("`{}` needs `{key}`", provider.value))
                    .at(provider.span, "")
                    .hint("`infra schema inventory` says what it is"),
            );
        }
    }
    for (key, span) in given {
        let Some(span) = span.filter(|_| !needed.contains(&key) && !known.contains(&key)) else { continue };
        report.push(
            Diagnostic::error(CODE, format!("`{key}` means nothing to `{}`", provider.value))
                .at(span, "")
                .hint("remove it"),
        );
    }
    for (key, text) in [("vault", &own.vault), ("account", &own.account), ("mount", &own.mount), ("field", &own.field)]
    {
        let Some(text) = text else { continue };
        if text.is_empty() || text.starts_with('-') || text.contains(char::is_control) {
            report.push(
                Diagnostic::error(CODE, format!("`{key}` is no name"))
                    .at(text.span, "")
                    .hint("write one line that does not begin with `-`: it becomes an argument of a program"),
            );
        }
    }
}

fn entry(
    name: &Spanned<SecretKey>,
    own: &Spanned<SecretEntry>,
    (sources, used): (&BTreeMap<&str, Span>, &BTreeSet<String>),
    section: &Spanned<SecretsSection>,
    report: &mut Diagnostics,
) {
    if !used.contains(&name.value.0) {
        let hint = did_you_mean(&name.value.0, used.iter().map(String::as_str));
        report.push(
            Diagnostic::warning(CODE, format!("nothing here has the secret `{}`", name.value.0))
                .at(name.span, "")
                .hint(hint.unwrap_or_else(|| "`infra secrets list` shows those that there are".to_owned())),
        );
    }
    if let Some(from) = &own.from
        && !sources.contains_key(from.value.as_str())
    {
        let hint = did_you_mean(&from.value, sources.keys().copied());
        let place = section.from.as_ref().and_then(|all| all.first()).map_or(section.span, |first| first.span);
        report.push(
            Diagnostic::error(CODE, format!("`{}` is none of the sources of secrets", from.value))
                .at(from.span, "")
                .related(place, "they are listed here")
                .hint(hint.unwrap_or_else(|| "list it in `secrets.from`".to_owned())),
        );
    }
    if let (Some(at), None) = (&own.at, &own.from) {
        report.push(
            Diagnostic::error(CODE, "this is a place with nobody who knows it")
                .at(at.span, "")
                .hint("say who is asked for it: `from: pass`"),
        );
    }
    match (own.generate, own.kind) {
        (None, Some(kind)) => report.push(
            Diagnostic::error(CODE, "this says what it is made of, and not that it is made")
                .at(kind.span, "")
                .hint("add `generate: 32`"),
        ),
        (Some(length), _) if !LENGTH.contains(&length.value) => report.push(
            Diagnostic::error(CODE, format!("a secret cannot be {} long", length.value))
                .at(length.span, "")
                .hint(format!("allowed are {} to {}", LENGTH.start(), LENGTH.end())),
        ),
        _ => {}
    }
}

/// Names of every secret that something of the inventory needs.
fn used(draft: &Draft<'_>) -> BTreeSet<String> {
    let document = &draft.inventory.document;
    let hosts = draft.hosts().filter_map(|(_, host)| host.api.as_ref()?.token.as_ref());
    let tailnet = document.tailnet.iter().filter_map(|tailnet| tailnet.key.as_ref());
    let router = document.dns.as_ref().and_then(|dns| dns.opnsense.as_ref());
    let router = router.into_iter().flat_map(|own| [&own.key, &own.secret]).flatten();
    let ingress = document.ingress.as_ref();
    let users = ingress.and_then(|own| own.users.as_ref()).into_iter().flat_map(BTreeMap::values);
    let token = ingress.and_then(|own| own.tls.as_ref()?.token.as_ref());
    let named = hosts.chain(tailnet).chain(router).chain(users).chain(token).map(|name| name.value.0.clone());
    let services = draft.guests.iter().flat_map(|guest| {
        guest.entries().flat_map(move |(service, entry)| {
            let recipe = draft.services.get(service).and_then(|service| service.recipe.as_ref());
            let keys = recipe.into_iter().flat_map(|recipe| &recipe.secrets);
            keys.filter_map(move |(key, secret)| {
                let own = entry.secrets.iter().flatten().find(|(own, _)| own.value == *key);
                match own {
                    Some((_, name)) => Some(name.value.0.clone()),
                    None if secret.optional => None,
                    None => Some(secret_name(guest.name.value.as_str(), service, key)),
                }
            })
        })
    });
    named.chain(services).collect()
}

/// `a-b` and `a.b` would be read from the same variable.
fn same_variable(used: &BTreeSet<String>, draft: &Draft<'_>, report: &mut Diagnostics) {
    let variable = |name: &str| {
        let upper = name.to_ascii_uppercase();
        upper.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect::<String>()
    };
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    for name in used {
        if let Some(other) = seen.insert(variable(name), name) {
            report.push(
                Diagnostic::error(CODE, format!("the secrets `{other}` and `{name}` would be read from one variable"))
                    .cause(format!("of both it is `INFRA_SECRET_{}`", variable(name)))
                    .at(draft.inventory.start, "in this inventory")
                    .hint("give one of them another name"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::blueprint::testing::{codes, with};
    use crate::blueprint::{Generate, SecretProvider};
    use crate::inventory::SecretKind;

    const OWN: &str = "inventory.secret-sources";

    #[test]
    fn secret_sources() {
        let good = "secrets:
  from:
    - environment
    - { provider: age, file: x.age, identities: [~/age.txt] }
    - { provider: sops, file: x.sops.yaml }
    - { provider: op, vault: infra }
    - { provider: pass, path: infra/test }
    - { provider: vault, path: infra }
    - { provider: vault, name: other, mount: kv }
    - { provider: ansible-vault, file: x.vault.yaml, password_file: ~/p }
    - prompt
  store: { recipients: [age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p] }
  names:
    hq-token: { from: op, at: op://Private/hq/token, generate: 32, kind: hex }
";
        assert_eq!(codes(good), [""; 0]);
        for (from, to) in [
            (", identities: [~/age.txt]", ""),
            ("file: x.sops.yaml", "path: x"),
            ("- prompt", "- { provider: prompt, file: x }"),
            ("name: other, ", ""),
            ("from: op", "from: oq"),
            ("from: op, ", ""),
            ("generate: 32, ", ""),
            ("generate: 32", "generate: 8"),
            ("hq-token: {", "hq-tokem: {"),
            ("vault: infra }", "vault: -o }"),
            ("{ provider: pass, path: infra/test }", "{ path: infra }"),
        ] {
            assert!(good.contains(from), "{from}");
            let found = codes(&good.replacen(from, to, 1));
            assert!(!found.is_empty() && found.iter().all(|code| *code == OWN), "{from}: {found:?}");
        }
        assert_eq!(codes("tailnet: { key: secret:hq_token }"), [OWN], "one variable for two");
    }

    #[test]
    fn what_is_left_out_is_completed() {
        let names = |over: &str| with(over).secrets.sources.into_iter().map(|own| own.name).collect::<Vec<_>>();
        assert_eq!(names(""), ["environment", "files"]);
        assert_eq!(names("secrets: { from: [pass] }"), ["pass"]);
        let secrets = with("secrets: { from: [vault], names: { hq-token: { generate: 40 } } }").secrets;
        let SecretProvider::Vault { mount, path, field } = &secrets.sources[0].provider else { panic!("Vault") };
        assert_eq!((mount.as_str(), path, field.as_str()), ("secret", &None, "value"));
        let made = secrets.names["hq-token"].generate;
        assert_eq!(made, Some(Generate { length: 40, kind: SecretKind::Password }));
    }
}
