//! Devices that hosts usually have, for scenarios made in code.

use std::collections::BTreeMap;

use super::world::PciDevice;

/// A PCI function in few words.
fn device(
    class: &str,
    id: (&str, &str),
    names: (&str, &str),
    subsystem: (&str, &str),
    group: i32,
    driver: &str,
) -> PciDevice {
    PciDevice {
        class: class.to_owned(),
        vendor: id.0.to_owned(),
        device: id.1.to_owned(),
        vendor_name: Some(names.0.to_owned()),
        device_name: Some(names.1.to_owned()),
        subsystem_vendor: subsystem.0.to_owned(),
        subsystem_device: subsystem.1.to_owned(),
        iommu_group: group,
        driver: (!driver.is_empty()).then(|| driver.to_owned()),
        ..PciDevice::default()
    }
}

/// A graphics card and its sound function, in one IOMMU group.
#[must_use]
pub fn graphics_card(slot: &str, id: (&str, &str), name: &str, group: i32) -> BTreeMap<String, PciDevice> {
    let (vendor, maker) =
        (id.0, if id.0 == "10de" { "NVIDIA Corporation" } else { "Advanced Micro Devices, Inc. [AMD/ATI]" });
    let (audio, audio_name) =
        if id.0 == "10de" { ("22ba", "High Definition Audio Controller") } else { ("ab38", "HDMI/DP Audio") };
    BTreeMap::from([
        (format!("{slot}.0"), device("030000", id, (maker, name), ("1043", "88ec"), group, "vfio-pci")),
        (
            format!("{slot}.1"),
            device("040300", (vendor, audio), (maker, audio_name), ("1043", "88ec"), group, "vfio-pci"),
        ),
    ])
}

/// What every board has: bridges, an NVMe drive, a network card, and the processor's own graphics, which the
/// firmware shows its messages on.
#[must_use]
pub fn board() -> BTreeMap<String, PciDevice> {
    BTreeMap::from([
        (
            "0000:00:00.0".to_owned(),
            device(
                "060000",
                ("1022", "14d8"),
                ("Advanced Micro Devices, Inc. [AMD]", "Raphael/Granite Ridge Root Complex"),
                ("1043", "8877"),
                0,
                "",
            ),
        ),
        (
            "0000:00:01.1".to_owned(),
            device(
                "060400",
                ("1022", "14db"),
                ("Advanced Micro Devices, Inc. [AMD]", "Raphael/Granite Ridge GPP Bridge"),
                ("1022", "1453"),
                1,
                "pcieport",
            ),
        ),
        (
            "0000:02:00.0".to_owned(),
            device(
                "010802",
                ("144d", "a80c"),
                ("Samsung Electronics Co Ltd", "NVMe SSD Controller S4LV008[Pascal]"),
                ("144d", "a801"),
                15,
                "nvme",
            ),
        ),
        (
            "0000:05:00.0".to_owned(),
            device(
                "020000",
                ("8086", "15f3"),
                ("Intel Corporation", "Ethernet Controller I225-V"),
                ("1043", "87d2"),
                17,
                "igc",
            ),
        ),
        (
            "0000:0f:00.0".to_owned(),
            PciDevice {
                boot_vga: true,
                ..device(
                    "030000",
                    ("1002", "164e"),
                    ("Advanced Micro Devices, Inc. [AMD/ATI]", "Raphael"),
                    ("1043", "8877"),
                    26,
                    "amdgpu",
                )
            },
        ),
    ])
}

/// Who makes what, as the id database has it.
const VENDORS: &[(&str, &str)] = &[
    ("1000", "Broadcom / LSI"),
    ("1002", "Advanced Micro Devices, Inc. [AMD/ATI]"),
    ("1022", "Advanced Micro Devices, Inc. [AMD]"),
    ("1028", "Dell"),
    ("1043", "ASUSTeK Computer Inc."),
    ("10de", "NVIDIA Corporation"),
    ("10ec", "Realtek Semiconductor Co., Ltd."),
    ("144d", "Samsung Electronics Co Ltd"),
    ("1458", "Gigabyte Technology Co., Ltd"),
    ("1462", "Micro-Star International Co., Ltd. [MSI]"),
    ("15ad", "VMware"),
    ("15b3", "Mellanox Technologies"),
    ("15b7", "Sandisk Corp"),
    ("15d9", "Super Micro Computer Inc"),
    ("1849", "ASRock Incorporation"),
    ("1af4", "Red Hat, Inc."),
    ("1b21", "ASMedia Technology Inc."),
    ("1b4b", "Marvell Technology Group Ltd."),
    ("8086", "Intel Corporation"),
];

/// Name of a vendor by its four hex digits.
#[must_use]
pub fn vendor_name(id: &str) -> Option<&'static str> {
    VENDORS.iter().find(|(known, _)| *known == id).map(|(_, name)| *name)
}
