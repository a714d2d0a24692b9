//! ZFS pools.

use std::collections::BTreeMap;

use super::super::text;
use crate::diag::Invalid;
use crate::model::machine::{Pool, Scan};
use crate::ports::Output;

/// Asks for them. `zpool status -j` is not there before ZFS 2.3 (PVE 8 has 2.2), so the text is read.
pub const COMMANDS: &[&[&str]] =
    &[&["zpool", "list", "-Hp", "-o", "name,size,allocated,free,fragmentation,capacity,health"], &["zpool", "status"]];

/// Reads them.
///
/// # Errors
/// When ZFS is there and did not answer, or both answers are of different pools.
pub fn read(outputs: &[Output]) -> Result<BTreeMap<String, Pool>, Invalid> {
    let [list, status] = outputs else { return Err(Invalid::new("not asked for")) };
    let mut pools = BTreeMap::new();
    // hosts without pools need no ZFS module
    if list.code != 0 && text::stderr(list).contains("ZFS modules") {
        return Ok(pools);
    }
    for line in text::good(list, "zpool")?.lines().filter(|line| !line.is_empty()) {
        let [name, size, allocated, free, fragmentation, capacity, health] = line.split('\t').collect::<Vec<_>>()[..]
        else {
            return Err(Invalid::new(format!("`zpool list` printed `{line}`, which is no pool")));
        };
        // a pool that cannot be opened has no numbers
        let number = |text: &str| match text {
            "-" => Ok(0),
            _ => text.parse().map_err(|_| Invalid::new(format!("`zpool list` printed `{text}` for a number"))),
        };
        let percent = |text: &str| text.trim_end_matches('%').parse::<u32>().ok();
        let pool = Pool {
            size: number(size)?,
            allocated: number(allocated)?,
            free: number(free)?,
            fragmentation: percent(fragmentation),
            capacity: percent(capacity).unwrap_or_default(),
            health: health.to_owned(),
            ..Pool::default()
        };
        pools.insert(name.to_owned(), pool);
    }
    if pools.is_empty() {
        return Ok(pools);
    }
    let mut told = 0;
    for (name, section) in sections(&text::good(status, "zpool")?) {
        if let Some(pool) = pools.get_mut(&name) {
            tell(pool, &name, &section)?;
            told += 1;
        }
    }
    match told == pools.len() {
        true => Ok(pools),
        false => Err(Invalid::new("`zpool status` is not about the pools of `zpool list`")),
    }
}

/// Fields of one pool: `state`, `scan`, `config`, … with their continued lines.
type Section = BTreeMap<String, String>;

fn sections(text: &str) -> Vec<(String, Section)> {
    let mut found: Vec<(String, Section)> = Vec::new();
    let mut field = String::new();
    for line in text.lines() {
        let named = line.split_once(':').filter(|(name, _)| {
            let word = name.trim_start();
            !line.starts_with('\t') && !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase())
        });
        match named {
            Some((name, value)) => {
                field = name.trim().to_owned();
                let value = value.trim().to_owned();
                if field == "pool" {
                    found.push((value.clone(), Section::new()));
                }
                if let Some((_, section)) = found.last_mut() {
                    section.insert(field.clone(), value);
                }
            }
            None => {
                if let Some(value) = found.last_mut().and_then(|(_, section)| section.get_mut(&field)) {
                    value.push('\n');
                    value.push_str(line);
                }
            }
        }
    }
    found
}

fn tell(pool: &mut Pool, name: &str, section: &Section) -> Result<(), Invalid> {
    let joined = |field: &str| {
        section.get(field).map(|text| text.split_whitespace().collect::<Vec<_>>().join(" ")).filter(|t| !t.is_empty())
    };
    pool.status = joined("status");
    pool.errors = joined("errors").filter(|text| text != "No known data errors");
    pool.scan = match joined("scan").or_else(|| joined("scrub")) {
        None => Scan::Never,
        Some(text) => scan(&text),
    };
    let config = section.get("config").map(String::as_str).unwrap_or_default();
    for line in config.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [device, state, counts @ ..] = &words[..] else { continue };
        if *device == "NAME" || *device == name {
            continue;
        }
        let counted =
            counts.iter().take(3).any(|count| count.starts_with(|c: char| c.is_ascii_digit()) && *count != "0");
        let fine = matches!(*state, "ONLINE" | "AVAIL" | "INUSE");
        if !fine || counted {
            pool.bad_devices.push(words.join(" "));
        }
    }
    match section.contains_key("state") {
        true => Ok(()),
        false => Err(Invalid::new(format!("`zpool status` tells no state of `{name}`"))),
    }
}

/// `scrub repaired 0B in 00:00:01 with 0 errors on Sat Nov 21 09:59:45 2026`
fn scan(text: &str) -> Scan {
    if text.contains("in progress") {
        return Scan::Running;
    }
    let at = text.rsplit_once(" on ").and_then(|(_, date)| {
        let (_weekday, date) = date.trim().split_once(' ')?;
        let date = jiff::civil::DateTime::strptime("%b %d %H:%M:%S %Y", date).ok()?;
        Some(date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second())
    });
    let errors = text.split_once(" with ").and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
    match (at, errors) {
        (Some(at), Some(errors)) if text.starts_with("scrub repaired") => Scan::Scrubbed { at, errors },
        (Some(at), _) if text.starts_with("resilvered") => Scan::Resilvered { at },
        _ => Scan::Other { text: text.to_owned() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::output;

    const LIST: &str = "rpool\t1000\t400\t600\t23\t40\tONLINE\ntank\t2000\t100\t1900\t-\t5\tDEGRADED\n";
    const STATUS: &str = "\
  pool: rpool
 state: ONLINE
  scan: scrub repaired 0B in 00:11:12 with 0 errors on Sun Nov  8 00:35:13 2026
config:

\tNAME                                STATE     READ WRITE CKSUM
\trpool                               ONLINE       0     0     0
\t  mirror-0                          ONLINE       0     0     0
\t    nvme-eui.0025385-part3          ONLINE       0     0     0
\t    nvme-eui.0025386-part3          ONLINE       0     0    12

errors: No known data errors

  pool: tank
 state: DEGRADED
status: One or more devices could not be used because the label is missing or
\tinvalid.  Sufficient replicas exist for the pool to continue
action: Replace the device using 'zpool replace'.
   see: https://openzfs.github.io/openzfs-docs/msg/ZFS-8000-4J
  scan: resilvered 108K in 00:00:00 with 0 errors on Sat Nov 21 09:59:40 2026
config:

\tNAME        STATE     READ WRITE CKSUM
\ttank        DEGRADED     0     0     0
\t  mirror-0  DEGRADED     0     0     0
\t    sda     ONLINE       0     0     0
\t    sdb     UNAVAIL      0     0     0  corrupted data

errors: 3 data errors, use '-v' for a list
";

    #[test]
    fn pools_have_their_numbers_state_devices_and_scans() {
        let pools = read(&[output(0, LIST, ""), output(0, STATUS, "")]).unwrap();
        let rpool = &pools["rpool"];
        assert_eq!((rpool.fragmentation, rpool.capacity, rpool.health.as_str()), (Some(23), 40, "ONLINE"));
        assert_eq!(rpool.scan, Scan::Scrubbed { at: 1_794_098_113, errors: 0 });
        assert_eq!(rpool.bad_devices, ["nvme-eui.0025386-part3 ONLINE 0 0 12"]);
        assert_eq!((&rpool.errors, &rpool.status), (&None, &None));
        let tank = &pools["tank"];
        assert_eq!(tank.fragmentation, None);
        assert!(tank.status.as_deref().unwrap().ends_with("exist for the pool to continue"));
        assert_eq!(tank.errors.as_deref(), Some("3 data errors, use '-v' for a list"));
        assert_eq!(tank.bad_devices, ["mirror-0 DEGRADED 0 0 0", "sdb UNAVAIL 0 0 0 corrupted data"]);
        assert!(matches!(tank.scan, Scan::Resilvered { .. }));
    }

    #[test]
    fn scans_that_run_never_ran_or_say_something_new() {
        let one = "tank\t2000\t100\t1900\t0\t5\tONLINE\n";
        let status = |scan: &str| {
            format!(
                "  pool: tank\n state: ONLINE\n{scan}config:\n\n\ttank ONLINE 0 0 0\n\nerrors: No known data errors\n"
            )
        };
        let scan = |text: &str| read(&[output(0, one, ""), output(0, &status(text), "")]).unwrap()["tank"].scan.clone();
        assert_eq!(scan(""), Scan::Never);
        assert_eq!(
            scan("  scan: scrub in progress since Sun Nov  9 00:24:01 2026\n\t1.2T / 3T scanned\n"),
            Scan::Running
        );
        assert!(matches!(scan("  scan: scrub canceled on Sun Nov  9 00:24:01 2026\n"), Scan::Other { .. }));
        assert!(matches!(scan("  scan: error scrubbed 3 blocks\n"), Scan::Other { .. }));
    }

    #[test]
    fn no_pool_is_an_answer_and_no_zfs_is_none() {
        let status = output(0, "", "no pools available\n");
        assert!(read(&[output(0, "", ""), status]).unwrap().is_empty());
        let missing = || output(127, "", "sh: 1: zpool: not found\n");
        assert!(read(&[missing(), missing()]).is_err());
        assert!(read(&[output(0, LIST, ""), output(0, "  pool: rpool\n state: ONLINE\n", "")]).is_err());
    }
}
