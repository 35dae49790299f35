#[cfg(all(target_family = "wasm", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

use serde_json::{Value, json};

use super::*;

/// Two MCP servers, an API, and a tool that all three answer.
fn registry(routing: &Value) -> Registry {
    let rest = json!({"server": "api", "method": "GET", "path": "/s", "answer": {"content": "${response.text}"}});
    let price = |per_call: f64| json!({"per_call": per_call, "as_of": "2026-11-01"});
    let offers = json!({"models": ["large"], "max_tokens": 8192, "features": ["vision"]});
    let tree = json!({
        "version": 1,
        "routing": {"sessions": {"by": "weight", "weights": {"stable": 3, "canary": 1}}},
        "servers": [
            {"id": "stable", "kind": "mcp", "url": "https://one.example", "price": price(3.0), "offers": offers},
            {"id": "canary", "kind": "mcp", "tier": "secondary", "url": "https://two.example", "price": price(1.0)},
            {"id": "api", "kind": "rest", "url": "https://api.example", "price": price(2.0), "offers": offers}
        ],
        "tools": [{"name": "search", "task": "search", "rest": rest, "routing": routing}]
    });
    Registry::from_wire(&tree).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn order(registry: &Registry, lot: Lot<'_>) -> Vec<u16> {
    chain(registry, Route::Tool(&registry.tools[0]), lot).into_iter().map(|server| server.0).collect()
}

const STABLE: u16 = 0;
const CANARY: u16 = 1;
const API: u16 = 2;

#[test]
fn each_server_gets_its_share_and_the_others_follow_in_the_order_of_tiers() {
    let registry = registry(&json!({"by": "weight", "weights": {"stable": 90, "canary": 9, "api": 1}}));
    let mut counts = [0_u32; 3];
    for random in 0..100_000 {
        let draw = Route::Tool(&registry.tools[0]).draw(&registry, random, |_| panic!("no header is asked for"));
        let order = order(&registry, Lot { draw, ..Lot::default() });
        counts[usize::from(order[0])] += 1;
        let rest: Vec<_> = [STABLE, CANARY, API].into_iter().filter(|server| *server != order[0]).collect();
        assert_eq!(order[1..], rest);
        assert_eq!(
            first_choice(&registry, Route::Tool(&registry.tools[0]), Lot { draw, ..Lot::default() }).map(|at| at.0),
            Some(order[0])
        );
    }
    // Six standard deviations of 100,000 fair draws.
    for (count, (mean, most)) in counts.into_iter().zip([(90_000, 570), (9_000, 543), (1_000, 189)]) {
        assert!(u32::abs_diff(count, mean) <= most, "{counts:?}");
    }
}

#[test]
fn every_number_that_can_be_drawn_names_a_server_with_a_weight() {
    let registry = registry(&json!({"by": "weight", "weights": {"stable": 0, "canary": 1, "api": 0}}));
    for draw in [0, 1, u32::MAX / 2, u32::MAX] {
        assert_eq!(order(&registry, Lot { draw: Some(draw), ..Lot::default() }), [CANARY, STABLE, API]);
    }
}

#[test]
fn a_client_in_a_session_stays_with_its_server_whatever_is_drawn() {
    let owner = Some(ServerIndex(CANARY));
    for routing in [json!({"by": "weight", "weights": {"stable": 1}}), json!({"by": "cost"}), json!({})] {
        let registry = registry(&routing);
        let order = order(&registry, Lot { draw: Some(0), owner, ..Lot::default() });
        assert_eq!(order.iter().find(|server| **server != API), Some(&CANARY), "{routing}");
    }
    let registry = registry(&json!({"by": "weight", "weights": {"api": 1}}));
    assert_eq!(
        order(&registry, Lot { draw: Some(0), owner, ..Lot::default() }),
        [API, CANARY, STABLE],
        "REST has no sessions"
    );
}

#[test]
fn a_server_that_the_request_names_is_asked_first_and_the_others_follow_in_their_order() {
    for (routing, drawn) in [
        (json!({}), STABLE),
        (json!({"by": "weight", "weights": {"stable": 1}}), STABLE),
        (json!({"by": "cost"}), CANARY),
    ] {
        let registry = registry(&routing);
        let usual = order(&registry, Lot { draw: Some(0), ..Lot::default() });
        assert_eq!(usual[0], drawn);
        for prefer in [STABLE, CANARY, API] {
            let lot = Lot { draw: Some(0), prefer: Some(ServerIndex(prefer)), ..Lot::default() };
            let mut expected = usual.clone();
            expected.retain(|server| *server != prefer);
            expected.insert(0, prefer);
            assert_eq!(order(&registry, lot), expected, "{routing} {prefer}");
            assert_eq!(
                first_choice(&registry, Route::Tool(&registry.tools[0]), lot),
                lot.prefer,
                "so it is no fallback"
            );
        }
    }
}

#[test]
fn naming_a_server_never_adds_one_and_never_parts_a_client_from_its_session() {
    let needs = registry(&json!({"needs": {"model": "large"}}));
    let prefer = Some(ServerIndex(CANARY));
    assert_eq!(order(&needs, Lot { prefer, ..Lot::default() }), [STABLE, API], "it lacks what the tool needs");
    let registry = registry(&json!({}));
    let owner = Some(ServerIndex(STABLE));
    assert_eq!(order(&registry, Lot { prefer, owner, ..Lot::default() }), [STABLE, CANARY, API]);
    let direct = Some(ServerIndex(API));
    assert_eq!(
        order(&registry, Lot { prefer: direct, owner, ..Lot::default() }),
        [API, STABLE, CANARY],
        "REST has no sessions"
    );
    let only = chain(&registry, Route::Only(ServerIndex(STABLE)), Lot { prefer, ..Lot::default() });
    assert_eq!(only, [ServerIndex(STABLE)], "what belongs to one server's session");
}

#[test]
fn the_cheapest_is_asked_first_and_the_next_cheapest_takes_over() {
    assert_eq!(order(&registry(&json!({"by": "cost"})), Lot::default()), [CANARY, API, STABLE]);
}

#[test]
fn the_fastest_is_asked_first_but_for_the_clients_session() {
    let registry = registry(&json!({"by": "latency"}));
    let fastest = [API, CANARY, STABLE].map(ServerIndex);
    // What is drawn last tries nothing out.
    let lot = Lot { draw: Some(u32::MAX), fastest: &fastest, ..Lot::default() };
    assert_eq!(order(&registry, Lot { fastest: &[], ..lot }), [STABLE, CANARY, API], "nothing is known yet");
    assert_eq!(order(&registry, lot), [API, CANARY, STABLE]);
    assert_eq!(order(&registry, Lot { owner: Some(ServerIndex(STABLE)), ..lot }), [API, STABLE, CANARY]);
    assert_eq!(order(&registry, Lot { prefer: Some(ServerIndex(CANARY)), ..lot }), [CANARY, API, STABLE]);
}

#[test]
fn the_order_of_tiers_holds_until_a_server_is_much_faster_and_again_when_it_is_hardly_faster() {
    let registry = registry(&json!({"by": "latency"}));
    let mut order = Vec::new();
    let mut after = |stable: f32, canary: f32, api: f32| {
        let known = |ms: f32| (ms > 0.0).then_some(ms);
        reorder(&mut order, &registry, &[known(stable), known(canary), known(api)]);
        order.iter().map(|at| at.0).collect::<Vec<_>>()
    };
    assert_eq!(after(0.0, 0.0, 0.0), [STABLE, CANARY, API], "nothing is known");
    assert_eq!(after(500.0, 0.0, 0.0), [STABLE, CANARY, API]);
    assert_eq!(after(190.0, 100.0, 400.0), [STABLE, CANARY, API], "not much faster");
    assert_eq!(after(210.0, 100.0, 400.0), [CANARY, STABLE, API]);
    assert_eq!(after(120.0, 100.0, 400.0), [CANARY, STABLE, API], "still faster");
    assert_eq!(after(105.0, 100.0, 400.0), [STABLE, CANARY, API], "hardly faster");
    assert_eq!(after(500.0, 200.0, 10.0), [API, CANARY, STABLE]);
    assert_eq!(after(1.2, 1.1, 1.0), [STABLE, CANARY, API], "a millisecond more or less is no matter");
}

#[test]
fn one_of_many_calls_by_latency_tries_out_any_of_the_servers() {
    let registry = registry(&json!({"by": "latency"}));
    let fastest = [ServerIndex(CANARY), ServerIndex(STABLE), ServerIndex(API)];
    let mut counts = [0_u32; 3];
    for random in 0..96_000 {
        let draw = Route::Tool(&registry.tools[0]).draw(&registry, random, |_| panic!("no header is asked for"));
        counts[usize::from(order(&registry, Lot { draw, fastest: &fastest, ..Lot::default() })[0])] += 1;
    }
    // 1 of 32, a third of it each: 1000. Six standard deviations.
    for server in [STABLE, API] {
        assert!(counts[usize::from(server)].abs_diff(1_000) < 190, "{counts:?}");
    }
    assert_eq!(Route::Issuer(Some(&registry.tools[0])).draw(&registry, 1, |_| None), None);
}

#[test]
fn a_server_that_does_not_offer_what_is_needed_is_not_asked() {
    for needs in [json!({"model": "large"}), json!({"max_tokens": 8192}), json!({"features": ["vision"]})] {
        let registry = registry(&json!({"by": "cost", "needs": needs}));
        assert_eq!(order(&registry, Lot::default()), [API, STABLE], "{needs}");
    }
}

#[test]
fn the_same_header_goes_to_the_same_server_and_many_share_alike() {
    let registry = registry(&json!({"by": "weight", "weights": {"stable": 1, "canary": 1}, "sticky": "x-user-id"}));
    let first = |route: Route<'_>, user: &str, random| {
        let header = |name: &str| (name == "x-user-id").then(|| user.as_bytes().to_vec());
        chain(&registry, route, Lot { draw: route.draw(&registry, random, header), ..Lot::default() })[0].0
    };
    let tool = &registry.tools[0];
    let mut on_canary = 0;
    for user in (0..1_000).map(|user| format!("user-{user}")) {
        let server = first(Route::Tool(tool), &user, 1);
        assert_eq!(server, first(Route::Tool(tool), &user, 2));
        assert_eq!(server, first(Route::Issuer(Some(tool)), &user, 3), "what a server has issued goes back to it");
        on_canary += u32::from(server == CANARY);
    }
    assert!(u32::abs_diff(on_canary, 500) < 95, "{on_canary}");
    let without = Route::Tool(tool).draw(&registry, 7, |_| None);
    assert_eq!(without, Route::Tool(tool).draw(&registry, 7, |_| None));
    assert_ne!(without, Route::Tool(tool).draw(&registry, 8, |_| None), "without the header chance decides");
}

#[test]
fn new_sessions_are_drawn_and_nothing_else_of_the_protocol() {
    let registry = registry(&json!({}));
    let draw = |route: Route<'_>| route.draw(&registry, 1, |_| None);
    assert!(draw(Route::Begin).is_some());
    for route in [Route::AnyMcp, Route::Issuer(None), Route::Only(ServerIndex(0)), Route::Tool(&registry.tools[0])] {
        assert_eq!(draw(route), None, "{route:?}");
    }
    let begins = |draw| chain(&registry, Route::Begin, Lot { draw, ..Lot::default() })[0].0;
    // Which of them has the smaller numbers depends on how the weights were read.
    let mut begun = [begins(Some(0)), begins(Some(u32::MAX))];
    begun.sort_unstable();
    assert_eq!(begun, [STABLE, CANARY]);
}
