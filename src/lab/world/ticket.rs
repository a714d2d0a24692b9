//! Tickets: what a login by password is worth, and the proof that a write comes from the program that has it.

use sha2::{Digest, Sha256};

use super::{Caller, World, conf};

/// How long a ticket is good, in seconds.
const LIFETIME: i64 = 2 * 3600;

impl World {
    /// A ticket and a CSRF prevention token for a user who has proved to be it.
    pub fn issue_ticket(&mut self, user: &str) -> (String, String) {
        if self.access.ticket_key.is_empty() {
            self.access.ticket_key = self.next_uuid();
        }
        let time = format!("{:08X}", self.now());
        let ticket = format!("PVE:{user}:{time}::{}", self.seal(&format!("ticket {user} {time}")));
        let csrf = format!("{time}:{}", self.seal(&format!("csrf {user} {time}")));
        (ticket, csrf)
    }

    /// Who has this ticket, if it is ours, still good, and its user may still come in.
    #[must_use]
    pub fn ticket_holder(&self, ticket: &str) -> Option<Caller> {
        let (head, seal) = ticket.strip_prefix("PVE:")?.split_once("::")?;
        let (user, time) = head.rsplit_once(':')?;
        let known = self.access.users.get(user).is_some_and(|found| found.is_valid(self.now()));
        let ours = seal == self.seal(&format!("ticket {user} {time}"));
        (known && ours && self.is_recent(time)).then(|| Caller { user: user.to_owned(), token: None })
    }

    /// Whether this CSRF prevention token was made for that user.
    #[must_use]
    pub fn is_csrf_token(&self, user: &str, token: &str) -> bool {
        let Some((time, seal)) = token.split_once(':') else { return false };
        seal == self.seal(&format!("csrf {user} {time}")) && self.is_recent(time)
    }

    fn is_recent(&self, time: &str) -> bool {
        let age = i64::from_str_radix(time, 16).map(|made| self.now() - made);
        age.is_ok_and(|age| (-300..LIFETIME).contains(&age)) && !self.access.ticket_key.is_empty()
    }

    fn seal(&self, text: &str) -> String {
        conf::hex(&Sha256::digest(format!("{} {text}", self.access.ticket_key).as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::User;
    use super::*;

    fn world() -> World {
        let mut world = World { now_ms: 1_795_254_000_000, ..World::default() };
        world.access.users.insert("ops@pve".into(), User { enabled: true, ..User::default() });
        world
    }

    #[test]
    fn a_ticket_is_good_for_two_hours_and_for_its_user() {
        let mut world = world();
        let (ticket, csrf) = world.issue_ticket("ops@pve");
        assert_eq!(world.ticket_holder(&ticket), Some(Caller { user: "ops@pve".into(), token: None }));
        assert!(world.is_csrf_token("ops@pve", &csrf) && !world.is_csrf_token("root@pam", &csrf));
        assert_eq!(world.ticket_holder(&ticket.replace("ops@pve", "root@pam")), None, "another name");
        assert_eq!(world.ticket_holder(&format!("{ticket}0")), None, "another seal");
        world.now_ms += (LIFETIME + 1) * 1000;
        assert_eq!(world.ticket_holder(&ticket), None, "too old");
        assert!(!world.is_csrf_token("ops@pve", &csrf));
    }

    #[test]
    fn a_ticket_of_a_disabled_user_is_worth_nothing() {
        let mut world = world();
        let (ticket, _) = world.issue_ticket("ops@pve");
        world.access.users.get_mut("ops@pve").unwrap().enabled = false;
        assert_eq!(world.ticket_holder(&ticket), None);
    }
}
