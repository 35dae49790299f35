//! `dualpath pat` as a process: what an operator reads, and the exit status a pipeline goes by.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// In every token of these tests, so that a trace of one is found in any output.
const MARK: &str = "s3cr3t-mark";

/// A directory of a test's own, with files that an operator would have.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("pat-{name}"));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Place(path)
    }

    fn path(&self, file: &str) -> String {
        self.0.join(file).to_str().unwrap().to_owned()
    }

    fn write(&self, file: &str, text: &str) -> String {
        fs::write(self.0.join(file), text).unwrap();
        self.path(file)
    }

    /// A registry with one credential, `pat`.
    fn registry(&self, credential: Value) -> String {
        let mut whole = json!({"id": "pat"});
        whole.as_object_mut().unwrap().extend(credential.as_object().unwrap().clone());
        let servers = json!([{"id": "s", "kind": "mcp", "url": "http://127.0.0.1/mcp", "credential": "pat"}]);
        self.write("registry.yaml", &json!({"version": 1, "credentials": [whole], "servers": servers}).to_string())
    }
}

/// A token that tells when it was issued and when it ends.
fn jwt(issued: &str, expires: &str) -> String {
    let seconds = |text| dualpath::credential::date::parse(text).unwrap();
    let claims = json!({"iss": MARK, "iat": seconds(issued), "exp": seconds(expires)}).to_string();
    format!("eyJhbGciOiJFUzI1NiJ9.{}.{MARK}", URL_SAFE_NO_PAD.encode(claims))
}

fn sds(name: &str, secret: Value) -> String {
    json!({"resources": [{
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
        "name": name,
        "generic_secret": {"secret": secret},
    }]})
    .to_string()
}

struct Run {
    status: i32,
    out: String,
    err: String,
}

/// Runs `dualpath pat`. No output may hold a trace of a token, plain or in base64.
#[track_caller]
fn pat(arguments: &[&str], variables: &[(&str, &str)], input: &[u8]) -> Run {
    let mut child = Command::new(env!("CARGO_BIN_EXE_dualpath"))
        .arg("pat")
        .args(arguments)
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let _ = child.stdin.take().expect("a pipe").write_all(input);
    let Output { status, stdout, stderr } = child.wait_with_output().expect("the binary ends");
    let [out, err] = [stdout, stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    for trace in [MARK.to_owned(), STANDARD.encode(MARK)[..12].to_owned(), "eyJhbGciOiJFUzI1NiJ9".to_owned()] {
        assert!(!out.contains(&trace) && !err.contains(&trace), "{trace} shows in\n{out}{err}");
    }
    Run { status: status.code().expect("no signal"), out, err }
}

#[track_caller]
fn assert_status(arguments: &[&str], status: i32, lines: &[&str]) {
    assert_status_with(arguments, &[], status, lines);
}

#[track_caller]
fn assert_status_with(arguments: &[&str], variables: &[(&str, &str)], status: i32, lines: &[&str]) {
    let run = pat(arguments, variables, b"");
    for line in lines {
        assert!(run.out.lines().any(|found| found.contains(line)), "{line}\nis not in\n{}{}", run.out, run.err);
    }
    assert_eq!(run.status, status, "{}{}", run.out, run.err);
}

#[test]
fn a_token_in_every_readable_place_is_found_and_its_end_told() {
    let place = Place::new("places");
    let token = jwt("2026-11-01", "2027-01-01T12:00:00Z");
    place.write("bare", &format!("{token}\n"));
    let bare = place.path("bare");
    for secret in [
        json!({"inline_string": token}),
        json!({"inline_bytes": STANDARD.encode(&token)}),
        json!({"filename": bare}),
        json!({"environment_variable": "DUALPATH_TEST_PAT"}),
    ] {
        let file = place.write("pat-a.json", &sds("pat-a", secret.clone()));
        let registry = place.registry(json!({"slots": {"a": {"sds_file": file}}}));
        let expected = format!(
            "slot a  SDS file {file}: present, issued 2026-11-01T00:00:00Z, ends 2027-01-01T12:00:00Z, 36 days left"
        );
        let arguments = ["status", &registry, "--at", "2026-11-26"];
        assert_status_with(&arguments, &[("DUALPATH_TEST_PAT", &token)], 0, &["pat: no token ends soon", &expected]);
    }
    let registry = place.registry(json!({"slots": {"a": {"env": "DUALPATH_TEST_PAT"}}}));
    let arguments = ["status", &registry, "--at", "2026-11-26"];
    assert_status_with(&arguments, &[("DUALPATH_TEST_PAT", &token)], 0, &["36 days left"]);
}

#[test]
fn the_exit_status_follows_the_policy_as_the_end_comes_near() {
    let place = Place::new("policy");
    let file = place.write("pat-a.json", &sds("pat-a", json!({"inline_string": jwt("2026-11-01", "2027-01-01")})));
    let registry = place.registry(json!({
        "slots": {"a": {"sds_file": file}}, "policy": {"max_age": "70d", "alert": "10d", "critical": "2d"},
    }));
    for (at, status, line) in [
        ("2026-12-21", 0, "pat: no token ends soon"),
        ("2026-12-22", 1, "pat: ALERT, a new token is needed soon"),
        ("2026-12-29T23:59:59Z", 1, "2 days left, ALERT, less than 10d"),
        ("2026-12-30", 2, "pat: CRITICAL, a new token is needed now"),
        ("2027-01-01", 2, "EXPIRED, issued 2026-11-01T00:00:00Z, ended 2027-01-01T00:00:00Z"),
    ] {
        assert_status(&["status", &registry, "--at", at], status, &[line]);
    }
    let registry = place.registry(json!({"slots": {"a": {"sds_file": file}}, "policy": {"max_age": "60d"}}));
    let line = "VIOLATION, a token lives for longer than 60d";
    assert_status(&["status", &registry, "--at", "2026-11-26"], 2, &[line]);
}

#[test]
fn a_new_token_beside_the_old_one_ends_the_alert() {
    let place = Place::new("beside");
    let a = place.write("pat-a.json", &sds("pat-a", json!({"inline_string": jwt("2026-09-01", "2026-11-27")})));
    let b = place.write("pat-b.json", &sds("pat-b", json!({"inline_string": jwt("2026-11-26", "2027-01-26")})));
    let registry = place.registry(json!({"slots": {"a": {"sds_file": a}, "b": {"sds_file": b}}}));
    let lines = ["pat: no token ends soon", "CRITICAL, less than 1d", "60 days left"];
    assert_status(&["status", &registry, "--at", "2026-11-26T12:00:00Z"], 0, &lines);
}

#[test]
fn an_unknown_end_is_called_unknown_and_an_alert_only_if_asked_for() {
    let place = Place::new("unknown");
    let file = place.write("pat-a.json", &sds("pat-a", json!({"inline_string": MARK})));
    let registry = place.registry(json!({"slots": {"a": {"sds_file": file}}}));
    let lines = ["pat: when its tokens end is unknown, age unknown", "present, end unknown"];
    assert_status(&["status", &registry], 0, &lines);
    assert_status(&["status", &registry, "--strict"], 1, &lines);
}

#[test]
fn what_only_a_running_envoy_sees_is_not_guessed() {
    let place = Place::new("hidden");
    let registry = place.registry(json!({"slots": {
        "a": {"http": {"url": "https://vault.example/pat"}, "expires": "2026-11-30"},
        "b": {"sds_grpc": "https://sds.example"},
    }}));
    let lines = [
        "slot a  token endpoint vault.example/pat: only a running Envoy sees it (--admin), ends 2026-11-30T00:00:00Z, 4 days left, ALERT",
        "slot b  secret server sds.example: only a running Envoy sees it (--admin), end unknown",
    ];
    assert_status(&["status", &registry, "--at", "2026-11-26"], 1, &lines);
}

#[test]
fn no_token_at_all_is_critical_and_an_unreadable_place_is_status_3() {
    let place = Place::new("missing");
    let registry = place.registry(json!({"slots": {"a": {"env": "DUALPATH_TEST_UNSET"}}}));
    let lines = ["CRITICAL, no token may be sent", "no token, DUALPATH_TEST_UNSET is not set here"];
    assert_status(&["status", &registry], 2, &lines);

    let missing = place.path("no-such-file.yaml");
    let registry = place.registry(json!({"slots": {"a": {"sds_file": missing}}}));
    assert_status(&["status", &registry], 3, &["unreadable, cannot be read: No such file"]);
    let text = sds("another", json!({"inline_string": MARK}));
    let registry = place.registry(json!({"slots": {"a": {"sds_file": place.write("pat-a.yaml", &text)}}}));
    assert_status(&["status", &registry], 3, &["unreadable, names its secret another, but Envoy asks for pat-a"]);
    let text = format!("resources: [{MARK}: {MARK}: {MARK}");
    let registry = place.registry(json!({"slots": {"a": {"sds_file": place.write("pat-a.yaml", &text)}}}));
    assert_status(&["status", &registry], 3, &["unreadable, "]);
}

#[test]
fn a_wrong_command_line_or_registry_is_status_3_because_2_means_critical() {
    let place = Place::new("wrong");
    assert_status(&["status"], 3, &[]);
    assert_status(&["stauts"], 3, &[]);
    assert_status(&["status", &place.path("no-such-file")], 3, &[]);
    assert_status(&["status", &place.write("bad.yaml", "version: 2\n")], 3, &[]);
    assert_status(&["--help"], 0, &["3  something could not be read, or the command line is wrong"]);
}

#[test]
fn json_says_the_same_for_programs() {
    let place = Place::new("json");
    let file = place.write("pat-a.json", &sds("pat-a", json!({"inline_string": jwt("2026-11-01", "2026-11-30")})));
    let registry = place.registry(json!({"slots": {"a": {"sds_file": file}, "b": {"env": "DUALPATH_TEST_UNSET"}}}));
    let run = pat(&["status", &registry, "--format", "json", "--at", "2026-11-26"], &[], b"");
    assert_eq!(run.status, 1, "{}", run.err);
    let found: Value = serde_json::from_str(&run.out).expect("one JSON document");
    let source = format!("SDS file {file}");
    let expected = json!({
        "time": "2026-11-26T00:00:00Z", "admin": null, "status": "alert",
        "credentials": [{
            "credential": "pat", "severity": "alert", "age_violation": false, "usable": true,
            "policy": {"max_age": "90d", "alert": "7d", "critical": "1d"},
            "slots": [
                {"slot": "a", "source": source, "token": "present", "reason": null, "issued": "2026-11-01T00:00:00Z",
                 "expires": "2026-11-30T00:00:00Z", "days_left": 4, "severity": "alert", "rejected": null, "update_failures": null},
                {"slot": "b", "source": "environment variable DUALPATH_TEST_UNSET", "token": "missing",
                 "reason": "DUALPATH_TEST_UNSET is not set here", "issued": null, "expires": null, "days_left": null,
                 "severity": "unknown", "rejected": null, "update_failures": null},
            ],
            "switches": [],
        }],
    });
    assert_eq!(found, expected);
}

#[test]
fn each_environment_has_its_own_status() {
    let place = Place::new("environment");
    let environments = json!({
        "prod": {"slots": {"a": {"env": "DUALPATH_TEST_PROD"}}},
        "stg": {"slots": {"a": {"env": "DUALPATH_TEST_STG"}}},
    });
    let registry = place.registry(json!({"environments": environments}));
    let variables = [("DUALPATH_TEST_STG", MARK)];
    assert_status_with(&["status", &registry, "--environment", "stg"], &variables, 0, &["present, end unknown"]);
    assert_status_with(
        &["status", &registry, "-e", "prod"],
        &variables,
        2,
        &["no token, DUALPATH_TEST_PROD is not set"],
    );
}

/// Answers one request on loopback with `body`, as an Envoy's admin interface would; answers its URL.
fn admin_interface(body: String) -> String {
    answers_with("200 OK", "server: envoy", body)
}

fn answers_with(status: &'static str, header: &str, body: String) -> String {
    let header = header.to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        let length = stream.read(&mut request).unwrap();
        let found = request[..length].starts_with(b"GET /stats/prometheus HTTP/1.1\r\n");
        let status = if found { status } else { "404 Not Found" };
        let head =
            format!("HTTP/1.1 {status}\r\n{header}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    });
    url
}

#[test]
fn a_running_envoy_is_asked_for_what_it_sees() {
    let place = Place::new("admin");
    let slots = json!({"a": {"sds_file": "/nowhere"}, "b": {"sds_grpc": "https://sds.example"}});
    let registry = place.registry(json!({"slots": slots}));
    let metrics = |alert: u8, critical: u8, violation: u8| {
        format!(
            "# TYPE snowflake_pat_days_until_expiry gauge\n\
             snowflake_pat_days_until_expiry{{credential=\"pat\",slot=\"a\"}} 3\n\
             dualpath_pat_present{{credential=\"pat\",slot=\"a\"}} 1\n\
             dualpath_pat_present{{credential=\"pat\",slot=\"b\"}} 1\n\
             dualpath_pat_expiry_known{{credential=\"pat\",slot=\"a\"}} 1\n\
             dualpath_pat_expiry_known{{credential=\"pat\",slot=\"b\"}} 0\n\
             snowflake_pat_rotation_alerts{{credential=\"pat\",severity=\"alert\"}} {alert}\n\
             snowflake_pat_rotation_alerts{{credential=\"pat\",severity=\"critical\"}} {critical}\n\
             dualpath_pat_age_violation{{credential=\"pat\"}} {violation}\n\
             dualpath_pat_rejected_total{{credential=\"pat\",slot=\"a\"}} 7\n\
             envoy_sds_update_rejected{{envoy_xds_resource_name=\"pat-b\"}} 1\n\
             envoy_sds_update_failure{{envoy_xds_resource_name=\"pat-b\"}} 2\n\
             dualpath_pat_switch_total{{credential=\"pat\",from=\"a\",to=\"b\",reason=\"rejected\"}} 2\n"
        )
    };
    let ask = |body: String| pat(&["status", &registry, "--admin", &admin_interface(body)], &[], b"");
    let run = ask(metrics(1, 0, 0));
    assert_eq!(run.status, 1, "{}{}", run.out, run.err);
    for line in [
        "pat: ALERT, a new token is needed soon\n",
        "slot a  SDS file /nowhere: present, 3 days left, refused by servers 7 times\n",
        "slot b  secret server sds.example: present, end unknown, Envoy could not take it 3 times, its log says why\n",
        "switched 2 times: a to b, rejected\n",
    ] {
        assert!(run.out.contains(line), "{line} is not in\n{}", run.out);
    }
    assert_eq!(ask(metrics(0, 0, 0)).status, 0);
    assert_eq!(ask(metrics(0, 1, 0)).status, 2);
    assert_eq!(ask(metrics(0, 0, 1)).status, 2);
    let nothing = ask("envoy_server_live{} 1\n".to_owned());
    assert_eq!(nothing.status, 3, "{}", nothing.out);
    assert!(nothing.out.contains("this Envoy has no metrics of this credential"), "{}", nothing.out);

    let gone = pat(&["status", &registry, "--admin", "http://127.0.0.1:1"], &[], b"");
    assert_eq!((gone.status, gone.out.as_str()), (3, ""));
    assert!(gone.err.contains("http://127.0.0.1:1/stats/prometheus: cannot be read"), "{}", gone.err);
}

#[test]
fn a_file_with_a_token_is_checked_whichever_kind_it_is() {
    let place = Place::new("check");
    let token = jwt("2026-11-01", "2027-01-01");
    let ends = "note: ends at 2027-01-01T00:00:00Z, 36 days left";
    for text in [
        format!("{token}\n"),
        sds("pat-a", json!({"inline_string": token})),
        sds("pat-a", json!({"inline_bytes": STANDARD.encode(&token)})),
        sds("pat-a", json!({"filename": place.write("bare", &token)})),
    ] {
        let file = place.write("file", &text);
        assert_status(&["check", &file, "--at", "2026-11-26"], 0, &[ends, &format!("{file}: fine")]);
        let run = pat(&["check", "-", "--at", "2026-11-26"], &[], text.as_bytes());
        assert!(run.status == 0 && run.out.contains(ends), "{}{}", run.out, run.err);
    }
    let file = place.write("file", &token);
    assert_status(&["check", &file, "--at", "2026-12-27"], 1, &["alert: ends at 2027-01-01T00:00:00Z, 5 days left"]);
    assert_status(&["check", &file, "--at", "2027-01-01"], 2, &["critical: ended at 2027-01-01T00:00:00Z"]);
    let long = place.write("long", &jwt("2026-11-01", "2027-11-01"));
    assert_status(&["check", &long, "--at", "2026-11-26"], 2, &["lives for longer than 90d"]);
    assert_status(&["check", &place.path("no-such-file")], 3, &[]);
}

#[test]
fn accidents_with_a_token_file_are_told_and_the_token_is_not() {
    let place = Place::new("accidents");
    let token = jwt("2026-11-01", "2027-01-01");
    let inline = |text: &str| sds("pat-a", json!({"inline_string": text}));
    let one = inline(&token);
    let resource = one.trim_start_matches("{\"resources\":[").trim_end_matches("]}");
    let manifest = format!("apiVersion: v1\nkind: Secret\nstringData: {{pat-a.yaml: {MARK}}}\n");
    for (text, expected) in [
        (String::new(), "is empty"),
        (format!("Bearer {token}"), "begins with \"bearer\""),
        (inline(&format!("Bearer {token}")), "begins with \"bearer\""),
        (inline(&format!("\"{token}\"")), "stands in quotes"),
        (inline(&format!("{token}\n{token}")), "line break inside"),
        (inline("THE-SECRET"), "is a placeholder"),
        (sds("pat", json!({"inline_string": token})), "otherwise than a credential's id"),
        (sds(&token, json!({"inline_string": token})), "otherwise than a credential's id"),
        (format!("{{\"resources\":[{resource},{resource}]}}"), "has 2 resources: Envoy takes exactly one"),
        (format!("resources:\n- name: \"{token}\n"), "is no YAML or JSON, so Envoy refuses it"),
        (format!("token: {token}\n"), "has no list named resources"),
        (manifest, "is a manifest for Kubernetes"),
    ] {
        let file = place.write("file", &text);
        assert_status(&["check", &file], 2, &[&format!("{file}: critical: "), expected]);
    }
    let file = place.write("file", &inline(&token));
    let expected = "critical: names its secret pat-a, not pat-b";
    assert_status(&["check", &file, "--name", "pat-b", "--at", "2026-11-26"], 2, &[expected]);
    let file = place.write("file", &STANDARD.encode(format!("{token}\n")));
    assert_status(&["check", &file], 1, &["alert: is base64 of text, as if encoded once too often"]);
}

/// A registry of one Snowflake credential with these slots.
fn snowflake(place: &Place, slots: Value) -> String {
    place.registry(
        json!({"headers": {"x-snowflake-authorization-token-type": "PROGRAMMATIC_ACCESS_TOKEN"}, "slots": slots}),
    )
}

#[track_caller]
fn plan(arguments: &[&str]) -> String {
    let run = pat(&[&["rotate-plan"], arguments].concat(), &[], b"");
    assert_eq!(run.status, 0, "{}", run.err);
    run.out
}

#[track_caller]
fn assert_plan(arguments: &[&str], lines: &[&str]) {
    let text = plan(arguments);
    for line in lines {
        assert!(text.contains(line), "{line}\nis not in\n{text}");
    }
}

#[test]
fn a_rotation_uses_the_slot_that_can_spare_its_token() {
    let place = Place::new("slots");
    let token = |slot: &str, issued: &str, expires: &str| {
        let text = sds(&format!("pat-{slot}"), json!({"inline_string": jwt(issued, expires)}));
        json!({"sds_file": place.write(&format!("pat-{slot}-{expires}.json"), &text)})
    };
    let unset = json!({"env": "DUALPATH_TEST_UNSET"});
    let opaque = |slot: &str| {
        let text = sds(&format!("pat-{slot}"), json!({"inline_string": format!("{MARK}-{slot}")}));
        json!({"sds_file": place.write(&format!("opaque-{slot}.json"), &text)})
    };
    let (a, b) = (token("a", "2026-11-01", "2027-01-01"), token("b", "2026-11-20", "2027-01-20"));
    for (slots, expected) in [
        (json!({"a": a, "b": unset}), "slot b: it is free."),
        (json!({"a": unset, "b": b}), "slot a: it is free."),
        (json!({"a": a, "b": b}), "slot a: its token was issued earlier"),
        (json!({"a": a, "b": token("b", "2026-06-01", "2026-11-25")}), "slot b: its token has expired."),
        (json!({"a": opaque("a"), "b": opaque("b")}), "slot b: nothing tells which of the two tokens is the older one"),
        (json!({"a": a}), "slot a: the registry has no other."),
    ] {
        let registry = snowflake(&place, slots);
        assert_plan(&[&registry, "pat", "--at", "2026-11-26"], &[&format!("1. The new token goes into {expected}")]);
    }
}

#[test]
fn the_statement_is_safe_to_copy_and_asks_for_no_more_overlap_than_is() {
    let place = Place::new("statement");
    let text = sds("pat-a", json!({"inline_string": jwt("2026-11-01", "2026-11-28")}));
    let registry = snowflake(
        &place,
        json!({
            "a": {"sds_file": place.write("pat-a.json", &text)}, "b": {"env": "DUALPATH_TEST_UNSET"},
        }),
    );
    let rotate = "ALTER USER IF EXISTS \"svc\"\"; DROP\" ROTATE PROGRAMMATIC ACCESS TOKEN MCP_PAT\n     EXPIRE_ROTATED_TOKEN_AFTER_HOURS =";
    let names = ["pat", "--user", "svc\"; DROP", "--token-name", "MCP_PAT", "--at", "2026-11-26"];
    let with = |more: &[&'static str]| [&[registry.as_str()], names.as_slice(), more].concat();
    assert_plan(&with(&[]), &[&format!("{rotate} 24;"), "which is 2026-11-27T00:00:00Z if that is done now"]);
    let lines = [&format!("{rotate} 48;"), "Not 72 hours: the old token lives for 48 more only."];
    assert_plan(&with(&["--overlap-hours", "72"]), &[lines[0], lines[1]]);
    assert_plan(&with(&["--overlap-hours", "0"]), &["0 hours: the old token ends at once"]);
    assert_plan(&with(&["--days", "30"]), &["to change them, ADD a token under another name instead"]);

    let first = snowflake(&place, json!({"a": {"env": "DUALPATH_TEST_UNSET"}}));
    let add = "ALTER USER IF EXISTS SVC ADD PROGRAMMATIC ACCESS TOKEN T\n     ROLE_RESTRICTION = 'R'\n     DAYS_TO_EXPIRY = 30;";
    assert_plan(&[&first, "pat", "--user", "SVC", "--token-name", "T", "--role", "R", "--days", "30"], &[add]);

    let other = place.registry(json!({"header": "x-api-key", "slots": {"a": {"env": "DUALPATH_TEST_UNSET"}}}));
    let text = plan(&[&other, "pat"]);
    assert!(text.contains("in the API's own console") && !text.contains("ALTER USER"), "{text}");
}

#[test]
fn dates_of_the_old_token_are_not_left_for_the_new_one() {
    let place = Place::new("dates");
    let registry = snowflake(
        &place,
        json!({
            "a": {"http": {"url": "https://vault.example"}}, "b": {"env": "DUALPATH_TEST_B", "expires": "2026-11-01"},
        }),
    );
    assert_plan(&[&registry, "pat"], &["take issued and expires out of the slot", "dates belong beside it"]);
    let run = pat(&["rotate-plan", &registry, "pta"], &[], b"");
    assert_eq!(run.status, 3);
    assert!(run.err.contains("has no credential of this id; it has: pat"), "{}", run.err);
}

#[test]
fn an_admin_interface_is_a_url_and_sends_nobody_elsewhere() {
    let place = Place::new("admin-url");
    let registry = place.registry(json!({"slots": {"a": {"env": "DUALPATH_TEST_UNSET"}}}));
    for (url, told) in [
        ("127.0.0.1:9911", "needs a scheme: http://127.0.0.1:9911"),
        ("https://127.0.0.1:9911", "Envoy's admin interface has no TLS"),
    ] {
        let run = pat(&["status", &registry, "--admin", url], &[], b"");
        assert!(run.status == 3 && run.err.contains(told), "{}{}", run.status, run.err);
    }
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let location = format!("location: http://{}/stats/prometheus", elsewhere.local_addr().unwrap());
    for status in ["301 Moved", "302 Found", "307 Temporary Redirect", "503 Unavailable"] {
        let url = answers_with(status, &location, "dualpath_pat_present 1\n".to_owned());
        let run = pat(&["status", &registry, "--admin", &url], &[], b"");
        let told = format!("cannot be read: it answers with status {}", &status[..3]);
        assert!(run.status == 3 && run.err.contains(&told), "{}{}", run.out, run.err);
    }
    assert!(elsewhere.accept().is_err(), "nobody has called there");
}

#[test]
fn the_commands_of_a_plan_mean_what_they_name() {
    let place = Place::new("plan-words");
    let name = "x; touch PWN5; $(touch PWN6).json";
    let text = fs::read_to_string(snowflake(&place, json!({"a": {"sds_file": "/pat-a.yaml"}}))).unwrap();
    let registry = place.write(name, &text);
    assert_plan(&[&registry, "pat"], &[&format!("dualpath pat status '{registry}' --admin http://127.0.0.1:9901\n")]);
    let steering = place.write("a\u{1b}]0;x\u{7}'b.json", &text);
    let shown = steering.replace("\u{1b}", "\\033").replace('\u{7}', "\\007").replace('\'', "\\'");
    assert_plan(&[&steering, "pat"], &[&format!("dualpath pat status $'{shown}' --admin")]);

    let many = json!({"environments": {"prod": {"slots": {"a": {"sds_file": "-rf.yaml"}}}}});
    let registry = place.registry(many);
    assert_plan(
        &[&registry, "pat", "-e", "prod"],
        &[
            &format!("dualpath pat status {registry} --environment prod --admin "),
            "chown --reference='-rf.yaml' -- '-rf.yaml.new'; chmod --reference='-rf.yaml' -- '-rf.yaml.new'",
            "dualpath pat check --name pat-a -- '-rf.yaml.new' && mv -- '-rf.yaml.new' '-rf.yaml' )",
        ],
    );
}

/// The paragraph of a plan that begins with `(` and holds `word`.
fn commands<'t>(plan: &'t str, word: &str) -> &'t str {
    let paragraphs = plan.split("\n\n").map(str::trim);
    paragraphs.into_iter().find(|text| text.starts_with('(') && text.contains(word)).expect("commands")
}

/// Runs commands of a plan in bash with `token` on standard input and `bin` first in the path; no process may get the
/// token as an argument.
fn bash(commands: &str, token: &str, bin: &Path) -> Output {
    let path = std::env::join_paths(
        [bin.to_owned(), Path::new(env!("CARGO_BIN_EXE_dualpath")).parent().unwrap().to_owned()]
            .into_iter()
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    let mut child = Command::new("bash")
        .args(["-c", commands])
        .env("PATH", path.unwrap())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("bash");
    child.stdin.take().unwrap().write_all(format!("{token}\n").as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[cfg(unix)]
#[test]
fn the_commands_of_a_plan_put_the_token_where_envoy_reads_it() {
    use std::os::unix::fs::PermissionsExt;

    let place = Place::new("it's here");
    let file = place.path("pat-b.yaml");
    let registry = snowflake(&place, json!({"a": {"env": "DUALPATH_TEST_A"}, "b": {"sds_file": file}}));
    let (token, at) = (jwt("2026-11-26", "2027-01-26"), "2026-11-26");
    let text = plan(&[&registry, "pat", "--at", at]);
    assert!(text.contains("goes into slot a"), "the one that is empty here: {text}");
    let registry = snowflake(&place, json!({"b": {"sds_file": file}}));
    let text = plan(&[&registry, "pat", "--at", at]);

    // A second line would be the token's end. The clock of the check is the machine's; a token that lives for longer than its policy allows is not moved.
    let run = bash(commands(&text, "mv "), MARK, &place.0);
    assert!(!Path::new(&file).exists(), "a token that is no whole one stays beside its place");
    assert_eq!(run.status.code(), Some(1), "{}", String::from_utf8_lossy(&run.stderr));
    let run = bash(commands(&text, "mv "), "opaque-but-long-enough-s3cr3t-mark", &place.0);
    let said = format!("{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success() && !said.contains(MARK), "{said}");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!Path::new(&format!("{file}.new")).exists());
    // As of the second in which it was put there: by the next one it lives for less than 90 days.
    let status = pat(&["status", &registry], &[], b"").out;
    let (_, issued) = status.split_once("present, issued ").unwrap_or_else(|| panic!("{status}"));
    let (issued, _) = issued.split_once(',').unwrap();
    assert_status(&["status", &registry, "--at", issued], 0, &["90 days left until it is as old as max_age allows"]);
    let dated = bash(commands(&text, "mv "), "opaque-but-long-enough-s3cr3t-mark\n2126-01-30", &place.0);
    assert_eq!(dated.status.code(), Some(2), "it lives for longer than the policy allows");
    let dated = fs::read_to_string(format!("{file}.new")).unwrap();
    assert!(dated.contains(r#"\"expires\":\"2126-01-30\""#), "{dated}");
    fs::remove_file(format!("{file}.new")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(bash(commands(&text, "mv "), "another-long-enough-one", &place.0).status.success());
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640, "whoever could read it still can");

    // kubectl, as far as this matters: keeps what it is given.
    let kubectl = place.write("kubectl", "#!/bin/sh\necho \"$@\" >\"$0.arguments\"; cat /dev/stdin >\"$0.patch\"\n");
    fs::set_permissions(&kubectl, fs::Permissions::from_mode(0o755)).unwrap();
    let run = bash(commands(&text, "kubectl"), &token, &place.0);
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let arguments = fs::read_to_string(place.path("kubectl.arguments")).unwrap();
    assert_eq!(arguments, "patch secret dualpath-pat --type merge --patch-file /dev/stdin\n");
    let patch: Value = serde_json::from_str(&fs::read_to_string(place.path("kubectl.patch")).unwrap()).unwrap();
    let inner = STANDARD.decode(patch["data"]["pat-b.yaml"].as_str().unwrap()).unwrap();
    let run = pat(&["check", "-", "--name", "pat-b", "--at", at], &[], &inner);
    assert!(run.status == 0 && run.out.contains("61 days left"), "{}", run.out);
}

#[test]
fn a_plan_may_go_by_what_a_running_envoy_sees() {
    let place = Place::new("plan-admin");
    let slots = json!({"a": {"env": "DUALPATH_TEST_UNSET"}, "b": {"http": {"url": "https://vault.example/pat", "every": "30s"}}});
    let registry = snowflake(&place, slots);
    let url = admin_interface(
        "snowflake_pat_days_until_expiry{credential=\"pat\",slot=\"a\"} 2\n\
         dualpath_pat_present{credential=\"pat\",slot=\"a\"} 1\n\
         dualpath_pat_present{credential=\"pat\",slot=\"b\"} 0\n\
         dualpath_pat_expiry_known{credential=\"pat\",slot=\"a\"} 1\n\
         snowflake_pat_rotation_alerts{credential=\"pat\",severity=\"alert\"} 1\n\
         snowflake_pat_rotation_alerts{credential=\"pat\",severity=\"critical\"} 0\n"
            .to_owned(),
    );
    let lines = [
        "slot a  environment variable DUALPATH_TEST_UNSET: present, 2 days left",
        "slot b: it is free.",
        "EXPIRE_ROTATED_TOKEN_AFTER_HOURS = 48;",
        "Put it where vault.example/pat answers with it. Envoy asks again every 30 seconds.",
    ];
    assert_plan(&[&registry, "pat", "--overlap-hours", "60", "--admin", &url], &lines);
}

/// A secret with its dates.
fn dated(token: &str, issued: &str, expires: &str) -> String {
    json!({"token": token, "issued": issued, "expires": expires}).to_string()
}

const OPAQUE: &str = "opaque-but-long-enough-s3cr3t-mark";

#[test]
fn an_opaque_token_with_its_dates_beside_it_has_an_end_and_alerts() {
    let place = Place::new("dated");
    let text = dated(OPAQUE, "2026-11-01", "2027-01-01");
    for secret in [json!({"inline_string": text}), json!({"environment_variable": "DUALPATH_TEST_PAT"})] {
        let file = place.write("pat-a.json", &sds("pat-a", secret));
        let registry = place.registry(json!({"slots": {"a": {"sds_file": file, "expires": "2026-11-02"}}}));
        let arguments = ["status", &registry, "--at", "2026-12-26"];
        let line = "present, issued 2026-11-01T00:00:00Z, ends 2027-01-01T00:00:00Z, 6 days left, ALERT";
        assert_status_with(&arguments, &[("DUALPATH_TEST_PAT", &text)], 1, &[line]);
    }
    let registry = place.registry(json!({"slots": {"a": {"env": "DUALPATH_TEST_PAT"}}}));
    let arguments = ["status", &registry, "--at", "2026-12-26"];
    assert_status_with(&arguments, &[("DUALPATH_TEST_PAT", &text)], 1, &["6 days left, ALERT"]);
    let broken = "{\"token\": \"opaque-but-long";
    let status = ["no token, what is there is JSON without a readable token", "no token may be sent"];
    assert_status_with(&arguments, &[("DUALPATH_TEST_PAT", broken)], 2, &status);
}

#[test]
fn a_file_with_a_token_and_its_dates_is_checked() {
    let place = Place::new("check-dated");
    let check = |text: &str, status: i32, line: &str| {
        let file = place.write("pat-a.json", &sds("pat-a", json!({"inline_string": text})));
        for arguments in [["check", &file, "--at", "2026-12-26"], ["check", "-", "--at", "2026-12-26"]] {
            let run = pat(&arguments, &[], text.as_bytes());
            assert_eq!(run.status, status, "{text}: {}", run.out);
            assert!(run.out.contains(line) && !run.out.contains(MARK), "{text}: {}", run.out);
        }
    };
    check(&dated(OPAQUE, "2026-11-01", "2027-01-30"), 0, "ends at 2027-01-30T00:00:00Z, 35 days left");
    check(&dated(OPAQUE, "2026-11-01", "2027-01-01"), 1, "6 days left");
    check(&dated(OPAQUE, "2026-11-01", "2026-12-01"), 2, "ended at 2026-12-01T00:00:00Z");
    check(&dated(OPAQUE, "2026-11-01", ""), 0, "is as old as 90d, the default max_age, at 2027-01-30");
    check(&dated(OPAQUE, "2026-11-01", "next year"), 1, "has a date beside its token that is none");
    check(&dated("", "", ""), 2, "is empty");
    check(&dated("Bearer opaque-but-long-enough", "", ""), 2, "begins with \"bearer\"");
    check(&format!("{{\"secret\": \"{OPAQUE}\"}}"), 2, "");
}

#[test]
fn an_envoy_that_sends_no_token_is_critical_for_whatever_reason() {
    let place = Place::new("not-sent");
    let registry =
        place.registry(json!({"slots": {"a": {"sds_file": "/nowhere"}, "b": {"sds_grpc": "https://sds.example"}}}));
    let metrics = |days: &str, present: u8, rejected: u8| {
        let slot = |slot: &str| {
            format!(
                "dualpath_pat_present{{credential=\"pat\",slot=\"{slot}\"}} {present}\n\
                 dualpath_pat_sent{{credential=\"pat\",slot=\"{slot}\"}} 0\n\
                 dualpath_pat_rejected_total{{credential=\"pat\",slot=\"{slot}\"}} {rejected}\n\
                 dualpath_pat_expiry_known{{credential=\"pat\",slot=\"{slot}\"}} {}\n{}",
                u8::from(!days.is_empty()),
                if days.is_empty() {
                    String::new()
                } else {
                    format!("snowflake_pat_days_until_expiry{{credential=\"pat\",slot=\"{slot}\"}} {days}\n")
                }
            )
        };
        let alerts = "snowflake_pat_rotation_alerts{credential=\"pat\",severity=\"alert\"} 0\n\
                      snowflake_pat_rotation_alerts{credential=\"pat\",severity=\"critical\"} 0\n";
        format!("{}{}{alerts}", slot("a"), slot("b"))
    };
    for (page, line) in [
        (metrics("", 1, 6), "present but NOT SENT: refused by servers, or not valid now, refused by servers 6 times"),
        (metrics("0", 1, 0), "EXPIRED"),
        (metrics("", 0, 0), "no token, this Envoy has seen none"),
    ] {
        let run = pat(&["status", &registry, "--admin", &admin_interface(page)], &[], b"");
        assert_eq!(run.status, 2, "{}", run.out);
        for line in [line, "CRITICAL, no token may be sent", "critical at "] {
            assert!(run.out.contains(line) && !run.out.contains("fine at"), "{line} is not in\n{}", run.out);
        }
        assert!(!run.out.contains("less than a day left"), "{}", run.out);
    }
    let run = pat(&["status", &registry, "--admin", "127.0.0.1:9911"], &[], b"");
    assert!(run.status == 3 && run.err.contains("needs a scheme: http://127.0.0.1:9911"), "{}", run.err);
}
