//! JSON in the one form that RFC 8785 (JCS) gives it, so that what means the same is the same text: members in the order of
//! their names' UTF-16 code units, no space, strings with the fewest escapes, numbers as ECMAScript writes them.
//!
//! A number is a double there. One with more digits than a double certainly keeps is not brought into the form: two such
//! could become one. So neither is text that two readers could read differently (a member that stands there twice, half a
//! surrogate pair), nor what nests deep.

use std::rc::Rc;

use crate::json::{Malformed, Raw, Reader, write_quoted};
use crate::wire::sort;

/// The longest parameters that are looked at, in bytes.
const LONGEST: usize = 64 * 1024;

/// So deep may they nest.
const DEEPEST: usize = 32;

/// Every decimal of so many digits has a double of its own, which is written with these digits.
const EXACT_DIGITS: usize = 15;

/// The largest integer below which every one has a double of its own.
const EXACT_INTEGER: u64 = 1 << 53;

/// The arguments in the parameters of a `tools/call`; empty if there are none. `None` if they have no exact form, or if the
/// parameters have something else that could change the answer. `_meta`, which tells how to answer and not what, does not.
pub fn arguments(params: Raw<'_>) -> Option<String> {
    if params.get().len() > LONGEST {
        return None;
    }
    let mut found = None;
    let told = Reader::new(params.get()).object(|name, reader| match name.as_deref() {
        Some("name" | "_meta") => reader.value().map(|_| ()),
        Some("arguments") if found.is_none() => {
            found = Some(String::new());
            let raw = reader.value()?;
            if raw.is_null() {
                Ok(())
            } else {
                write(&mut Reader::new(raw.get()), DEEPEST, found.get_or_insert_default())
            }
        }
        _ => Err(Malformed),
    });
    told.ok()?;
    Some(found.unwrap_or_default())
}

/// Appends the value that follows.
fn write(reader: &mut Reader<'_>, depth: usize, out: &mut String) -> Result<(), Malformed> {
    match reader.peek() {
        Some(b'{') => write_object(reader, depth.checked_sub(1).ok_or(Malformed)?, out),
        Some(b'[') => {
            let depth = depth.checked_sub(1).ok_or(Malformed)?;
            out.push('[');
            let mut is_first = true;
            reader.array(|reader| {
                if !std::mem::take(&mut is_first) {
                    out.push(',');
                }
                write(reader, depth, out)
            })?;
            out.push(']');
            Ok(())
        }
        Some(b'"') => {
            write_quoted(&reader.value()?.text().ok_or(Malformed)?, out);
            Ok(())
        }
        _ => match reader.value()?.get() {
            word @ ("null" | "true" | "false") => {
                out.push_str(word);
                Ok(())
            }
            digits => number(digits, out).ok_or(Malformed),
        },
    }
}

fn write_object(reader: &mut Reader<'_>, depth: usize, out: &mut String) -> Result<(), Malformed> {
    let mut members: Vec<(Rc<[u16]>, String)> = Vec::new();
    reader.object(|name, reader| {
        let name = name.ok_or(Malformed)?;
        let mut member = String::new();
        write_quoted(&name, &mut member);
        member.push(':');
        write(reader, depth, &mut member)?;
        members.push((name.encode_utf16().collect(), member));
        Ok::<(), Malformed>(())
    })?;
    sort(&mut members, |(order, _)| Rc::clone(order));
    out.push('{');
    let mut before = None;
    for (order, member) in &members {
        if before == Some(order) {
            return Err(Malformed);
        }
        if before.replace(order).is_some() {
            out.push(',');
        }
        out.push_str(member);
    }
    out.push('}');
    Ok(())
}

/// Appends a number as ECMAScript writes its double; `None` if that can't be said from its digits alone.
fn number(text: &str, out: &mut String) -> Option<()> {
    let (sign, unsigned) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = [whole, fraction].concat();
    let significant = digits.trim_start_matches('0');
    let zeros = digits.len().checked_sub(significant.len())?;
    // The point stands behind so many of the significant digits.
    let point = i32::try_from(whole.len()).ok()?.checked_add(exponent)?.checked_sub(i32::try_from(zeros).ok()?)?;
    let significant = significant.trim_end_matches('0');
    if significant.is_empty() {
        // Of zero there is one.
        out.push('0');
        return Some(());
    }
    let count = significant.len();
    let is_integer = usize::try_from(point) == Ok(count);
    let is_small = || significant.parse::<u64>().is_ok_and(|value| value <= EXACT_INTEGER);
    if !(-300..=300).contains(&point) || count > EXACT_DIGITS && !(is_integer && is_small()) {
        return None;
    }
    out.push_str(sign);
    match usize::try_from(point) {
        Ok(places) if places >= count && places <= 21 => {
            out.push_str(significant);
            out.extend(std::iter::repeat_n('0', places.saturating_sub(count)));
        }
        Ok(places) if places > 0 && places <= 21 => {
            let (whole, fraction) = significant.split_at_checked(places)?;
            for part in [whole, ".", fraction] {
                out.push_str(part);
            }
        }
        _ if (-5..=0).contains(&point) => {
            out.push_str("0.");
            out.extend(std::iter::repeat_n('0', usize::try_from(point.unsigned_abs()).ok()?));
            out.push_str(significant);
        }
        _ => {
            let (first, rest) = significant.split_at_checked(1)?;
            out.push_str(first);
            if !rest.is_empty() {
                out.push('.');
                out.push_str(rest);
            }
            out.push_str(if point > 0 { "e+" } else { "e-" });
            out.push_str(&point.checked_sub(1)?.unsigned_abs().to_string());
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_family = "wasm", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use proptest::prelude::*;

    use super::*;

    fn of(arguments: &str) -> Option<String> {
        super::arguments(Raw::of(&format!(r#"{{"name":"t","arguments":{arguments}}}"#)).expect("JSON"))
    }

    #[test]
    fn the_example_of_the_rfc_comes_out_as_it_says() {
        let given = "{\"numbers\": [333333333.333333, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],\
                     \"string\": \"\\u20ac$\\u000F\\u000aA'\\u0042\\u0022\\u005c\\\\\\\"\\/\",\
                     \"literals\": [null, true, false]}";
        let expected = "{\"literals\":[null,true,false],\
                        \"numbers\":[333333333.333333,1e+30,4.5,0.002,1e-27],\
                        \"string\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}";
        assert_eq!(of(given).as_deref(), Some(expected));
    }

    #[test]
    fn members_stand_in_the_order_of_their_utf_16_units_as_the_rfc_has_them() {
        let given = r#"{"\u20ac":1,"\r":2,"\ufb33":3,"1":4,"\ud83d\ude00":5,"\u0080":6,"\u00f6":7}"#;
        let expected = "{\"\\r\":2,\"1\":4,\"\u{80}\":6,\"\u{f6}\":7,\"\u{20ac}\":1,\"\u{1f600}\":5,\"\u{fb33}\":3}";
        assert_eq!(of(given).as_deref(), Some(expected));
    }

    #[test]
    fn what_has_no_exact_form_is_not_brought_into_one() {
        for number in
            ["1.0000000000000001", "9007199254740993", "333333333.33333329", "1e400", "1e-320", "1e99999999999"]
        {
            assert_eq!(of(&format!("{{\"a\":{number}}}")), None, "{number}");
        }
        for doubtful in [r#"{"a":1,"a":1}"#, r#"{"a":"\ud800"}"#, r#"{"\ud800":1}"#, r#"{"b":{"a":1,"\u0061":2}}"#] {
            assert_eq!(of(doubtful), None, "{doubtful}");
        }
        let deep = |n: usize| format!("{{\"a\":{}{}}}", "[".repeat(n), "]".repeat(n));
        assert!(of(&deep(DEEPEST - 1)).is_some());
        assert_eq!(of(&deep(DEEPEST)), None);
        assert_eq!(of(&format!("{{\"a\":\"{}\"}}", "x".repeat(LONGEST))), None);
    }

    #[test]
    fn what_else_could_change_the_answer_is_not_passed_over() {
        let of = |params: &str| super::arguments(Raw::of(params).expect("JSON"));
        assert_eq!(of(r#"{"name":"t"}"#).as_deref(), Some(""));
        assert_eq!(of(r#"{"arguments":null,"name":"t"}"#).as_deref(), Some(""));
        assert_eq!(of(r#"{"name":"t","arguments":{},"_meta":{"progressToken":7}}"#).as_deref(), Some("{}"));
        for params in [
            r#"{"name":"t","task":{}}"#,
            r#"{"name":"t","requestState":"x"}"#,
            r#"{"name":"t","arguments":{},"new":1}"#,
            r#"{"name":"t","arguments":{},"arguments":{"a":1}}"#,
        ] {
            assert_eq!(of(params), None, "{params}");
        }
    }

    #[test]
    fn numbers_are_written_as_ecmascript_writes_them() {
        for (given, expected) in [
            ("0", "0"),
            ("-0", "0"),
            ("0.0e5", "0"),
            ("1.0", "1"),
            ("-1.50", "-1.5"),
            ("100", "100"),
            ("1e2", "100"),
            ("1E+2", "100"),
            ("9007199254740992", "9007199254740992"),
            ("9007199254740991", "9007199254740991"),
            ("1e20", "100000000000000000000"),
            ("1e21", "1e+21"),
            ("123e20", "1.23e+22"),
            ("0.000001", "0.000001"),
            ("0.0000001", "1e-7"),
            ("0.00000012", "1.2e-7"),
            ("123.456", "123.456"),
        ] {
            assert_eq!(of(&format!("{{\"a\":{given}}}")), Some(format!("{{\"a\":{expected}}}")), "{given}");
        }
    }

    /// A value as text, written in one of several ways that mean the same.
    fn written() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(serde_json::Value::from),
            (-9_007_199_254_740_992_i64..=9_007_199_254_740_992).prop_map(serde_json::Value::from),
            "[a-c\u{e9}\u{1f600}\u{fb33}\"\\\\\n]{0,4}".prop_map(serde_json::Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
                proptest::collection::vec(("[a-c\u{e9}\u{1f600}\u{fb33}]{0,2}", inner), 0..4)
                    .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
            ]
        })
    }

    fn reversed(value: &serde_json::Value) -> serde_json::Value {
        match value {
            serde_json::Value::Object(map) => map.iter().rev().map(|(k, v)| (k.clone(), reversed(v))).collect(),
            serde_json::Value::Array(all) => all.iter().map(reversed).collect(),
            other => other.clone(),
        }
    }

    proptest! {
        #[test]
        fn what_means_the_same_is_the_same_text_and_nothing_else_is(one in written(), other in written()) {
            let of = |value: &serde_json::Value, spaced: bool| {
                let object = serde_json::json!({"v": value});
                of(&if spaced { format!("{object:#}") } else { object.to_string() })
            };
            prop_assert_eq!(of(&one, false), of(&reversed(&one), true));
            prop_assert_eq!(of(&one, false) == of(&other, false), one == other);
            let canonical = of(&one, false).expect("it has a form");
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&canonical).expect("JSON")["v"].clone(), one);
        }

        #[test]
        fn a_number_with_a_form_is_the_double_that_it_was(digits in 0_u64..1_000_000_000_000_000, exponent in -40_i32..40) {
            let given = format!("{digits}e{exponent}");
            let mut out = String::new();
            number(&given, &mut out).expect("it has a form");
            prop_assert_eq!(out.parse::<f64>().expect("a number"), given.parse::<f64>().expect("a number"));
        }
    }
}
