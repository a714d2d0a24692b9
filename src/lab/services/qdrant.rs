//! Qdrant: its ports, its disk, its key.
//!
//! Facts: qdrant `config/config.yaml`, `docs` on security: `/readyz`, `/healthz` and `/livez` ask for no key.

use super::{Family, HttpReply, HttpRequest, Judged, Place};
use crate::lab::guest_disk;
use crate::lab::world::World;

/// See the module.
pub(super) const FAMILY: Family = Family {
    name: "qdrant",
    repositories: &["qdrant/qdrant"],
    bytes: 190_000_000,
    starts_ms: 1_500,
    programs: &["bash", "cat", "getent", "ls", "sh"],
    judge,
    listens: |world, place| {
        let port =
            |name: &str, default: u16| place.env(world, name).and_then(|text| text.parse().ok()).unwrap_or(default);
        vec![port("QDRANT__SERVICE__HTTP_PORT", 6333), port("QDRANT__SERVICE__GRPC_PORT", 6334)]
    },
    ask,
    run: |_, _| None,
};

fn judge(world: &World, place: &Place) -> Judged {
    let wrong = ["QDRANT__SERVICE__HTTP_PORT", "QDRANT__SERVICE__GRPC_PORT"]
        .into_iter()
        .find(|name| place.env(world, name).is_some_and(|text| text.parse::<u16>().is_err()));
    if let Some(name) = wrong {
        return Judged::ends(
            101,
            [format!(
                "thread 'main' panicked at src/main.rs: Can't read config: invalid type: string for key `{name}`, expected u16"
            )],
        );
    }
    if guest_disk::free(world, place.vmid) < 32 << 20 {
        return Judged::ends(
            101,
            ["thread 'main' panicked: Can't create Toc: Service internal error: No space left on device (os error 28)"],
        );
    }
    Judged::ready(["INFO qdrant::actix: Qdrant HTTP listening on 6333"])
}

fn ask(world: &mut World, place: &Place, request: &HttpRequest) -> HttpReply {
    if ["/readyz", "/healthz", "/livez"].contains(&request.path()) {
        return HttpReply::text(200, "all shards are ready");
    }
    let key = place.env(world, "QDRANT__SERVICE__API_KEY");
    if key.is_some() && request.header("api-key") != key {
        return HttpReply::text(401, "Must provide an API key or an Authorization bearer token");
    }
    match request.path() {
        "/collections" => HttpReply::json(
            200,
            &serde_json::json!({ "result": { "collections": [] }, "status": "ok", "time": 0.000_01 }),
        ),
        "/" => {
            HttpReply::json(200, &serde_json::json!({ "title": "qdrant - vector search engine", "version": "1.15.4" }))
        }
        _ => HttpReply::text(404, ""),
    }
}
