//! Devices on a node's PCI bus.

use serde_json::Value;

use super::row::Row;
use crate::diag::Invalid;
use crate::model::observed::PciDevice;
use crate::model::{NodeName, PciId};
use crate::ports::Request;
use crate::proxmox::endpoints;

/// Asks for them. Bridges, memory controllers and processors are left out, as PVE does unasked: they
/// share IOMMU groups with devices without being in their way.
#[must_use]
pub fn request(node: &NodeName) -> Request {
    endpoints::NODE_PCI.at(&[node.as_str()]).request()
}

/// Reads them.
///
/// # Errors
/// When the answer is not understood.
pub fn read(data: &Value) -> Result<Vec<PciDevice>, Invalid> {
    let mut devices = Vec::new();
    for row in Row::all(data)? {
        let subsystem = match (row.text("subsystem_vendor")?, row.text("subsystem_device")?) {
            (Some(vendor), Some(device)) => Some(id(&vendor, &device)?),
            _ => None,
        };
        devices.push(PciDevice {
            address: row.need("id")?.parse()?,
            id: id(&row.need("vendor")?, &row.need("device")?)?,
            subsystem,
            // -1 where there is no IOMMU
            iommu_group: row.text("iommugroup")?.and_then(|group| group.parse().ok()),
            name: row.text("device_name")?,
        });
    }
    devices.sort_by(|a, b| a.address.cmp(&b.address));
    Ok(devices)
}

fn id(vendor: &str, device: &str) -> Result<PciId, Invalid> {
    let bare = |half: &str| half.trim_start_matches("0x").to_owned();
    format!("{}:{}", bare(vendor), bare(device)).parse()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_device_without_iommu_or_name_is_still_a_device() {
        let data = json!([
            {"class": "0x030000", "device": "0x2684", "device_name": "AD102 [GeForce RTX 4090]", "id": "0000:01:00.0", "iommugroup": 14,
             "subsystem_device": "0x88ec", "subsystem_vendor": "0x1043", "vendor": "0x10de", "vendor_name": "NVIDIA Corporation"},
            {"class": "0x020000", "device": "0x15f3", "id": "0000:00:03.0", "iommugroup": -1, "vendor": "0x8086"},
        ]);
        let [nic, gpu] = &read(&data).unwrap()[..] else { panic!("two devices") };
        assert_eq!((nic.iommu_group, nic.subsystem, &nic.name), (None, None, &None));
        assert_eq!((gpu.id.to_string(), gpu.iommu_group), ("10de:2684".into(), Some(14)));
        assert_eq!(gpu.subsystem.unwrap().to_string(), "1043:88ec");
    }
}
