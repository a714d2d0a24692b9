//! Functions on the PCI bus.
//!
//! `lspci` is not asked: it reads the configuration space of every function, which wakes those that sleep, and
//! some graphics cards do not survive that. What is read here the kernel knows by itself, but for the link.

use std::collections::BTreeMap;

use super::super::text;
use crate::diag::Invalid;
use crate::model::PciAddress;
use crate::model::machine::{PciBus, PciFunction, PciLink, PciRole};
use crate::ports::Output;

const DEVICES: &str = "/sys/bus/pci/devices/";

/// Asks for them: attributes, what is there without being read, where each sits, who drives it, and what the host
/// sees it as.
pub const COMMANDS: &[&[&str]] = &[
    &[
        "find",
        "-L",
        "/sys/bus/pci/devices",
        "-mindepth",
        "2",
        "-maxdepth",
        "2",
        "(",
        "-name",
        "vendor",
        "-o",
        "-name",
        "device",
        "-o",
        "-name",
        "subsystem_vendor",
        "-o",
        "-name",
        "subsystem_device",
        "-o",
        "-name",
        "class",
        "-o",
        "-name",
        "driver_override",
        "-o",
        "-name",
        "boot_vga",
        "-o",
        "-name",
        "reset_method",
        "-o",
        "-name",
        "current_link_width",
        "-o",
        "-name",
        "max_link_width",
        "-o",
        "-name",
        "current_link_speed",
        "-o",
        "-name",
        "max_link_speed",
        "-o",
        "-name",
        "d3cold_allowed",
        "-o",
        "-name",
        "power_state",
        "-o",
        "-name",
        "numa_node",
        "-o",
        "-name",
        "serial_number",
        "-o",
        "-name",
        "unique_id",
        ")",
        "-exec",
        "grep",
        "-sH",
        "",
        "{}",
        "+",
    ],
    &[
        "find",
        "-L",
        "/sys/bus/pci/devices",
        "-mindepth",
        "2",
        "-maxdepth",
        "2",
        "(",
        "-name",
        "pci_bus",
        "-o",
        "-name",
        "physfn",
        "-o",
        "-name",
        "reset",
        ")",
    ],
    &["find", "/sys/bus/pci/devices", "-mindepth", "1", "-maxdepth", "1", "-printf", "%l\\n"],
    &["find", "/sys/bus/pci/drivers", "-mindepth", "2", "-maxdepth", "2", "-name", "*:*:*.*"],
    &[
        "find",
        "/sys/block",
        "/sys/class/drm",
        "/sys/class/graphics",
        "/sys/class/net",
        "/sys/class/nvme",
        "-mindepth",
        "1",
        "-maxdepth",
        "1",
        "-type",
        "l",
        "-printf",
        "%p %l\\n",
    ],
];

/// Reads them.
///
/// # Errors
/// When the bus could not be listed or a function lacks what every function has.
pub fn read(outputs: &[Output]) -> Result<PciBus, Invalid> {
    let [attributes, marks, places, drivers, roles] = outputs else { return Err(Invalid::new("not asked for")) };
    // A function can vanish while it is read; whoever could not run at all said nothing.
    if attributes.stdout.is_empty() && attributes.code != 0 {
        return Err(text::failed(attributes, "find"));
    }
    let places = text::good(places, "find")?;
    let drivers = text::good(drivers, "find")?;
    let mut raw: BTreeMap<PciAddress, BTreeMap<&str, &str>> = BTreeMap::new();
    let attributes = String::from_utf8_lossy(&attributes.stdout);
    for line in attributes.lines() {
        let Some((address, attribute)) = below(line) else { continue };
        let Some((name, value)) = attribute.split_once(':') else { continue };
        raw.entry(address).or_default().insert(name, value.trim());
    }
    let mut bus = PciBus::default();
    for (address, attributes) in &raw {
        bus.functions.insert(address.clone(), function(address, attributes)?);
    }
    let marks = String::from_utf8_lossy(&marks.stdout);
    for (address, mark) in marks.lines().filter_map(below) {
        let Some(function) = bus.functions.get_mut(&address) else { continue };
        match mark {
            "pci_bus" => function.bridge = true,
            "physfn" => function.virtual_function = true,
            "reset" => function.can_reset = true,
            _ => {}
        }
    }
    for place in places.lines() {
        let mut way = way(place);
        let Some(function) = way.pop().and_then(|address| bus.functions.get_mut(&address)) else { continue };
        function.parent = way.pop();
    }
    for line in drivers.lines() {
        let Some((driver, address)) = line.strip_prefix("/sys/bus/pci/drivers/").and_then(|rest| rest.split_once('/'))
        else {
            continue;
        };
        let Some(function) = address.parse().ok().and_then(|at: PciAddress| bus.functions.get_mut(&at)) else {
            continue;
        };
        function.driver = Some(driver.to_owned());
    }
    // Classes that no device has are no directories: `find` says so, and lists the others.
    for line in String::from_utf8_lossy(&roles.stdout).lines() {
        let Some((path, target)) = line.split_once(' ') else { continue };
        let Some(function) = way(target).pop().and_then(|address| bus.functions.get_mut(&address)) else { continue };
        let (class, name) = path.rsplit_once('/').unwrap_or_default();
        let name = name.to_owned();
        match class {
            "/sys/block" | "/sys/class/nvme" => function.roles.insert(PciRole::Disk(name)),
            "/sys/class/net" => function.roles.insert(PciRole::Network(name)),
            // Connectors are no cards of their own.
            "/sys/class/drm" if name.contains('-') => false,
            "/sys/class/drm" | "/sys/class/graphics" => function.roles.insert(PciRole::Display(name)),
            _ => false,
        };
    }
    if bus.functions.is_empty() {
        return Err(Invalid::new("there is no function in /sys/bus/pci/devices"));
    }
    Ok(bus)
}

/// The function that a path below the list of devices is of, and the rest of the path.
fn below(line: &str) -> Option<(PciAddress, &str)> {
    let (address, rest) = line.strip_prefix(DEVICES)?.split_once('/')?;
    Some((address.parse().ok()?, rest))
}

/// Functions on the way to a place, as in `../../../devices/pci0000:00/0000:00:08.0/0000:01:00.0`.
fn way(path: &str) -> Vec<PciAddress> {
    path.split('/').filter_map(|part| part.parse::<PciAddress>().ok()).filter(|at| at.function().is_some()).collect()
}

fn function(address: &PciAddress, attributes: &BTreeMap<&str, &str>) -> Result<PciFunction, Invalid> {
    let missing = |name: &str| Invalid::new(format!("{DEVICES}{address}/{name} could not be read"));
    let hex = |name: &str| {
        let value = attributes.get(name)?;
        u32::from_str_radix(value.strip_prefix("0x").unwrap_or(value), 16).ok()
    };
    let id = |vendor: &str, device: &str| format!("{:04x}:{:04x}", hex(vendor)?, hex(device)?).parse().ok();
    let text = |name: &str| attributes.get(name).copied().filter(|value| !value.is_empty());
    let owned = |name: &str| text(name).map(str::to_owned);
    let lanes = |name: &str| text(name)?.parse::<u8>().ok().filter(|lanes| (1..=32).contains(lanes));
    let speed = |name: &str| owned(name).filter(|speed| !speed.starts_with("Unknown"));
    let mut function = PciFunction::new(
        id("vendor", "device").ok_or_else(|| missing("vendor"))?,
        hex("class").filter(|class| *class <= 0x00ff_ffff).ok_or_else(|| missing("class"))?,
    );
    function.subsystem = id("subsystem_vendor", "subsystem_device").filter(|board| board.vendor != 0);
    function.driver_override = owned("driver_override").filter(|driver| driver != "(null)");
    function.boot_vga = text("boot_vga").map(|flag| flag == "1");
    function.reset_methods = text("reset_method").unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    function.link = lanes("max_link_width").map(|max_width| PciLink {
        width: lanes("current_link_width"),
        max_width,
        speed: speed("current_link_speed"),
        max_speed: speed("max_link_speed"),
    });
    function.d3cold_allowed = text("d3cold_allowed").map(|flag| flag == "1");
    function.power_state = owned("power_state");
    function.numa_node = text("numa_node").and_then(|node| node.parse().ok());
    // A serial of zeros or ones is that of a card without one.
    let is_serial = |serial: &String| serial.bytes().any(|b| b.is_ascii_alphanumeric() && b != b'0' && b != b'f');
    function.serial = owned("serial_number").or_else(|| owned("unique_id")).filter(is_serial);
    Ok(function)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::output;

    const ATTRIBUTES: &str = "\
/sys/bus/pci/devices/0000:00:01.0/vendor:0x8086
/sys/bus/pci/devices/0000:00:01.0/device:0x460d
/sys/bus/pci/devices/0000:00:01.0/class:0x060400
/sys/bus/pci/devices/0000:00:01.0/subsystem_vendor:0x0000
/sys/bus/pci/devices/0000:00:01.0/subsystem_device:0x0000
/sys/bus/pci/devices/0000:00:01.0/max_link_width:16
/sys/bus/pci/devices/0000:00:01.0/current_link_width:16
/sys/bus/pci/devices/0000:01:00.0/vendor:0x10de
/sys/bus/pci/devices/0000:01:00.0/device:0x2684
/sys/bus/pci/devices/0000:01:00.0/subsystem_vendor:0x1043
/sys/bus/pci/devices/0000:01:00.0/subsystem_device:0x88ec
/sys/bus/pci/devices/0000:01:00.0/class:0x030000
/sys/bus/pci/devices/0000:01:00.0/driver_override:(null)
/sys/bus/pci/devices/0000:01:00.0/boot_vga:1
/sys/bus/pci/devices/0000:01:00.0/reset_method:flr bus
/sys/bus/pci/devices/0000:01:00.0/current_link_width:8
/sys/bus/pci/devices/0000:01:00.0/max_link_width:16
/sys/bus/pci/devices/0000:01:00.0/current_link_speed:2.5 GT/s PCIe
/sys/bus/pci/devices/0000:01:00.0/max_link_speed:16.0 GT/s PCIe
/sys/bus/pci/devices/0000:01:00.0/numa_node:-1
/sys/bus/pci/devices/10000:e1:00.0/vendor:0x144d
/sys/bus/pci/devices/10000:e1:00.0/device:0xa80a
/sys/bus/pci/devices/10000:e1:00.0/class:0x010802
/sys/bus/pci/devices/10000:e1:00.0/current_link_width:255
/sys/bus/pci/devices/10000:e1:00.0/max_link_width:4
";

    fn bus() -> PciBus {
        let marks = "/sys/bus/pci/devices/0000:00:01.0/pci_bus\n/sys/bus/pci/devices/0000:01:00.0/reset\n";
        let places = "../../../devices/pci0000:00/0000:00:01.0\n\
                      ../../../devices/pci0000:00/0000:00:01.0/0000:01:00.0\n\
                      ../../../devices/pci0000:00/0000:00:0e.0/pci10000:e0/10000:e0:06.0/10000:e1:00.0\n";
        let drivers = "/sys/bus/pci/drivers/vfio-pci/0000:01:00.0\n/sys/bus/pci/drivers/pcieport/0000:00:01.0\n";
        let roles = "/sys/block/nvme0n1 ../devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1\n\
                     /sys/class/nvme/nvme0 ../../devices/pci0000:00/0000:00:0e.0/pci10000:e0/10000:e0:06.0/10000:e1:00.0/nvme/nvme0\n\
                     /sys/class/drm/card0-HDMI-A-1 ../../devices/pci0000:00/0000:00:01.0/0000:01:00.0/drm/card0/card0-HDMI-A-1\n";
        read(&[
            output(1, ATTRIBUTES, ""),
            output(0, marks, ""),
            output(0, places, ""),
            output(0, drivers, ""),
            output(1, roles, "find: ‘/sys/class/graphics’: No such file or directory\n"),
        ])
        .unwrap()
    }

    #[test]
    fn a_function_is_read_with_its_place_its_driver_and_its_role() {
        let bus = bus();
        let at = |address: &str| &bus.functions[&address.parse().unwrap()];
        let gpu = at("0000:01:00.0");
        assert_eq!((gpu.id.to_string().as_str(), gpu.class, gpu.boot_vga), ("10de:2684", 0x03_0000, Some(true)));
        assert_eq!(gpu.subsystem.unwrap().to_string(), "1043:88ec");
        assert_eq!(gpu.driver.as_deref(), Some("vfio-pci"));
        assert_eq!((gpu.driver_override.as_deref(), gpu.numa_node, gpu.can_reset), (None, None, true));
        assert_eq!(gpu.parent.as_ref().unwrap().to_string(), "0000:00:01.0");
        assert_eq!(gpu.reset_methods, ["flr", "bus"]);
        assert_eq!(gpu.link.as_ref().map(|link| (link.width, link.max_width)), Some((Some(8), 16)));
        assert!(gpu.roles.is_empty(), "a connector is no card");
        let port = at("0000:00:01.0");
        assert!(port.bridge && port.subsystem.is_none() && port.parent.is_none() && port.reset_methods.is_empty());
    }

    #[test]
    fn a_disk_behind_vmd_is_known_and_a_sleeping_link_has_no_width() {
        let bus = bus();
        let nvme = &bus.functions[&"10000:e1:00.0".parse().unwrap()];
        assert_eq!(nvme.roles.iter().map(PciRole::name).collect::<Vec<_>>(), ["nvme0"]);
        assert_eq!(nvme.link.as_ref().unwrap().width, None);
    }

    #[test]
    fn what_cannot_be_read_is_said_and_no_empty_bus() {
        let none = || output(0, "", "");
        let missing = output(127, "", "sh: 1: find: not found\n");
        assert!(read(&[missing, none(), none(), none(), none()]).unwrap_err().problem.contains("not found"));
        assert!(read(&[none(), none(), none(), none(), none()]).is_err());
        let half = output(0, "/sys/bus/pci/devices/0000:01:00.0/vendor:0x10de\n", "");
        assert!(read(&[half, none(), none(), none(), none()]).is_err());
    }
}
