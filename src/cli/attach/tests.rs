//! What attaching does to a text. That Envoy takes it is checked in `tests/rendered_bootstrap.rs` and end to end.

use serde_json::Value;

use super::{Choice, attached};
use crate::cli::load::{load_text, parse};

const REGISTRY: &str = "version: 1\n\
    servers:\n\
    - {id: s, kind: mcp, url: 'https://mcp.example/mcp'}\n\
    tools: [{name: t, task: search}]\n";

/// With comments in every place that something is put next to, and lists at both depths that YAML allows.
const OWN: &str = r#"# my Envoy
admin:
  address: {socket_address: {address: 127.0.0.1, port_value: 9000}}
static_resources:
  listeners:
  # the one
  - name: own   # mine
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
                      # everything
                      - match: {prefix: /}
                        route: {cluster: app}
              http_filters:
                # the last
                - name: envoy.filters.http.router
                  typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
  clusters:
    - {name: app, type: STATIC}
layered_runtime:
  layers:
    - name: own
      static_layer:
        text: |
          - not an end
        other: 1

    # behind it
node: {id: me, cluster: mine}
"#;

fn attach(registry: &str, text: &str) -> Result<String, String> {
    let loaded = load_text("r.yaml", registry, None).unwrap_or_else(|error| panic!("{error}"));
    attached("own.yaml", text, Some((&loaded.registry, &loaded.wire)), &Choice::default())
        .map(|(text, _)| text)
        .map_err(|error| error.to_string())
}

fn at<'v>(tree: &'v Value, pointer: &str) -> &'v Value {
    tree.pointer(pointer).unwrap_or_else(|| panic!("{pointer} in {tree:#}"))
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().filter_map(|entry| entry["name"].as_str()).collect()
}

const MANAGER: &str = "/static_resources/listeners/1/filter_chains/0/filters/0/typed_config";

#[test]
fn each_part_goes_where_it_belongs_and_every_other_line_stays() {
    let text = attach(REGISTRY, OWN).unwrap();
    let tree = parse("own.yaml", &text).unwrap();
    assert_eq!(names(at(&tree, "/static_resources/listeners")), ["dualpath-sessions", "own"]);
    assert_eq!(names(at(&tree, &format!("{MANAGER}/http_filters"))), ["dualpath.gate", "envoy.filters.http.router"]);
    let routes = at(&tree, &format!("{MANAGER}/route_config/virtual_hosts/0/routes")).as_array().unwrap();
    assert_eq!(routes.last().unwrap()["route"]["cluster"], "app");
    assert_eq!(routes[0]["match"]["path"], "/mcp");
    assert_eq!(names(at(&tree, "/static_resources/clusters")), ["s", "dualpath-sessions", "dualpath-admin", "app"]);
    let port = "/static_resources/clusters/2/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address/socket_address/port_value";
    assert_eq!(at(&tree, port), 9000, "of this Envoy, not of the registry");
    assert_eq!(names(at(&tree, "/layered_runtime/layers")), ["dualpath", "own", "dualpath-admin"]);
    assert_eq!(at(&tree, "/bootstrap_extensions").as_array().unwrap().len(), 2);
    assert!(!at(&tree, "/stats_config/stats_tags").as_array().unwrap().is_empty());
    let mut rest = text.lines();
    assert!(OWN.lines().all(|line| rest.any(|other| other == line)), "{text}");
    assert!(
        text.contains("# dualpath attach: end\n                # the last\n"),
        "comments stay with what they speak of"
    );
}

#[test]
fn attaching_again_changes_nothing_and_another_registry_only_what_is_different() {
    let once = attach(REGISTRY, OWN).unwrap();
    assert_eq!(attach(REGISTRY, &once).unwrap(), once);
    let other = REGISTRY.replace("id: s", "id: other");
    assert_eq!(attach(&other, &once).unwrap(), attach(&other, OWN).unwrap());
    assert_eq!(
        attached("own.yaml", &once, None, &Choice::default()).unwrap().0,
        OWN,
        "and detaching brings back what was there"
    );
}

#[test]
fn what_is_not_understood_is_refused_with_its_place_and_a_remedy() {
    let manager = "static_resources.listeners[0] \"own\".filter_chains[0].filters[0] \"http\".typed_config";
    let matcher = "stats_config:\n  stats_matcher: {reject_all: true}\n";
    for (from, to, told) in [
        ("route_config:", "rds:", format!("{manager}.route_config: must be in this file")),
        (
            "envoy.filters.http.router\n",
            "dualpath.gate\n",
            format!("{manager}.http_filters[0] \"dualpath.gate\": is Dualpath's already"),
        ),
        (
            "    - {name: app, type: STATIC}",
            "    - {name: s, type: STATIC}",
            "clusters[0] \"s\": is called s, as one that is to be attached".to_owned(),
        ),
        (
            "  clusters:\n    - {name: app, type: STATIC}",
            "  clusters: [{name: app}]",
            "static_resources.clusters[0] \"app\": must stand on lines of its own".to_owned(),
        ),
        ("domains: [\"*\"]", "matcher: {}", "virtual_hosts[0] \"own\".matcher: chooses the routes".to_owned()),
        ("static_resources:", "staticResources:", "staticResources: must be written static_resources".to_owned()),
        ("listeners:", "listenerz:", "static_resources.listeners: has no listener to attach to".to_owned()),
        (
            "{socket_address: {address: 127.0.0.1, port_value: 9000}}",
            "{}",
            "admin.address: must be a socket_address".to_owned(),
        ),
        ("node: {id", "# dualpath attach: end\nnode: {id", "line 38: is one of the two comments".to_owned()),
        (
            "node: {id",
            &format!("{matcher}node: {{id"),
            "stats_config.stats_matcher: lets no statistics through".to_owned(),
        ),
        ("node: {id: me", "node: {id: [me", "own.yaml:".to_owned()),
    ] {
        let text = OWN.replace(from, to);
        assert_ne!(text, OWN, "{from}");
        let told_instead = attach(REGISTRY, &text).expect_err(&told);
        assert!(told_instead.contains(&told), "{told}: {told_instead}");
    }
}

#[test]
fn endings_of_lines_and_text_that_looks_like_comments_stay_as_they_are() {
    for own in [
        OWN.replace('\n', "\r\n"),
        OWN.trim_end().to_owned(),
        // The last line ends a list, a mapping and the file.
        OWN.split("\n    # behind it").next().unwrap_or_default().to_owned(),
        OWN.replace(
            "                # the last\n",
            "                - name: own\n                  text: |\n                    a\n                    # no comment\n",
        ),
    ] {
        let text = attach(REGISTRY, &own).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(attach(REGISTRY, &text).as_deref(), Ok(&*text));
        let detached = attached("own.yaml", &text, None, &Choice::default()).unwrap().0;
        assert_eq!(detached.trim_end(), own.trim_end());
    }
}

#[test]
fn of_several_listeners_one_has_to_be_chosen() {
    let second = OWN.lines().skip(6).take_while(|line| *line != "  clusters:").collect::<Vec<_>>().join("\n");
    let text = OWN.replace("  clusters:", &format!("{}\n  clusters:", second.replace("name: own ", "name: two ")));
    let told = attach(REGISTRY, &text).unwrap_err();
    assert!(told.contains("has several that may be meant: own, two") && told.contains("--listener"), "{told}");
    let loaded = load_text("r.yaml", REGISTRY, None).unwrap();
    let choice = Choice { listener: Some("two".to_owned()), ..Choice::default() };
    let (text, _) = attached("own.yaml", &text, Some((&loaded.registry, &loaded.wire)), &choice).unwrap();
    let tree = parse("own.yaml", &text).unwrap();
    let gates = |number: usize| text_of(&tree, number).matches("dualpath.gate").count();
    assert!(gates(1) == 0 && gates(2) > 0, "{text}");
}

#[test]
fn what_has_no_name_is_chosen_by_its_number() {
    let second = OWN.lines().skip(6).take_while(|line| *line != "  clusters:").collect::<Vec<_>>().join("\n");
    let text =
        OWN.replace("  clusters:", &format!("{}\n  clusters:", second.replace("name: own ", "reuse_port: true ")));
    let told = attach(REGISTRY, &text).unwrap_err();
    assert!(told.contains("has several that may be meant: own, 1"), "{told}");
    let loaded = load_text("r.yaml", REGISTRY, None).unwrap();
    let choice = Choice { listener: Some("1".to_owned()), ..Choice::default() };
    let (text, _) = attached("own.yaml", &text, Some((&loaded.registry, &loaded.wire)), &choice).unwrap();
    assert!(text_of(&parse("own.yaml", &text).unwrap(), 2).contains("dualpath.gate"));
}

/// A line is gone, is there twice, or stands further in: what of it can be attached to can be detached from, and changes once.
#[test]
fn a_bootstrap_that_is_slightly_wrong_is_refused_or_attached_to_like_any_other() {
    let lines: Vec<&str> = OWN.lines().collect();
    let mut refused = 0;
    for (number, line) in lines.iter().enumerate() {
        for instead in [String::new(), format!("{line}\n{line}\n"), format!(" {line}\n")] {
            let of = |range: &[&str]| range.iter().map(|line| format!("{line}\n")).collect::<String>();
            let text = of(&lines[..number]) + &instead + &of(&lines[number + 1..]);
            let Ok(once) = attach(REGISTRY, &text) else {
                refused += 1;
                continue;
            };
            assert_eq!(attach(REGISTRY, &once).as_deref(), Ok(&*once), "{text}");
            assert_eq!(attached("own.yaml", &once, None, &Choice::default()).unwrap().0, text);
        }
    }
    assert!((20..100).contains(&refused), "{refused} of {}", 3 * lines.len());
}

fn text_of(tree: &Value, listener: usize) -> String {
    at(tree, &format!("/static_resources/listeners/{listener}")).to_string()
}
