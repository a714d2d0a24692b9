//! Serial numbers of zones.

use jiff::civil::Date;

/// The serial after `previous`: the day's first (`2025101300`, RFC 1912 §2.2) where that is ahead of it, else one more.
///
/// Serials are compared in a circle (RFC 1982), so one of a clock that was wrong, or of another scheme, is still left
/// behind; 0 is left out, as some servers take it for none.
#[must_use]
pub fn next_serial(previous: Option<u32>, today: Date) -> u32 {
    let number = |part: i8| u32::from(part.unsigned_abs());
    let year = u32::from(today.year().unsigned_abs());
    let first = ((year * 100 + number(today.month())) * 100 + number(today.day())) * 100;
    match previous {
        None => first,
        Some(previous) if ahead(first, previous) => first,
        Some(previous) => previous.checked_add(1).unwrap_or(1),
    }
}

/// Whether a secondary that has `other` takes `serial` for newer.
fn ahead(serial: u32, other: u32) -> bool {
    let distance = serial.wrapping_sub(other);
    distance != 0 && distance < 1 << 31
}

/// The serial of a zone file that we wrote; `None` if it is another's.
#[must_use]
pub fn serial_of(zone_file: &str) -> Option<u32> {
    zone_file.lines().find_map(|line| line.strip_suffix(" ; serial")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_day_leads_and_never_goes_back() {
        let today = date(2025, 10, 13);
        assert_eq!(next_serial(None, today), 2_025_101_300);
        assert_eq!(next_serial(Some(2_025_101_200), today), 2_025_101_300);
        assert_eq!(next_serial(Some(2_025_101_311), today), 2_025_101_312, "the twelfth change of the day");
        assert_eq!(next_serial(Some(2_025_101_399), today), 2_025_101_400, "more than a hundred changes");
        assert_eq!(next_serial(Some(2_031_010_100), today), 2_031_010_101, "a clock was wrong");
        assert_eq!(next_serial(Some(7), today), 2_025_101_300, "counted from one before");
        assert_eq!(next_serial(Some(u32::MAX), today), 2_025_101_300, "the circle goes on from there");
    }

    proptest! {
        #[test]
        fn a_secondary_always_takes_the_new_one(previous in any::<u32>(), day in 1_i8..=28, year in 2025_i16..=2099) {
            let next = next_serial(Some(previous), date(year, 6, day));
            prop_assert!(ahead(next, previous), "{previous} -> {next}");
            prop_assert_ne!(next, 0);
        }
    }
}
