use serde_json::{Value, json};

use super::collect::Collector;
use super::names::Names;
use super::summary::Summary;
use super::{page, period, text};

fn summary(log: &str) -> Summary {
    of_period(log, None)
}

fn of_period(log: &str, since: Option<&str>) -> Summary {
    let mut collected = Collector::new(period::asked(since, None, 0).unwrap());
    for (number, line) in (1..).zip(log.lines()) {
        collected.take("calls.log", number, line);
    }
    Summary::of(collected, 3, &Names::default(), Vec::new())
}

/// A line of the call log; `change` replaces members.
fn call(change: Value) -> String {
    let mut line = json!({
        "time": "2026-11-28T09:12:44.301Z", "caller": "10.0.0.7", "method": "tools/call", "tool": "search", "mode": "mcp", "server": "one",
        "outcome": "success", "attempts": 1, "hops": [{"server": "one", "reason": "first", "class": "success", "ms": 20}], "duration_ms": 20,
    });
    change.as_object().unwrap().iter().for_each(|(name, value)| line[name] = value.clone());
    format!("{line}\n")
}

fn saved() -> Value {
    let hops = json!([{"server": "one", "reason": "first", "class": "lost", "ms": 5}, {"server": "two", "reason": "next", "class": "success", "ms": 40}]);
    json!({"outcome": "fallback", "server": "two", "attempts": 2, "hops": hops, "duration_ms": 45})
}

fn failed() -> Value {
    json!({"outcome": "failed", "mode": "gate", "server": null, "hops": [{"server": "one", "reason": "first", "class": "server"}], "duration_ms": 9})
}

#[test]
fn availability_is_told_with_failover_and_without() {
    let log = [call(json!({})).repeat(7), call(saved()).repeat(2), call(failed())].concat();
    let told = summary(&log);
    assert_eq!((told.all.calls, told.all.answered, told.all.saved, told.all.unanswered), (10, 9, 2, 1));
    assert_eq!((told.all.availability, told.all.without_failover), (Some(0.9), Some(0.7)));
    let text = text::text(&told);
    assert!(text.contains("90.00 % available; 70.00 % without failover, which saved 2; 1 unanswered"), "{text}");
    let classes: Vec<_> = told.failures.iter().map(|it| (it.class.as_str(), it.attempts, it.unanswered)).collect();
    assert_eq!(classes, [("lost", 2, 0), ("server", 1, 1)]);
    let server =
        |name: &str| told.servers.iter().find(|it| it.name == name).map(|it| (it.attempts, it.failed, it.flapped));
    assert_eq!((server("one"), server("two")), (Some((10, 3, 1)), Some((2, 0, 0))));
}

#[test]
fn times_are_right_to_one_in_a_hundred() {
    let log: String = (1..=1000).map(|ms| call(json!({"duration_ms": ms}))).collect();
    let times = summary(&log).tools[0].times;
    for (quantile, exact) in [(times.p50_ms, 500.0), (times.p95_ms, 950.0), (times.p99_ms, 990.0)] {
        let found = quantile.unwrap();
        assert!((found - exact).abs() <= exact / 100.0, "{found} instead of {exact}");
    }
}

#[test]
fn cost_goes_to_the_tool_the_model_and_the_caller() {
    let used = json!({"model": "haiku", "input_tokens": 100, "output_tokens": 20, "credits": 0.5, "caller": "a"});
    let log = [call(used.clone()), call(used), call(json!({"tool": "sql", "caller": "b"}))].concat();
    let told = summary(&log);
    let figures = |it: &super::summary::Use| (it.name.clone(), it.calls, it.input_tokens, it.output_tokens, it.credits);
    assert_eq!((told.tools[0].input_tokens, told.tools[0].credits), (200, 1.0));
    assert_eq!(told.models.iter().map(figures).collect::<Vec<_>>(), [("haiku".to_owned(), 2, 200, 40, 1.0)]);
    assert_eq!(told.callers.iter().map(figures).next(), Some(("a".to_owned(), 2, 200, 40, 1.0)));
}

#[test]
fn the_call_log_names_token_and_slot() {
    let log: String =
        ["pat/a/00ab", "pat/a/00ab", "pat/b/00cd"].map(|token| call(json!({"credential": token}))).concat();
    let told = summary(&log);
    let tokens =
        told.credentials.iter().map(|it| (&*it.credential, it.slot.as_deref(), it.fingerprint.as_deref(), it.calls));
    assert_eq!(tokens.collect::<Vec<_>>(), [("pat", Some("a"), Some("00ab"), 2), ("pat", Some("b"), Some("00cd"), 1)]);
}

#[test]
fn tools_that_clients_make_up_are_told_together() {
    let made_up: String = (0..3000).map(|at| call(json!({"tool": format!("made-up-{at}"), "task": "other"}))).collect();
    let told = summary(&[made_up, call(json!({"task": "search"}))].concat());
    assert!(told.tools.len() <= 202, "{}", told.tools.len());
    assert!(told.tools.iter().any(|it| it.name == "search"));
    assert_eq!(told.tools.iter().map(|it| it.calls).sum::<u64>(), 3001);
}

#[test]
fn a_million_callers_are_few_rows_that_add_up() {
    let log: String = (0..20_000)
        .map(|at| call(json!({"caller": if at % 4 == 0 { "busy".to_owned() } else { format!("c{at}") }})))
        .collect();
    let told = summary(&log);
    assert_eq!(told.callers[0].name, "busy");
    assert_eq!(told.callers.last().unwrap().name, "(others)");
    assert!(told.callers.len() <= 4);
    assert_eq!(told.callers.iter().map(|it| it.calls).sum::<u64>(), 20_000);
}

#[test]
fn torn_lines_are_counted_and_the_first_is_named() {
    let log = format!("{}\n{}{{\"time\":\"20\n[info] no call\n{{}}\n{}", "", call(json!({})), call(json!({})));
    let told = summary(&log);
    let lines = &told.lines;
    assert_eq!((lines.read, lines.calls, lines.unreadable, lines.other), (5, 2, 2, 1));
    assert_eq!(lines.first_unreadable.as_deref(), Some("calls.log:3"));
    assert!(text::text(&told).contains("2 of 5 lines can't be read (torn, or no JSON), the first at calls.log:3."));
}

#[test]
fn no_bytes_at_all_make_it_panic() {
    let line = call(saved());
    for end in (0..line.len()).filter(|end| line.is_char_boundary(*end)) {
        for tail in ["", "\u{0}", "}", "\"", "]}}"] {
            let told = summary(&format!("{}{tail}", &line[..end]));
            let _ = (text::text(&told), page::page(&told, 0));
        }
    }
    for strange in [
        json!({"duration_ms": -5}),
        json!({"duration_ms": 1e300}),
        json!({"credits": "NaN"}),
        json!({"hops": {}}),
        json!({"tool": ""}),
        json!({"time": 5}),
    ] {
        let told = summary(&call(strange));
        let _ = (text::text(&told), page::page(&told, 0));
    }
    let _ = (text::text(&summary("")), page::page(&summary(""), 0));
}

#[test]
fn only_calls_of_the_time_that_is_asked_for_count() {
    let log = [call(json!({"time": "2026-10-31T23:59:59Z"})), call(json!({})), call(json!({"time": null}))].concat();
    let told = of_period(&log, Some("2026-11-01"));
    assert_eq!((told.all.calls, told.lines.of_another_time, told.lines.without_time), (1, 1, 1));
    assert_eq!(summary(&log).all.calls, 3);
}

#[test]
fn the_older_logs_are_read_and_what_they_lack_is_said() {
    let story = r#"{"failover":{"tool":"search","mode":"mcp","attempts":1,"hops":[{"server":"one","reason":"open"},{"server":"two","reason":"next","class":"success"}]},"time":"2026-11-28T09:12:45.020Z","caller":"10.0.0.7","status":200,"duration_ms":9}"#;
    let decisions = r#"[{"event":"selected","credential":"pat","slot":"a","fingerprint":"00ab","server":"one"},{"event":"rejected","credential":"pat","slot":"a","fingerprint":"00ab","server":"one"},{"event":"switched","credential":"pat","slot":"b","fingerprint":"00cd","server":"one"}]"#;
    let audit =
        json!({"audit": "call", "time": "2026-11-28T09:12:45.020Z", "caller": "10.0.0.7", "decisions": decisions});
    let told = summary(&format!("{story}\n{audit}\n"));
    assert_eq!((told.all.calls, told.all.saved, told.lines.audit), (1, 1, 1));
    assert!(
        told.notes[0].starts_with("1 of 1 calls are from the failover log, which has no line for a call"),
        "{:?}",
        told.notes
    );
    let tokens: Vec<_> = told
        .credentials
        .iter()
        .map(|it| (it.slot.as_deref(), it.fingerprint.as_deref(), it.calls, it.refused))
        .collect();
    assert_eq!(tokens, [(Some("a"), Some("00ab"), 1, 1), (Some("b"), Some("00cd"), 1, 0)]);
}

#[test]
fn names_that_are_html_stay_text_and_the_page_loads_nothing() {
    let evil = "<script>alert(1)</script>\"' onload=x&\u{202e}";
    let hops = json!([{"server": evil, "reason": "first", "class": evil}, {"server": "two", "reason": "next", "class": "success"}]);
    let names =
        json!({"tool": evil, "caller": evil, "model": evil, "credential": evil, "hops": hops, "outcome": "fallback"});
    let html = page::page(&summary(&call(names)), 0);
    assert!(!html.contains("<script") && !html.contains("' onload") && !html.contains('\u{202e}'), "{html}");
    assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39; onload=x&amp;\\u202e"));
    assert!(html.contains("default-src 'none'") && html.contains("style-src 'sha256-"));
    for outside in ["http:", "https:", "src=", "href=", "url(", " style=", "@import"] {
        assert!(!html.contains(outside), "{outside}");
    }
}

#[test]
fn programs_get_the_figures() {
    let told: Value = serde_json::to_value(summary(&[call(json!({})), call(saved())].concat())).unwrap();
    assert_eq!(
        (&told["all"]["calls"], &told["all"]["availability"], &told["all"]["without_failover"]),
        (&json!(2), &json!(1.0), &json!(0.5))
    );
    assert_eq!((&told["from"], &told["tools"][0]["name"]), (&json!("2026-11-28T09:12:44Z"), &json!("search")));
    assert_eq!((&told["timeline"][0]["answered"], &told["timeline"][0]["saved"]), (&json!(1), &json!(1)));
}
