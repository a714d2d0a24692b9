//! The kernel command line in `/etc/kernel/cmdline`: one line of words.
//!
//! Words are cut out of it and put at its end; every other byte stays. Entry: [`edit`].

/// Cuts out every word that is `unwanted`, with the space beside it, and appends those that are `missing`.
///
/// # Errors
/// When there is more than one line that holds anything: `proxmox-boot-tool` wants one
/// (pve-docs, `system-booting.adoc`).
pub fn edit(text: &str, unwanted: &dyn Fn(&str) -> bool, missing: &[String]) -> Result<String, String> {
    if text.lines().filter(|line| !line.trim().is_empty()).count() > 1 {
        return Err("it has more than one line, and must be one".to_owned());
    }
    let mut out = String::with_capacity(text.len() + 64);
    // Behind the last word that stays.
    let mut end = 0;
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| !c.is_whitespace()) {
        let length = rest[start..].find(char::is_whitespace).unwrap_or(rest.len() - start);
        let (blank, word) = (&rest[..start], &rest[start..start + length]);
        rest = &rest[start + length..];
        if unwanted(word) {
            // At the very beginning the space that follows goes with it, else the one before.
            if out.is_empty() {
                rest = rest.trim_start_matches([' ', '\t']);
                out.push_str(blank);
            }
            continue;
        }
        out.push_str(blank);
        out.push_str(word);
        end = out.len();
    }
    for word in missing {
        let space = if out[..end].trim().is_empty() { "" } else { " " };
        out.insert_str(end, &format!("{space}{word}"));
        end += space.len() + word.len();
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn off(word: &str) -> bool {
        word == "iommu=off"
    }

    fn with(text: &str, missing: &[&str]) -> Result<String, String> {
        edit(text, &off, &missing.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn words_go_and_come_and_the_line_end_stays() {
        for (before, missing, after) in [
            (
                "root=ZFS=rpool/ROOT/pve-1 boot=zfs\n",
                &["iommu=pt"][..],
                "root=ZFS=rpool/ROOT/pve-1 boot=zfs iommu=pt\n",
            ),
            (
                "root=ZFS=rpool/ROOT/pve-1 boot=zfs",
                &["iommu=pt", "quiet"],
                "root=ZFS=rpool/ROOT/pve-1 boot=zfs iommu=pt quiet",
            ),
            ("iommu=off root=x\n", &[], "root=x\n"),
            ("root=x  iommu=off  quiet\r\n", &[], "root=x  quiet\r\n"),
            ("root=x iommu=off\n", &["iommu=pt"], "root=x iommu=pt\n"),
            ("iommu=off", &["a"], "a"),
            ("", &["a"], "a"),
            ("\n", &["a"], "a\n"),
        ] {
            assert_eq!(with(before, missing).as_deref(), Ok(after), "{before:?}");
        }
        assert!(with("root=x\nquiet\n", &[]).is_err());
    }

    proptest! {
        #[test]
        fn whatever_the_line_its_other_words_stay_in_order(text in "([a-z=/é.,-]{1,6}|iommu=off|[ \t]{1,3}){0,20}(\r?\n)?") {
            prop_assert_eq!(edit(&text, &|_| false, &[]).unwrap(), text.as_str());
            let missing = ["iommu=pt".to_owned()];
            let once = edit(&text, &off, &missing).unwrap();
            prop_assert_eq!(edit(&once, &off, &[]).unwrap(), once.as_str());
            let mut expected: Vec<&str> = text.split_whitespace().filter(|word| !off(word)).collect();
            expected.push("iommu=pt");
            prop_assert_eq!(once.split_whitespace().collect::<Vec<_>>(), expected);
            prop_assert_eq!(text.ends_with('\n'), once.ends_with('\n'));
        }
    }
}
