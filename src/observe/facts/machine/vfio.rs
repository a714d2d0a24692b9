//! What hands devices to virtual machines.

use super::super::text;
use crate::diag::Invalid;
use crate::model::machine::Vfio;
use crate::ports::Output;

/// Asks for it.
pub const COMMANDS: &[&[&str]] = &[
    &["find", "/sys/module", "-mindepth", "1", "-maxdepth", "1", "-name", "vfio*"],
    &["cat", "/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts"],
];

/// Reads it.
///
/// # Errors
/// When the list of modules could not be read.
pub fn read(outputs: &[Output]) -> Result<Vfio, Invalid> {
    let [modules, unsafe_interrupts] = outputs else { return Err(Invalid::new("not asked for")) };
    let modules = text::good(modules, "find")?;
    Ok(Vfio {
        modules: modules.lines().filter_map(|line| line.strip_prefix("/sys/module/")).map(str::to_owned).collect(),
        allow_unsafe_interrupts: match text::file(unsafe_interrupts)?.as_deref().map(str::trim) {
            Some("Y" | "1") => Some(true),
            Some("N" | "0") => Some(false),
            _ => None,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::output;

    #[test]
    fn a_module_that_is_not_loaded_has_no_parameter() {
        let loaded = output(0, "/sys/module/vfio\n/sys/module/vfio_pci\n/sys/module/vfio_iommu_type1\n", "");
        let vfio = read(&[loaded, output(0, "Y\n", "")]).unwrap();
        assert!(vfio.modules.contains("vfio_pci"));
        assert_eq!(vfio.allow_unsafe_interrupts, Some(true));
        let none = output(1, "", "cat: /sys/module/x: No such file or directory\n");
        assert_eq!(read(&[output(0, "", ""), none]).unwrap(), Vfio::default());
        let denied = output(1, "", "cat: /sys/module/x: Permission denied\n");
        assert!(read(&[output(0, "", ""), denied]).is_err());
    }
}
