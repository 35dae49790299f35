//! The dashboards: what each asks, and how it is to be read.

use super::panel::{BETWEEN, Dashboard, ILL, Look, Panel, Query, WELL};
use crate::registry::{Price, Registry};
use crate::telemetry::FAMILIES;

/// Numbers that are neither good nor bad.
const PLAIN: Look = Look::Number(u32::MAX, u32::MAX);

/// All dashboards for a registry.
pub fn dashboards(registry: &Registry) -> Vec<Dashboard> {
    let mut all = vec![overview(), failover(), breaker(), tokens(), tools(), pools(registry)];
    all.extend(cost(registry));
    for dashboard in &mut all {
        dashboard.panels.retain(|panel| !panel.queries.is_empty());
    }
    all
}

fn panel(
    look: Look,
    title: &'static str,
    unit: &'static str,
    about: &'static str,
    queries: &[(&str, &'static str)],
) -> Panel {
    let queries = queries.iter().map(|(expression, legend)| Query::new(*expression, legend)).collect();
    Panel { title, about, look, unit, page: None, queries }
}

fn lines(title: &'static str, unit: &'static str, about: &'static str, queries: &[(&str, &'static str)]) -> Panel {
    panel(Look::Lines, title, unit, about, queries)
}

fn areas(title: &'static str, about: &'static str, query: &str, legend: &'static str) -> Panel {
    panel(Look::Areas, title, "reqps", about, &[(query, legend)])
}

impl Panel {
    /// The same with the page that it leads to.
    fn leads_to(self, page: &'static str) -> Panel {
        Panel { page: Some(page), ..self }
    }
}

fn overview() -> Dashboard {
    Dashboard {
        slug: "overview",
        title: "Dualpath: overview",
        about: "Are clients served, by whom, how fast, and what wants attention?",
        panels: vec![
            panel(
                PLAIN,
                "Calls",
                "reqps",
                "Requests of clients, the protocol's own included.",
                &[("sum(rate(cortex_calls_total{@}[~]))", "")],
            ),
            panel(
                Look::Number(10, 100),
                "Failed",
                "percentunit",
                "Of calls that their clients have not given up: no answer. 0.1 % are allowed.",
                &[("max(dualpath:calls_failed:ratio_rate5m{#})", "")],
            )
            .leads_to("all-paths-down"),
            panel(
                Look::Number(1000, 5000),
                "By another server",
                "percentunit",
                "Calls that another server than the first choice has answered.",
                &[("max(dualpath:calls_fallback:ratio_rate10m{#})", "")],
            )
            .leads_to("a-server-is-left-alone-or-flaps"),
            panel(
                Look::Number(40_000, 100_000),
                "95th percentile",
                "ms",
                "Of 100 calls 95 are quicker. 400 ms are promised.",
                &[("max(dualpath:latency_ms:p95_5m{#})", "")],
            )
            .leads_to("a-server-is-slow"),
            panel(
                Look::Number(100, 100_000),
                "Servers left alone",
                "short",
                "Servers whose breaker is not closed; of several Envoys, the most.",
                &[("max(sum by (job, instance) (cortex_circuit_breaker_state{@} > bool 0))", "")],
            )
            .leads_to("a-server-is-left-alone-or-flaps"),
            panel(
                Look::Number(100, 100_000),
                "Switched off by hand",
                "short",
                "Kill switches and overrides in force: of MCP, of tasks, of servers.",
                &[(
                    "max(dualpath_kill_switch{@}) + (sum(max by (task) (dualpath_mcp_off{@})) or vector(0)) \
                     + (sum(max by (server, state) (dualpath_override{@,state!=\"normal\"})) or vector(0))",
                    "",
                )],
            )
            .leads_to("a-kill-switch-is-left-on"),
            areas(
                "How calls end",
                "`fallback`: answered by another server than the first. `error`: about the call, not the servers.",
                "sum by (status) (rate(cortex_calls_total{@}[~])) > 0",
                "{{status}}",
            ),
            areas(
                "Who answers",
                "`direct`: a REST API in the place of an MCP server. `gate`: Dualpath itself.",
                "sum by (mode) (rate(cortex_calls_total{@}[~])) > 0",
                "{{mode}}",
            ),
            lines(
                "How long calls take",
                "ms",
                "From the request to the end of its answer, failovers included.",
                &[
                    (
                        "histogram_quantile(0.5, sum by (le) (rate(cortex_latency_ms_bucket{@,mode!=\"gate\"}[~])))",
                        "half",
                    ),
                    (
                        "histogram_quantile(0.95, sum by (le) (rate(cortex_latency_ms_bucket{@,mode!=\"gate\"}[~])))",
                        "95 %",
                    ),
                    (
                        "histogram_quantile(0.99, sum by (le) (rate(cortex_latency_ms_bucket{@,mode!=\"gate\"}[~])))",
                        "99 %",
                    ),
                ],
            )
            .leads_to("a-server-is-slow"),
            lines(
                "The budget of errors burns",
                "short",
                "1: as fast as 99.9 % in 30 days allow. At 14.4 somebody is woken.",
                &[
                    ("max(dualpath:calls_failed:ratio_rate5m{#}) / 0.001", "5 min"),
                    ("max(dualpath:calls_failed:ratio_rate1h{#}) / 0.001", "1 h"),
                    ("max(dualpath:calls_failed:ratio_rate6h{#}) / 0.001", "6 h"),
                ],
            )
            .leads_to("all-paths-down"),
            lines(
                "Health of servers",
                "percent",
                "By the formula of the guide's page on breakers: 100 is well.",
                &[("min by (server) (mcp_server_health_percent{@})", "{{server}}")],
            ),
            lines(
                "Alerts that fire",
                "short",
                "Nothing is good.",
                &[("count by (alertname) (ALERTS{alertname=~\"Dualpath.+\",alertstate=\"firing\"})", "{{alertname}}")],
            ),
        ],
    }
}

fn failover() -> Dashboard {
    Dashboard {
        slug: "failover",
        title: "Dualpath: one call's way",
        about: "Which servers are asked, with what result, and what follows from a failure?",
        panels: vec![
            areas("Answered attempts", "What servers have answered, if with a no.", "sum by (server) (rate(dualpath_attempts_total{@,outcome!~\"not_sent|overload|server|lost|refused|credential\"}[~])) > 0", "{{server}}"),
            areas("Failed attempts", "By server and failure class: `not_sent` is the network, `credential` a token.", "sum by (server, outcome) (rate(dualpath_attempts_total{@,outcome=~\"not_sent|overload|server|lost|refused|credential\"}[~])) > 0", "{{server}}: {{outcome}}")
                .leads_to("a-server-is-left-alone-or-flaps"),
            areas("Answered by another server than the first", "By single failures, open breakers, kill switches.", "sum by (from, to, reason) (rate(cortex_fallback_total{@}[~])) > 0", "{{from}} {{to}} {{reason}}"),
            lines(
                "Attempts per call",
                "short",
                "1: every call is served by the first server that is asked. Above: calls are sent on.",
                &[("sum(rate(dualpath_attempts_total{@}[~])) / sum(rate(cortex_calls_total{@,mode!=\"gate\"}[~]))", "attempts")],
            ),
            lines(
                "Half of the calls, by who answers",
                "ms",
                "What a failover costs: the direct path may be slower than an MCP server.",
                &[("histogram_quantile(0.5, sum by (mode, le) (rate(cortex_latency_ms_bucket{@}[~])))", "{{mode}}")],
            ),
            areas("Failed calls that were not sent on", "`budget`: failures at a rate that the budget does not pay for. `not_replayable`: it might run twice.", "sum by (task, reason) (rate(dualpath_replay_refused_total{@}[~])) > 0", "{{task}}: {{reason}}")
                .leads_to("the-budget-is-empty"),
            areas("Sessions opened for clients", "At a server, for clients that had lost theirs; `moved` from another server.", "sum by (server) (rate(dualpath_sessions_opened_total{@}[~]))", "{{server}}"),
            lines("Held of requests and answers", "bytes", "All workers together; each may hold `limits.held`.", &[("sum by (instance) (dualpath_held_bytes{@})", "{{instance}}")]).leads_to("memory"),
            areas("Refused for want of room", "Requests are refused with 503; answers pass unjudged.", "sum by (reason) (rate(dualpath_held_refused_total{@}[~]))", "{{reason}}").leads_to("memory"),
        ],
    }
}

fn breaker() -> Dashboard {
    Dashboard {
        slug: "breaker",
        title: "Dualpath: breakers",
        about: "Which server is left alone since when, why, and when is it tried again?",
        panels: vec![
            panel(
                Look::States(&[("closed", WELL), ("open", ILL), ("half-open", BETWEEN)]),
                "State",
                "short",
                "Closed: it gets calls. Open: it is left alone. Half-open: one probe decides.",
                &[("max by (server) (cortex_circuit_breaker_state{@})", "{{server}}")],
            )
            .leads_to("a-server-is-left-alone-or-flaps"),
            lines(
                "Next probe",
                "ms",
                "Until a server that is left alone may be tried, as the prober saw it last.",
                &[("max by (server) (dualpath_breaker_probe_in_ms{@})", "{{server}}")],
            ),
            lines(
                "Changes in the last hour",
                "short",
                "More than three openings in an hour: it flaps.",
                &[(
                    "sum by (server, from, to) (increase(dualpath_breaker_transitions_total{@}[1h])) > 0",
                    "{{server}}: {{from}} to {{to}}",
                )],
            )
            .leads_to("a-server-is-left-alone-or-flaps"),
            areas(
                "Probes",
                "What they find: `success` closes a breaker.",
                "sum by (server, outcome) (rate(dualpath_probes_total{@}[~])) > 0",
                "{{server}}: {{outcome}}",
            ),
            areas(
                "Refusals of breakers",
                "How often a breaker says no where a call may go: it is open, its probe is under way, it has only just come back.",
                "sum by (server, event) (rate(dualpath_breaker_events_total{@,event=~\"refused_.+|ramp_diverted\"}[~])) > 0",
                "{{server}}: {{event}}",
            ),
            lines(
                "Health",
                "percent",
                "By the formula of the guide's page on breakers: 100 is well.",
                &[("min by (server) (mcp_server_health_percent{@})", "{{server}}")],
            ),
            lines(
                "Time to the first byte",
                "ms",
                "As routing by latency takes it.",
                &[("max by (server) (dualpath_server_time_ms{@})", "{{server}}")],
            )
            .leads_to("a-server-is-slow"),
            lines(
                "Calls at once",
                "short",
                "Of servers with `concurrency`: under way, and how many may be.",
                &[
                    ("sum by (server) (dualpath_concurrency_in_flight{@})", "{{server}}: under way"),
                    ("sum by (server) (dualpath_concurrency_limit{@})", "{{server}}: limit"),
                ],
            ),
            lines(
                "By hand",
                "short",
                "Runtime keys in force.",
                &[("max by (server, state) (dualpath_override{@}) > 0", "{{server}}: {{state}}")],
            )
            .leads_to("a-kill-switch-is-left-on"),
        ],
    }
}

fn tokens() -> Dashboard {
    Dashboard {
        slug: "tokens",
        title: "Dualpath: tokens",
        about: "How long do tokens live on, which is sent, and which does a server refuse?",
        panels: vec![
            panel(
                Look::LessIsWorse(700, 100),
                "Days until a token ends",
                "d",
                "Of slots that have a token whose end is known.",
                &[("min by (credential, slot) (snowflake_pat_days_until_expiry{@} and on (job, instance, credential, slot) dualpath_pat_present{@} == 1)", "{{credential}} {{slot}}")],
            )
            .leads_to("a-token-ends-soon"),
            panel(
                Look::States(&[("not sent", ILL), ("sent", WELL)]),
                "Tokens that may be sent",
                "short",
                "Not sent: there is none, it has ended or not begun, or a server has refused it for certain.",
                &[("min by (credential, slot) (dualpath_pat_sent{@})", "{{credential}} {{slot}}")],
            )
            .leads_to("a-token-is-refused"),
            lines("A new token is needed", "short", "`alert`: within days. `critical`: within a day, or none may be sent.", &[("max by (credential, severity) (snowflake_pat_rotation_alerts{@})", "{{credential}}: {{severity}}")]).leads_to("a-token-ends-soon"),
            lines("Refused by a server", "short", "In the last hour.", &[("sum by (credential, slot) (increase(dualpath_pat_rejected_total{@}[1h]))", "{{credential}} {{slot}}")]).leads_to("a-token-is-refused"),
            lines("Changes of slot", "short", "In the last hour, with their reasons.", &[("sum by (credential, from, to, reason) (increase(dualpath_pat_switch_total{@}[1h])) > 0", "{{credential}}: {{from}} to {{to}}, {{reason}}")]),
            lines("End not known", "short", "1: nobody will be warned before this token ends.", &[("max by (credential, slot) (1 - dualpath_pat_expiry_known{@} and on (job, instance, credential, slot) dualpath_pat_present{@} == 1)", "{{credential}} {{slot}}")]),
            lines("Answers that quoted a token", "short", "It was made unreadable. Any is one too many.", &[("sum by (server) (increase(dualpath_pat_quoted_total{@}[1h]))", "{{server}}")]),
            lines("Lives for too long", "short", "1: longer than the policy's `max_age`.", &[("max by (credential) (dualpath_pat_age_violation{@})", "{{credential}}")]),
        ],
    }
}

fn tools() -> Dashboard {
    let mut dashboard = Dashboard {
        slug: "tools",
        title: "Dualpath: tools",
        about: "Which tasks are called, how do they fare, and do servers still have the same tools?",
        panels: vec![
            areas("Calls by task", "`protocol`: the protocol's own methods. `other`: tools that the registry does not name.", "sum by (task) (rate(cortex_calls_total{@}[~])) > 0", "{{task}}"),
            lines(
                "Not answered, by task",
                "percentunit",
                "No server had an answer. What is refused for a mistake of its client does not count.",
                &[("sum by (task) (rate(cortex_calls_total{@,status=\"failed\"}[~])) / sum by (task) (rate(cortex_calls_total{@,status!~\"cancelled|refused\"}[~]))", "{{task}}")],
            )
            .leads_to("all-paths-down"),
            lines("95th percentile by task", "ms", "Of 100 calls 95 are quicker.", &[("histogram_quantile(0.95, sum by (task, le) (rate(cortex_latency_ms_bucket{@,mode!=\"gate\"}[~])))", "{{task}}")]),
            lines(
                "Errors about the call, by task",
                "percentunit",
                "A server has answered, with an error: wrong arguments, a tool that failed.",
                &[("sum by (task) (rate(cortex_calls_total{@,status=\"error\"}[~])) / sum by (task) (rate(cortex_calls_total{@}[~]))", "{{task}}")],
            ),
            lines("Tools listed", "short", "By server; 0: there is no list that counts.", &[("min by (server) (dualpath_tools_listed{@})", "{{server}}")]),
            lines("Tools in which servers differ", "short", "From the first MCP server.", &[("max by (server, reason) (dualpath_tool_drift{@})", "{{server}}: {{reason}}")]).leads_to("servers-drift-apart"),
            areas("Refused by allowed_tools", "Calls of tools that `listener.allowed_tools` does not name.", "sum(rate(dualpath_tools_refused_total{@}[~]))", "refused"),
        ],
    };
    dashboard.panels.extend([
        where_there("mcp_tool_calls_total", || areas("Calls by tool", "Tools of the registry; the rest is `other`.", "sum by (tool) (rate(mcp_tool_calls_total{@}[~])) > 0", "{{tool}}")),
        where_there("mcp_tool_calls_total", || areas("Tools that fail", "The tool's own errors (`isError`) and servers' failures, by class.", "sum by (tool, class) (rate(mcp_tool_calls_total{@,class!=\"success\"}[~])) > 0", "{{tool}}: {{class}}")),
        where_there("mcp_tool_latency_ms", || lines("95th percentile by tool", "ms", "Of 100 calls 95 are quicker.", &[("histogram_quantile(0.95, sum by (tool, le) (rate(mcp_tool_latency_ms_bucket{@}[~])))", "{{tool}}")])),
        where_there("mcp_tool_answer_bytes", || lines("Size of answers by tool", "bytes", "The mean. Large answers fill an agent's context.", &[("sum by (tool) (rate(mcp_tool_answer_bytes_sum{@}[~])) / sum by (tool) (rate(mcp_tool_answer_bytes_count{@}[~]))", "{{tool}}")])),
    ].into_iter().flatten());
    dashboard
}

/// A panel about a metric, where this version has that.
fn where_there(metric: &str, panel: impl FnOnce() -> Panel) -> Option<Panel> {
    FAMILIES.iter().any(|family| family.name == metric).then(panel)
}

fn pools(registry: &Registry) -> Dashboard {
    let servers: Vec<_> = registry.servers.iter().map(|server| server.id.as_str()).collect();
    let of = |stat: &str| format!("envoy_cluster_{stat}{{@,envoy_cluster_name=~\"{}\"}}", servers.join("|"));
    let by_server = |expression: String| format!("sum by (envoy_cluster_name) ({expression})");
    let query = |expression: String| vec![Query::new(expression, "{{envoy_cluster_name}}")];
    let plain = |title, unit, about, expression| Panel {
        title,
        about,
        look: Look::Lines,
        unit,
        page: None,
        queries: query(expression),
    };
    Dashboard {
        slug: "pools",
        title: "Dualpath: pools",
        about: "Are there enough connections, and what do calls wait for?",
        panels: vec![
            lines(
                "Connections and calls",
                "short",
                "By kind of server: how many connections, how many of them in use, how many calls wait.",
                &[
                    ("sum by (mode) (snowflake_pool_size{@})", "{{mode}}: connections"),
                    ("sum by (mode) (snowflake_pool_in_use{@})", "{{mode}}: in use"),
                    ("sum by (mode) (snowflake_pool_pending{@})", "{{mode}}: waiting"),
                ],
            ),
            lines(
                "Wait for a connection",
                "s",
                "The mean; 0.1 s is the target.",
                &[("max by (mode) (snowflake_pool_wait_seconds{@})", "{{mode}}")],
            ),
            plain("Connections", "short", "By server.", by_server(of("upstream_cx_active"))),
            plain(
                "Calls under way",
                "short",
                "By server, attempts of failed calls included.",
                by_server(of("upstream_rq_active")),
            ),
            plain(
                "Connections that could not be made",
                "cps",
                "Refused, or not in time.",
                by_server(format!("rate({}[~])", of("upstream_cx_connect_fail"))),
            ),
            plain(
                "Time-outs",
                "reqps",
                "Calls that got no answer in time.",
                by_server(format!("rate({}[~])", of("upstream_rq_timeout"))),
            ),
            plain(
                "Calls that found the pool full",
                "reqps",
                "Raise `pool` in the registry, or look why the server is slow.",
                by_server(format!("rate({}[~])", of("upstream_rq_pending_overflow"))),
            ),
            lines(
                "The module was loaded again",
                "short",
                "In the last hour: after a trap. The requests in that worker are lost.",
                &[("sum by (instance) (increase(envoy_wasm_dualpath_vm_reload_success{@}[1h]))", "{{instance}}")],
            )
            .leads_to("the-module-has-trapped"),
        ],
    }
}

/// What attempts cost by the prices of the registry; nothing where no server has one.
fn cost(registry: &Registry) -> Option<Dashboard> {
    let priced: Vec<_> =
        registry.servers.iter().filter_map(|server| Some((server.id.as_str(), server.price.as_ref()?))).collect();
    let of = |(server, price): &(&str, &Price), window: &str| {
        let attempts = format!("dualpath_attempts_total{{@,server=\"{server}\",outcome!=\"not_sent\"}}");
        Query::new(format!("sum by (server) (increase({attempts}[{window}])) * {}", price.per_call), "{{server}}")
    };
    let queries = |window: &str| priced.iter().map(|priced| of(priced, window)).collect::<Vec<_>>();
    let plain = |title, about, window| Panel {
        title,
        about,
        look: Look::Areas,
        unit: "short",
        page: None,
        queries: queries(window),
    };
    let mut panels = vec![
        plain("Spent in an hour", "Attempts that have reached a server, by `servers[].price`, in its unit.", "1h"),
        plain("Spent in a day", "The same.", "1d"),
    ];
    panels.extend(
        [
            where_there("dualpath_tokens_total", || {
                lines(
                    "Tokens of models",
                    "short",
                    "In a second, as answers say.",
                    &[(
                        "sum by (task, model, direction) (rate(dualpath_tokens_total{@}[~])) > 0",
                        "{{task}} {{model}} {{direction}}",
                    )],
                )
            }),
            where_there("dualpath_credits_micro_total", || {
                lines(
                    "Credits",
                    "short",
                    "In a day, by what answers say of tokens, or by the price of a call.",
                    &[("sum by (task, model) (increase(cortex_credits_used{@}[1d])) > 0", "{{task}} {{model}}")],
                )
            }),
        ]
        .into_iter()
        .flatten(),
    );
    let is_worth_it = panels.iter().any(|panel| !panel.queries.is_empty());
    is_worth_it.then_some(Dashboard {
        slug: "cost",
        title: "Dualpath: cost",
        about: "What do calls cost, by server and model?",
        panels,
    })
}
