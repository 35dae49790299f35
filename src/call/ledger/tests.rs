use super::*;

fn noted(pairs: &[(&str, &[u8])]) -> Box<Noted> {
    let log = CallLog { calls: Some("/dev/stdout".to_owned()), caller_header: Some("x-user".to_owned()) };
    Noted::of(RequestHeaders(pairs), &log, &|id| id.len() as u64)
}

#[test]
fn a_trace_is_named_only_by_what_is_the_id_of_one() {
    let of = |value: &str| noted(&[("traceparent", value.as_bytes())]).trace_id.clone();
    let id = "4bf92f3577b34da6a3ce929d0e0e4736";
    assert_eq!(of(&format!("00-{id}-00f067aa0ba902b7-01")).as_deref(), Some(id));
    for wrong in ["", "00", "00-4bf9-00-01", "00-00000000000000000000000000000000-00f067aa0ba902b7-01", "00-\"-0-0"] {
        assert_eq!(of(wrong), None, "{wrong}");
    }
}

#[test]
fn what_a_client_chooses_is_cut_and_its_session_is_not_told() {
    let long = [b'x'; 5000];
    let found = noted(&[("x-request-id", &long), ("x-user", b"\xff\"agent"), ("mcp-session-id", b"secret")]);
    assert_eq!(found.request_id.as_ref().map(|id| id.len()), Some(LONGEST));
    assert_eq!(found.caller.as_deref(), Some("\u{fffd}\"agent"));
    assert_eq!(found.session, Some(6), "a hash");
}

#[test]
fn an_address_is_told_without_its_port() {
    for (address, host) in [
        ("10.0.0.7:4711", "10.0.0.7"),
        ("[::1]:80", "::1"),
        ("10.0.0.7", "10.0.0.7"),
        ("/run/dualpath", "/run/dualpath"),
    ] {
        assert_eq!(&*host_of(address.as_bytes()), host);
    }
}

#[test]
fn the_id_of_snowflake_comes_before_any_other() {
    let mut ledger = Ledger::default();
    ledger.header("x-request-id", b"proxy");
    ledger.header("x-snowflake-request-id", b"snow");
    ledger.header("x-request-id", b"later");
    assert_eq!(ledger.upstream_request_id.as_deref(), Some("snow"));
    ledger.begin();
    assert_eq!(ledger, Ledger::default());
}

#[test]
fn what_attempts_took_is_added_up_and_a_model_named_only_if_it_is_one() {
    let of = |model: &str, input, output| Used { model: Some(model.into()), input, output };
    let mut ledger = Ledger::default();
    ledger.take(&of("a", 7, 3), Some(5));
    ledger.begin();
    ledger.take(&of("a", 1, 1), None);
    let took = ledger.took.as_ref().unwrap();
    assert_eq!((took.model.as_deref(), took.input, took.output, took.micros), (Some("a"), 8, 4, Some(5)));
    ledger.take(&of("b", 1, 0), Some(1));
    let took = ledger.took.as_ref().unwrap();
    assert_eq!((took.model.as_deref(), took.input, took.micros), (None, 9, Some(6)));
}
