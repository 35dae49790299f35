//! The report's tables, once for all forms.

use super::show::{count, credits, ms, percent, some, time};
use super::summary::{Quantiles, Summary, Use};

/// A table: what it answers, its columns, its rows.
#[derive(Debug)]
pub struct Table {
    pub title: &'static str,
    /// What a reader has to know.
    pub about: &'static str,
    pub columns: Vec<&'static str>,
    /// So many of the columns are names, and stand at the left.
    pub names: usize,
    pub rows: Vec<Vec<String>>,
}

/// All tables that have rows.
pub fn tables(summary: &Summary) -> Vec<Table> {
    let all = [
        tools(summary),
        usage(summary),
        slowest(summary),
        servers(summary),
        failures(summary),
        callers(summary),
        models(summary),
        tokens(summary),
    ];
    all.into_iter().filter(|table| !table.rows.is_empty()).collect()
}

fn quantiles(times: &Quantiles) -> [String; 3] {
    [ms(times.p50_ms), ms(times.p95_ms), ms(times.p99_ms)]
}

fn tools(summary: &Summary) -> Table {
    let rows = summary.tools.iter().map(|it| {
        let head = [
            it.name.clone(),
            count(it.calls),
            percent(it.availability),
            percent(it.without_failover),
            some(it.saved),
            some(it.unanswered),
        ];
        let rest = [some(it.errors), some(it.refused), some(it.cancelled)];
        head.into_iter().chain(rest).chain(quantiles(&it.times)).collect()
    });
    Table {
        title: "Tools",
        about: "Availability, and what it would have been without failover.",
        columns: vec![
            "tool",
            "calls",
            "available",
            "without",
            "saved",
            "unanswered",
            "errors",
            "refused",
            "cancelled",
            "p50",
            "p95",
            "p99",
        ],
        names: 1,
        rows: rows.collect(),
    }
}

fn usage(summary: &Summary) -> Table {
    let used = summary
        .tools
        .iter()
        .filter(|it| it.input_tokens > 0 || it.output_tokens > 0 || it.credits > 0.0 || it.cached > 0);
    let rows = used.map(|it| {
        vec![it.name.clone(), some(it.input_tokens), some(it.output_tokens), credits(it.credits), some(it.cached)]
    });
    Table {
        title: "Cost of tools",
        about: "What servers have said in their answers; a call whose answer does not say it has none.",
        columns: vec!["tool", "tokens in", "tokens out", "credits", "from cache"],
        names: 1,
        rows: rows.collect(),
    }
}

fn slowest(summary: &Summary) -> Table {
    let rows = summary.slowest.iter().map(|it| {
        [it.tool.clone(), it.server.clone(), count(it.calls)].into_iter().chain(quantiles(&it.times)).collect()
    });
    Table {
        title: "Slowest tools",
        about: "By p95, each at the server that answered; whole calls, with what failed before.",
        columns: vec!["tool", "server", "answers", "p50", "p95", "p99"],
        names: 2,
        rows: rows.collect(),
    }
}

fn servers(summary: &Summary) -> Table {
    let rows = summary.servers.iter().map(|it| {
        let head = [
            it.name.clone(),
            count(it.attempts),
            some(it.failed),
            some(it.passed_by),
            some(it.flapped),
            time(it.last_flapped.as_deref()),
        ];
        head.into_iter().chain(quantiles(&it.times)).collect()
    });
    Table {
        title: "Servers",
        about: "Flaps: how often a server went from well to failing.",
        columns: vec!["server", "attempts", "failed", "passed by", "flaps", "last flap", "p50", "p95", "p99"],
        names: 1,
        rows: rows.collect(),
    }
}

fn failures(summary: &Summary) -> Table {
    let rows = summary.failures.iter().map(|it| vec![it.class.clone(), some(it.attempts), some(it.unanswered)]);
    Table {
        title: "Failures",
        about: "Attempts that ended so, and calls that got no answer for it.",
        columns: vec!["class", "attempts", "calls unanswered"],
        names: 1,
        rows: rows.collect(),
    }
}

fn used(title: &'static str, about: &'static str, name: &'static str, of: &[Use]) -> Table {
    let rows = of.iter().map(|it| {
        let calls = if it.uncertain > 0 { format!("\u{2265} {}", count(it.calls)) } else { count(it.calls) };
        vec![
            it.name.clone(),
            calls,
            some(it.unanswered),
            some(it.input_tokens),
            some(it.output_tokens),
            credits(it.credits),
        ]
    });
    Table {
        title,
        about,
        columns: vec![name, "calls", "unanswered", "tokens in", "tokens out", "credits"],
        names: 1,
        rows: rows.collect(),
    }
}

fn callers(summary: &Summary) -> Table {
    used("Callers", "The busiest first.", "caller", &summary.callers)
}

fn models(summary: &Summary) -> Table {
    used("Models", "Of calls whose answers name one, or tokens.", "model", &summary.models)
}

fn tokens(summary: &Summary) -> Table {
    let rows = summary.credentials.iter().map(|it| {
        let word = |word: &Option<String>| word.clone().unwrap_or("-".to_owned());
        vec![
            it.credential.clone(),
            word(&it.slot),
            word(&it.fingerprint),
            time(it.first_seen.as_deref()),
            time(it.last_seen.as_deref()),
            some(it.calls),
            some(it.refused),
        ]
    });
    Table {
        title: "Credentials",
        about: "Which token was used from when to when. A fingerprint tells tokens apart, and says nothing of them.",
        columns: vec!["credential", "slot", "fingerprint", "first seen", "last seen", "calls", "refused"],
        names: 3,
        rows: rows.collect(),
    }
}
