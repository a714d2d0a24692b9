//! What guests are made from.

use schemars::JsonSchema;
use serde::Deserialize;

use super::values::{HttpsUrl, Sha256};
use crate::diag::Spanned;

/// A cloud image from the web (for VMs) or a container template of Proxmox's own list.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct Image {
    /// Where the cloud image is downloaded from; a release of its own, not `latest`.
    pub url: Option<Spanned<HttpsUrl>>,
    /// SHA-256 of the cloud image.
    pub sha256: Option<Spanned<Sha256>>,
    /// The cloud image's file name on the storage, ending in `.qcow2`, `.raw` or `.vmdk`; from the URL unless given.
    pub file: Option<Spanned<String>>,
    /// The container template's full file name.
    #[schemars(example = &"debian-12-standard_12.12-1_amd64.tar.zst")]
    pub template: Option<Spanned<String>>,
}
