//! Modules in the running kernel.

use super::super::text;
use crate::diag::Invalid;
use crate::model::machine::LoadedModules;
use crate::ports::Output;

/// Asks for them, and whether the running kernel knows `vfio_virqfd`, which guides still list.
pub const COMMANDS: &[&[&str]] = &[
    &["cat", "/proc/modules"],
    &["modinfo", "-F", "name", "vfio_virqfd"],
    &[
        "find",
        "/sys/module/vfio_pci/parameters",
        "/sys/module/vfio_iommu_type1/parameters",
        "/sys/module/zfs/parameters/zfs_arc_max",
        "/sys/module/zfs/parameters/zfs_arc_min",
        "-type",
        "f",
        "-exec",
        "grep",
        "-H",
        ".",
        "{}",
        "+",
    ],
];

/// Reads them.
///
/// # Errors
/// When the list of modules could not be read.
pub fn read(outputs: &[Output]) -> Result<LoadedModules, Invalid> {
    let [loaded, known, parameters] = outputs else { return Err(Invalid::new("not asked for")) };
    let mut modules = LoadedModules::default();
    for line in text::good(loaded, "cat")?.lines() {
        let name = line.split(' ').next().unwrap_or_default();
        if !name.is_empty() {
            modules.loaded.insert(name.to_owned());
        }
    }
    if known.code == 0 || text::stderr(known).contains("not found") && known.code == 1 {
        modules.known.insert("vfio_virqfd".to_owned(), known.code == 0);
    }
    for line in String::from_utf8_lossy(&parameters.stdout).lines() {
        let Some((path, value)) = line.split_once(':') else { continue };
        let parts: Vec<&str> = path.trim_start_matches("/sys/module/").split('/').collect();
        if let [module, "parameters", parameter] = parts[..] {
            let module = modules.parameters.entry(module.to_owned()).or_default();
            module.insert(parameter.to_owned(), value.to_owned());
        }
    }
    Ok(modules)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::output;

    #[test]
    fn loaded_and_known_modules_and_their_parameters() {
        let loaded = "vfio_pci 16384 1 - Live 0x0000000000000000\nzfs 6000000 9 - Live 0x0 (PO)\n";
        let known = output(1, "", "modinfo: ERROR: Module vfio_virqfd not found.\n");
        let parameters = "/sys/module/vfio_pci/parameters/disable_vga:Y\n/sys/module/zfs/parameters/zfs_arc_max:0\n";
        let modules = read(&[output(0, loaded, ""), known, output(1, parameters, "find: no\n")]).unwrap();
        assert!(modules.loaded.contains("vfio_pci") && !modules.loaded.contains("vfio"));
        assert!(!modules.known["vfio_virqfd"]);
        let nobody = output(127, "", "sh: 1: modinfo: not found\n");
        let unknown = read(&[output(0, loaded, ""), nobody, output(1, "", "")]).unwrap();
        assert!(unknown.known.is_empty());
        assert_eq!(modules.parameters["vfio_pci"]["disable_vga"], "Y");
        assert_eq!(modules.parameters["zfs"]["zfs_arc_max"], "0");
        let denied = output(1, "", "cat: /proc/modules: Permission denied\n");
        assert!(read(&[denied, output(0, "", ""), output(0, "", "")]).is_err());
    }
}
