//! Times of lines, and the part of a log that is asked for.

use std::ops::RangeInclusive;

use crate::credential::date;

/// Reads the times of lines. They stand close together, so that of a day's lines one pays for the calendar.
#[derive(Debug, Default)]
pub struct Clock {
    day: String,
    day_s: u64,
}

impl Clock {
    /// Milliseconds since 1970 of a time as RFC 3339 has it; `None` for everything else.
    pub fn ms(&mut self, text: &str) -> Option<u64> {
        let (day, time) = text.split_at_checked(10)?;
        if self.day != day {
            self.day_s = date::parse(day)?;
            self.day = day.to_owned();
        }
        let (clock, rest) = time.split_at_checked(9)?;
        let [_, h1, h0, b':', m1, m0, b':', s1, s0] = clock.as_bytes() else { return None };
        let two = |tens: &u8, ones: &u8| {
            let digit = |byte: &u8| u64::from(*byte).checked_sub(48).filter(|digit| *digit < 10);
            Some(digit(tens)?.saturating_mul(10).saturating_add(digit(ones)?))
        };
        let (hours, minutes, seconds) = (two(h1, h0)?, two(m1, m0)?, two(s1, s0)?);
        let of_day = hours.saturating_mul(60).saturating_add(minutes).saturating_mul(60).saturating_add(seconds);
        let digits = rest.strip_prefix('.').map_or(0, |rest| rest.bytes().take_while(u8::is_ascii_digit).count());
        let (fraction, zone) = rest.split_at_checked(if digits > 0 { digits.saturating_add(1) } else { 0 })?;
        let thousandths = fraction.bytes().skip(1).chain([b'0'; 3]).take(3);
        let ms = thousandths
            .fold(0_u64, |ms, byte| ms.saturating_mul(10).saturating_add(u64::from(byte.saturating_sub(48))));
        let local = self.day_s.saturating_add(of_day).saturating_mul(1000).saturating_add(ms);
        match zone.as_bytes() {
            [b'Z' | b'z'] => Some(local),
            [sign @ (b'+' | b'-'), h1, h0, b':', m1, m0] => {
                let ahead_ms = two(h1, h0)?.saturating_mul(60).saturating_add(two(m1, m0)?).saturating_mul(60_000);
                if *sign == b'+' { local.checked_sub(ahead_ms) } else { local.checked_add(ahead_ms) }
            }
            _ => None,
        }
    }
}

/// The times that are asked for, in ms since 1970.
///
/// # Errors
/// What an option must be.
pub fn asked(since: Option<&str>, until: Option<&str>, now_s: u64) -> Result<RangeInclusive<u64>, String> {
    let ms = |option: &str, text: Option<&str>, or: u64| {
        match text {
        None => Ok(or),
        Some(text) => moment(text, now_s)
            .ok_or_else(|| format!("{option} {text}: must be an age such as 90m, 36h, 7d or 4w, a date, or a time such as 2026-11-01T08:00:00Z")),
    }
    };
    let (from, to) = (ms("--since", since, 0)?, ms("--until", until, u64::MAX)?);
    if from > to {
        return Err("--since: must be before --until".to_owned());
    }
    Ok(from..=to)
}

fn moment(text: &str, now_s: u64) -> Option<u64> {
    let unit_s = match text.bytes().last()? {
        b's' => 1,
        b'm' => 60,
        b'h' => 3600,
        b'd' => date::DAY_S,
        b'w' => date::DAY_S.saturating_mul(7),
        _ => return date::parse(text).map(|s| s.saturating_mul(1000)).or_else(|| Clock::default().ms(text)),
    };
    let (count, _) = text.split_at_checked(text.len().saturating_sub(1))?;
    let count: u64 = count.parse().ok()?;
    Some(now_s.saturating_sub(count.saturating_mul(unit_s)).saturating_mul(1000))
}

/// A time as RFC 3339 has it, to the second.
pub fn rfc3339(ms: u64) -> String {
    date::show(ms.checked_div(1000).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_with_its_fraction_and_its_zone() {
        let ms = |text: &str| Clock::default().ms(text);
        let base = ms("2026-11-28T09:12:44Z").unwrap();
        assert_eq!(base, date::parse("2026-11-28T09:12:44Z").unwrap() * 1000);
        for (text, more) in [
            ("2026-11-28T09:12:44.301Z", 301),
            ("2026-11-28T09:12:44.3Z", 300),
            ("2026-11-28T09:12:44.301999Z", 301),
            ("2026-11-28T10:12:44+01:00", 0),
            ("2026-11-28T04:12:44.001-05:00", 1),
        ] {
            assert_eq!(ms(text), Some(base + more), "{text}");
        }
        for text in [
            "",
            "-",
            "2026-11-28",
            "2026-11-28T09:12:44",
            "2026-13-28T09:12:44Z",
            "2026-11-28T0x:12:44Z",
            "2026-11-2\u{fc}T09:12:44Z",
        ] {
            assert_eq!(ms(text), None, "{text}");
        }
    }

    #[test]
    fn a_period_is_an_age_or_a_time() {
        let now = date::parse("2026-11-28T12:00:00Z").unwrap();
        let from = |text: &str| asked(Some(text), None, now).map(|range| rfc3339(*range.start()));
        assert_eq!(from("7d").unwrap(), "2026-11-21T12:00:00Z");
        assert_eq!(from("90m").unwrap(), "2026-11-28T10:30:00Z");
        assert_eq!(from("2026-11-01").unwrap(), "2026-11-01T00:00:00Z");
        assert_eq!(from("2026-11-01T08:00:00+02:00").unwrap(), "2026-11-01T06:00:00Z");
        assert!(from("soon").unwrap_err().starts_with("--since soon: must be"));
        assert!(asked(Some("1d"), Some("2d"), now).is_err());
    }
}
