//! The report as figures: what is shown as text, as a page and as JSON.

use serde::Serialize;

use super::collect::{Collector, Lines};
use super::judge::{Sign, sign};
use super::names::Names;
use super::period::rfc3339;
use super::sums::{Sums, Times, Usage};

/// With fewer calls a pair of tool and server is not called slow.
const ENOUGH: u64 = 20;

/// How it is computed, for whoever reads the figures.
pub const METHOD: [&str; 5] = [
    "Availability is the share of calls that got an answer, of those that were to get one. An answer that is an error of the call's own (wrong \
     arguments, isError) is an answer. Calls that the gate refused for what they were, and calls that clients gave up, are in neither.",
    "Without failover: a call counts as saved, and would have had no answer, if another server answered it than the first of its order, because \
     that one failed it or could not be asked (breaker open, full, no token). Servers that an operator switched off, or that lack the tool, are \
     left out of the order first. A second attempt at the first server is no failover.",
    "That is an estimate: nobody knows whether a server that was not asked would have answered, and without failover clients would have \
     called again.",
    "A server goes from well to failing when its breaker has opened, or with three failed attempts in a row; and back with three answers in a \
     row. Where logs of several Envoys are read, each file is read as a whole, in the order of their first lines.",
    "Times are those of answered calls, right to one in a hundred; those of servers are of single attempts.",
];

/// Everything.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// The time of the first call and of the last.
    pub from: Option<String>,
    /// As above.
    pub to: Option<String>,
    /// What became of the lines.
    pub lines: Lines,
    /// What must be known to read the figures.
    pub notes: Vec<String>,
    /// All calls.
    pub all: Figures,
    /// Per tool, the most called first.
    pub tools: Vec<Figures>,
    /// The slowest pairs of tool and server.
    pub slowest: Vec<Pair>,
    /// Per server, the one that flapped most first.
    pub servers: Vec<Server>,
    /// Per class of failure.
    pub failures: Vec<Failure>,
    /// Per model.
    pub models: Vec<Use>,
    /// The busiest callers, then all others.
    pub callers: Vec<Use>,
    /// Each token that was seen.
    pub credentials: Vec<Token>,
    /// How long a piece of the timeline is.
    pub timeline_seconds: u64,
    /// Calls over time.
    pub timeline: Vec<Piece>,
    /// How all this is computed.
    pub method: [&'static str; 5],
}

/// Times in ms; none where nothing was measured.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Quantiles {
    pub p50_ms: Option<f64>,
    pub p95_ms: Option<f64>,
    pub p99_ms: Option<f64>,
}

/// Calls of a tool, or all.
#[derive(Debug, Serialize)]
pub struct Figures {
    pub name: String,
    pub calls: u64,
    pub answered: u64,
    pub errors: u64,
    pub cached: u64,
    pub unanswered: u64,
    pub refused: u64,
    pub cancelled: u64,
    /// From 0 to 1.
    pub availability: Option<f64>,
    pub without_failover: Option<f64>,
    pub saved: u64,
    pub moved: u64,
    pub retried: u64,
    #[serde(flatten)]
    pub times: Quantiles,
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub credits: f64,
}

/// A tool at a server.
#[derive(Debug, Serialize)]
pub struct Pair {
    pub tool: String,
    pub server: String,
    pub calls: u64,
    #[serde(flatten)]
    pub times: Quantiles,
}

/// A server.
#[derive(Debug, Serialize)]
pub struct Server {
    pub name: String,
    pub attempts: u64,
    pub failed: u64,
    pub passed_by: u64,
    pub flapped: u64,
    pub last_flapped: Option<String>,
    #[serde(flatten)]
    pub times: Quantiles,
}

/// A class of failure.
#[derive(Debug, Serialize)]
pub struct Failure {
    pub class: String,
    /// Whether it speaks against the server.
    pub of_the_server: bool,
    pub attempts: u64,
    pub unanswered: u64,
}

/// What a caller or a model's calls used.
#[derive(Debug, Serialize)]
pub struct Use {
    pub name: String,
    pub calls: u64,
    /// A caller may have called so often before it was watched, at the most.
    pub uncertain: u64,
    pub unanswered: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub credits: f64,
}

/// A token.
#[derive(Debug, Serialize)]
pub struct Token {
    pub credential: String,
    pub slot: Option<String>,
    pub fingerprint: Option<String>,
    pub first_seen: Option<String>,
    pub last_seen: Option<String>,
    pub calls: u64,
    pub refused: u64,
}

/// A piece of the time.
#[derive(Debug, Serialize)]
pub struct Piece {
    pub time: String,
    pub answered: u64,
    pub saved: u64,
    pub unanswered: u64,
    pub p50_ms: Option<f64>,
    pub p95_ms: Option<f64>,
}

impl Quantiles {
    fn of(times: &Times) -> Self {
        Quantiles { p50_ms: times.quantile(0.5), p95_ms: times.quantile(0.95), p99_ms: times.quantile(0.99) }
    }
}

impl Figures {
    fn of(name: &str, sums: &Sums) -> Self {
        let (availability, without_failover) = sums.availability().unzip();
        let Sums { usage, answered, errors, cached, saved, moved, retried, refused, cancelled, times } = sums;
        Figures {
            name: name.to_owned(),
            calls: usage.calls,
            answered: *answered,
            errors: *errors,
            cached: *cached,
            unanswered: usage.unanswered,
            refused: *refused,
            cancelled: *cancelled,
            availability,
            without_failover,
            saved: *saved,
            moved: *moved,
            retried: *retried,
            times: Quantiles::of(times),
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            credits: usage.credits,
        }
    }
}

impl Use {
    fn of(name: String, usage: &Usage, uncertain: u64) -> Self {
        let Usage { calls, unanswered, input_tokens, output_tokens, credits } = usage.clone();
        Use { name, calls, uncertain, unanswered, input_tokens, output_tokens, credits }
    }

    /// What `all` have used that `named` have not.
    fn rest(all: &Usage, named: &[Use]) -> Option<Self> {
        let left = |of_all: u64, of_one: fn(&Use) -> u64| named.iter().map(of_one).fold(of_all, u64::saturating_sub);
        let calls = left(all.calls, |it| it.calls);
        (calls > 0).then(|| Use {
            name: OTHERS.to_owned(),
            calls,
            uncertain: 0,
            unanswered: left(all.unanswered, |it| it.unanswered),
            input_tokens: left(all.input_tokens, |it| it.input_tokens),
            output_tokens: left(all.output_tokens, |it| it.output_tokens),
            credits: named.iter().fold(all.credits, |left, it| left - it.credits).max(0.0),
        })
    }
}

/// What stands for all others.
const OTHERS: &str = "(others)";

impl Summary {
    /// Of what was collected: so many callers and slow pairs, and what must be known besides.
    pub fn of(collected: Collector, rows: usize, names: &Names, mut notes: Vec<String>) -> Self {
        let c = &collected;
        notes.extend(partial(c));
        let (watched, is_more) = c.callers.watched();
        if is_more {
            notes.push(format!("There are more than {watched} callers: what the busiest did before they were noticed is with the others."));
        }
        let most = |a: &u64, b: &u64| b.cmp(a);
        let mut tools: Vec<_> =
            with_others(c.tools.iter(), c.tools.others.as_ref()).map(|(name, it)| Figures::of(name, it)).collect();
        tools.sort_by(|a, b| most(&a.calls, &b.calls).then_with(|| a.name.cmp(&b.name)));
        let mut failures: Vec<_> = with_others(c.classes.iter(), c.classes.others.as_ref())
            .map(|(class, it)| Failure {
                class: class.to_owned(),
                of_the_server: sign(class) == Sign::Failing,
                attempts: it.attempts,
                unanswered: it.unanswered,
            })
            .collect();
        failures.sort_by(|a, b| most(&a.attempts, &b.attempts).then_with(|| a.class.cmp(&b.class)));
        let mut models: Vec<_> = with_others(c.models.iter(), c.models.others.as_ref())
            .map(|(name, it)| Use::of(name.to_owned(), it, 0))
            .collect();
        models.sort_by(|a, b| most(&a.calls, &b.calls).then_with(|| a.name.cmp(&b.name)));
        let mut callers: Vec<_> =
            c.callers.top(rows).into_iter().map(|it| Use::of(names.caller(&it.name), &it.value, it.before)).collect();
        callers.extend(Use::rest(&c.all.usage, &callers));
        let time = |ms: Option<u64>| ms.map(rfc3339);
        Summary {
            from: time(c.seen.map(|(first, _)| first)),
            to: time(c.seen.map(|(_, last)| last)),
            notes,
            all: Figures::of("all", &c.all),
            slowest: slowest(c, rows),
            servers: servers(c),
            credentials: credentials(c),
            timeline_seconds: c.timeline.width_ms.checked_div(1000).unwrap_or_default(),
            timeline: timeline(c),
            tools,
            failures,
            models,
            callers,
            method: METHOD,
            lines: collected.lines,
        }
    }
}

fn with_others<'c, V>(
    known: impl Iterator<Item = (&'c str, &'c V)>,
    others: Option<&'c V>,
) -> impl Iterator<Item = (&'c str, &'c V)> {
    known.chain(others.map(|others| (OTHERS, others)))
}

fn partial(c: &Collector) -> Vec<String> {
    let mut notes = Vec::new();
    let (calls, stories) = (c.lines.calls, c.lines.of_the_failover_log);
    if stories > 0 {
        notes.push(format!(
            "{stories} of {calls} calls are from the failover log, which has no line for a call that its first server has simply answered: \
             shares and times are not those of all calls."
        ));
    }
    if c.lines.without_time > 0 {
        notes.push(format!("{} lines have no time that could be read.", c.lines.without_time));
    }
    notes
}

fn slowest(c: &Collector, rows: usize) -> Vec<Pair> {
    let is_enough = |calls: u64| calls >= ENOUGH || c.all.answered < ENOUGH;
    let pairs = c.pairs.iter().filter(|(_, times)| is_enough(times.count())).filter_map(|(name, times)| {
        let (tool, server) = name.split_once('\0')?;
        Some(Pair {
            tool: tool.to_owned(),
            server: server.to_owned(),
            calls: times.count(),
            times: Quantiles::of(times),
        })
    });
    let mut pairs: Vec<_> = pairs.collect();
    let p95 = |pair: &Pair| pair.times.p95_ms.unwrap_or_default();
    pairs.sort_by(|a, b| p95(b).total_cmp(&p95(a)).then_with(|| (&a.tool, &a.server).cmp(&(&b.tool, &b.server))));
    pairs.truncate(rows);
    pairs
}

fn servers(c: &Collector) -> Vec<Server> {
    let servers = with_others(c.servers.iter(), c.servers.others.as_ref()).map(|(name, it)| Server {
        name: name.to_owned(),
        attempts: it.asked,
        failed: it.failed,
        passed_by: it.passed_by,
        flapped: it.flaps.times,
        last_flapped: it.flaps.last_ms.map(rfc3339),
        times: Quantiles::of(&it.times),
    });
    let mut servers: Vec<_> = servers.collect();
    servers.sort_by(|a, b| (b.flapped, b.attempts).cmp(&(a.flapped, a.attempts)).then_with(|| a.name.cmp(&b.name)));
    servers
}

fn credentials(c: &Collector) -> Vec<Token> {
    let tokens = with_others(c.tokens.iter(), c.tokens.others.as_ref()).map(|(name, it)| {
        let mut parts = name.split('\0');
        let mut part = || parts.next().filter(|part| !part.is_empty()).map(str::to_owned);
        Token {
            credential: part().unwrap_or_default(),
            slot: part(),
            fingerprint: part(),
            first_seen: it.first_ms.map(rfc3339),
            last_seen: it.last_ms.map(rfc3339),
            calls: it.used,
            refused: it.refused,
        }
    });
    let mut tokens: Vec<_> = tokens.collect();
    tokens.sort_by(|a, b| {
        (&a.credential, &a.first_seen, &a.slot, &a.fingerprint).cmp(&(
            &b.credential,
            &b.first_seen,
            &b.slot,
            &b.fingerprint,
        ))
    });
    tokens
}

fn timeline(c: &Collector) -> Vec<Piece> {
    let pieces = c.timeline.pieces().into_iter().map(|(at, piece)| Piece {
        time: rfc3339(at),
        answered: piece.map_or(0, |it| it.plain),
        saved: piece.map_or(0, |it| it.saved),
        unanswered: piece.map_or(0, |it| it.unanswered),
        p50_ms: piece.and_then(|it| it.times.quantile(0.5)),
        p95_ms: piece.and_then(|it| it.times.quantile(0.95)),
    });
    pieces.collect()
}
