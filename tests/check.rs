//! `dualpath check`, `explain` and `render` as processes: exit status, output and files.

#[path = "check/environments.rs"]
mod environments;
#[path = "check/findings.rs"]
mod findings;
#[path = "check/init.rs"]
mod init;
#[path = "check/migrate.rs"]
mod migrate;
#[path = "check/mistakes.rs"]
mod mistakes;
#[path = "check/not_shown.rs"]
mod not_shown;
#[path = "check/report.rs"]
mod report;
#[path = "check/shells.rs"]
mod shells;
#[path = "check/stub_server.rs"]
mod stub_server;
#[path = "check/wrong_files.rs"]
mod wrong_files;

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const RIGHT: &str = "version: 1\nservers: [{id: s, kind: mcp, url: 'https://host.example'}]\n";

/// A directory of a test's own.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("check-{name}"));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a directory");
        Place(path)
    }

    fn path(&self, file: &str) -> String {
        self.0.join(file).to_str().expect("UTF-8").to_owned()
    }

    fn write(&self, file: &str, text: &str) -> String {
        fs::write(self.0.join(file), text).expect("a file");
        self.path(file)
    }

    fn files(&self) -> Vec<String> {
        let names = fs::read_dir(&self.0).expect("a directory").map(|entry| entry.expect("an entry").file_name());
        let mut names: Vec<_> = names.map(|name| name.into_string().expect("UTF-8")).collect();
        names.sort();
        names
    }
}

/// Runs `dualpath` with `arguments` and `input` as its standard input.
fn dualpath(arguments: &[&str], input: &str) -> Output {
    dualpath_of(arguments, input.as_bytes())
}

fn dualpath_of(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_dualpath"))
        .args(arguments)
        .env_remove("ENV")
        .env_remove("REGION")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    // A command that does not read its input may have gone already.
    let _ = child.stdin.take().expect("a pipe").write_all(input);
    child.wait_with_output().expect("the binary ends")
}

/// Compares what was told of mistakes with a file beside them.
fn assert_golden(file: &str, told: &str) {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/check").join(file);
    if std::env::var_os("DUALPATH_WRITE_GOLDEN").is_some() {
        fs::write(golden, told).expect("the file");
        return;
    }
    let expected = fs::read_to_string(golden).unwrap_or_default();
    let cases = |text: &str| text.split("##### ").map(str::to_owned).collect::<Vec<_>>();
    for (told, expected) in cases(told).iter().zip(&cases(&expected)) {
        assert_eq!(told, expected, "DUALPATH_WRITE_GOLDEN=1 writes tests/check/{file} anew");
    }
    assert_eq!(cases(told).len(), cases(&expected).len());
}

#[track_caller]
fn assert_run(output: &Output, status: i32, stdout: &str, stderr: &str) {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(status), "{out}{err}");
    assert!(out.contains(stdout) && out.is_empty() == stdout.is_empty(), "{out}");
    assert!(err.contains(stderr) && err.is_empty() == stderr.is_empty(), "{err}");
}

#[test]
fn a_right_registry_is_summed_up_with_status_0() {
    assert_run(&dualpath(&["check", "-"], RIGHT), 0, "servers      s: mcp, primary, https://host.example/", "");
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/envoy/registry.yaml");
    assert_run(&dualpath(&["check", example], ""), 0, "slot a from environment variable SNOWFLAKE_PAT", "");
}

#[test]
fn json_is_accepted() {
    let json = r#"{"version": 1, "servers": [{"id": "s", "kind": "mcp", "url": "https://host.example"}]}"#;
    assert_run(&dualpath(&["check", "-"], json), 0, "s: mcp, primary", "");
}

#[test]
fn problems_are_all_printed_and_counted_with_status_1() {
    let output = dualpath(&["check", "-"], "version: 2\nservers: [{id: s, kind: mcp, url: 'ftp://x'}]\n");
    assert_run(&output, 1, "", "<stdin>:1:1: version: 2: must be 1 [DP0113]\n");
    let url = "<stdin>:2:30: servers[0] \"s\".url: \"ftp://x\": must be a URL that begins with https:// or http:// [DP0401]\n";
    assert_run(&output, 1, "", url);
    assert_run(&output, 1, "", "\n<stdin>: 2 problems\n");
}

#[test]
fn a_problem_is_where_it_is_in_the_file_and_names_whose_it_is() {
    let place = Place::new("where");
    let tools: String =
        (0..40).map(|n| format!("  - name: tool{n}\n    task: t\n    timeout: {}s\n", n / 37 * 9999)).collect();
    let file = place.write("r.yaml", &format!("{RIGHT}tools:\n{tools}"));
    let output = dualpath(&["check", &file], "");
    let line = |n: usize| format!("{file}:{}:5: tools[{n}] \"tool{n}\".timeout: ", 6 + 3 * n);
    let err = String::from_utf8(output.stderr).unwrap();
    assert!([0, 36, 37, 39].iter().all(|n| err.contains(&line(*n))), "{err}");
}

#[test]
fn nothing_of_a_registry_steers_the_terminal() {
    let place = Place::new("escapes");
    let steering = ["\u{1b}]0;owned\u{7}", "\u{202e}", "\u{9b}31m", "\u{2028}"];
    let assert_quiet = |output: &Output| {
        let told = [&output.stdout[..], &output.stderr].concat();
        let told = String::from_utf8(told).expect("UTF-8");
        let sent: Vec<_> = steering.iter().filter(|text| told.contains(**text)).collect();
        assert!(sent.is_empty() && !told.lines().any(|line| line.starts_with("forged")), "{told:?}");
    };
    for text in steering.into_iter().chain(["x\nforged: fine"]) {
        let quoted = serde_json::Value::from(text);
        let server = |id: &str| format!("servers: [{{id: {id}, kind: mcp, url: 'https://host.example'}}]\n");
        for registry in [
            format!("version: 1\n{quoted}: 1\n{}", server("s")),
            format!("version: 1\n{}", server(&quoted.to_string())),
            format!("version: 1\n{}tools: [{{name: t, task: t, servers: [z]}}]\n", server(&quoted.to_string())),
            format!(
                "version: 1\n{}tools: [{{name: t, task: t, title: {quoted}, description: {quoted}}}]\n",
                server("s")
            ),
            format!("version: 1\n{}credentials: [{{id: p, slots: {{a: {{sds_file: {quoted}}}}}}}]\n", server("s")),
            format!("? {quoted}\n: 1\n? {quoted}\n: 2\n"),
        ] {
            assert_quiet(&dualpath(&["check", "-"], &registry));
            assert_quiet(&dualpath(&["check", &place.write(&format!("{text}.yaml").replace('/', "-"), &registry)], ""));
        }
        assert_quiet(&dualpath(&["check", &format!("no{text}")], ""));
        assert_quiet(&dualpath(&["explain", "-", "--server", text, "--status", "500"], RIGHT));
    }
}

#[test]
fn a_file_without_a_registry_is_told_apart_from_a_wrong_one() {
    for (input, told) in [
        (&b""[..], "<stdin>: the file is empty [DP0102]\n"),
        (b"\xef\xbb\xbf \n", "<stdin>: the file is empty [DP0102]\n"),
        (b"# nothing\n  # yet\n", "<stdin>: the file has only comments [DP0102]\n"),
        (b"a: gr\xfcn\n", "<stdin>:1:6: byte 0xfc: this is not UTF-8 [DP0102]\n    hint: save the file as UTF-8; "),
        (&[b'#'; 17 << 20], "<stdin>: cannot be read: it is larger than 16 MiB [DP0101]\n"),
        (
            b"\xff\xfev\0",
            "<stdin>:1:1: the file is UTF-16, by its first two bytes [DP0102]\n    hint: save the file as UTF-8\n",
        ),
    ] {
        assert_run(&dualpath_of(&["check", "-"], input), 2, "", told);
    }
}

/// Anything may follow a result: `dualpath render > envoy.yaml && deploy`.
#[test]
fn a_result_that_cannot_be_written_is_an_error() {
    let place = Place::new("full");
    let file = place.write("r.yaml", RIGHT);
    let explain = ["explain", &file, "--server", "s", "--status", "500"];
    for (arguments, status) in [
        (&["check", &file][..], 2),
        (&["render", &file], 2),
        (&["render", &file, "-o", "-"], 2),
        (&["keys"], 2),
        (&explain, 2),
        (&["pat", "status", &file], 3),
    ] {
        let full = File::options().write(true).open("/dev/full").expect("/dev/full");
        let output =
            Command::new(env!("CARGO_BIN_EXE_dualpath")).args(arguments).stdout(full).output().expect("it runs");
        assert_run(&output, status, "", "<stdout>: cannot be written: No space left on device");
    }
    assert_run(&dualpath(&["render", &file, "-o", "/dev/full"], ""), 2, "", "/dev/full: cannot be written: No space");
}

#[test]
fn a_reader_that_has_enough_is_no_error() {
    let script = format!("{} keys | true; echo ${{PIPESTATUS[0]}}", env!("CARGO_BIN_EXE_dualpath"));
    let output = Command::new("bash").args(["-c", &script]).output().expect("bash");
    assert_run(&output, 0, "0\n", "");
}

#[test]
fn programs_get_problems_and_warnings_as_json_and_may_take_warnings_for_problems() {
    let json = |arguments: &[&str], input: &str, status: i32| {
        let output = dualpath(&[&["check", "--format", "json"], arguments].concat(), input);
        assert_run(&output, status, "problems", "");
        serde_json::from_slice::<serde_json::Value>(&output.stdout).expect("JSON")
    };
    let found = json(&["-"], "version: 1\nservers: [{id: s, kind: MCP, url: 'https://host.example'}]\n", 1);
    let problem = serde_json::json!({"code": "DP0107", "level": "error", "file": "-", "line": 2, "column": 19, "path": "servers[0] \"s\".kind", "value": "\"MCP\"",
        "rule": "must be one of mcp, rest", "hint": "did you mean mcp?"});
    assert_eq!(found, serde_json::json!({"registry": "-", "problems": [problem], "warnings": [], "notes": []}));
    assert_eq!(json(&["-"], "a: b: c\n", 1)["problems"][0]["line"], 1);
    assert_eq!(json(&["-"], "", 2)["problems"][0]["rule"], "the file is empty");
    assert_eq!(json(&["no/such/file"], "", 2)["problems"][0]["path"], serde_json::Value::Null);
    let warned = json(&["-", "--strict"], RIGHT, 1);
    assert!(
        warned["problems"] == serde_json::json!([]) && warned["warnings"].as_array().is_some_and(|w| !w.is_empty())
    );
    assert_run(&dualpath(&["check", "-", "--strict"], RIGHT), 1, "warning: there are no tools", "");
    json(&["-"], RIGHT, 0);
}

#[test]
fn a_hyphen_is_the_standard_output() {
    let place = Place::new("hyphen");
    let file = place.write("r.yaml", RIGHT);
    let output = Command::new(env!("CARGO_BIN_EXE_dualpath"))
        .args(["render", &file, "-o", "-"])
        .current_dir(&place.0)
        .output()
        .expect("it runs");
    assert_run(&output, 0, "# Envoy bootstrap", "");
    assert_eq!(place.files(), ["r.yaml"]);
}

/// What cannot carry the filter is looked for by its name; what is too old is told the release that is not.
#[test]
fn a_target_that_cannot_work_is_refused_with_the_reason_and_the_one_that_can() {
    for (name, told) in [
        ("wasmplugin", "--target istio"),
        ("WasmPlugin", "--target istio"),
        ("traffic-extension", "Dualpath also sits on clusters"),
        ("EnvoyExtensionPolicy", "--target envoy-gateway"),
        ("envy", "a similar value exists: 'envoy'"),
    ] {
        assert_run(&dualpath(&["render", "-", "--target", name], RIGHT), 2, "", told);
    }
    let of = |version: &str| dualpath(&["render", "-", "--target", "envoy", "--target-version", version], RIGHT);
    assert_run(&of("1.39.1"), 2, "", "The first release that can is Envoy 1.40");
    assert_run(&of("latest"), 2, "", "must be a release of Envoy, such as 1.40.0");
    assert_run(&of("1.40.0"), 0, "# Envoy bootstrap", "");
}

#[test]
fn a_rendered_file_never_takes_the_place_of_its_registry() {
    let place = Place::new("own");
    let file = place.write("r.yaml", RIGHT);
    symlink(&file, place.path("link.yaml")).unwrap();
    fs::hard_link(&file, place.path("hard.yaml")).unwrap();
    for output in ["r.yaml", "./r.yaml", "link.yaml", "hard.yaml"].map(|name| place.path(name)) {
        assert_run(
            &dualpath(&["render", &file, "-o", &output], ""),
            2,
            "",
            ": is the registry itself, which would be lost",
        );
    }
    let script = format!("{} render - -o {file} <{file}", env!("CARGO_BIN_EXE_dualpath"));
    let output = Command::new("bash").args(["-c", &script]).output().expect("bash");
    assert_run(&output, 2, "", "is the registry itself");
    assert_eq!(fs::read_to_string(&file).unwrap(), RIGHT);
}

#[test]
fn a_rendered_file_is_whole_or_the_one_before() {
    let place = Place::new("whole");
    let (file, output) = (place.write("r.yaml", RIGHT), place.write("envoy.yaml", "before"));
    fs::set_permissions(&output, Permissions::from_mode(0o640)).unwrap();
    symlink(&output, place.path("link.yaml")).unwrap();
    symlink("nothing", place.path("dangling.yaml")).unwrap();
    for link in ["link.yaml", "dangling.yaml"].map(|name| place.path(name)) {
        assert_run(&dualpath(&["render", &file, "-o", &link], ""), 2, "", ": is a symbolic link to ");
    }
    // More than the limit of a file's size can hold: the disk is full half way.
    let script =
        format!("ulimit -f 4; trap '' XFSZ; exec {} render {file} -o {output}", env!("CARGO_BIN_EXE_dualpath"));
    let small = Command::new("bash").args(["-c", &script]).output().expect("bash");
    assert_run(&small, 2, "", ": cannot be written: File too large");
    assert_eq!(fs::read_to_string(&output).unwrap(), "before");

    assert_run(&dualpath(&["render", &file, "-o", &output], ""), 0, "", "");
    assert!(fs::read_to_string(&output).unwrap().starts_with("# Envoy bootstrap"));
    assert_eq!(fs::metadata(&output).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(place.files(), ["dangling.yaml", "envoy.yaml", "link.yaml", "r.yaml"]);
}

#[test]
fn a_rendered_file_with_a_secret_says_so_and_is_its_owners() {
    let place = Place::new("inline");
    let credential = "{id: demo, slots: {a: {inline: hunter2}}}";
    let server = "{id: s, kind: mcp, url: 'http://127.0.0.1:1', credential: demo}";
    let file = place.write("r.yaml", &format!("version: 1\nservers: [{server}]\ncredentials: [{credential}]\n"));
    let output = place.write("envoy.yaml", "before");
    for _ in 0..2 {
        assert_run(&dualpath(&["render", &file, "-o", &output], ""), 0, "", "");
        assert_eq!(fs::metadata(&output).unwrap().permissions().mode() & 0o777, 0o600);
        let text = fs::read_to_string(&output).unwrap();
        let heading: String = text.lines().take_while(|line| line.starts_with('#')).collect();
        assert!(heading.contains("HOLDS THE SECRETS of demo") && !heading.contains("no secret"), "{heading}");
        fs::remove_file(&output).unwrap();
    }
    assert_run(&dualpath(&["render", "-"], RIGHT), 0, "It holds no secret.", "");
}

#[test]
fn a_syntax_error_is_printed_with_its_place_and_status_1() {
    assert_run(&dualpath(&["check", "-"], "version: 1\nversion: 1\n"), 1, "", "<stdin>:2:1: duplicate mapping key");
}

#[test]
fn a_wrong_command_line_or_an_unreadable_file_is_status_2() {
    assert_run(&dualpath(&["check", "no/such/file.yaml"], ""), 2, "", "no/such/file.yaml: cannot be read: ");
    assert_run(&dualpath(&["chekc"], ""), 2, "", "chekc");
    assert_run(&dualpath(&["check"], ""), 2, "", "<REGISTRY>");
}

#[test]
fn an_explanation_is_printed_with_status_0_whatever_it_says() {
    let registry = concat!(env!("CARGO_MANIFEST_DIR"), "/envoy/registry.yaml");
    let question = ["explain", registry, "--server", "snowflake-primary", "--tool", "sql"];
    let asked = |more: &[&str], input: &str| dualpath(&[&question, more].concat(), input);
    assert_run(&asked(&["--transport", "reset"], ""), 0, "class        lost: it gave no answer", "");
    let body = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"boom"}}"#;
    assert_run(&asked(&["--body", "-"], body), 0, "failover     no (when_replayable): the call may have been", "");
    assert_run(&asked(&["--status", "429", "--format", "json"], ""), 0, "\"name\": \"overload\"", "");
    assert_run(&asked(&["--tool", "sqll"], ""), 2, "", "cannot be used multiple times");
    assert_run(&asked(&[], ""), 2, "", "say what was seen: --status, --body or --transport");
    assert_run(&asked(&["--body", "no/such/file"], ""), 2, "", "--body no/such/file: cannot be read: ");
    assert_run(&asked(&["--transport", "reset", "--status", "500"], ""), 2, "", "--status");
    assert_run(&dualpath(&["explain", "-", "--server", "s", "--status", "500"], "version: 2\n"), 1, "", "version: 2");
}

#[test]
fn a_token_in_any_field_stops_check_and_render_and_is_not_shown() {
    for (field, token) in [
        ("url: 'https://host.example'", "url: 'https://host.example/mcp/eyJhbGciOiJIUzI1NiJ9.SECRETSECRET.sig'"),
        ("kind: mcp", "kind: mcp, ca_file: 'ver:1-hint:24680-SECRETSECRET'"),
        ("id: s", "id: eyJhbGciOiJIUzI1NiJ9.SECRETSECRET.sig"),
        ("kind: mcp", "kind: 'Bearer SECRETSECRET1234'"),
    ] {
        let registry = RIGHT.replace(field, token);
        for command in ["check", "render"] {
            let output = dualpath(&[command, "-"], &registry);
            let said =
                format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            assert_eq!(output.status.code(), Some(1), "{registry}: {said}");
            assert!(said.contains("(not shown)") && !said.contains("SECRETSECRET"), "{registry}: {said}");
        }
    }
}
