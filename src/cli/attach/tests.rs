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
        assert_eq!(detached, own, "byte for byte");
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

/// As [`attach`], with what the operator is told.
fn noted(registry: &str, text: &str) -> (String, Vec<String>) {
    let loaded = load_text("r.yaml", registry, None).unwrap();
    attached("own.yaml", text, Some((&loaded.registry, &loaded.wire)), &Choice::default())
        .unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_listener_may_have_its_http_in_the_default_filter_chain() {
    let own = OWN.replace("    filter_chains:\n      - filters:\n", "    default_filter_chain:\n        filters:\n");
    assert_ne!(own, OWN);
    let text = attach(REGISTRY, &own).unwrap_or_else(|error| panic!("{error}"));
    let tree = parse("own.yaml", &text).unwrap();
    let manager = "/static_resources/listeners/1/default_filter_chain/filters/0/typed_config/http_filters";
    assert_eq!(names(at(&tree, manager)), ["dualpath.gate", "envoy.filters.http.router"]);
    assert_eq!(attached("own.yaml", &text, None, &Choice::default()).unwrap().0, own);
    // Beside another chain it has to be chosen.
    let both = own.replace("    default_filter_chain:\n", &format!("{}    default_filter_chain:\n", chain_of_own()));
    let told = attach(REGISTRY, &both).unwrap_err();
    assert!(told.contains("has several that may be meant: 0, default_filter_chain"), "{told}");
}

/// The filter chains of [`OWN`] as they stand there.
fn chain_of_own() -> String {
    let begin = OWN.find("    filter_chains:").unwrap();
    OWN[begin..OWN.find("  clusters:").unwrap()].to_owned()
}

#[test]
fn anchors_and_aliases_stay_and_what_is_used_twice_is_refused() {
    let apart = OWN
        .replace("{name: app, type: STATIC}", "&app {name: app, type: STATIC}\n    - {<<: *app, name: other}")
        .replace("route: {cluster: app}", "route: &route {cluster: app}\n                      - match: {prefix: /other}\n                        route: *route");
    let text = attach(REGISTRY, &apart).unwrap_or_else(|error| panic!("{error}"));
    assert!(text.contains("&app {name: app") && text.contains("route: *route"), "{text}");
    assert_eq!(attached("own.yaml", &text, None, &Choice::default()).unwrap().0, apart);
    let own = OWN.replace("    filter_chains:\n", "    filter_chains: &chains\n");
    let twice = own.replace("  clusters:\n", "  - name: two\n    filter_chains: *chains\n  clusters:\n");
    let loaded = load_text("r.yaml", REGISTRY, None).unwrap();
    for (listener, rule, hint) in [
        ("own", "cannot be changed without changing what it says already", "hint: write it without anchors, aliases"),
        ("two", "stands behind an alias", "hint: write out in the place of the alias what it stands for"),
    ] {
        let choice = Choice { listener: Some(listener.to_owned()), ..Choice::default() };
        let told =
            attached("own.yaml", &twice, Some((&loaded.registry, &loaded.wire)), &choice).unwrap_err().to_string();
        assert!(told.contains(rule) && told.contains(hint), "{listener}: {told}");
    }
}

#[test]
fn a_port_that_is_taken_is_refused() {
    let with_metrics = |port: u16| format!("{REGISTRY}envoy: {{metrics_port: {port}, metrics_address: 0.0.0.0}}\n");
    let told = |port: u16| attach(&with_metrics(port), OWN).expect_err("it is taken");
    assert!(told(10200).contains(
        "static_resources.listeners[0] \"own\".address: has port 10200, which the listener metrics is to open beside own"
    ), "{}", told(10200));
    assert!(told(9000).contains("admin.address: has port 9000") && told(9000).contains("beside the admin interface"));
    assert!(told(9000).contains("hint: give envoy.metrics_port of the registry another number"));
    assert!(attach(&with_metrics(9902), OWN).is_ok());
}

#[test]
fn a_route_that_gets_no_more_of_its_path_is_told() {
    let with = |condition: &str| {
        OWN.replace("- match: {prefix: /}", &format!("- match: {{{condition}}}\n                        route: {{cluster: app}}\n                      - match: {{prefix: /}}"))
    };
    let route = r#"static_resources.listeners[0] "own".filter_chains[0].filters[0] "http".typed_config.route_config.virtual_hosts[0] "own".routes[0]: gets no request for /mcp any more"#;
    for condition in
        ["path: /mcp", "prefix: /mcp", "path_separated_prefix: /mcp", "prefix: /m", "safe_regex: {regex: '/mcp(/.*)?'}"]
    {
        let (text, notes) = noted(REGISTRY, &with(condition));
        assert!(notes.iter().any(|note| note.starts_with(route)), "{condition}: {notes:?}");
        let tree = parse("own.yaml", &text).unwrap();
        let first = at(&tree, &format!("{MANAGER}/route_config/virtual_hosts/0/routes/0"));
        assert!(first["typed_per_filter_config"]["dualpath.gate"].is_object(), "Dualpath's own is the first");
    }
    for condition in ["prefix: /api", "path: /mcps", "prefix: /mcp/more"] {
        let (_, notes) = noted(REGISTRY, &with(condition));
        assert!(!notes.iter().any(|note| note.contains("any more")), "{condition}: {notes:?}");
    }
}

#[test]
fn a_route_of_another_virtual_host_for_the_same_path_is_told() {
    let own = OWN.replace("                virtual_hosts:\n", "                virtual_hosts:\n                  - name: other\n                    domains: [other.example]\n                    routes: [{match: {path: /mcp}, route: {cluster: app}}]\n");
    assert_ne!(own, OWN);
    let loaded = load_text("r.yaml", REGISTRY, None).unwrap();
    let choice = Choice { virtual_host: Some("own".to_owned()), ..Choice::default() };
    let (_, notes) = attached("own.yaml", &own, Some((&loaded.registry, &loaded.wire)), &choice).unwrap();
    assert!(
        notes.iter().any(|note| note
            .contains(r#"virtual_hosts[0] "other".routes[0]: answers /mcp for the domains of its virtual host"#)),
        "{notes:?}"
    );
}
