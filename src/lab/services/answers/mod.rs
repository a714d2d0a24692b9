//! What services answer over HTTP: models that are loaded and speak at the speed of what they run on, rows, lists.
//!
//! Written from what the projects document and their sources say, and modelled as far as somebody who uses the services
//! can tell: which path answers what, in which pieces, how soon. Time is only said ([`HttpReply::took_ms`]), nobody waits.

pub mod clickhouse;
pub mod gpu;
pub mod ollama;
pub mod openai;
pub mod tensorzero;

use super::{HttpReply, HttpRequest, Place};
use crate::lab::docker::network::{From, NoWay, connect};
use crate::lab::world::World;

/// Asks another server out of a container, by what it calls it: `http://ollama:11434`.
///
/// # Errors
/// If there is no way there.
pub fn ask_from(world: &mut World, place: &Place, base: &str, request: &HttpRequest) -> Result<HttpReply, NoWay> {
    let (host, port) = host_and_port(base).ok_or(NoWay::Unknown)?;
    let (there, port) = connect(world, place.vmid, From::Container(&place.name), &host, port)?;
    let request = HttpRequest { port, ..request.clone() };
    Ok(super::ask(world, &there, &request))
}

/// Host and port of a URL, whatever credentials and path it has.
#[must_use]
pub fn host_and_port(url: &str) -> Option<(String, u16)> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split('/').next()?;
    let authority = authority.rsplit_once('@').map_or(authority, |(_, address)| address);
    let (host, port) = authority.rsplit_once(':')?;
    Some((host.to_owned(), port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_may_hold_a_password() {
        assert_eq!(host_and_port("http://infra:a:b@clickhouse:8123/x"), Some(("clickhouse".to_owned(), 8123)));
        assert_eq!(host_and_port("redis://limits:6379"), Some(("limits".to_owned(), 6379)));
        assert_eq!(host_and_port("limits"), None);
    }
}
