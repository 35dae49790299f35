//! The listener with the page for operators. The page stands in the configuration, so that the module need not carry it; what it
//! shows is asked of the module once a second.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::extension::extension;
use super::wasm_plugin::{self, Placement};
use super::{credentials, socket_address, upstream};
use crate::breaker::Reason;
use crate::call::status::{HEADERS, JSON, PAGE};
use crate::failure::Class;
use crate::registry::{Registry, StatusPage};

const HTML: &str = include_str!("status_page/page.html");
const STYLE: &str = include_str!("status_page/page.css");
const SCRIPT: &str = include_str!("status_page/page.js");

/// The largest body that Envoy may have in its configuration here, in bytes.
const LARGEST: usize = 64 * 1024;

/// What the page is to be read with.
const METHODS: &str = "GET|HEAD";

/// The page, and what a browser may do with it: run its one script, use its one style, ask this listener, and nothing else.
struct Page {
    html: String,
    policy: String,
}

/// The listener, if the registry asks for it.
pub(super) fn listener(registry: &Registry, wire: &Value) -> Option<Value> {
    let settings = registry.status_page.as_ref()?;
    let Page { html, policy } = page();
    let shown = [("content-security-policy", policy.as_str()), ("content-type", "text/html; charset=utf-8")];
    let routes = [
        read(PAGE, json!({"status": 200, "body": {"inline_string": html}}), &shown),
        // The module answers that.
        read(JSON, json!({"status": 503}), &[]),
        other(json!({"path": PAGE}), 405, &[("allow", "GET, HEAD")]),
        other(json!({"path": JSON}), 405, &[("allow", "GET, HEAD")]),
        other(json!({"prefix": "/"}), 404, &[]),
    ];
    let manager = extension(
        "envoy.filters.network.http_connection_manager",
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        json!({
            "stat_prefix": "status",
            "use_remote_address": true,
            "common_http_protocol_options": {"idle_timeout": "60s"},
            "request_headers_timeout": "10s",
            "request_timeout": "10s",
            "route_config": {
                "name": "status",
                "max_direct_response_body_size_bytes": LARGEST,
                "virtual_hosts": [{"name": "status", "domains": ["*"], "routes": routes}],
            },
            "http_filters": filters(registry, settings, wire),
        }),
    );
    let mut chain = Map::new();
    chain.insert("filters".to_owned(), json!([manager]));
    if let Some(certificate) = &settings.certificate {
        chain.insert("transport_socket".to_owned(), tls(settings, certificate));
    }
    Some(json!({
        "name": "status",
        "address": socket_address(&settings.address, settings.port),
        "per_connection_buffer_limit_bytes": 32_768,
        "filter_chains": [chain],
    }))
}

fn filters(registry: &Registry, settings: &StatusPage, wire: &Value) -> Vec<Value> {
    let token = settings.token_file.as_ref().map(|file| credentials::status_token(file));
    let router = extension("envoy.filters.http.router", "envoy.extensions.filters.http.router.v3.Router", json!({}));
    token.into_iter().chain([wasm_plugin::filter(registry, wire, Placement::Status), router]).collect()
}

fn tls(settings: &StatusPage, certificate: &str) -> Value {
    let own = json!({"name": "status-certificate", "sds_config": upstream::sds_file(certificate)});
    let mut common = Map::new();
    common.insert("tls_certificate_sds_secret_configs".to_owned(), json!([own]));
    common.insert("alpn_protocols".to_owned(), json!(["h2", "http/1.1"]));
    if let Some(file) = &settings.client_ca_file {
        common.insert("validation_context".to_owned(), json!({"trusted_ca": {"filename": file}}));
    }
    extension(
        "envoy.transport_sockets.tls",
        "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        json!({"common_tls_context": common, "require_client_certificate": settings.client_ca_file.is_some()}),
    )
}

/// The route that answers who reads `path`.
fn read(path: &str, response: Value, more: &[(&str, &str)]) -> Value {
    let method = json!({"name": ":method", "string_match": {"safe_regex": {"regex": METHODS}}});
    let mut route = answered(json!({"path": path, "headers": [method]}), more);
    route.insert("direct_response".to_owned(), response);
    Value::Object(route)
}

fn other(condition: Value, status: u16, more: &[(&str, &str)]) -> Value {
    let mut route = answered(condition, more);
    route.insert("direct_response".to_owned(), json!({"status": status}));
    Value::Object(route)
}

fn answered(condition: Value, more: &[(&str, &str)]) -> Map<String, Value> {
    let header = |(name, value): &(&str, &str)| json!({"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"});
    let mut route = Map::new();
    route.insert("match".to_owned(), condition);
    route.insert("response_headers_to_add".to_owned(), more.iter().chain(&HEADERS).map(header).collect());
    route
}

fn page() -> Page {
    let script = SCRIPT.replace("{words}", &words().to_string());
    let allowed = |text: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)));
    let policy = [
        "default-src 'none'".to_owned(),
        format!("script-src {}", allowed(&script)),
        format!("style-src {}", allowed(STYLE)),
        "connect-src 'self'".to_owned(),
        "img-src data:".to_owned(),
        "base-uri 'none'".to_owned(),
        "form-action 'none'".to_owned(),
        "frame-ancestors 'none'".to_owned(),
        "require-trusted-types-for 'script'".to_owned(),
        "trusted-types 'none'".to_owned(),
    ];
    Page { html: HTML.replace("{style}", STYLE).replace("{script}", &script), policy: policy.join("; ") }
}

/// What classes and reasons mean, for people.
fn words() -> Value {
    let classes = Class::ALL.iter().map(|class| (class.as_str(), class.explanation()));
    let reasons =
        (0..=u8::MAX).map(Reason::from_number).filter_map(|reason| Some((reason.as_str(), in_words(reason)?)));
    classes.chain(reasons).map(|(name, words)| (name.to_owned(), json!(words))).collect::<Map<_, _>>().into()
}

fn in_words(reason: Reason) -> Option<&'static str> {
    Some(match reason {
        Reason::Consecutive => "too many failures in a row",
        Reason::FailureRate => "too large a share of the calls failed",
        Reason::SlowRate => "too large a share of the calls was slow",
        Reason::ProbeFailed => "the probe failed",
        Reason::ProbeLost => "too many probes never came back",
        Reason::Due => "its open period is over, so it is probed",
        Reason::ProbeSucceeded => "it has answered its probes",
        Reason::ProbeAlive => "it answers, though not with a verdict",
        Reason::Reset => "an operator has reset it",
        Reason::Created | Reason::Unknown(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_runs_the_page_s_own_script_and_style_and_nothing_else() {
        let Page { html, policy } = page();
        assert!(html.len() < LARGEST, "{}", html.len());
        let between = |open: &str, close: &str| {
            let (_, rest) = html.split_once(open).unwrap();
            let (inside, rest) = rest.split_once(close).unwrap();
            assert!(!rest.contains(open), "there is one only");
            STANDARD.encode(Sha256::digest(inside))
        };
        for (directive, hash) in
            [("script-src", between("<script>", "</script>")), ("style-src", between("<style>", "</style>"))]
        {
            assert!(policy.contains(&format!("{directive} 'sha256-{hash}';")), "{policy}");
        }
        assert!(policy.starts_with("default-src 'none'; ") && !policy.contains("unsafe"), "{policy}");
        assert!(!html.contains("{words}") && !html.contains("{style}") && !html.contains("{script}"));
        let (_, script) = html.split_once("<script>").unwrap();
        for risky in
            ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", "http:", "https:"]
        {
            assert!(!script.contains(risky), "{risky}");
        }
        assert!(!html.contains(" on") || !html.contains("onclick"), "no handler stands in the HTML");
    }

    #[test]
    fn every_class_and_reason_is_explained() {
        let words = words();
        for name in Class::ALL.iter().map(|class| class.as_str()).chain(["consecutive", "probe_lost", "due", "reset"]) {
            assert!(words[name].is_string(), "{name}");
        }
    }
}
