//! Where secrets come from: defaults filled in.

use crate::blueprint::draft::Draft;
use crate::blueprint::{Generate, OwnStore, SecretProvider, SecretSettings, SecretSource, Secrets};
use crate::diag::Spanned;
use crate::inventory::{self, LocalPath, ProviderName, SecretKind};

/// The sources of secrets; `None` if what is written of them is not complete.
pub(super) fn secrets(draft: &Draft<'_>) -> Option<Secrets> {
    let section = draft.inventory.document.secrets.as_ref().map(|section| &section.value);
    let sources = match section.and_then(|section| section.from.as_ref()) {
        Some(listed) => listed.iter().map(source).collect::<Option<_>>()?,
        None => {
            [(ProviderName::Environment, SecretProvider::Environment), (ProviderName::Files, SecretProvider::Files)]
                .map(|(name, provider)| SecretSource { name: name.to_string(), provider, span: None })
                .to_vec()
        }
    };
    let store = section.and_then(|section| section.store.as_ref());
    let names = section.and_then(|section| section.names.as_ref()).into_iter().flatten();
    Some(Secrets {
        sources,
        store: store.map_or_else(OwnStore::default, |store| OwnStore {
            recipients: store.recipients.iter().flatten().map(|who| who.value.0.clone()).collect(),
            identities: paths(store.identities.as_ref()),
            directory: store.directory.as_ref().map(|path| path.value.0.clone()),
            span: Some(store.span),
        }),
        names: names.map(|(name, entry)| (name.value.0.clone(), settings(name, entry))).collect(),
    })
}

fn paths(list: Option<&Vec<Spanned<LocalPath>>>) -> Vec<camino::Utf8PathBuf> {
    list.into_iter().flatten().map(|path| path.value.0.clone()).collect()
}

fn source(own: &Spanned<inventory::SecretSource>) -> Option<SecretSource> {
    let named = own.provider?.value;
    let text = |value: &Option<Spanned<String>>| value.as_ref().map(|value| value.value.clone());
    let file = || own.file.as_ref().map(|path| path.value.0.clone());
    let path = own.path.as_ref().map(|path| path.value.0.trim_end_matches('/').to_owned());
    let provider = match named {
        ProviderName::Environment => SecretProvider::Environment,
        ProviderName::Files => SecretProvider::Files,
        ProviderName::Age => SecretProvider::Age { file: file()?, identities: paths(own.identities.as_ref()) },
        ProviderName::Sops => SecretProvider::Sops { file: file()? },
        ProviderName::OnePassword => SecretProvider::OnePassword {
            vault: text(&own.vault),
            account: text(&own.account),
            field: text(&own.field).unwrap_or_else(|| "password".to_owned()),
        },
        ProviderName::Pass => SecretProvider::Pass { path },
        ProviderName::Vault => SecretProvider::Vault {
            mount: text(&own.mount).unwrap_or_else(|| "secret".to_owned()),
            path,
            field: text(&own.field).unwrap_or_else(|| "value".to_owned()),
        },
        ProviderName::AnsibleVault => SecretProvider::AnsibleVault {
            file: file()?,
            password_file: own.password_file.as_ref().map(|path| path.value.0.clone()),
        },
        ProviderName::Prompt => SecretProvider::Prompt,
    };
    Some(SecretSource { name: text(&own.name).unwrap_or_else(|| named.to_string()), provider, span: Some(own.span) })
}

fn settings(name: &Spanned<inventory::SecretKey>, entry: &Spanned<inventory::SecretEntry>) -> SecretSettings {
    SecretSettings {
        from: entry.from.as_ref().map(|from| from.value.clone()),
        at: entry.at.as_ref().map(|at| at.value.0.clone()),
        generate: entry.generate.map(|length| Generate {
            length: length.value,
            kind: entry.kind.map_or(SecretKind::Password, |kind| kind.value),
        }),
        span: name.span,
    }
}
