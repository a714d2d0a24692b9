//! Who asks.

/// The identity behind a request or a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// User with realm, such as `infra@pve`.
    pub user: String,
    /// Token of that user, if it was one that asked.
    pub token: Option<String>,
}

impl Caller {
    /// Root over SSH: what PVE calls `root@pam`.
    #[must_use]
    pub fn root_pam() -> Self {
        Self { user: "root@pam".to_owned(), token: None }
    }

    /// A token such as `infra@pve!lab`.
    #[must_use]
    pub fn token(user: &str, token: &str) -> Self {
        Self { user: user.to_owned(), token: Some(token.to_owned()) }
    }

    /// Who has not logged in.
    #[must_use]
    pub const fn nobody() -> Self {
        Self { user: String::new(), token: None }
    }

    /// Whether PVE's `authuser eq 'root@pam'` holds. A token of root@pam is *not* root@pam (9.2.11).
    #[must_use]
    pub fn is_root_pam(&self) -> bool {
        self.user == "root@pam" && self.token.is_none()
    }

    /// As it stands in a UPID: `user` or `user!token`.
    #[must_use]
    pub fn id(&self) -> String {
        match &self.token {
            Some(token) => format!("{}!{token}", self.user),
            None => self.user.clone(),
        }
    }
}
