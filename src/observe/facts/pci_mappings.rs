//! PCI mappings of a site.

use std::collections::BTreeMap;

use serde_json::Value;

use super::row::Row;
use crate::diag::Invalid;
use crate::model::MappingName;
use crate::model::observed::PciMapping;
use crate::ports::Request;
use crate::proxmox::endpoints;

/// Asks for them.
#[must_use]
pub fn request() -> Request {
    endpoints::PCI_MAPPINGS.at(&[]).request()
}

/// Reads them.
///
/// # Errors
/// When the answer is not understood.
pub fn read(data: &Value) -> Result<BTreeMap<MappingName, PciMapping>, Invalid> {
    Row::all(data)?
        .into_iter()
        .map(|row| {
            let mapping = PciMapping {
                description: row.text("description")?.unwrap_or_default(),
                map: row.texts("map")?,
                digest: row.text("digest")?,
            };
            Ok((row.need("id")?.parse()?, mapping))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_mapping_keeps_its_devices_as_written() {
        let data = json!([
            {"digest": "c9fc", "id": "gpu3", "type": "pci", "map": ["node=pve1,path=0000:01:00.0,id=10de:9999"]},
            {"digest": "c9fc", "id": "gpu", "description": "main gpu", "type": "pci",
             "map": ["node=pve1,path=0000:01:00,id=10de:2684,subsystem-id=1043:88ec,iommugroup=14"]},
        ]);
        let mappings = read(&data).unwrap();
        assert_eq!(mappings[&"gpu".parse().unwrap()].description, "main gpu");
        assert_eq!(mappings[&"gpu3".parse().unwrap()].map, ["node=pve1,path=0000:01:00.0,id=10de:9999"]);
    }
}
