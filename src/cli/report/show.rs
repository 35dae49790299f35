//! Figures in words, alike in text and on the page.

/// A whole number, in groups of three.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && digits.len().saturating_sub(at).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A share in percent, cut and not rounded: only what is whole is 100 %.
pub fn percent(share: Option<f64>) -> String {
    // Ten-thousandths that are whole but for how floating point writes them.
    share.map_or("-".to_owned(), |share| format!("{:.2} %", (share * 10_000.0 + 1e-7).floor() / 100.0))
}

/// A time in ms, with no more digits than it is right to.
pub fn ms(ms: Option<f64>) -> String {
    match ms {
        None => "-".to_owned(),
        Some(ms) if ms < 10.0 => format!("{ms:.1} ms"),
        Some(ms) if ms < 10_000.0 => format!("{ms:.0} ms"),
        Some(ms) => format!("{:.1} s", ms / 1000.0),
    }
}

/// Credits.
pub fn credits(credits: f64) -> String {
    if credits == 0.0 { "-".to_owned() } else { format!("{credits:.4}") }
}

/// What is none is a dash.
pub fn some(count_of: u64) -> String {
    if count_of == 0 { "-".to_owned() } else { count(count_of) }
}

/// A time of RFC 3339, to the minute.
pub fn time(time: Option<&str>) -> String {
    time.and_then(|time| time.get(..16)).map_or("-".to_owned(), |time| time.replace('T', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_whole_is_never_a_hundred_percent() {
        assert_eq!(percent(Some(1.0)), "100.00 %");
        assert_eq!(percent(Some(0.999_99)), "99.99 %");
        assert_eq!(percent(Some(0.999)), "99.90 %");
        assert_eq!(percent(None), "-");
        assert_eq!(count(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!([ms(Some(9.96)), ms(Some(148.2)), ms(Some(12_345.0))], ["10.0 ms", "148 ms", "12.3 s"]);
    }
}
