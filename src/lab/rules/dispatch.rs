//! The way of a request: who asks, which row, may they, do the parameters fit, do it.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use percent_encoding::percent_decode_str;

use super::super::world::Caller;
use super::super::world::World;
use super::quorum::{self, Meets};
use super::storage::{forget as forget_upload, receive as receive_upload};
use super::{Answer, Call, Endpoint, Refusal, Values, check, locality, lock_file};
use super::{
    access, backup_jobs, capabilities, cluster, cluster_lists, firewall, firewall_macros, firewall_rules, guests, ha,
    hardware, host_lists, host_settings, mapping, mapping_local, migrate, network, nodes, options, pools, schedule,
    sdn, storage, tasks,
};
use crate::ports::Method;

/// A request as it came in, below `/api2/json`.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The verb as it was sent.
    pub method: String,
    /// Path with percent-encoding, without query.
    pub path: String,
    /// Names and values of query and body.
    pub params: Vec<(String, String)>,
    /// Value of the `Authorization` header.
    pub authorization: Option<String>,
    /// The ticket of a login, decoded.
    pub ticket: Option<String>,
    /// Value of the `CSRFPreventionToken` header.
    pub csrf: Option<String>,
    /// The file that came with it.
    pub upload: Option<Upload>,
    /// Why it is refused because of how it was sent, once its caller is known.
    pub flaw: Option<Refusal>,
}

/// A file that was sent; its name is the parameter `filename`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// Every row, in order: the first that matches a path is taken.
#[must_use]
pub fn endpoints() -> &'static [Endpoint] {
    static ALL: LazyLock<Vec<Endpoint>> = LazyLock::new(|| {
        [
            cluster::ENDPOINTS,
            access::TICKET,
            access::PERMISSIONS,
            access::DOMAINS,
            access::USERS,
            access::TOKENS,
            access::GROUPS,
            access::ROLES,
            access::ACL,
            pools::ENDPOINTS,
            mapping::ENDPOINTS,
            mapping_local::ENDPOINTS,
            options::ENDPOINTS,
            backup_jobs::ENDPOINTS,
            schedule::ENDPOINTS,
            ha::ENDPOINTS,
            sdn::ENDPOINTS,
            cluster_lists::ENDPOINTS,
            firewall_macros::ENDPOINTS,
            firewall::ENDPOINTS,
            firewall::NODE,
            firewall_rules::NODE,
            firewall_rules::CLUSTER,
            firewall_rules::GROUPS,
            nodes::ENDPOINTS,
            network::ENDPOINTS,
            hardware::ENDPOINTS,
            capabilities::ENDPOINTS,
            host_settings::ENDPOINTS,
            host_lists::ENDPOINTS,
            &storage::ROWS.concat(),
            tasks::ENDPOINTS,
            &guests::ROWS.concat(),
            migrate::ENDPOINTS,
            firewall::QEMU,
            firewall::LXC,
            firewall_rules::QEMU,
            firewall_rules::LXC,
        ]
        .concat()
    });
    &ALL
}

/// Carries a request out.
///
/// The order is PVE's: login, endpoint, declared permissions, node, parameters, handler.
///
/// # Errors
/// What PVE answers instead of 200.
pub fn answer(world: &mut World, request: &Request) -> Result<Answer, Refusal> {
    answer_at(world, None, request)
}

/// Carries a request out that came in at the door of a node.
///
/// # Errors
/// What PVE answers instead of 200.
pub fn answer_at(world: &mut World, door: Option<&str>, request: &Request) -> Result<Answer, Refusal> {
    let bare = |status, reason: &str| Refusal::Bare { status, reason: reason.to_owned() };
    if !matches!(request.method.as_str(), "GET" | "POST" | "PUT" | "DELETE") {
        return Err(bare(501, &format!("method '{}' not available", request.method)));
    }
    let caller = if is_open(request) { Caller::nobody() } else { authenticate(world, request)? };
    if let Some(flaw) = &request.flaw {
        return Err(flaw.clone());
    }
    answer_as_at(world, door, &caller, request)
}

/// Whether this needs no login; what is presented nevertheless is not even looked at.
fn is_open(request: &Request) -> bool {
    let segments = segments(request);
    let mut open = endpoints().iter().filter(|e| matches!(e.access, super::Access::World));
    open.any(|e| e.method.as_str() == request.method && e.matches(&segments).is_some())
}

/// Whose token or ticket it is. A token wins over a ticket, and needs no CSRF token.
fn authenticate(world: &World, request: &Request) -> Result<Caller, Refusal> {
    let bare = |reason: &str| Refusal::Bare { status: 401, reason: reason.to_owned() };
    if let Some(credentials) = request.authorization.as_deref().and_then(|value| value.strip_prefix("PVEAPIToken=")) {
        return world.authenticate(credentials).ok_or_else(|| bare("Authentication failed!"));
    }
    let ticket = request.ticket.as_deref().filter(|ticket| !ticket.is_empty()).ok_or_else(|| bare("No ticket"))?;
    let caller = world.ticket_holder(ticket).ok_or_else(|| bare("permission denied - invalid PVE ticket"))?;
    let proved = |token: &String| world.is_csrf_token(&caller.user, token);
    // A form of a browser that uploads a file cannot send the header.
    let path = segments(request);
    let upload = path.len() == 5 && path[0] == "nodes" && path[2] == "storage" && path[4] == "upload";
    if request.method != "GET" && !upload && !request.csrf.as_ref().is_some_and(proved) {
        return Err(bare("Permission denied - invalid csrf token"));
    }
    Ok(caller)
}

fn segments(request: &Request) -> Vec<String> {
    let decode = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
    request.path.split('/').filter(|s| !s.is_empty()).map(decode).collect()
}

/// Carries a request out for a caller who is known: how `pct`, `qm` and `pvesh` go about it.
///
/// # Errors
/// What PVE answers instead of 200.
pub fn answer_as(world: &mut World, caller: &Caller, request: &Request) -> Result<Answer, Refusal> {
    answer_as_at(world, None, caller, request)
}

/// The same on a node: what is about another one goes there.
///
/// # Errors
/// What PVE answers instead of 200.
pub fn answer_as_at(
    world: &mut World,
    door: Option<&str>,
    caller: &Caller,
    request: &Request,
) -> Result<Answer, Refusal> {
    let bare = |status, reason: &str| Refusal::Bare { status, reason: reason.to_owned() };
    let method = match request.method.as_str() {
        "GET" => Method::Get,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        other => return Err(bare(501, &format!("method '{other}' not available"))),
    };
    let segments = segments(request);
    let row = endpoints()
        .iter()
        .filter(|e| e.method == method && e.since <= world.version)
        .find_map(|e| Some((e, e.matches(&segments)?)));
    let Some((endpoint, vars)) = row else {
        let path = segments.join("/");
        let text = format!("Method '{method} /{path}' not implemented");
        return Err(Refusal::Failed { status: 501, text });
    };
    let mut values = Values::new(&request.params);
    values.join_lists(endpoint.params());
    said_once(&mut values, &vars)?;
    // As pveproxy does it: what was sent becomes a file, and the request has its name.
    let sent = request.upload.as_ref().map(|upload| receive_upload(world, upload.bytes.clone()));
    if let Some(path) = &sent {
        values.0.insert("tmpfilename".to_owned(), vec![path.clone()]);
    }
    let answer = carry_out(world, door, caller, endpoint, (vars, values), &segments);
    if let Some(path) = sent {
        forget_upload(world, &path);
    }
    answer
}

fn carry_out(
    world: &mut World,
    door: Option<&str>,
    caller: &Caller,
    endpoint: &Endpoint,
    (mut vars, values): (BTreeMap<&'static str, String>, Values),
    segments: &[String],
) -> Result<Answer, Refusal> {
    let bare = |status, reason: &str| Refusal::Bare { status, reason: reason.to_owned() };
    endpoint.access.check(world, caller, &vars, &values)?;
    let local = locality::local_node(world, door);
    locality::resolve(world, &local, endpoint, &mut vars)?;
    let worker = world.nodes.get(vars.get("node").unwrap_or(&local));
    if endpoint.is_protected() && worker.is_some_and(|node| node.pvedaemon_down) {
        return Err(bare(595, "Connection refused"));
    }
    check_path(&vars)?;
    check(&values, endpoint.params(), world.version)?;
    if segments.get(2).is_some_and(|s| s == "lxc") {
        vars.insert("lxc", String::new());
    }
    let meets = if world.without_quorum { quorum::meets(endpoint, &vars, &values, world) } else { Meets::Never };
    if let Meets::Refused(refusal) = meets {
        return Err(refusal);
    }
    lock_file::check(world, endpoint, &vars)?;
    let before = (world.tasks.len(), world.without_quorum.then(|| world.guests.clone()));
    let mut call = Call { world, caller, local, vars, values };
    let answer = (endpoint.handler)(&mut call);
    lock_file::hold_up(world, before.0);
    if let (Meets::InWorker(text), (tasks, Some(guests))) = (meets, before) {
        world.guests = guests;
        quorum::doom_workers(world, tasks, &text);
    }
    answer
}

/// What stands in the path may be said again if it is the same (pve-manager, PVE/HTTPServer.pm).
fn said_once(values: &mut Values, vars: &BTreeMap<&'static str, String>) -> Result<(), Refusal> {
    for (name, value) in vars {
        if values.get(name).is_some_and(|again| again != value) {
            let text = "duplicate parameter (already defined in URI) with conflicting values!";
            return Err(Refusal::param(name, text));
        }
        values.0.remove(*name);
    }
    Ok(())
}

fn check_path(vars: &BTreeMap<&'static str, String>) -> Result<(), Refusal> {
    if let Some(vmid) = vars.get("vmid") {
        super::check_value(&super::Kind::Vmid, "vmid", vmid).map_err(|text| Refusal::param("vmid", text))?;
    }
    if vars.get("tokenid").is_some_and(|id| !access::is_token(id)) {
        return Err(Refusal::param("tokenid", "value does not match the regex pattern"));
    }
    if let Some(pos) = vars.get("pos").filter(|p| p.is_empty() || !p.bytes().all(|b| b.is_ascii_digit())) {
        return Err(Refusal::param("pos", format!("type check ('integer') failed - got '{pos}'")));
    }
    Ok(())
}
