//! What QEMU of this host can be: processor models and machine types.

use serde_json::{Value, json};

use super::super::world::Version;
use super::endpoint::Access::All;
use super::param::{Kind, Param, since_9};
use super::{Answer, Call, Endpoint, Refusal};
use crate::ports::Method::Get;

const ARCH: &[Param] = &[since_9("arch", Kind::Enum(&["x86_64", "aarch64"]))];

/// The rows of this area.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(Get, "/nodes/{node}/capabilities/qemu/machines", &[ARCH], All, machines),
    Endpoint::new(Get, "/nodes/{node}/capabilities/qemu/cpu", &[ARCH], All, models),
];

/// Models of AuthenticAMD.
const AMD: &[&str] = &[
    "EPYC",
    "EPYC-Genoa",
    "EPYC-Genoa-v2",
    "EPYC-IBPB",
    "EPYC-Milan",
    "EPYC-Milan-v2",
    "EPYC-Milan-v3",
    "EPYC-Rome",
    "EPYC-Rome-v2",
    "EPYC-Rome-v3",
    "EPYC-Rome-v4",
    "EPYC-Rome-v5",
    "EPYC-Turin",
    "EPYC-v3",
    "EPYC-v4",
    "EPYC-v5",
    "Opteron_G1",
    "Opteron_G2",
    "Opteron_G3",
    "Opteron_G4",
    "Opteron_G5",
    "athlon",
    "phenom",
];
/// Models of GenuineIntel.
const INTEL: &[&str] = &[
    "486",
    "Broadwell",
    "Broadwell-IBRS",
    "Broadwell-noTSX",
    "Broadwell-noTSX-IBRS",
    "Cascadelake-Server",
    "Cascadelake-Server-noTSX",
    "Cascadelake-Server-v2",
    "Cascadelake-Server-v4",
    "Cascadelake-Server-v5",
    "ClearwaterForest",
    "Conroe",
    "Cooperlake",
    "Cooperlake-v2",
    "GraniteRapids",
    "GraniteRapids-v2",
    "GraniteRapids-v3",
    "Haswell",
    "Haswell-IBRS",
    "Haswell-noTSX",
    "Haswell-noTSX-IBRS",
    "Icelake-Client",
    "Icelake-Client-noTSX",
    "Icelake-Server",
    "Icelake-Server-noTSX",
    "Icelake-Server-v3",
    "Icelake-Server-v4",
    "Icelake-Server-v5",
    "Icelake-Server-v6",
    "Icelake-Server-v7",
    "IvyBridge",
    "IvyBridge-IBRS",
    "KnightsMill",
    "Nehalem",
    "Nehalem-IBRS",
    "Penryn",
    "SandyBridge",
    "SandyBridge-IBRS",
    "SapphireRapids",
    "SapphireRapids-v2",
    "SapphireRapids-v3",
    "SapphireRapids-v4",
    "SierraForest",
    "SierraForest-v2",
    "SierraForest-v3",
    "Skylake-Client",
    "Skylake-Client-IBRS",
    "Skylake-Client-noTSX-IBRS",
    "Skylake-Client-v4",
    "Skylake-Server",
    "Skylake-Server-IBRS",
    "Skylake-Server-noTSX-IBRS",
    "Skylake-Server-v4",
    "Skylake-Server-v5",
    "Westmere",
    "Westmere-IBRS",
    "core2duo",
    "coreduo",
    "pentium",
    "pentium2",
    "pentium3",
];
/// Levels of the architecture.
const ABSTRACT: &[&str] = &["x86-64-v2", "x86-64-v2-AES", "x86-64-v3", "x86-64-v4"];
/// Models of default.
const GENERIC: &[&str] = &["host", "kvm32", "kvm64", "max", "qemu32", "qemu64"];

/// QEMU's machine versions, newest first, as far back as this QEMU goes.
const MACHINES: &[&str] = &[
    "10.1", "10.0", "9.2", "9.1", "9.0", "8.2", "8.1", "8.0", "7.2", "7.1", "7.0", "6.2", "6.1", "6.0", "5.2", "5.1",
    "5.0", "4.2", "4.1", "4.0.1", "4.0", "3.1", "3.0", "2.12", "2.11", "2.10", "2.9", "2.8", "2.7", "2.6", "2.5",
    "2.4",
];
/// What PVE changed in a machine version of its own.
const REVISIONS: &[(&str, &str, &str)] = &[
    ("10.0", "pve1", "Set host_mtu vNIC option even with default value for migration compat."),
    ("9.2", "pve1", "Disables S3/S4 power states by default."),
    ("4.1", "pve2", "Increases the number of SCSI drives supported."),
    ("4.1", "pve1", "Introduction of pveX versioning, no changes."),
];

fn machines(call: &mut Call<'_>) -> Result<Answer, Refusal> {
    let qemu = call.world.version.qemu();
    let newest = MACHINES.iter().position(|m| qemu.starts_with(&format!("{m}."))).unwrap_or_default();
    let mut rows = Vec::new();
    for version in &MACHINES[newest..] {
        for kind in ["i440fx", "q35"] {
            // QEMU mended 4.0 for q35 only.
            if *version == "4.0.1" && kind == "i440fx" {
                continue;
            }
            let row = |version: &str| json!({"id": format!("pc-{kind}-{version}"), "type": kind, "version": version});
            for (_, revision, changes) in REVISIONS.iter().filter(|(of, _, _)| of == version) {
                let mut row = row(&format!("{version}+{revision}"));
                if call.world.version >= Version::V9_1 {
                    row["changes"] = json!(changes);
                }
                rows.push(row);
            }
            rows.push(row(version));
        }
    }
    Ok(Value::Array(rows).into())
}

fn models(_: &mut Call<'_>) -> Result<Answer, Refusal> {
    let mut rows = Vec::new();
    for (vendor, names) in [("AuthenticAMD", AMD), ("GenuineIntel", INTEL), ("default", GENERIC)] {
        rows.extend(names.iter().map(|name| json!({"name": name, "vendor": vendor, "custom": 0})));
    }
    rows.extend(ABSTRACT.iter().map(|name| json!({"name": name, "vendor": "default", "custom": 0, "abstract": 1})));
    Ok(Value::Array(rows).into())
}
