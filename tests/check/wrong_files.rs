//! What every command that takes a file says of one that was not meant: which file, what it is, and what to do.

use std::fs;

use super::{Place, RIGHT, dualpath};

/// How each command is given a file.
const COMMANDS: [&[&str]; 14] = [
    &["check", "FILE"],
    &["render", "FILE"],
    &["diff", "RIGHT", "FILE"],
    &["explain", "FILE", "--routing"],
    &["explain", "RIGHT", "--routing", "--lists", "FILE"],
    &["pat", "status", "FILE"],
    &["pat", "rotate-plan", "FILE", "pat"],
    &["validate", "FILE"],
    &["rules", "FILE"],
    &["migrate", "FILE"],
    &["migrate", "RIGHT", "-e", "prod", "--with", "stg=FILE"],
    &["init", "--from-mcp-json", "FILE", "-o", "-"],
    &["attach", "FILE", "OWN"],
    &["attach", "RIGHT", "FILE"],
];

/// The file stands there with what is said of it; no other status than 1, 2 or, of `pat`, 3 means that it can't be used.
#[track_caller]
fn says(place: &Place, command: &[&str], file: &str) -> String {
    let file = place.path(file);
    let full = |word: &&str| match *word {
        "RIGHT" => place.path("right.yaml"),
        "OWN" => place.path("own.yaml"),
        word => word.replace("FILE", &file),
    };
    let arguments: Vec<String> = command.iter().map(full).collect();
    let output = dualpath(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), "");
    let said = String::from_utf8([output.stdout, output.stderr].concat()).expect("UTF-8");
    assert!(matches!(output.status.code(), Some(1..=3)), "{arguments:?}: {said}");
    assert!(said.contains(&file), "{arguments:?} names the file: {said}");
    said
}

fn place(name: &str) -> Place {
    let place = Place::new(name);
    place.write("right.yaml", RIGHT);
    place.write("own.yaml", super::not_shown::OWN);
    place
}

#[test]
fn every_command_says_of_a_file_that_cannot_be_one_what_it_is_and_what_to_do() {
    let place = place("wrong-files");
    fs::write(place.path("f.pdf"), b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n").unwrap();
    fs::write(place.path("program"), b"\x7fELF\x02\x01\x01\0\0\0").unwrap();
    fs::write(place.path("latin"), b"a: gr\xfcn\n").unwrap();
    fs::write(place.path("empty"), b"").unwrap();
    fs::create_dir(place.path("folder")).unwrap();
    fs::File::create(place.path("large")).unwrap().set_len(200 << 20).unwrap();
    for (file, told) in [
        ("f.pdf", ":1:1: the file is a PDF, by its first bytes [DP0102]\n    hint: name a text: YAML or JSON"),
        ("program", ":1:1: the file is a program"),
        ("latin", ":1:6: byte 0xfc: this is not UTF-8 [DP0102]\n    hint: save the file as UTF-8"),
        ("empty", ": the file is empty"),
        ("folder", ": cannot be read: it is a directory [DP0101]\n    hint: name a file in it"),
        ("large", ": cannot be read: it is larger than 16 MiB [DP0101]\n    hint: another file may be meant"),
    ] {
        for command in COMMANDS {
            let said = says(&place, command, file);
            assert!(said.contains(&format!("{file}{told}")), "{command:?}: {said}");
        }
    }
}

#[test]
fn what_is_too_much_for_one_file_is_told_without_the_parsers_own_words() {
    let place = place("too-much");
    let mut aliases = String::from("a: &a [x, x, x, x, x, x, x, x, x, x]\n");
    for (before, name) in ('a'..'h').zip('b'..='h') {
        let ten = vec![format!("*{before}"); 10].join(", ");
        aliases.push_str(&format!("{name}: &{name} [{ten}]\n"));
    }
    place.write("aliases.yaml", &aliases);
    place.write("deep.yaml", &format!("a: {}{}\n", "[".repeat(5000), "]".repeat(5000)));
    for (file, told) in
        [("aliases.yaml", "this says too much for one file"), ("deep.yaml", "this is nested too deeply")]
    {
        for command in COMMANDS.iter().filter(|command| command[0] != "init") {
            let said = says(&place, command, file);
            assert!(said.contains(told) && said.contains("hint: another file may be meant"), "{command:?}: {said}");
            assert!(!said.contains("limits") && !said.contains("Nodes") && !said.contains("recursion"), "{said}");
        }
    }
}

#[test]
fn a_file_of_another_kind_is_named_as_what_it_is() {
    let place = place("other-kinds");
    place.write("array.json", r#"[1, 2, {"a": 1}]"#);
    place.write("sds.yaml", "resources: []\n");
    place.write("mcp.json", r#"{"mcpServers": {}}"#);
    place.write("pod.yaml", "apiVersion: v1\nkind: Pod\n");
    place.write("rules.yaml", "groups: []\n");
    let takes_another_file = |command: &[&str]| {
        let last = command.last().copied().unwrap_or_default();
        command[0] == "init" || command.contains(&"--lists") || (command[0] == "attach" && last == "FILE")
    };
    let of_registries = COMMANDS.iter().filter(|command| !takes_another_file(command));
    let kinds = [
        ("array.json", "registry: [3 elements]: must be a mapping", "dualpath init writes a first one"),
        (
            "own.yaml",
            "is a configuration of Envoy, not a registry",
            "dualpath attach REGISTRY ENVOY puts a registry into it",
        ),
        ("sds.yaml", "is a file of resources for Envoy, not a registry", "dualpath pat check"),
        ("mcp.json", "is the settings of an MCP client, not a registry", "dualpath init --from-mcp-json"),
        ("pod.yaml", "is a manifest of Kubernetes, not a registry", "name the registry"),
        ("rules.yaml", "is a file of Prometheus' rules, not a registry", "name the registry"),
    ];
    for command in of_registries {
        for (file, told, hint) in kinds {
            let said = says(&place, command, file);
            assert!(said.contains(told) && said.contains(hint) && said.contains(":1:1: "), "{command:?}: {said}");
        }
    }
    let of_a_bootstrap = |file: &str| says(&place, &["attach", "RIGHT", "FILE"], file);
    let said = of_a_bootstrap("right.yaml");
    assert!(
        said.contains("is a registry, not Envoy's bootstrap") && said.contains("the registry comes first"),
        "{said}"
    );
    let said = of_a_bootstrap("array.json");
    assert!(said.contains("bootstrap: [3 elements]: must be a mapping") && said.contains("static_resources"), "{said}");
}

#[test]
fn a_file_that_is_no_log_and_no_token_is_told_so() {
    let place = place("no-log");
    let top: &[&str] = &["top", "calls", "--log", "FILE"];
    assert!(says(&place, top, "own.yaml").contains("none of its lines is an object of JSON: log.calls and"));
    assert!(
        says(&place, &["explain", "--line", "FILE"], "own.yaml")
            .contains("has no line of the call log or of the failover log")
    );
    fs::create_dir(place.path("folder")).unwrap();
    fs::File::create(place.path("large")).unwrap().set_len(200 << 20).unwrap();
    assert!(says(&place, &["pat", "check", "FILE"], "folder").contains("it is a directory"));
    assert!(says(&place, &["pat", "check", "FILE"], "large").contains("it is larger than 1 MiB"));
    for command in [top, &["explain", "--line", "FILE"], &["explain", "RIGHT", "--server", "s", "--body", "FILE"]] {
        assert!(says(&place, command, "folder").contains("cannot be read"), "{command:?}");
    }
}
