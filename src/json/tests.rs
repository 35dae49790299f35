//! What is JSON, and what it says, `serde_json` is asked.

#[cfg(all(target_family = "wasm", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use proptest::prelude::*;
use serde::de::IgnoredAny;
use serde_json::json;

use super::*;

/// Whether both take the text for JSON, or neither.
fn both_accept(text: &str) -> bool {
    let theirs = serde_json::from_str::<IgnoredAny>(text).is_ok();
    assert_eq!(Raw::of(text).is_some(), theirs, "{text:?}");
    theirs
}

/// What both make of the text. A number that no `f64` can be is one here, as nobody has asked for that yet.
fn both_read(text: &str) {
    let (ours, theirs) = (Value::parse(text), serde_json::from_str::<serde_json::Value>(text));
    match theirs {
        Ok(theirs) => same(&ours.unwrap_or_else(|_| panic!("{text:?}")), &theirs),
        Err(error) if error.to_string().starts_with("number out of range") => {}
        Err(_) => assert_eq!(ours, Err(Malformed), "{text:?}"),
    }
}

fn same(ours: &Value, theirs: &serde_json::Value) {
    match (ours, theirs) {
        (Value::Number(_), serde_json::Value::Number(_)) => {
            // For serde_json -0 is none.
            let is_zero = ours.to_json() == "-0";
            assert_eq!((ours.as_u64(), ours.as_i64().filter(|_| !is_zero)), (theirs.as_u64(), theirs.as_i64()));
            let (ours, theirs) = (ours.as_f64().unwrap(), theirs.as_f64().unwrap());
            assert!((ours - theirs).abs() <= (theirs.abs() * 1e-13).max(1e-307), "{ours:e} {theirs:e}");
        }
        (Value::Array(ours), serde_json::Value::Array(theirs)) => {
            assert_eq!(ours.len(), theirs.len());
            ours.iter().zip(theirs).for_each(|(ours, theirs)| same(ours, theirs));
        }
        (Value::Object(ours), serde_json::Value::Object(theirs)) => {
            assert!(ours.keys().all(|name| theirs.contains_key(name)));
            theirs.iter().for_each(|(name, theirs)| same(ours.get(name).unwrap(), theirs));
        }
        _ => assert_eq!(*ours, Value::from(theirs)),
    }
}

#[test]
fn every_shape_of_json_is_told_from_what_only_looks_like_it() {
    for text in [
        "null",
        " true ",
        "false",
        "\t0\r\n",
        "-0",
        "-1.5e+10",
        "1E-2",
        r#""""#,
        r#""\"\\\/\b\f\n\r\t\u00e9""#,
        r#""\ud83d\ude00""#,
        r#""\ud83d""#,
        "[]",
        "[ ]",
        "{}",
        "{ }",
        r#"[1,[2,{"a":[{}]}],null]"#,
        r#"{"a":1, "b" :{"c":[]}}"#,
    ] {
        assert!(both_accept(text), "{text}");
        both_read(text);
    }
    for text in [
        "",
        " ",
        "nul",
        "nulll",
        "True",
        "01",
        "+1",
        "1.",
        ".5",
        "1e",
        "1e+",
        "--1",
        "-",
        "0x1",
        "\"",
        r#""\x""#,
        r#""\u12""#,
        r#""\u12g4""#,
        "\"\n\"",
        "\"\u{1}\"",
        "[",
        "]",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1}",
        "{",
        "}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,}",
        "{a:1}",
        "{\"a\":1]",
        "{\"a\" 1}",
        "1 2",
        "[]]",
        "{}}",
        "\u{feff}1",
        "'a'",
        "[\u{a0}]",
        "NaN",
        "Infinity",
    ] {
        assert!(!both_accept(text), "{text}");
        both_read(text);
    }
}

#[test]
fn nesting_is_read_past_however_deep_but_is_no_tree_when_it_is_too_deep() {
    for depth in [1, 63, 64, 65, 126, 127, 128, 129, 200_000] {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let text = [open.repeat(depth), "0".to_owned(), close.repeat(depth)].concat();
            assert_eq!(Raw::of(&text).map(Raw::get), Some(text.as_str()));
            assert_eq!(Raw::of(&text[..text.len() - 1]), None);
            assert_eq!(Raw::of(&[&text, close].concat()), None);
            assert_eq!(Value::parse(&text).is_ok(), depth < 128, "{depth}");
            let mixed = [open.repeat(depth), close.repeat(depth - 1), "]}".replace(close, "")].concat();
            assert_eq!(Raw::of(&mixed), None, "{depth}");
        }
    }
}

#[test]
fn of_a_name_that_stands_there_twice_the_last_counts() {
    let text = r#"{"a":1,"\u0061":2,"b":{"a":3}}"#;
    assert_eq!(Raw::of(text).unwrap().member("a").map(Raw::get), Some("2"));
    assert_eq!(Value::parse(text).unwrap().get("a").and_then(Value::as_u64), Some(2));
    assert_eq!(Raw::of("[1]").unwrap().member("a"), None);
}

#[test]
fn an_object_is_written_member_by_member() {
    let none: Option<&str> = None;
    let object = Object::default().text("a", "\"").text("b", none).number("c", 7).json("d", &array(["1", "{}"]));
    assert_eq!(object.done(), r#"{"a":"\"","c":7,"d":[1,{}]}"#);
    assert_eq!((Object::default().done().as_str(), array([]).as_str()), ("{}", "[]"));
}

#[test]
fn a_number_keeps_every_digit() {
    for number in ["90071992547409931234567890", "1.0", "0.1000", "1e400", "-0", "1E5"] {
        assert_eq!(Value::parse(number).unwrap().to_json(), number);
    }
}

#[test]
fn what_registries_hold_is_read_as_exactly_as_can_be() {
    for number in ["0.1", "0.25", "0.333", "1.5", "99.9", "1e-7", "123456.789", "9007199254740992", "0", "1e22"] {
        assert_eq!(Value::parse(number).unwrap().as_f64(), number.parse().ok(), "{number}");
    }
    for (number, size) in [("1e-99999999999", Some(0.0)), ("0e99999999999", Some(0.0)), ("1e99999999999", None)] {
        assert_eq!(Value::parse(number).unwrap().as_f64(), size, "{number}");
    }
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let scalar = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|is_true| json!(is_true)),
        any::<i64>().prop_map(|number| json!(number)),
        any::<u64>().prop_map(|number| json!(number)),
        any::<f64>().prop_map(|number| json!(number)),
        ".{0,20}".prop_map(|text| json!(text)),
    ];
    scalar.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(serde_json::Value::from),
            proptest::collection::vec((".{0,6}", inner), 0..6)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_json_is_read_and_written_alike(value in any_json(), pretty: bool) {
        let text = if pretty { serde_json::to_string_pretty(&value).unwrap() } else { value.to_string() };
        both_accept(&text);
        both_read(&text);
        let ours = Value::parse(&text).unwrap();
        prop_assert_eq!(&ours, &Value::from(&value));
        prop_assert_eq!(ours.to_json(), value.to_string());
    }

    #[test]
    fn one_byte_more_less_or_other_is_judged_alike(value in any_json(), at: prop::sample::Index, byte in 0_u8..128, kind in 0..3) {
        let mut text = value.to_string().into_bytes();
        let at = at.index(text.len());
        match kind {
            0 => text[at] = byte,
            1 => text.insert(at, byte),
            _ => { text.remove(at); }
        }
        if let Ok(text) = std::str::from_utf8(&text) {
            both_accept(text);
            both_read(text);
        }
    }

    #[test]
    fn any_text_is_judged_alike(text in r#"[\[\]{},:"\\0-9a-fu\.eE+\- \n]{0,24}"#) {
        both_accept(&text);
        both_read(&text);
    }

    #[test]
    fn a_string_says_the_same_behind_its_escapes(text in "(.|\\PC|[\\x00-\\x1f\"\\\\]){0,40}") {
        prop_assert_eq!(quoted(&text), serde_json::to_string(&text).unwrap());
        let quoted = quoted(&text);
        prop_assert_eq!(Raw::of(&quoted).unwrap().text().unwrap(), text.as_str());
    }

    #[test]
    fn escapes_say_what_they_say_to_others(units in proptest::collection::vec(prop_oneof![0xd7f0_u16..0xe010, 0_u16..128], 0..4)) {
        let text: String = ["\"".to_owned()].into_iter()
            .chain(units.iter().map(|unit| format!("\\u{unit:04X}"))).chain(["\"".to_owned()]).collect();
        let theirs = serde_json::from_str::<String>(&text).ok();
        prop_assert_eq!(Raw::of(&text).unwrap().text().map(std::borrow::Cow::into_owned), theirs);
    }

    #[test]
    fn members_and_elements_are_those_of_the_tree(value in any_json(), name in ".{0,3}") {
        let text = value.to_string();
        let raw = Raw::of(&text).unwrap();
        let elements = raw.elements().map(|elements| elements.iter().map(|raw| raw.get().to_owned()).collect::<Vec<_>>());
        let theirs = value.as_array().map(|elements| elements.iter().map(ToString::to_string).collect::<Vec<_>>());
        prop_assert_eq!(elements, theirs);
        prop_assert_eq!(raw.entries().map(|entries| entries.len()), value.as_object().map(serde_json::Map::len));
        prop_assert_eq!(raw.member(&name).map(|raw| raw.get().to_owned()), value.get(&name).map(ToString::to_string));
        prop_assert_eq!(raw.number(), value.as_f64().map(|_| Value::from(&value).as_f64().unwrap()));
    }
}
