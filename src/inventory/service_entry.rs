//! A service in the list of a guest: its name, or its name with what is different there.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::values::{ImageRef, InsidePath, RawSetting, SecretName};
use crate::diag::Spanned;
use crate::model::{PartName, ServiceName, Size};

/// A service that runs in a guest. Its name alone will do.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[schemars(transform = super::schema::or_text)]
pub struct ServiceEntry {
    /// Its folder in `templates/`.
    #[schemars(required, example = &"ollama")]
    pub name: Option<Spanned<ServiceName>>,
    /// Its variables, as its `template.yaml` declares them.
    pub with: Option<BTreeMap<Spanned<PartName>, Spanned<RawSetting>>>,
    /// Another image than the one of its `template.yaml`, pinned.
    pub image: Option<Spanned<ImageRef>>,
    /// The most memory that it is let have here.
    #[schemars(example = &"16GiB")]
    pub memory: Option<Spanned<Size>>,
    /// Its secrets by other names than `<guest>-<service>-<secret>`.
    pub secrets: Option<BTreeMap<Spanned<PartName>, Spanned<SecretName>>>,
    /// Directories of the guest instead of volumes that Docker manages, such as a shared `/models`.
    pub volumes: Option<BTreeMap<Spanned<PartName>, Spanned<InsidePath>>>,
}

impl ServiceEntry {
    /// Whether it says more than a name.
    #[must_use]
    pub fn says_more(&self) -> bool {
        self.with.is_some()
            || self.image.is_some()
            || self.memory.is_some()
            || self.secrets.is_some()
            || self.volumes.is_some()
    }

    /// This entry on top of `base`: what is given here counts.
    #[must_use]
    pub fn over(self, base: Self) -> Self {
        fn join<K: Ord, V>(own: Option<BTreeMap<K, V>>, base: Option<BTreeMap<K, V>>) -> Option<BTreeMap<K, V>> {
            match (own, base) {
                (Some(own), Some(mut map)) => {
                    map.extend(own);
                    Some(map)
                }
                (own, base) => own.or(base),
            }
        }
        Self {
            name: self.name.or(base.name),
            with: join(self.with, base.with),
            image: self.image.or(base.image),
            memory: self.memory.or(base.memory),
            secrets: join(self.secrets, base.secrets),
            volumes: join(self.volumes, base.volumes),
        }
    }
}
