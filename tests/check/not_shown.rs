//! What no command shows, whichever file was named in the place of another.

use super::{Place, RIGHT, dualpath};

/// Runs the command and answers all that it says, in which nothing secret may be.
#[track_caller]
fn says(arguments: &[&str], status: i32) -> String {
    let output = dualpath(arguments, "");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8(said).expect("UTF-8");
    assert_eq!(output.status.code(), Some(status), "{arguments:?}: {said}");
    assert!(!said.contains("SECRET") && !said.contains("8675309"), "{arguments:?}: {said}");
    said
}

/// What files with secrets look like, and what is said of them.
const FILES: [(&str, &str, &str); 7] = [
    ("token", "SECRETPLAINTOKENVALUE0123456789\n", "registry: a text: must be a mapping"),
    ("number", "8675309867530986753098675309\n", "registry: a number: must be a mapping"),
    ("env", "A=SECRET1\nB=SECRET2\n", "registry: a text: must be a mapping"),
    ("passwd", "SECRET:x:0:0:root:/root:/bin/bash\n", "registry: a text: must be a mapping"),
    ("shadow", "root:*SECRET:20228:0:99999:7:::\n", "(not shown): (not shown): is not a known key"),
    ("twice", "SECRET/a: 1\nSECRET/a: 2\n", "duplicate mapping key (not shown) is not allowed here"),
    ("tag", "!SECRET/+= a\n", ""),
];

#[test]
fn nothing_is_shown_of_a_file_that_is_no_registry_however_it_comes_to_be_read() {
    let place = Place::new("no-registry");
    let right = place.write("right.yaml", RIGHT);
    for (name, text, told) in FILES {
        let file = place.write(name, text);
        let including = place.write("including.yaml", &format!("include: {name}\n{RIGHT}"));
        for arguments in [&["check", &*file][..], &["check", &including], &["diff", &right, &file], &["render", &file]]
        {
            let said = says(arguments, 1);
            assert!(said.contains(told), "{arguments:?}: {said}");
        }
        says(&["check", "--format", "json", &file], 1);
        says(&["migrate", &right, "--with", &format!("stg={file}")], 1);
    }
}

#[test]
fn nothing_is_shown_of_a_file_that_is_no_list_of_what_servers_list() {
    let place = Place::new("no-lists");
    let right = place.write("right.yaml", RIGHT);
    let more = [
        ("list", "- SECRET\n", ""),
        ("open", "a: [SECRET\n", ""),
        ("key", "SECRET: []\n", ""),
        ("value", "s: SECRET\n", ""),
    ];
    for (name, text, _) in FILES.into_iter().chain(more) {
        let lists = place.write(name, text);
        says(&["explain", &right, "--routing", "--lists", &lists], 2);
    }
}

#[test]
fn a_password_in_a_url_of_the_command_line_is_never_shown() {
    let place = Place::new("password");
    let registry = place.write("r.yaml", RIGHT);
    for url in ["http://u:SECRET@127.0.0.1:1", "https://u:SECRET@127.0.0.1:1", "u:SECRET@127.0.0.1:1"] {
        let folder = place.path("out");
        says(&["render", &registry, "-t", "envoy-dynamic", "-o", &folder, "--admin", url], 2);
        says(&["validate", &registry, "--url", url], 2);
    }
}

#[test]
fn attaching_shows_no_secret_among_the_changes() {
    let place = Place::new("attach");
    let credentials = "credentials: [{id: c, slots: {a: {inline: SECRET-of-the-registry}}}]\n";
    let registry = RIGHT.replace("https://host.example'", "http://127.0.0.1:1', credential: c") + credentials;
    let registry = place.write("r.yaml", &registry);
    let bootstrap = place.write("own.yaml", &format!("{OWN}{}", OWN_CLUSTERS));
    let said = says(&["attach", &registry, &bootstrap], 0);
    assert!(said.contains("(not shown)"), "{said}");
    let (one, two) = (std::fs::read_to_string(&bootstrap).unwrap(), place.path("two.yaml"));
    std::fs::write(&two, format!("{one}---\n{one}")).unwrap();
    let said = says(&["attach", &registry, &two], 1);
    assert!(said.contains("a bootstrap is one document") && !said.contains("a registry is"), "{said}");
}

pub(super) const OWN: &str = r#"static_resources:
  secrets:
  - name: own
    generic_secret: {secret: {inline_string: SECRET-of-the-bootstrap}}
  listeners:
  - name: own
    address: {socket_address: {address: 127.0.0.1, port_value: 10200}}
    filter_chains:
      - filters:
          - name: http
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
              stat_prefix: own
              route_config:
                virtual_hosts:
                  - name: own
                    domains: ["*"]
                    routes:
                      - match: {prefix: /}
                        route: {cluster: app}
              http_filters:
                - name: envoy.filters.http.router
                  typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
"#;

const OWN_CLUSTERS: &str = "  clusters:\n    - {name: app, type: STATIC}\n";
