//! What operators get wrong, and what `dualpath check` then tells them: 85 mistakes of one who wrote a first registry, and
//! some more. Each is an edit of `registry.yaml`; what is printed is in `expected.txt`, which `DUALPATH_WRITE_GOLDEN=1`
//! writes anew.

use std::fmt::Write as _;
use std::fs;

use super::{Place, assert_golden, dualpath};

/// A name, and what is replaced by what; `""` for all of the file.
type Mistake = (&'static str, &'static [(&'static str, &'static str)]);

const TOKEN: &str = "eyJhbGciOiJIUzI1NiJ9.SECRETSECRET.sig";

const MISTAKES: &[Mistake] = &[
    ("00-none", &[]),
    ("01-typo-key", &[("client_timeout: 40s", "client_timout: 40s")]),
    ("02-typo-toplevel", &[("credentials:\n", "credential:\n")]),
    ("03-unit-missing", &[("40s", "40")]),
    ("04-unit-wrong", &[("40s", "40sec")]),
    ("05-unit-iso", &[("40s", "PT40S")]),
    ("06-neg-duration", &[("40s", "-40s")]),
    ("07-huge-duration", &[("40s", "99999999999999999999s")]),
    ("08-port-70000", &[("10080", "70000")]),
    ("09-port-huge", &[("10080", "99999999999999999999999")]),
    ("10-port-string", &[("10080", "\"10080\"")]),
    (
        "11-missing-ca",
        &[(
            "19443/mcp\n    credential: mcp-pat\n    ca_file: @DIR@/ca.pem",
            "19443/mcp\n    credential: mcp-pat\n    ca_file: @DIR@/no.pem",
        )],
    ),
    ("12-indent", &[("  - id: mcp-us\n", "   - id: mcp-us\n")]),
    ("13-indent-silent", &[("    task: search\n", "   task: search\n")]),
    ("14-dup-server-id", &[("id: mcp-us", "id: mcp-eu")]),
    ("15-dup-tool", &[("name: complete", "name: run_sql")]),
    ("16-dup-key", &[("  port: 10080\n", "  port: 10080\n  port: 10081\n")]),
    ("17-dangling-credential", &[("credential: snow-pat", "credential: snow_pat")]),
    (
        "18-dangling-rest",
        &[(
            "      server: snowflake\n      preset: snowflake.search",
            "      server: snowflakes\n      preset: snowflake.search",
        )],
    ),
    ("19-dangling-servers", &[("[mcp-eu, mcp-us]", "[mcp-ue, mcp-us]")]),
    ("20-url-noscheme", &[("https://localhost:19443", "localhost:19443")]),
    ("21-url-http-remote", &[("https://localhost:19443", "http://mcp.eu.example.com")]),
    ("22-url-spaces", &[("https://localhost:19443", "https://local host:19443")]),
    ("23-url-wss", &[("https://localhost:19443", "wss://localhost:19443")]),
    ("24-url-query", &[("19443/mcp", "19443/mcp?region=eu")]),
    ("24-url-query-token", &[("19443/mcp", "19443/mcp?region=eu&api_key=SECRETSECRET")]),
    ("25-url-userinfo", &[("https://localhost:19443", "https://me:SECRETSECRET@localhost:19443")]),
    (
        "26-inline-token",
        &[(
            "          a: {sds_file: @DIR@/snow-a.yaml}\n          b: {sds_file: @DIR@/snow-b.yaml}\n      prod",
            "          a: {inline: SECRETSECRET}\n      prod",
        )],
    ),
    (
        "27-token-in-env",
        &[(
            "{sds_file: @DIR@/snow-a.yaml}\n          b: {sds_file: @DIR@/snow-b.yaml}\n      prod",
            "{env: @TOKEN@}\n      prod",
        )],
    ),
    (
        "28-token-in-sds_file",
        &[(
            "sds_file: @DIR@/snow-a.yaml}\n          b: {sds_file: @DIR@/snow-b.yaml}\n      prod",
            "sds_file: @TOKEN@}\n      prod",
        )],
    ),
    (
        "29-token-as-slot",
        &[(
            "a: {sds_file: @DIR@/snow-a.yaml}\n          b: {sds_file: @DIR@/snow-b.yaml}\n      prod",
            "a: @TOKEN@\n      prod",
        )],
    ),
    ("30-token-in-headers", &[("headers: {", "headers: {authorization: Bearer @TOKEN@, ")]),
    ("31-token-in-credential", &[("credential: snow-pat", "credential: @TOKEN@")]),
    ("32-token-in-prefix", &[("  - id: snow-pat\n", "  - id: snow-pat\n    prefix: Bearer @TOKEN@\n")]),
    ("33-token-unknown-key", &[("  - id: snow-pat\n", "  - id: snow-pat\n    token: @TOKEN@\n")]),
    ("34-preset-unknown", &[("preset: snowflake.search", "preset: snowflake.serach")]),
    ("35-preset-missing-with", &[(", service: DOCS", "")]),
    ("36-preset-unknown-with", &[("warehouse: WH", "warehose: WH")]),
    (
        "37-tabs",
        &[("    kind: mcp\n    url: https://localhost:19443", "\tkind: mcp\n    url: https://localhost:19443")],
    ),
    ("38-empty", &[("", "")]),
    ("39-comments-only", &[("", "# a registry\n  # will come here\n")]),
    ("40-crlf", &[]),
    ("41-bom", &[("# A registry", "\u{feff}# A registry")]),
    ("42-utf16", &[]),
    ("43-latin1", &[]),
    (
        "44-anchors",
        &[(
            "          a: {sds_file: @DIR@/mcp-a.yaml}\n          b: {sds_file: @DIR@/mcp-b.yaml}\n      prod:\n        slots:\n          a: {sds_file: @DIR@/mcp-a.yaml}\n          b: {sds_file: @DIR@/mcp-b.yaml}\n",
            "          &both\n          a: {sds_file: @DIR@/mcp-a.yaml}\n          b: {sds_file: @DIR@/mcp-b.yaml}\n      prod:\n        slots: *both\n",
        )],
    ),
    (
        "45-merge-key",
        &[
            ("  - id: mcp-eu\n", "  - &common\n    id: mcp-eu\n"),
            ("  - id: mcp-us\n    kind: mcp\n", "  - <<: *common\n    id: mcp-us\n"),
        ],
    ),
    (
        "46-json",
        &[(
            "",
            r#"{"version": 1, "envoy": {"wasm_file": "@DIR@/dualpath.wasm"}, "servers": [{"id": "s", "kind": "mcp", "url": "https://localhost/mcp"}]}"#,
        )],
    ),
    ("47-json-trailing-comma", &[("", r#"{"version": 1, "servers": [],}"#)]),
    ("48-multidoc", &[("envoy:\n", "---\nenvoy:\n")]),
    ("49-version-2", &[("version: 1", "version: 2")]),
    ("50-no-version", &[("version: 1\n", "")]),
    ("51-env-unknown", &[("environment: stg", "environment: dev")]),
    ("52-bool-yes", &[("replayable: true", "replayable: yes")]),
    ("53-bool-string", &[("replayable: true", "replayable: \"true\"")]),
    ("54-kind", &[("id: mcp-eu\n    kind: mcp", "id: mcp-eu\n    kind: MCP")]),
    ("55-tier", &[("tier: secondary", "tier: 2")]),
    ("56-id-upper", &[("id: mcp-us", "id: MCP_US"), ("[mcp-eu, mcp-us]", "[mcp-eu, MCP_US]")]),
    (
        "57-tool-no-path",
        &[(
            "    servers: [mcp-eu]\n    rest:\n      server: snowflake\n      method: GET\n      path: /api/v2/health/${arguments.name}\n",
            "    servers: []\n",
        )],
    ),
    (
        "58-rest-to-mcp",
        &[(
            "      server: snowflake\n      preset: snowflake.search",
            "      server: mcp-us\n      preset: snowflake.search",
        )],
    ),
    ("59-template", &[("${arguments.name}", "${argument.name}")]),
    ("60-template-unclosed", &[("${arguments.name}", "${arguments.name")]),
    ("61-neg-number", &[("consecutive: 5", "consecutive: -5")]),
    ("62-float-rate", &[("failure_rate: 0.5", "failure_rate: 50")]),
    ("63-huge-num", &[("consecutive: 5", "consecutive: 99999999999")]),
    ("64-size", &[("1MiB", "1MB")]),
    ("65-size-huge", &[("1MiB", "10GiB")]),
    ("66-listener-addr", &[("listener:\n", "listener:\n  address: localhost\n")]),
    ("67-path", &[("path: /mcp", "path: mcp")]),
    ("68-same-port", &[("9911", "10080")]),
    ("69-null-servers", &[("servers:\n  - id", "servers:\nxservers:\n  - id")]),
    (
        "70-no-servers",
        &[(
            "servers:\n  - id: mcp-eu\n    kind: mcp\n    url: https://localhost:19443/mcp\n    credential: mcp-pat\n    ca_file: @DIR@/ca.pem\n  - id: mcp-us\n    kind: mcp\n    tier: secondary\n    url: https://localhost:19444/mcp\n    credential: mcp-pat\n    ca_file: @DIR@/ca.pem\n  - id: snowflake\n    kind: rest\n    url: https://localhost:19445\n    credential: snow-pat\n    ca_file: @DIR@/ca.pem\n",
            "",
        )],
    ),
    (
        "71-bad-date",
        &[(
            "{sds_file: @DIR@/snow-a.yaml}\n          b: {sds_file: @DIR@/snow-b.yaml}\n      prod",
            "{issued: 20.11.2026, sds_file: @DIR@/snow-a.yaml}\n          b: {sds_file: @DIR@/snow-b.yaml}\n      prod",
        )],
    ),
    (
        "72-two-sources",
        &[(
            "{sds_file: @DIR@/snow-a.yaml}\n          b: {sds_file: @DIR@/snow-b.yaml}\n      prod",
            "{sds_file: @DIR@/snow-a.yaml, env: SNOWFLAKE_PAT}\n      prod",
        )],
    ),
    (
        "73-slot-c",
        &[(
            "          b: {sds_file: @DIR@/mcp-b.yaml}\n      prod",
            "          c: {sds_file: @DIR@/mcp-b.yaml}\n      prod",
        )],
    ),
    (
        "74-relative-sds",
        &[(
            "@DIR@/snow-a.yaml}\n          b: {sds_file: @DIR@/snow-b.yaml}\n      prod",
            "snow-a.yaml}\n          b: {sds_file: @DIR@/snow-b.yaml}\n      prod",
        )],
    ),
    ("75-same-file", &[("b: {sds_file: @DIR@/mcp-b.yaml}\n      prod", "b: {sds_file: @DIR@/mcp-a.yaml}\n      prod")]),
    (
        "76-sds-is-token-file",
        &[(
            "@DIR@/snow-a.yaml}\n          b: {sds_file: @DIR@/snow-b.yaml}\n      prod",
            "@DIR@/bare-token}\n          b: {sds_file: @DIR@/snow-b.yaml}\n      prod",
        )],
    ),
    (
        "77-many",
        &[
            ("10080", "70000"),
            ("40s", "40"),
            ("preset: snowflake.sql", "preset: snowflake.sq"),
            ("credential: snow-pat", "credential: nope"),
        ],
    ),
    ("78-list-root", &[("", "- a\n- b\n")]),
    ("79-scalar-root", &[("", "hello\n")]),
    ("80-unclosed", &[("[mcp-eu, mcp-us]", "[mcp-eu, mcp-us")]),
    ("81-bin", &[]),
    ("82-account-underscore", &[("https://localhost:19445", "https://my_org-my_account.snowflakecomputing.com")]),
    ("83-same-url", &[("localhost:19444", "localhost:19443")]),
    ("84-envvar", &[("https://localhost:19443", "https://${MCP_HOST}")]),
    ("85-env-typo-key", &[("environment: stg", "enviroment: stg")]),
    ("86-hex", &[("10080", "0x2760")]),
    ("87-number-with-underscore", &[("10080", "10_080")]),
    ("88-yaml-1.1-on", &[("    task: forecast\n", "    task: forecast\n    true: {server: {failover: never}}\n")]),
    ("89-old-name", &[("    task: forecast\n", "    task: forecast\n    on: {server: {failover: never}}\n")]),
    ("90-both-names", &[("    task: forecast\n", "    task: forecast\n    on: {}\n    outcomes: {}\n")]),
    ("91-envvar-in-file", &[("ca_file: @DIR@/ca.pem\n  - id: mcp-us", "ca_file: /etc/${ENV}/ca.pem\n  - id: mcp-us")]),
    ("92-envvar-elsewhere", &[("tier: secondary", "tier: ${TIER}"), ("40s", "${TIMEOUT}")]),
    (
        "93-missing-wasm-and-secret",
        &[
            ("dualpath.wasm", "no.wasm"),
            (
                "@DIR@/snow-a.yaml}\n          b: {sds_file: @DIR@/snow-b.yaml}\n      prod",
                "@DIR@/no.yaml}\n          b: {sds_file: @DIR@/snow-b.yaml}\n      prod",
            ),
        ],
    ),
    ("94-client-leaves-first", &[("40s", "400ms")]),
    (
        "95-secret-of-another-slot",
        &[(
            "@DIR@/snow-a.yaml}\n          b: {sds_file: @DIR@/snow-b.yaml}\n      prod",
            "@DIR@/snow-b.yaml}\n          b: {sds_file: @DIR@/snow-a.yaml}\n      prod",
        )],
    ),
    (
        "95-file-of-another-credential",
        &[(
            "@DIR@/snow-a.yaml}\n          b: {sds_file: @DIR@/snow-b.yaml}\n      prod",
            "@DIR@/mcp-a.yaml}\n          b: {sds_file: @DIR@/snow-b.yaml}\n      prod",
        )],
    ),
    ("96-bad-environment", &[("environment: stg", "environment: STG")]),
    ("100-concurrency-bounds", &[("  - id: mcp-us\n", "  - id: mcp-us\n    concurrency: {min: 300}\n")]),
    (
        "101-concurrency-tolerance",
        &[("  - id: mcp-us\n", "  - id: mcp-us\n    concurrency: {tolerance: 1, limit: 5}\n")],
    ),
    ("97-key-near-two", &[("  expose_headers: true\n", "  Expose_Headers: true\n")]),
    (
        "98-endpoint-elsewhere",
        &[("    tier: secondary\n", "    tier: secondary\n    endpoints: [{address: 10.0.0.7}]\n")],
    ),
    (
        "99-endpoint-is-a-url",
        &[("    tier: secondary\n", "    tier: secondary\n    endpoints: [{address: \"https://localhost:19444\"}]\n")],
    ),
    ("100-pool-size", &[("    tier: secondary\n", "    tier: secondary\n    pool: {size: 20, idle: 5}\n")]),
    (
        "101-idle-for-too-long",
        &[("    tier: secondary\n", "    tier: secondary\n    pool: {idle: 60s, connections: 20}\n")],
    ),
    (
        "102-region-of-nowhere",
        &[(
            "    tier: secondary\n",
            "    tier: secondary\n    endpoints: [{address: localhost, region: eu}, {address: 127.0.0.1, region: us}]\n",
        )],
    ),
    (
        "103-missing-client-certificate",
        &[("    tier: secondary\n", "    tier: secondary\n    tls: {client_certificate: {sds_file: @DIR@/no.yaml}}\n")],
    ),
    (
        "104-client-certificate-is-a-token",
        &[(
            "    tier: secondary\n",
            "    tier: secondary\n    tls: {client_certificate: {sds_file: @DIR@/client-token.yaml}}\n",
        )],
    ),
    (
        "105-client-certificate-without-key",
        &[(
            "    tier: secondary\n",
            "    tier: secondary\n    tls: {client_certificate: {sds_file: @DIR@/client.yaml}}\n",
        )],
    ),
    (
        "106-client-certificate-in-place",
        &[(
            "    tier: secondary\n",
            "    tier: secondary\n    tls: {client_certificate: {key: SECRETSECRET, sds_file: @DIR@/client.yaml}}\n",
        )],
    ),
    (
        "107-proxy-with-password",
        &[("    tier: secondary\n", "    tier: secondary\n    proxy: http://me:SECRETSECRET@proxy.example:3128\n")],
    ),
    (
        "108-tls-version",
        &[("    tier: secondary\n", "    tier: secondary\n    http: h2\n    tls: {server_name: 127.0.0.1}\n")],
    ),
    ("109-routing-unknown-order", &[("    task: forecast\n", "    task: forecast\n    routing: {by: speed}\n")]),
    (
        "110-routing-unknown-server",
        &[("    task: forecast\n", "    task: forecast\n    routing: {by: weight, weights: {mcp-ue: 5}}\n")],
    ),
    ("111-routing-no-weights", &[("    task: forecast\n", "    task: forecast\n    routing: {by: weight}\n")]),
    (
        "112-routing-all-weights-0",
        &[("    task: forecast\n", "    task: forecast\n    routing: {by: weight, weights: {mcp-eu: 0}}\n")],
    ),
    (
        "113-routing-weight-too-large",
        &[("    task: forecast\n", "    task: forecast\n    routing: {by: weight, weights: {mcp-eu: 2000}}\n")],
    ),
    (
        "114-routing-weights-unused",
        &[(
            "    task: forecast\n",
            "    task: forecast\n    routing: {weights: {mcp-eu: 95, mcp-us: 5}, sticky: x-user-id}\n",
        )],
    ),
    (
        "115-routing-sticky-secret",
        &[(
            "    task: forecast\n",
            "    task: forecast\n    routing: {by: weight, weights: {mcp-eu: 1}, sticky: authorization}\n",
        )],
    ),
    ("116-routing-no-price", &[("    task: forecast\n", "    task: forecast\n    routing: {by: cost}\n")]),
    (
        "117-routing-need-not-offered",
        &[("    task: forecast\n", "    task: forecast\n    routing: {needs: {model: large}}\n")],
    ),
    (
        "118-routing-server-of-another-tool",
        &[(
            "    task: summarise\n    servers: [mcp-eu, mcp-us]",
            "    task: summarise\n    routing: {by: weight, weights: {mcp-us: 1}}\n    servers: [mcp-eu]",
        )],
    ),
    ("119-routing-unknown-task", &[("tools:\n", "routing: {tasks: {serch: {by: tier}}}\ntools:\n")]),
    (
        "120-routing-sessions-of-rest",
        &[("tools:\n", "routing: {sessions: {by: weight, weights: {snowflake: 1}}}\ntools:\n")],
    ),
    ("121-price-undated", &[("    tier: secondary\n", "    tier: secondary\n    price: {per_call: -1}\n")]),
    (
        "122-offers-misspelt",
        &[("    tier: secondary\n", "    tier: secondary\n    offers: {model: large, max_tokens: 0}\n")],
    ),
    (
        "123-override-not-a-network",
        &[(
            "tools:\n",
            "routing: {override: {enabled: \"yes\", sources: [10.0.0.1, {san: x}], header: x-mcp}}\ntools:\n",
        )],
    ),
    ("124-override-from-nowhere", &[("tools:\n", "routing: {override: {enabled: true, sources: []}}\ntools:\n")]),
    (
        "125-override-from-everywhere",
        &[("tools:\n", "routing: {override: {enabled: true, sources: [0.0.0.0/0]}}\ntools:\n")],
    ),
    (
        "126-routing-latency-weights",
        &[("    task: forecast\n", "    task: forecast\n    routing: {by: latency, weights: {mcp-eu: 1}}\n")],
    ),
];

/// The bytes of a mistaken registry.
fn bytes((name, edits): &Mistake, place: &str) -> Vec<u8> {
    let mut text = include_str!("registry.yaml").to_owned();
    for (from, to) in *edits {
        if from.is_empty() {
            text = (*to).to_owned();
        } else {
            assert!(text.contains(from), "{name}: {from}");
            text = text.replacen(from, to, 1);
        }
    }
    let text = text.replace("@DIR@", place).replace("@TOKEN@", TOKEN);
    match *name {
        "40-crlf" => text.replace('\n', "\r\n").into_bytes(),
        "42-utf16" => [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect(),
        "43-latin1" => {
            text.replacen("search\n", "s\u{1}arch\n", 1).bytes().map(|b| if b == 1 { 0xe9 } else { b }).collect()
        }
        "81-bin" => [0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0x80, 0xff].repeat(9),
        _ => text.into_bytes(),
    }
}

fn secret(name: &str) -> String {
    format!(
        "resources:\n- \"@type\": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret\n  name: {name}\n  \
         generic_secret: {{secret: {{inline_string: SECRETSECRET}}}}\n"
    )
}

fn certificate(name: &str, folder: &str) -> String {
    format!(
        "resources:\n- \"@type\": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret\n  name: {name}\n  \
         tls_certificate: {{certificate_chain: {{filename: {folder}/ca.pem}}, private_key: {{filename: {folder}/no.key}}}}\n"
    )
}

#[test]
fn each_mistake_is_told_as_it_was_agreed() {
    let place = Place::new("mistakes");
    let folder = place.0.to_str().expect("UTF-8");
    for (file, name) in
        [("mcp-a", "mcp-pat-a"), ("mcp-b", "mcp-pat-b"), ("snow-a", "snow-pat-a"), ("snow-b", "snow-pat-b")]
    {
        place.write(&format!("{file}.yaml"), &secret(name));
    }
    place.write("bare-token", "SECRETSECRET\n");
    place.write("client-token.yaml", &secret("mcp-us-client"));
    place.write("client.yaml", &certificate("mcp-us-client", folder));
    place.write("ca.pem", "");
    place.write("dualpath.wasm", "");
    let mut told = String::new();
    for mistake in MISTAKES {
        let name = mistake.0;
        let file = place.path(&format!("{name}.yaml"));
        fs::write(&file, bytes(mistake, folder)).expect("a file");
        let output = dualpath(&["check", &file], "");
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("UTF-8"));
        assert!(!text.iter().any(|text| text.contains("SECRETSECRET")), "{name} shows a secret: {text:?}");
        // What was read is not in question here.
        let is_told = |line: &&str| ["warning: ", "note: "].iter().any(|level| line.starts_with(level));
        let warnings = text[0].lines().filter(is_told).map(|line| format!("{line}\n"));
        let text = (warnings.collect::<String>() + &text[1]).replace(&format!("{folder}/{name}.yaml"), "registry.yaml");
        let status = output.status.code().expect("no signal");
        write!(told, "##### {name}\n{}rc={status}\n", text.replace(folder, "@DIR@")).expect("a string");
    }
    assert_golden("expected.txt", &told);
}
