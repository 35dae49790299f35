use super::names::migrated;
use super::write::Source;
use crate::cli::load::{Tree, load_text};

const OLD: &str = "# the registry
servers:
  - id: s            # first
    kind: mcp
    url: https://host.example
    on: {lost: {alert: true}}   # the pager
  - {id: t, kind: mcp, url: 'https://two.example', \"on\": {server: {alert: true}}}
tools:
  - name: a
    task: on         # no key
    true:            # YAML 1.1 was here
      server: {failover: never}
";

#[test]
fn former_names_are_changed_where_they_stand_and_nothing_else() {
    let done = migrated("r.yaml", OLD).unwrap_or_else(|error| panic!("{error}"));
    let expected = OLD
        .replace("    on: {lost", "    outcomes: {lost")
        .replace("\"on\"", "\"outcomes\"")
        .replace("    true:", "    outcomes:")
        .replace("servers:\n", "version: 1\nservers:\n");
    assert_eq!(done.text, expected);
    assert_eq!(
        done.done,
        [
            "6:5: servers[0]: on is called outcomes now",
            "7:52: servers[1]: on is called outcomes now",
            "11:5: tools[0]: true is called outcomes now",
            "version: 1 added",
        ]
    );
    let again = migrated("r.yaml", &done.text).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((again.text, again.done.len()), (done.text.clone(), 0));
    load_text("r.yaml", &done.text, None).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn environments_json_and_windows_lines_are_migrated_too() {
    for (old, new) in [
        (
            "version: 1\nservers: []\nenvironments: {e: {servers: {s: {on: {}}}, tools: [{name: t, on: {}}]}}\n",
            "version: 1\nservers: []\nenvironments: {e: {servers: {s: {outcomes: {}}}, tools: [{name: t, outcomes: {}}]}}\n",
        ),
        (
            "{\"servers\": [{\"id\": \"s\", \"on\": {}}]}",
            "{\"version\": 1, \"servers\": [{\"id\": \"s\", \"outcomes\": {}}]}",
        ),
        (
            "version: 1\r\nservers:\r\n- id: \u{fc}\r\n  on: {}\r\n",
            "version: 1\r\nservers:\r\n- id: \u{fc}\r\n  outcomes: {}\r\n",
        ),
        ("# nothing old\nversion: 1\nservers: []\n", "# nothing old\nversion: 1\nservers: []\n"),
    ] {
        let done = migrated("r.yaml", old).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(done.text, new);
    }
}

#[test]
fn a_key_that_has_both_names_is_left_to_people() {
    let error = migrated("r.yaml", "tools:\n  - {name: t, on: {}, outcomes: {}}\n").expect_err("both");
    assert!(error.to_string().starts_with("r.yaml:2:15: on is beside outcomes"), "{error}");
}

#[test]
fn what_is_migrated_reads_as_before() {
    let done = migrated("r.yaml", OLD).unwrap_or_else(|error| panic!("{error}"));
    let value = |text: &str| Tree::read("r.yaml", 0, text).unwrap_or_else(|error| panic!("{error}")).value();
    let (old, new) = (value(OLD), value(&done.text));
    assert_eq!(old["servers"][0]["on"], new["servers"][0]["outcomes"]);
    assert_eq!(old["tools"][0]["task"], new["tools"][0]["task"]);
}

#[test]
fn what_is_different_brings_the_comments_that_stand_there() {
    let text = "# of the file
servers:
  # in the south
  # of the country
  - id: one        # one
    url: 'https://one # no comment'   # moved
    timeout: 5s
listener: {port: 1, path: /x}   # both
";
    let tree = Tree::read("r.yaml", 0, text).unwrap_or_else(|error| panic!("{error}"));
    let over = serde_json::json!({
        "servers": {"one": {"url": "https://one # no comment", "timeout": "5s", "tier": null}, "two": null},
        "listener": {"port": 1, "path": "/x"}, "tools": []
    });
    let mut written = String::new();
    let source = Source::new(text, "# of the file\n");
    source.write(over.as_object().unwrap(), Some(&tree), 1, &mut written).unwrap();
    let expected = "  servers:
    # in the south
    # of the country
    one: # one
      url: \"https://one # no comment\" # moved
      timeout: 5s
      tier: null
    two: null
  listener: # both
    port: 1
    path: /x
  tools: []
";
    assert_eq!(written, expected);
}
