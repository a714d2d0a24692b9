//! Lists of modules: `/etc/modules`, `modules-load.d`, `/etc/initramfs-tools/modules`.
//!
//! Lines go as a whole; every other byte stays. Entry: [`without`].

/// Leaves out every line that lists `module`; `-` and `_` are the same in a module's name.
pub fn without(text: &str, module: &str) -> String {
    text.split_inclusive('\n').filter(|line| !lists(line, module)).collect()
}

fn lists(line: &str, module: &str) -> bool {
    line.split_whitespace().next().is_some_and(|first| first.replace('-', "_") == module)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_line_that_lists_it_goes() {
        let edit = |text: &str| without(text, "vfio_virqfd");
        for (before, after) in [
            ("vfio\nvfio_virqfd\nvfio_pci\n", "vfio\nvfio_pci\n"),
            ("vfio\r\n vfio-virqfd\r\nvfio_pci", "vfio\r\nvfio_pci"),
            ("vfio_pci\nvfio_virqfd", "vfio_pci\n"),
            ("# vfio_virqfd\n", "# vfio_virqfd\n"),
            ("vfio_virqfd ids=1\n", ""),
            ("", ""),
        ] {
            assert_eq!(edit(before), after);
        }
    }

    proptest! {
        #[test]
        fn all_other_lines_stay_byte_for_byte(text in "(vfio_virqfd|vfio|#|[a-z \t\r\néü;]){0,40}") {
            let edited = without(&text, "vfio_virqfd");
            prop_assert_eq!(without(&edited, "vfio_virqfd"), edited.as_str());
            let kept: Vec<&str> = text.split_inclusive('\n').filter(|line| line.split_whitespace().next() != Some("vfio_virqfd")).collect();
            prop_assert_eq!(edited, kept.concat());
        }
    }
}
