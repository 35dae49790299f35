//! Requests of the versions without handshake and session, in which each says everything of itself: in `_meta`, and once more
//! in headers, by which proxies decide who may do what. So whoever acts on such a request has to make sure that both say the
//! same (MCP 2026-07-28, SEP-2243 and SEP-2575).

use super::{Params, ProtocolVersion};

/// The header that names the version.
pub const VERSION_HEADER: &str = "mcp-protocol-version";
/// The header that repeats the method.
pub const METHOD_HEADER: &str = "mcp-method";
/// The header that repeats which tool, prompt or resource is meant.
pub const NAME_HEADER: &str = "mcp-name";

/// The headers in which a request of a stateless version says what it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mirror {
    /// The value of [`VERSION_HEADER`], which is not that of a version with a handshake.
    pub version: Vec<u8>,
    /// The value of [`METHOD_HEADER`].
    pub method: Option<Vec<u8>>,
    /// The value of [`NAME_HEADER`].
    pub name: Option<Vec<u8>>,
    /// Whether one of them stands there twice.
    pub is_doubled: bool,
}

/// What is wrong with a request of a stateless version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// `_meta` lacks what every request has to say.
    Meta,
    /// This header does not say what the body says.
    Header(&'static str),
    /// The version is none that is known here. A server may know it.
    Version(Box<str>),
    /// The method is one of those that these versions don't have. A server may have it all the same.
    Method,
}

impl Fault {
    /// Whether every server would have to refuse the request.
    pub fn is_certain(&self) -> bool {
        matches!(self, Fault::Meta | Fault::Header(_))
    }
}

/// Whether `version` is without handshake. One that is not known can only be newer than those that are, and so is.
pub fn is_stateless(version: &str) -> bool {
    ProtocolVersion::parse(version).is_none_or(ProtocolVersion::is_stateless)
}

/// What is wrong with a request, if it is one of a stateless version. `mirror` are its headers, if they name such a version;
/// `params` are `None` if they can't be read.
pub fn fault(mirror: Option<&Mirror>, method: &str, params: Option<&Params<'_>>) -> Option<Fault> {
    let told = mirror.map(|mirror| String::from_utf8_lossy(&mirror.version));
    let meant = params.and_then(|params| params.meta_version.as_deref());
    if told.is_none() && !meant.is_some_and(is_stateless) {
        return None;
    }
    let is_known = |version: &str| ProtocolVersion::parse(version).is_some();
    if !told.as_deref().is_some_and(is_known) && !meant.is_some_and(is_known) {
        // What else it has to say, the version says.
        return meant.or(told.as_deref()).map(|version| Fault::Version(version.into()));
    }
    let (Some(params), Some(meant)) = (params.filter(|params| params.has_capabilities), meant) else {
        return Some(Fault::Meta);
    };
    let Some(mirror) = mirror.filter(|mirror| mirror.version == meant.as_bytes() && !mirror.is_doubled) else {
        return Some(Fault::Header(VERSION_HEADER));
    };
    if mirror.method.as_deref() != Some(method.as_bytes()) {
        return Some(Fault::Header(METHOD_HEADER));
    }
    let name = match method {
        "tools/call" | "prompts/get" => params.name.as_deref(),
        "resources/read" => params.uri.as_deref(),
        _ => None,
    };
    let repeats = |name: &str| mirror.name.as_deref().is_some_and(|header| says(header, name));
    name.is_some_and(|name| !repeats(name)).then_some(Fault::Header(NAME_HEADER))
}

/// Whether a header says `name`: as it stands, or encoded where it could not stand in a header.
fn says(header: &[u8], name: &str) -> bool {
    match header.strip_prefix(b"=?base64?").and_then(|rest| rest.strip_suffix(b"?=")) {
        Some(encoded) => encoded == base64(name.as_bytes()),
        None => header == name.as_bytes(),
    }
}

/// Base64 with padding (RFC 4648, 4).
fn base64(bytes: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = Vec::new();
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for (at, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            let digit = usize::try_from(bits >> shift & 63).ok().filter(|_| at <= group.len());
            text.push(digit.and_then(|digit| DIGITS.get(digit)).copied().unwrap_or(b'='));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_family = "wasm", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn mirror(version: &str, method: &str, name: Option<&str>) -> Mirror {
        Mirror {
            version: version.into(),
            method: Some(method.into()),
            name: name.map(|name| name.as_bytes().to_vec()),
            is_doubled: false,
        }
    }

    fn of(mirror: Option<&Mirror>, method: &str, params: &str) -> Option<Fault> {
        fault(mirror, method, Params::parse(crate::json::Raw::of(params)).ok().as_ref())
    }

    fn params(version: &str, name: &str) -> String {
        let prefix = "io.modelcontextprotocol/";
        format!(
            r#"{{"name":"{name}","uri":"u","_meta":{{"{prefix}protocolVersion":"{version}","{prefix}clientCapabilities":{{}}}}}}"#
        )
    }

    const V: &str = "2026-07-28";

    #[test]
    fn a_request_that_says_the_same_twice_is_without_fault() {
        for (method, name) in [
            ("tools/call", Some("search")),
            ("prompts/get", Some("=?base64?c2VhcmNo?=")),
            ("resources/read", Some("u")),
            ("tools/list", None),
            ("tools/list", Some("whatever")),
        ] {
            assert_eq!(of(Some(&mirror(V, method, name)), method, &params(V, "search")), None, "{method} {name:?}");
        }
        let encoded = mirror(V, "tools/call", Some("=?base64?w7xiZXI=?="));
        assert_eq!(of(Some(&encoded), "tools/call", &params(V, "über")), None);
    }

    #[test]
    fn a_request_of_a_version_with_handshake_has_no_fault_of_this_kind() {
        assert_eq!(of(None, "tools/call", r#"{"name":"search"}"#), None);
        assert_eq!(of(None, "tools/call", &params("2025-11-25", "search")), None);
    }

    #[test]
    fn a_header_that_says_something_else_is_found() {
        let found = |mirror: Mirror| of(Some(&mirror), "tools/call", &params(V, "search"));
        let name = Some(Fault::Header(NAME_HEADER));
        for other in
            [None, Some("harmless"), Some("Search"), Some("=?base64?c2VhcmNo"), Some("=?base64?c2VhcmNo?= "), Some("")]
        {
            assert_eq!(found(mirror(V, "tools/call", other)), name, "{other:?}");
        }
        assert_eq!(found(mirror(V, "tools/list", Some("search"))), Some(Fault::Header(METHOD_HEADER)));
        assert_eq!(found(Mirror { method: None, ..mirror(V, "", Some("search")) }), Some(Fault::Header(METHOD_HEADER)));
        assert_eq!(found(mirror("2099-01-01", "tools/call", Some("search"))), Some(Fault::Header(VERSION_HEADER)));
        let doubled = Mirror { is_doubled: true, ..mirror(V, "tools/call", Some("search")) };
        assert_eq!(found(doubled), Some(Fault::Header(VERSION_HEADER)));
        assert_eq!(
            of(None, "tools/call", &params(V, "search")),
            Some(Fault::Header(VERSION_HEADER)),
            "no header, or an old one"
        );
        let told = mirror(V, "tools/call", Some("search"));
        assert_eq!(of(Some(&told), "tools/call", &params("2025-11-25", "search")), Some(Fault::Header(VERSION_HEADER)));
    }

    #[test]
    fn what_every_request_says_must_be_there() {
        let told = mirror(V, "tools/list", None);
        let only = |key: &str| format!(r#"{{"_meta":{{"io.modelcontextprotocol/{key}":"{V}"}}}}"#);
        for params in
            ["{}".to_owned(), r#"{"_meta":{}}"#.to_owned(), only("protocolVersion"), only("clientCapabilities")]
        {
            assert_eq!(of(Some(&told), "tools/list", &params), Some(Fault::Meta), "{params}");
        }
        assert_eq!(
            of(Some(&told), "tools/list", r#"{"name":1}"#),
            Some(Fault::Meta),
            "what can't be read says nothing"
        );
    }

    #[test]
    fn a_version_that_is_not_known_is_left_to_servers() {
        for version in ["2099-01-01", "v999.0.0"] {
            let fault = of(Some(&mirror(version, "x", None)), "tools/list", &params(version, "n"));
            assert_eq!(fault, Some(Fault::Version(version.into())));
            assert!(!fault.unwrap().is_certain());
        }
    }

    #[test]
    fn base64_is_padded() {
        for (plain, encoded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")] {
            assert_eq!(base64(plain.as_bytes()), encoded.as_bytes(), "{plain}");
        }
    }
}
