//! `/nodes/N/hardware`: what is plugged in.

use serde_json::{Value, json};

use super::super::hardware::vendor_name;
use super::endpoint::Access::{All, Any};
use super::param::{Kind, Param, optional as o};
use super::{Answer, Call, Endpoint, Refusal};
use crate::ports::Method::Get;

const PCI: &[Param] = &[o("pci-class-blacklist", Kind::Text), o("verbose", Kind::Bool)];

/// The rows of this area.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(Get, "/nodes/{node}/hardware", &[], All, index),
    Endpoint::new(Get, "/nodes/{node}/hardware/pci", &[PCI], Any("/", &["Sys.Audit", "Sys.Modify"]), pci),
    Endpoint::new(Get, "/nodes/{node}/hardware/pci/{pci-id-or-mapping}", &[], All, methods),
    Endpoint::new(Get, "/nodes/{node}/hardware/usb", &[], Any("/", &["Sys.Modify"]), usb),
];

fn index(_: &mut Call<'_>) -> Result<Answer, Refusal> {
    Ok(json!([{"type": "pci"}, {"type": "usb"}]).into())
}

fn methods(_: &mut Call<'_>) -> Result<Answer, Refusal> {
    Ok(json!([{"method": "mdev"}]).into())
}

fn usb(_: &mut Call<'_>) -> Result<Answer, Refusal> {
    Ok(json!([]).into())
}

fn pci(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    // Memory controllers, bridges and processors are left out unless the list is given as empty.
    let blacklist: Vec<String> = match call.values.get("pci-class-blacklist") {
        None => ["05", "06", "0b"].iter().map(|c| (*c).to_owned()).collect(),
        Some(list) => super::split_list(list).map(str::to_ascii_lowercase).collect(),
    };
    let verbose = call.values.get("verbose").is_none_or(|v| v == "1");
    let node = &call.world.nodes[call.var("node")];
    let shown = node.pci.iter().filter(|(_, d)| !blacklist.iter().any(|class| d.class.starts_with(class.as_str())));
    let rows = shown
        .map(|(id, device)| {
            if !verbose {
                return json!({"id": id});
            }
            let mut row = json!({
                "id": id, "class": format!("0x{}", device.class), "vendor": format!("0x{}", device.vendor),
                "device": format!("0x{}", device.device), "iommugroup": node.iommu_group(id).map_or(-1, i64::from),
            });
            // Some devices have no subsystem.
            if !device.subsystem_vendor.is_empty() {
                row["subsystem_vendor"] = json!(format!("0x{}", device.subsystem_vendor));
                row["subsystem_device"] = json!(format!("0x{}", device.subsystem_device));
            }
            let names = [
                ("vendor_name", device.vendor_name.as_deref().or(vendor_name(&device.vendor))),
                ("device_name", device.device_name.as_deref()),
                ("subsystem_vendor_name", vendor_name(&device.subsystem_vendor)),
                ("subsystem_device_name", device.subsystem_device_name.as_deref()),
            ];
            for (key, value) in names {
                if let Some(value) = value {
                    row[key] = json!(value);
                }
            }
            row
        })
        .collect();
    Ok(Value::Array(rows).into())
}
