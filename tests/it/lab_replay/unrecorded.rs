//! What was done to the recording machine between two exchanges without being recorded: see `unrecorded.tsv`.

use infra::lab::world::{Caller, Network, Node, Volume, World, ZfsSupport};
use percent_encoding::percent_decode_str;

use super::recording::Row;

/// One thing that was done.
#[derive(Debug, Clone)]
pub struct Step {
    /// Number of the exchange that it comes before.
    pub before: u32,
    /// Root at a shell of the host, or a token.
    pub who: Caller,
    /// Verb of the API, or `HOST` for what no call does.
    pub method: String,
    /// Path, or what is done to the host.
    pub path: String,
    /// Parameters, as in a form.
    pub form: String,
}

impl Step {
    /// Names and values.
    pub fn params(&self) -> Vec<(String, String)> {
        let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let pairs = self.form.split('&').filter_map(|pair| pair.split_once('='));
        pairs.map(|(name, value)| (decode(name), decode(value))).collect()
    }
}

/// Every step in order.
pub fn steps() -> Vec<Step> {
    let lines = include_str!("unrecorded.tsv").lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let step = |line: &str| {
        let fields: Vec<&str> = line.split('\t').collect();
        let [before, who, method, path, form, why] = fields[..] else { panic!("six fields: {line}") };
        assert!(!why.is_empty(), "a reason: {line}");
        let owned = str::to_owned;
        let who = who.split_once('!').map_or_else(Caller::root_pam, |(user, token)| Caller::token(user, token));
        Step { before: before.parse().unwrap(), who, method: owned(method), path: owned(path), form: owned(form) }
    };
    lines.map(step).collect()
}

/// Exchanges in the order in which they arrived: the two creates of the race were sent at once, and the one that was
/// recorded first lost.
pub fn in_order_of_arrival(rows: &[Row]) -> Vec<&Row> {
    let mut rows: Vec<&Row> = rows.iter().collect();
    let at = |name: &str, rows: &[&Row]| rows.iter().position(|row| row.name == name);
    if let (Some(first), Some(second)) = (at("race.create.1", &rows), at("race.create.2", &rows)) {
        rows.swap(first, second);
    }
    rows
}

/// Exchanges after which the recorder did not wait for the task to end: it looked at it running.
pub fn did_not_wait(seq: u32) -> bool {
    // The shutdown was stopped, the making of a
    // container template gives no task to wait for.
    matches!(seq, 533 | 534 | 845)
}

/// What is done on the host itself.
pub fn on_the_host(world: &mut World, what: &str, with: &str) -> Result<(), String> {
    let vmid = with.parse().ok();
    match what {
        "unlock" => {
            let guest = vmid.and_then(|vmid: u32| world.guests.get_mut(&vmid)).ok_or("no such guest")?;
            guest.config.remove("lock").map(drop).ok_or_else(|| "it is not locked".to_owned())
        }
        "flock" => {
            world.lock_files.insert(vmid.ok_or("no such guest")?, world.now_ms + 60_000);
            Ok(())
        }
        "unflock" => {
            world.lock_files.remove(&vmid.ok_or("no such guest")?).map(drop).ok_or_else(|| "nobody holds it".to_owned())
        }
        "wait" => {
            world.now_ms += i64::from(vmid.ok_or("how many seconds?")?) * 1000;
            Ok(())
        }
        // The job's notification was to go out by mail, and nothing on the machine could do that.
        "no sendmail" => {
            world.dooms.push(("vzdump".to_owned(), 0, "unable to find command 'sendmail'".to_owned()));
            Ok(())
        }
        "stop pvedaemon" | "start pvedaemon" => {
            let node = world.nodes.get_mut("pve1").ok_or("no such node")?;
            node.pvedaemon_down = what.starts_with("stop");
            Ok(())
        }
        "bridge" => {
            let [name, cidr] = words(with)?;
            let bridge = Network { kind: "bridge".into(), cidr: Some(cidr), autostart: true, ..Network::default() };
            host(world)?.networks.insert(name, bridge);
            Ok(())
        }
        "zfs" => {
            host(world)?.zfs.support = match with {
                "tools" => ZfsSupport::NoModule,
                "module" => ZfsSupport::Ready,
                other => return Err(format!("no `{other}` of ZFS")),
            };
            Ok(())
        }
        "listen" => {
            let found = world.downloads.iter_mut().filter(|(url, _)| url.starts_with(with));
            found.for_each(|(_, download)| download.refused = false);
            Ok(())
        }
        "fetch" => {
            let [volid, format, size] = words(with)?;
            let size = size.parse().map_err(|_| "no size")?;
            let volume = Volume { format, size, used: size, ..Volume::default() };
            world.put_volume("pve1", &volid, volume);
            Ok(())
        }
        other => Err(format!("the lab cannot do `{other}`")),
    }
}

fn host(world: &mut World) -> Result<&mut Node, String> {
    world.nodes.get_mut("pve1").ok_or_else(|| "no such node".to_owned())
}

fn words<const N: usize>(text: &str) -> Result<[String; N], String> {
    let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    words.try_into().map_err(|_| format!("`{text}` has not {N} words"))
}
