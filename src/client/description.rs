//! A host's own description of its API.

use super::{CallError, Session};
use crate::ports::Response;
use crate::proxmox::ApiSchema;

/// Where every Proxmox VE host serves it, without login.
pub const PATH: &str = "/pve-docs/api-viewer/apidoc.js";
/// Real ones have some 4 MB.
const MAX_BYTES: usize = 32 << 20;

/// A description as it came and as it was understood.
#[derive(Debug, Clone)]
pub struct Description {
    /// The file's text.
    pub text: String,
    /// What it says.
    pub schema: ApiSchema,
}

/// Asks a host for its API description.
///
/// # Errors
/// With the reason, when the host does not serve one or serves something else.
pub async fn describe(session: &Session) -> Result<Description, String> {
    let response = session.document(PATH).await.map_err(|error: CallError| error.to_string())?;
    understand(response)
}

fn understand(response: Response) -> Result<Description, String> {
    if response.status != 200 {
        return Err(format!("it answers {} {}", response.status, response.reason).trim_end().to_owned());
    }
    if response.body.len() > MAX_BYTES {
        return Err(format!("it has {} bytes, which is more than any such file", response.body.len()));
    }
    let text = String::from_utf8(response.body).map_err(|_| "it is not text".to_owned())?;
    let schema = ApiSchema::parse(&text).map_err(|error| error.to_string())?;
    Ok(Description { text, schema })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: u16, reason: &str, body: &[u8]) -> String {
        understand(Response { status, reason: reason.to_owned(), body: body.to_vec() }).unwrap_err()
    }

    #[test]
    fn what_is_served_instead_is_said() {
        assert_eq!(said(501, "no handler defined", b""), "it answers 501 no handler defined");
        assert!(said(200, "OK", b"<html>").contains("no `apiSchema = "));
        assert!(said(200, "OK", &[0xff, 0xfe]).contains("not text"));
        assert!(said(200, "OK", b"const apiSchema = [{\"path\": \"/a\"").contains("cannot be read"));
        assert!(said(200, "OK", &vec![b' '; MAX_BYTES + 1]).contains("bytes"));
    }
}
