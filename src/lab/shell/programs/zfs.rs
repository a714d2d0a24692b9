//! `zfs`: what changes datasets; texts and exit codes are those of OpenZFS 2.3.
//!
//! Not modelled: send and receive, clones, encryption, delegation, bookmarks.

use std::collections::BTreeMap;

use super::{zfs_list, zfs_property};
use crate::lab::shell::call::Call;
use crate::lab::world::{DatasetKind, GuestKind, World, Zfs, ZfsError, property::Properties};

pub(super) fn run(call: &mut Call<'_>) -> i32 {
    let args = call.args;
    let Some((verb, args)) = args.split_first() else {
        call.warn("missing command\nusage: zfs command args ...");
        return 2;
    };
    let result = match verb.as_str() {
        "list" => return zfs_list::list(call, args),
        "get" => return zfs_list::get(call, args),
        "create" => create(call, args),
        "destroy" => destroy(call, args),
        "snapshot" | "snap" => snapshot(call, args),
        "rollback" => rollback(call, args),
        "set" => set(call, args),
        "inherit" => inherit(call, args),
        "mount" => mount(call, args, true),
        "unmount" | "umount" => mount(call, args, false),
        "hold" => hold(call, args, true),
        "release" => hold(call, args, false),
        "version" => {
            call.print("zfs-2.3.9-0+deb13u1\nzfs-kmod-2.3.9-0+deb13u1");
            Ok(())
        }
        other => {
            call.warn(format!("unrecognized command '{other}'\nusage: zfs command args ..."));
            return 2;
        }
    };
    match result {
        Ok(()) => 0,
        Err(ZfsError { message, code }) => {
            call.warn(message);
            code
        }
    }
}

pub(super) fn error<T>(code: i32, message: impl Into<String>) -> Result<T, ZfsError> {
    Err(ZfsError { message: message.into(), code })
}

fn unknown<T>(verb: &str, option: &str) -> Result<T, ZfsError> {
    error(2, format!("invalid option '{}'\nusage:\n\t{verb}: the lab does not know it", option.trim_start_matches('-')))
}

/// The node's ZFS.
pub(super) fn of<'a>(world: &'a mut World, node: &str) -> Result<&'a mut Zfs, ZfsError> {
    match world.nodes.get_mut(node) {
        Some(host) => Ok(&mut host.zfs),
        None => error(1, "The ZFS modules cannot be auto-loaded."),
    }
}

fn create(call: &mut Call<'_>, args: &[String]) -> Result<(), ZfsError> {
    let (mut properties, mut parents, mut volume, mut name) = (BTreeMap::new(), false, None, None);
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "-o" => match args.next().and_then(|pair| pair.split_once('=')) {
                Some((key, value)) => {
                    properties.insert(zfs_property::full_name(key).to_owned(), value.to_owned());
                }
                None => return error(2, "missing '=' for property=value argument"),
            },
            "-p" => parents = true,
            "-u" | "-s" => {}
            "-V" => volume = args.next(),
            option if option.starts_with('-') => return unknown("create", option),
            given if name.is_none() => name = Some(given),
            _ => return error(2, "too many arguments\nusage:\n\tcreate [-Pnpuv] [-o property=value] ... <filesystem>"),
        }
    }
    let Some(name) = name else { return error(2, "missing filesystem argument") };
    let cannot = |why: &str| format!("cannot create '{name}': {why}");
    if let Some(delimiter) = name.chars().find(|c| ['@', '#'].contains(c)) {
        let what = if delimiter == '@' { "snapshot" } else { "bookmark" };
        return error(1, cannot(&format!("{what} delimiter '{delimiter}' is not expected here")));
    }
    if let Some(c) = name.chars().find(|c| !c.is_ascii_alphanumeric() && !"-_.:/ ".contains(*c)) {
        return error(1, cannot(&format!("invalid character '{c}' in name")));
    }
    if name.split('/').any(str::is_empty) {
        return error(1, cannot("empty component or misplaced '@' or '#' delimiter in name"));
    }
    let mut kept = BTreeMap::new();
    for (key, value) in properties {
        match zfs_property::normalise(&key, &value) {
            Ok(value) => kept.insert(key, value),
            Err(why) => return error(1, cannot(&why)),
        };
    }
    let now = call.world.now();
    let zfs = of(call.world, call.node)?;
    let kind = match volume {
        None => DatasetKind::Filesystem,
        Some(size) => {
            let Some(bytes) = zfs_property::size(size) else {
                return error(1, format!("bad volume size '{size}': bad numeric value '{size}'"));
            };
            if name.rsplit_once('/').is_some_and(|(parent, _)| bytes > zfs.available(parent)) {
                return error(1, cannot("out of space"));
            }
            kept.insert("volsize".to_owned(), bytes.to_string());
            DatasetKind::Volume
        }
    };
    zfs.create(name, kind, kept, parents, now)
}

fn destroy(call: &mut Call<'_>, args: &[String]) -> Result<(), ZfsError> {
    let (mut recursive, mut name) = (false, None);
    for arg in args {
        match arg.as_str() {
            "-r" => recursive = true,
            option if option.starts_with('-') => return unknown("destroy", option),
            given => name = Some(given),
        }
    }
    let Some(name) = name else { return error(2, "missing dataset argument") };
    if let Some((dataset, snapshots)) = name.split_once('@') {
        let zfs = of(call.world, call.node)?;
        for snapshot in snapshots.split(',') {
            zfs.destroy_snapshot(dataset, snapshot)?;
        }
        return Ok(());
    }
    let names = {
        let zfs = of(call.world, call.node)?;
        let below = if recursive { zfs.descendants(name) } else { Vec::new() };
        below.into_iter().chain([name.to_owned()]).collect::<Vec<_>>()
    };
    for name in &names {
        if let Some(path) = busy(call.world, call.node, name) {
            return error(1, format!("cannot unmount '{path}': pool or dataset is busy"));
        }
    }
    of(call.world, call.node)?.destroy(name, recursive)
}

/// The mount point of a dataset that a running container holds.
fn busy(world: &World, node: &str, dataset: &str) -> Option<String> {
    let path = world.nodes.get(node)?.zfs.get(dataset, "mountpoint")?;
    let holds = world.guests.values().any(|guest| {
        guest.kind == GuestKind::Lxc
            && guest.node == node
            && guest.is_running()
            && guest.config.iter().any(|(key, value)| {
                let source = Properties::parse(value).head("volume").map(str::to_owned).unwrap_or_default();
                key.starts_with("mp")
                    && (source == path
                        || source.starts_with(&format!("{path}/"))
                        || world.dataset_of(&source).as_deref() == Some(dataset))
                    || key == "rootfs" && world.dataset_of(&source).as_deref() == Some(dataset)
            })
    });
    holds.then_some(path)
}

fn snapshot(call: &mut Call<'_>, args: &[String]) -> Result<(), ZfsError> {
    const USAGE: &str = "usage:\n\tsnapshot [-r] [-o property=value] ... <filesystem|volume>@<snap> ...";
    let (mut recursive, mut names) = (false, Vec::new());
    for arg in args {
        match arg.as_str() {
            "-r" => recursive = true,
            option if option.starts_with('-') => return unknown("snapshot", option),
            given => names.push(given),
        }
    }
    let now = call.world.now();
    let zfs = of(call.world, call.node)?;
    let mut all = Vec::new();
    for name in &names {
        let Some((dataset, snapshot)) = name.split_once('@') else { return error(2, USAGE) };
        if snapshot.is_empty() {
            let why = "empty component or misplaced '@' or '#' delimiter in name";
            return error(1, format!("cannot create snapshot '{name}': {why}"));
        }
        if snapshot.contains('/') {
            return error(1, format!("cannot create snapshot '{name}': trailing slash in name"));
        }
        if !zfs.datasets.contains_key(dataset) {
            return error(2, format!("cannot open '{dataset}': dataset does not exist\n{USAGE}"));
        }
        all.push((dataset.to_owned(), snapshot.to_owned()));
        if recursive {
            all.extend(zfs.descendants(dataset).into_iter().map(|below| (below, snapshot.to_owned())));
        }
    }
    if all.is_empty() {
        return error(2, USAGE);
    }
    // all that exist are named, then that none was made
    let taken: Vec<String> = all
        .iter()
        .filter(|(dataset, name)| zfs.datasets.get(dataset).is_some_and(|d| d.snapshots.contains_key(name)))
        .map(|(dataset, name)| format!("cannot create snapshot '{dataset}@{name}': dataset already exists"))
        .collect();
    if !taken.is_empty() {
        let more = if all.len() > 1 { "\nno snapshots were created" } else { "" };
        return error(1, format!("{}{more}", taken.join("\n")));
    }
    zfs.snapshot(&all, now)
}

fn rollback(call: &mut Call<'_>, args: &[String]) -> Result<(), ZfsError> {
    let (mut destroy_newer, mut name) = (false, None);
    for arg in args {
        match arg.as_str() {
            "-r" => destroy_newer = true,
            option if option.starts_with('-') => return unknown("rollback", option),
            given => name = Some(given),
        }
    }
    let Some(name) = name else { return error(2, "missing dataset argument") };
    let Some((dataset, snapshot)) = name.split_once('@') else {
        return error(1, format!("cannot open '{name}': missing '@' delimiter in snapshot name"));
    };
    of(call.world, call.node)?.rollback(dataset, snapshot, destroy_newer)
}

fn set(call: &mut Call<'_>, args: &[String]) -> Result<(), ZfsError> {
    let (pairs, names): (Vec<&String>, Vec<&String>) = args.iter().partition(|arg| arg.contains('='));
    if pairs.is_empty() {
        return error(
            2,
            "missing property=value argument(s)\nusage:\n\tset <property=value> ... <filesystem|volume|snapshot> ...",
        );
    }
    if names.is_empty() {
        return error(
            2,
            "missing dataset name(s)\nusage:\n\tset <property=value> ... <filesystem|volume|snapshot> ...",
        );
    }
    for name in names {
        let zfs = of(call.world, call.node)?;
        if !zfs.datasets.contains_key(name) {
            return error(1, format!("cannot open '{name}': dataset does not exist"));
        }
        let cannot = |why: &str| error(255, format!("cannot set property for '{name}': {why}"));
        let mut kept = Vec::new();
        for pair in &pairs {
            let (key, value) = pair.split_once('=').unwrap_or((pair.as_str(), ""));
            let key = zfs_property::full_name(key);
            let value = match zfs_property::normalise(key, value) {
                Ok(value) => value,
                Err(why) => return cannot(&why),
            };
            let bytes: u64 = value.parse().unwrap_or_default();
            let used = zfs.used(name);
            match key {
                "quota" | "refquota" if bytes > 0 && bytes < used => {
                    return cannot("size is less than current used or reserved space");
                }
                "reservation" | "refreservation" if bytes > zfs.available(name).saturating_add(used) => {
                    return cannot("size is greater than available space");
                }
                _ => {}
            }
            kept.push((key.to_owned(), value));
        }
        let remounted = kept.iter().any(|(key, _)| key == "mountpoint" || key == "canmount");
        if let Some(dataset) = zfs.datasets.get_mut(name.as_str()) {
            dataset.properties.extend(kept);
        }
        if remounted {
            remount(zfs, name);
        }
    }
    Ok(())
}

/// Mounts or unmounts file systems after their mount point was changed, children included.
fn remount(zfs: &mut Zfs, name: &str) {
    for one in zfs.descendants(name).into_iter().chain([name.to_owned()]) {
        let nowhere = matches!(zfs.get(&one, "mountpoint").as_deref(), None | Some("none" | "legacy"));
        let off = zfs.get(&one, "canmount").as_deref() == Some("off");
        if let Some(dataset) = zfs.datasets.get_mut(&one) {
            dataset.mounted = dataset.kind == DatasetKind::Filesystem && !nowhere && !off;
        }
    }
}

fn inherit(call: &mut Call<'_>, args: &[String]) -> Result<(), ZfsError> {
    let [property, names @ ..] = args else { return error(2, "missing property argument") };
    if property.starts_with('-') {
        return unknown("inherit", property);
    }
    let property = zfs_property::full_name(property);
    if !zfs_property::is_known(property) {
        return error(2, format!("invalid property '{property}'"));
    }
    for name in names {
        let zfs = of(call.world, call.node)?;
        match zfs.datasets.get_mut(name) {
            None => return error(1, format!("cannot open '{name}': dataset does not exist")),
            Some(dataset) => dataset.properties.remove(property),
        };
        if property == "mountpoint" {
            remount(zfs, name);
        }
    }
    Ok(())
}

fn mount(call: &mut Call<'_>, args: &[String], wanted: bool) -> Result<(), ZfsError> {
    let [name] = args else { return unknown("mount", &args.join(" ")) };
    if !wanted && let Some(path) = busy(call.world, call.node, name) {
        return error(1, format!("cannot unmount '{path}': pool or dataset is busy"));
    }
    let zfs = of(call.world, call.node)?;
    let place = zfs.get(name, "mountpoint");
    let Some(dataset) = zfs.datasets.get_mut(name) else {
        return error(1, format!("cannot open '{name}': dataset does not exist"));
    };
    match (wanted, dataset.mounted, place.as_deref()) {
        (true, true, _) => error(1, format!("cannot mount '{name}': filesystem already mounted")),
        (true, false, Some("legacy")) => {
            error(1, format!("cannot mount '{name}': legacy mountpoint\nuse mount(8) to mount this filesystem"))
        }
        (true, false, None | Some("none")) => error(1, format!("cannot mount '{name}': no mountpoint set")),
        (false, false, _) => error(1, format!("cannot unmount '{name}': not currently mounted")),
        _ => {
            dataset.mounted = wanted;
            Ok(())
        }
    }
}

fn hold(call: &mut Call<'_>, args: &[String], wanted: bool) -> Result<(), ZfsError> {
    let [tag, names @ ..] = args else { return error(2, "missing tag argument") };
    for name in names {
        let (dataset, snapshot) = name.split_once('@').unwrap_or((name.as_str(), ""));
        let zfs = of(call.world, call.node)?;
        let cannot = |what: &str, why: &str| error(1, format!("cannot {what} snapshot '{name}': {why}"));
        let found = zfs.datasets.get_mut(dataset).and_then(|d| d.snapshots.get_mut(snapshot));
        let what = if wanted { "hold" } else { "release hold from" };
        let Some(found) = found else { return cannot(what, "dataset does not exist") };
        match (wanted, found.holds.iter().position(|held| held == tag)) {
            (true, Some(_)) => return cannot(what, "tag already exists on this dataset"),
            (true, None) => found.holds.push(tag.clone()),
            (false, Some(at)) => {
                found.holds.remove(at);
            }
            (false, None) => return cannot(what, "no such tag on this dataset"),
        }
    }
    Ok(())
}
