//! Amounts as people read them.

/// Bytes with one decimal: `4.0 GiB`.
pub(super) fn bytes(bytes: u64) -> String {
    let tenths = |unit: u64| bytes.saturating_mul(10) / unit;
    let (tenths, unit) = match bytes {
        0..0x4000_0000 => (tenths(1 << 20), "MiB"),
        0x4000_0000..0x100_0000_0000 => (tenths(1 << 30), "GiB"),
        _ => (bytes / (1 << 30) * 10 / (1 << 10), "TiB"),
    };
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

/// Days of a time in seconds, which may lie in the future where a clock is wrong.
pub(super) fn days(seconds: i64) -> i64 {
    seconds.div_euclid(86_400)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_one_decimal_and_a_binary_unit() {
        assert_eq!(bytes(1536 << 20), "1.5 GiB");
        assert_eq!(bytes(900 << 20), "900.0 MiB");
        assert_eq!(bytes(3 << 40), "3.0 TiB");
        assert_eq!(bytes(u64::MAX).len(), "16777215.9 TiB".len());
        assert_eq!((days(86_399), days(86_400), days(-1)), (0, 1, -1));
    }
}
