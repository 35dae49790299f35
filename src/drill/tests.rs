#[cfg(all(target_family = "wasm", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use serde_json::json;

use super::*;

fn registry() -> Registry {
    let server = |id: &str| json!({"id": id, "kind": "mcp", "url": "http://127.0.0.1:1/mcp"});
    Registry::from_wire(&json!({"version": 1, "servers": [server("a"), server("b")], "tools": []})).unwrap()
}

fn orders(value: &str) -> Result<Orders, Malformed> {
    let mut orders = Orders::default();
    orders.add(value.as_bytes(), &registry()).map(|()| orders)
}

#[test]
fn a_server_fails_as_ordered_and_no_other_does() {
    for (value, a, b) in [
        ("fail=a", Some(Class::Server), None),
        ("fail=b,lost", None, Some(Class::Lost)),
        (" fail=a , not_sent ; fail=b,credential", Some(Class::NotSent), Some(Class::Credential)),
        ("fail=a,overload", Some(Class::Overload), None),
    ] {
        let orders = orders(value).unwrap();
        assert_eq!((orders.class_of(ServerIndex(0)), orders.class_of(ServerIndex(1))), (a, b), "{value}");
    }
    assert_eq!(Orders::default().class_of(ServerIndex(0)), None);
}

#[test]
fn what_cannot_be_carried_out_is_refused() {
    for (value, why) in [
        ("", Malformed::Grammar),
        ("a", Malformed::Grammar),
        ("fail=a;", Malformed::Grammar),
        ("fail=a fail=b", Malformed::Server),
        ("FAIL=a", Malformed::Grammar),
        ("fail=", Malformed::Server),
        ("fail=c", Malformed::Server),
        ("fail=a;fail=a,lost", Malformed::Server),
        ("fail=a,", Malformed::Class),
        ("fail=a,boom", Malformed::Class),
        ("fail=a,server,lost", Malformed::Class),
        // These end a call, or are none: there is nothing to rehearse.
        ("fail=a,session", Malformed::Class),
        ("fail=a,caller", Malformed::Class),
        ("fail=a,authorization", Malformed::Class),
        ("fail=a,success", Malformed::Class),
        ("fail=a,cancelled", Malformed::Class),
    ] {
        assert_eq!(orders(value), Err(why), "{value:?}");
    }
    assert_eq!(Orders::default().add(b"fail=\xff", &registry()), Err(Malformed::Grammar));
}

#[test]
fn the_refusal_names_every_class_that_there_is() {
    let explanation = Malformed::Class.to_string();
    for class in Class::ALL {
        assert_eq!(explanation.contains(class.as_str()), !class.is_about_the_call(), "{class:?}");
    }
}

#[test]
fn a_source_is_allowed_by_its_network() {
    let allowed = |network: &str, source: &str| is_allowed(&[Network::parse(network).unwrap()], source.as_bytes());
    for (network, source, expected) in [
        ("127.0.0.1/32", "127.0.0.1:5000", true),
        ("127.0.0.1/32", "127.0.0.2:5000", false),
        ("10.0.0.0/8", "10.255.1.2:1", true),
        ("10.0.0.0/8", "11.0.0.1:1", false),
        ("192.0.2.128/25", "192.0.2.129:1", true),
        ("192.0.2.128/25", "192.0.2.1:1", false),
        ("0.0.0.0/0", "203.0.113.9:1", true),
        ("0.0.0.0/0", "[2001:db8::1]:1", false),
        ("::1/128", "[::1]:5000", true),
        ("::1/128", "[::2]:5000", false),
        ("fd00::/8", "[fd12::1]:1", true),
        ("::/0", "[2001:db8::1]:1", true),
        // A client of IPv4 on a listener of IPv6.
        ("127.0.0.1/32", "[::ffff:127.0.0.1]:1", true),
        ("::/0", "[::ffff:127.0.0.1]:1", false),
    ] {
        assert_eq!(allowed(network, source), expected, "{source} in {network}");
    }
    for source in ["", ":1", "127.0.0.1", "/run/socket", "localhost:1"] {
        assert!(!allowed("127.0.0.1/32", source), "{source}");
    }
    assert!(!is_allowed(&[], b"127.0.0.1:1"));
}
