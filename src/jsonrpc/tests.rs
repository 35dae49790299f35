#[cfg(all(target_family = "wasm", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use serde_json::{Value, json};

use super::*;

fn invalid(body: impl AsRef<[u8]>) -> Option<Invalid> {
    match parse(body.as_ref()) {
        Incoming::Invalid(why) => Some(why),
        _ => None,
    }
}

fn id_of(body: &str) -> Option<&str> {
    match parse(body.as_bytes()) {
        Incoming::Request(request) => Some(request.id.as_json()),
        _ => None,
    }
}

#[test]
fn a_request_keeps_its_id_byte_for_byte() {
    for id in ["1", "-0", "1.0", "1e3", "123456789012345678901234567890", r#""a""#, r#""\u0061\/""#, r#""""#] {
        let body = format!(r#"{{"jsonrpc": "2.0", "id" :  {id} , "method": "ping"}}"#);
        assert_eq!(id_of(&body), Some(id));
    }
}

#[test]
fn an_id_that_is_neither_string_nor_number_is_refused() {
    for id in ["null", "true", "{}", "[1]"] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
        assert_eq!(invalid(body), Some(Invalid::Id), "{id}");
    }
}

#[test]
fn an_id_of_null_is_not_taken_for_a_notification() {
    assert!(!matches!(parse(br#"{"jsonrpc":"2.0","id":null,"method":"tools/call"}"#), Incoming::Notification(..)));
}

#[test]
fn a_method_written_with_escapes_is_the_same_method() {
    let Incoming::Request(request) = parse(br#"{"jsonrpc":"2.0","id":1,"method":"tools\/ca\u006cl"}"#) else {
        panic!("not a request");
    };
    assert_eq!(request.method, "tools/call");
}

#[test]
fn params_are_handed_out_as_they_stand() {
    let Incoming::Request(request) = parse(br#"{"params":{"a": 1.0 },"method":"x","id":1,"jsonrpc":"2.0"}"#) else {
        panic!("not a request");
    };
    assert_eq!(request.params.map(|raw| raw.get()), Some(r#"{"a": 1.0 }"#));
}

#[test]
fn messages_without_an_id_are_notifications() {
    let body = br#"{"jsonrpc":"2.0","method":"notifications/initialized","params":null}"#;
    assert!(matches!(parse(body), Incoming::Notification(..)));
}

#[test]
fn answers_of_the_client_are_told_from_calls() {
    assert!(matches!(parse(br#"{"jsonrpc":"2.0","id":7,"result":null}"#), Incoming::Response));
    assert!(matches!(parse(br#"{"jsonrpc":"2.0","id":null,"error":{}}"#), Incoming::Response));
    assert_eq!(invalid(r#"{"jsonrpc":"2.0","id":7,"result":{},"error":{}}"#), Some(Invalid::Ambiguous));
    assert_eq!(invalid(r#"{"jsonrpc":"2.0","id":7,"method":"x","result":{}}"#), Some(Invalid::Ambiguous));
    assert_eq!(invalid(r#"{"jsonrpc":"2.0","id":7}"#), Some(Invalid::Ambiguous));
}

#[test]
fn a_batch_is_known_by_its_array_and_is_not_empty() {
    assert!(matches!(parse(b" [ {}, 1, [[]] ] "), Incoming::Batch));
    assert_eq!(invalid("[]"), Some(Invalid::EmptyBatch));
    assert_eq!(invalid("[1,]"), Some(Invalid::NotJson));
}

#[test]
fn a_repeated_member_is_refused_however_it_is_written() {
    assert_eq!(
        invalid(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","m\u0065thod":"tools/call"}"#),
        Some(Invalid::DoubtfulMember)
    );
}

/// Go's reader ignores case, and by Unicode's folding two more letters.
#[test]
fn a_member_that_differs_from_a_known_one_in_case_only_is_read_by_nobody() {
    let names = ["Method", "METHOD", "Params", "Id", "JSONRPC", "Result", "Error", "param\u{17f}", "m\\u0045thod"];
    for name in names {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{{}},"{name}":"tools/call"}}"#);
        assert_eq!(invalid(&body), Some(Invalid::DoubtfulMember), "{name}");
    }
    for name in ["methods", "_method", "meta", "x"] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list","{name}":1}}"#);
        assert_eq!(invalid(&body), None, "{name}");
    }
}

#[test]
fn what_is_not_a_message_is_refused_with_its_reason() {
    let cases: [(&[u8], Invalid); 12] = [
        (b"", Invalid::NotJson),
        (b"{", Invalid::NotJson),
        (b"\xef\xbb\xbf{}", Invalid::NotJson),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"} x", Invalid::NotJson),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}{}", Invalid::NotJson),
        (b"{\"jsonrpc\":\"2.0\",\"id\":\"\xff\",\"method\":\"ping\"}", Invalid::NotUtf8),
        (b"\"ping\"", Invalid::NotAMessage),
        (b"{\"id\":1,\"method\":\"ping\"}", Invalid::Version),
        (b"{\"jsonrpc\":2.0,\"id\":1,\"method\":\"ping\"}", Invalid::Version),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":null}", Invalid::Method),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\\ud800\"}", Invalid::Method),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":3}", Invalid::Params),
    ];
    for (body, why) in cases {
        assert_eq!(invalid(body), Some(why), "{}", String::from_utf8_lossy(body));
    }
}

#[test]
fn nesting_however_deep_does_not_overflow_the_stack() {
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{deep}}}"#);
    assert_eq!(id_of(&body), Some("1"));
    assert!(matches!(parse(deep.as_bytes()), Incoming::Batch));
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"content":{deep}}}}}"#);
    assert!(matches!(Answer::of_body(&body, None), Answer::Result { is_error: false, .. }));
}

fn answer(body: &str) -> Answer<'_> {
    Answer::of_body(body, RequestId::from_json("1"))
}

#[test]
fn results_and_errors_of_the_request_are_read() {
    assert!(matches!(answer(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#), Answer::Result { is_error: false, .. }));
    assert!(matches!(
        answer(r#"{"jsonrpc":"2.0","id":1,"result":{"content":[],"isError":true}}"#),
        Answer::Result { is_error: true, content: Some(_), .. }
    ));
    assert!(matches!(
        answer(r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"\u0061"}}"#),
        Answer::Error { code: -32603, message } if message == "a"
    ));
}

#[test]
fn an_id_rewritten_with_the_same_meaning_is_the_same_id() {
    for (mine, theirs) in [
        ("1.0", "1"),
        ("1e2", "100"),
        (r#""\u0061""#, r#""a""#),
        ("-5", "-5"),
        ("7", r#""7""#),
        ("7", r#"" 7.0""#),
        ("18446744073709551617", r#""18446744073709551617""#),
    ] {
        assert!(RequestId::from_json(mine).unwrap().matches(RequestId::from_json(theirs).unwrap()), "{mine} {theirs}");
    }
    for (mine, theirs) in [
        ("1", r#""2""#),
        (r#""1""#, "1"),
        ("1", r#""\"1\"""#),
        ("1", r#""one""#),
        ("1", "2"),
        ("18446744073709551617", "18446744073709551618"),
        (r#""a""#, r#""A""#),
    ] {
        assert!(!RequestId::from_json(mine).unwrap().matches(RequestId::from_json(theirs).unwrap()), "{mine} {theirs}");
    }
}

#[test]
fn an_answer_to_another_request_is_not_ours() {
    assert!(matches!(answer(r#"{"jsonrpc":"2.0","id":2,"result":{}}"#), Answer::WrongId));
    assert!(matches!(answer(r#"{"jsonrpc":"2.0","id":"2","error":{"code":1}}"#), Answer::WrongId));
}

#[test]
fn an_error_without_an_id_may_be_ours() {
    for body in [r#"{"jsonrpc":"2.0","id":null,"error":{"code":1}}"#, r#"{"jsonrpc":"2.0","error":{"code":1}}"#] {
        assert!(matches!(answer(body), Answer::Error { code: 1, .. }));
    }
}

#[test]
fn what_is_not_an_answer_is_told_apart() {
    assert!(matches!(answer(r#"{"jsonrpc":"2.0","method":"notifications/progress"}"#), Answer::Message));
    assert!(matches!(answer("<html>"), Answer::NotJson));
    assert!(matches!(answer(""), Answer::NotJson));
    for body in [
        "{}",
        "[]",
        r#"["2.0",1]"#,
        r#"{"jsonrpc":"2.0","id":1,"result":[true]}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":null}"#,
        r#"{"jsonrpc":"2.0","result":{}}"#,
        r#"{"id":1,"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":"x"}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{},"result":null}"#,
        r#"{"jsonrpc":"2.0","id":null,"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":null,"error":null}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":1.5,"message":"x"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":"E1","message":"x"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":{}}}"#,
        r#"[[{"jsonrpc":"2.0","id":1,"result":{}}]]"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1}}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":99999999999999999999}}"#,
        r#"{"message":"x","code":"390144"}"#,
    ] {
        assert!(matches!(answer(body), Answer::NotJsonRpc), "{body}");
    }
}

/// What the official SDK for Python or the one for TypeScript reads as an answer, where a stricter reader sees none.
#[test]
fn an_answer_is_read_as_leniently_as_clients_read_it() {
    for body in [
        r#"{"jsonrpc":"2.0","id":1,"result":{},"error":null}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":null,"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":"1","result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1.0,"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{"isError":false,"isError":false}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{"isError":"false"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{"isError":null}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{"content":[],"content":[]}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{"\ud83d":"\ud83d"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{},"result":{}}"#,
        r#"[{"jsonrpc":"2.0","id":1,"result":{}}]"#,
        r#"[{"jsonrpc":"2.0","method":"notifications/progress"},{"jsonrpc":"2.0","id":1,"result":{}},{"jsonrpc":"2.0","id":2,"result":{}}]"#,
        "\u{feff} {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}",
    ] {
        assert!(matches!(answer(body), Answer::Result { is_error: false, .. }), "{body}: {:?}", answer(body));
    }
    for word in ["true", r#""true""#, r#""True""#, "1", r#""yes""#] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"isError":{word}}}}}"#);
        assert!(matches!(answer(&body), Answer::Result { is_error: true, .. }), "{body}");
    }
    for code in ["-32602", "-32602.0", r#""-32602""#, r#"" -32602 ""#, r#"1,"code":-32602"#] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"result":null,"error":{{"code":{code},"message":"\ud83d"}}}}"#);
        assert!(matches!(answer(&body), Answer::Error { code: -32602, .. }), "{body}: {:?}", answer(&body));
    }
}

#[test]
fn the_data_of_an_event_is_one_message_and_nothing_around_it() {
    let read = |data| Answer::of_event(data, RequestId::from_json("1"));
    assert!(read(r#"{"jsonrpc":"2.0","id":"1","result":{}}"#).is_readable());
    for data in [r#"[{"jsonrpc":"2.0","id":1,"result":{}}]"#, "\u{feff}{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}"] {
        assert!(!read(data).is_readable(), "{data}");
    }
}

#[test]
fn what_is_written_has_the_id_byte_for_byte() {
    let id = RequestId::from_json(r#""\u0061""#).unwrap();
    assert_eq!(result(id, r#"{"ok":true}"#), br#"{"jsonrpc":"2.0","id":"\u0061","result":{"ok":true}}"#);
}

#[test]
fn every_error_says_that_it_is_ours_and_why() {
    let details = Details { server: Some("a"), retry_after_ms: Some(5), ..Details::default() };
    let body: Value = serde_json::from_slice(&error(None, ErrorCode::NoPath, "m", &details)).unwrap();
    assert_eq!(
        body,
        json!({"jsonrpc": "2.0", "id": null, "error": {"code": 50301, "message": "m", "data":
            {"source": "dualpath", "reason": "NO_PATH", "server": "a", "retryAfterMs": 5}}})
    );
}

#[test]
fn codes_of_our_own_stay_out_of_the_reserved_band() {
    use ErrorCode::*;
    for code in [BodyTooLarge, NoPath, CredentialUnavailable, UpstreamFailed, OutcomeUnknown, AnswerUnusable, Internal]
    {
        assert!(!(-32768..=-32000).contains(&code.number()), "{}", code.name());
        assert_eq!(code.number() / 100, i32::from(code.http_status()), "{}", code.name());
    }
}

mod properties {
    #[cfg(all(target_family = "wasm", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use proptest::prelude::*;
    use serde_json::Value;

    use super::super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_bytes_make_the_readers_panic(body: Vec<u8>) {
            parse(&body);
            Answer::of_body(&String::from_utf8_lossy(&body), RequestId::from_json("1"));
        }

        #[test]
        fn no_truncation_or_changed_byte_makes_the_readers_panic(cut in 0usize..70, at in 0usize..70, byte: u8) {
            let mut body = br#"{"jsonrpc":"2.0","id":"a\u0062","method":"tools/call","params":{"x":[1]}}"#.to_vec();
            if let Some(changed) = body.get_mut(at) {
                *changed = byte;
            }
            body.truncate(body.len() - cut);
            parse(&body);
            Answer::of_body(&String::from_utf8_lossy(&body), None);
        }

        /// Members in any order, twice, or null: what is read is what another reader of JSON finds there, for which the last
        /// of a repeated member counts too.
        #[test]
        fn an_answer_means_what_its_last_members_say(members in proptest::collection::vec(
            prop::sample::select(vec![
                r#""jsonrpc":"2.0""#, r#""jsonrpc":"1.0""#, r#""id":1"#, r#""id":"1""#, r#""id":2"#, r#""id":null"#,
                r#""result":{}"#, r#""result":null"#, r#""result":{"isError":true,"isError":false}"#,
                r#""result":{"isError":"true"}"#, r#""error":null"#, r#""error":{"code":1}"#, r#""error":{"code":"1.0"}"#,
                r#""error":{"code":null,"message":"m"}"#, r#""method":"m""#, r#""method":null"#, r#""other":[{"id":3}]"#,
            ]), 0..9)) {
            let body = format!("{{{}}}", members.join(","));
            let read = Answer::of_body(&body, RequestId::from_json("1"));
            let value: Value = serde_json::from_str(&body).unwrap();
            let is_there = |name: &str| value.get(name).is_some_and(|member| !member.is_null());
            let is_ours = is_there("id").then(|| value["id"] == 1 || value["id"] == "1");
            let expected = if value["jsonrpc"] != "2.0" {
                "NotJsonRpc"
            } else {
                match (is_there("method"), is_there("result"), is_there("error"), is_ours) {
                    (true, false, false, _) => "Message",
                    (false, true, false, Some(true)) => "Result",
                    (false, true, false, Some(false)) | (false, false, true, Some(false)) => "WrongId",
                    (false, false, true, _) if !value["error"]["code"].is_null() => "Error",
                    _ => "NotJsonRpc",
                }
            };
            prop_assert!(format!("{read:?}").starts_with(expected), "{}: {:?}, not {}", body, read, expected);
            if let Answer::Result { is_error, .. } = read {
                prop_assert_eq!(is_error, value["result"]["isError"] == "true");
            }
        }
    }
}
