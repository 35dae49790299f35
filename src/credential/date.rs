//! Dates of the registry and of the audit trail: UTC, in the form of RFC 3339.

/// Seconds of a day.
pub const DAY_S: u64 = 86_400;

const MONTHS: [u64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// Seconds since 1970 of a date (`2026-11-26`, which is its first second) or of a time (`2026-11-26T08:30:00Z`). `None`
/// for everything else, and for years before 1970 and after 9999.
pub fn parse(text: &str) -> Option<u64> {
    let (date, time) = match text.split_once('T') {
        Some((date, time)) => (date, time.strip_suffix('Z')?),
        None => (text, "00:00:00"),
    };
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    let month_index = usize::try_from(month.checked_sub(1)?).ok()?;
    let longest = days_of_month(year, month_index)?;
    if year < 1970 || !(1..=longest).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = (1970..year).map(days_of_year).sum::<u64>();
    let days = (0..month_index).filter_map(|before| days_of_month(year, before)).fold(days, u64::saturating_add);
    let days = days.saturating_add(day.saturating_sub(1));
    let hours = days.saturating_mul(24).saturating_add(hour);
    Some(hours.saturating_mul(60).saturating_add(minute).saturating_mul(60).saturating_add(second))
}

/// The time of `seconds` since 1970, as [`parse`] reads it; after the year 9999 its last second.
pub fn show(seconds: u64) -> String {
    let mut days = seconds.checked_div(DAY_S).unwrap_or_default();
    let rest = seconds.checked_rem(DAY_S).unwrap_or_default();
    let mut year = 1970;
    while let Some(left) = days.checked_sub(days_of_year(year)) {
        if year == 9999 {
            return "9999-12-31T23:59:59Z".to_owned();
        }
        (days, year) = (left, year.saturating_add(1));
    }
    let mut month = 0;
    while let Some(left) = days_of_month(year, month).and_then(|length| days.checked_sub(length)) {
        (days, month) = (left, month.saturating_add(1));
    }
    let part = |of: u64, every: u64| rest.checked_div(every).unwrap_or_default().checked_rem(of).unwrap_or_default();
    let (month, day) = (month.saturating_add(1), days.saturating_add(1));
    format!("{year}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", part(24, 3600), part(60, 60), part(60, 1))
}

/// Three numbers with exactly so many digits each.
fn numbers(text: &str, separator: char, digits: [usize; 3]) -> Option<[u64; 3]> {
    let mut parts = text.split(separator);
    let mut next = |digits: usize| {
        let part = parts.next().filter(|p| p.len() == digits && p.bytes().all(|b| b.is_ascii_digit()))?;
        part.parse().ok()
    };
    let [first, second, third] = digits;
    let found = [next(first)?, next(second)?, next(third)?];
    parts.next().is_none().then_some(found)
}

fn is_leap(year: u64) -> bool {
    (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400)
}

fn days_of_year(year: u64) -> u64 {
    if is_leap(year) { 366 } else { 365 }
}

/// `month` counts from 0.
fn days_of_month(year: u64, month: usize) -> Option<u64> {
    if month == 1 && is_leap(year) { Some(29) } else { MONTHS.get(month).copied() }
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_family = "wasm", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn known_dates_are_read_and_shown() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T12:00:00Z", 951_825_600),
            ("2026-11-26T08:30:15Z", 1_795_681_815),
            ("2100-03-01T00:00:00Z", 4_107_542_400),
            ("9999-12-31T23:59:59Z", 253_402_300_799),
        ] {
            assert_eq!(parse(text), Some(seconds), "{text}");
            assert_eq!(show(seconds), text);
        }
        assert_eq!(parse("2026-11-26"), parse("2026-11-26T00:00:00Z"));
        assert_eq!(show(u64::MAX), "9999-12-31T23:59:59Z");
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "2026",
            "2026-13-01",
            "2026-00-01",
            "2026-02-29",
            "2026-04-31",
            "1969-12-31",
            "2026-11-26T08:30:00",
            "2026-11-26T08:30:00+01:00",
            "2026-11-26T24:00:00Z",
            "2026-11-26T00:60:00Z",
            "2026-11-26 08:30:00Z",
            "26-11-26",
            "2026-11-2",
            "2026-11-26-1",
            "+026-11-26",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[cfg(not(target_family = "wasm"))]
    proptest::proptest! {
        #[test]
        fn every_second_comes_back(seconds in 0u64..=253_402_300_799) {
            proptest::prop_assert_eq!(parse(&show(seconds)), Some(seconds));
        }
    }
}
