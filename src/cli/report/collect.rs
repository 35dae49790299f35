//! Takes in lines, one after the other, in bounded memory.

use std::ops::RangeInclusive;

use serde::Deserialize;

use super::bounded::{Bounded, TopNames};
use super::judge::{Sign, is_unwell, judge, sign};
use super::period::Clock;
use super::sums::{ClassSums, ServerSums, Sums, Times, TokenSums, Usage, up};
use super::timeline::Timeline;
use crate::cli::calls::record::{Line, Record, read};
use crate::cli::calls::scalar::Scalar;

/// So many tools, models, tokens, and pairs of tool and server are told apart.
const NAMES: usize = 1024;
/// So many servers, and classes.
const SERVERS: usize = 256;
/// With so many tools, those that no registry lists are told together.
const UNLISTED: usize = 200;
const NOT_SAID: &str = "(other)";
/// So many callers are watched, of which the report names the first.
const CALLERS: usize = 4096;

/// What became of the lines.
#[derive(Debug, Default, serde::Serialize)]
pub struct Lines {
    /// All that were read, but for empty ones.
    pub read: u64,
    /// Those that tell of a call of the time that was asked for.
    pub calls: u64,
    /// Of these: those of the failover log.
    pub of_the_failover_log: u64,
    /// Those of the audit.
    pub audit: u64,
    /// Those of another time.
    pub of_another_time: u64,
    /// Those whose time can't be read.
    pub without_time: u64,
    /// JSON that tells of no call.
    pub other: u64,
    /// Torn, or no JSON.
    pub unreadable: u64,
    /// File and number of the first that could not be read.
    pub first_unreadable: Option<String>,
}

/// All that is known of the calls of some logs.
#[derive(Debug)]
pub struct Collector {
    period: RangeInclusive<u64>,
    is_bounded: bool,
    clock: Clock,
    pub lines: Lines,
    /// The first and the last time of a call, in ms since 1970.
    pub seen: Option<(u64, u64)>,
    pub all: Sums,
    pub tools: Bounded<Sums>,
    pub pairs: Bounded<Times>,
    pub servers: Bounded<ServerSums>,
    pub classes: Bounded<ClassSums>,
    pub models: Bounded<Usage>,
    pub callers: TopNames<Usage>,
    pub tokens: Bounded<TokenSums>,
    pub timeline: Timeline,
}

/// One entry of `decisions`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Decision<'a> {
    #[serde(borrow)]
    event: Scalar<'a>,
    #[serde(borrow)]
    credential: Scalar<'a>,
    #[serde(borrow)]
    slot: Scalar<'a>,
    #[serde(borrow)]
    fingerprint: Scalar<'a>,
}

impl Collector {
    /// For calls of this time, in ms since 1970.
    pub fn new(period: RangeInclusive<u64>) -> Self {
        Collector {
            is_bounded: period != (0..=u64::MAX),
            period,
            clock: Clock::default(),
            lines: Lines::default(),
            seen: None,
            all: Sums::default(),
            tools: Bounded::new(NAMES),
            pairs: Bounded::new(NAMES),
            servers: Bounded::new(SERVERS),
            classes: Bounded::new(SERVERS),
            models: Bounded::new(NAMES),
            callers: TopNames::new(CALLERS),
            tokens: Bounded::new(NAMES),
            timeline: Timeline::default(),
        }
    }

    /// Takes in line `number` of `file`.
    pub fn take(&mut self, file: &str, number: u64, line: &str) {
        if line.trim().is_empty() {
            return;
        }
        up(&mut self.lines.read);
        read(line, |line| match line {
            Line::Call(record) => self.call(&record, false),
            Line::Story(record) => self.call(&record, true),
            Line::Audit(record) => self.audit(&record),
            Line::Other => up(&mut self.lines.other),
            Line::Garbage => {
                up(&mut self.lines.unreadable);
                self.lines.first_unreadable.get_or_insert_with(|| format!("{file}:{number}"));
            }
        });
    }

    /// When it was, if that is known; none if it is not of the time that was asked for, which has been counted then.
    fn time(&mut self, record: &Record<'_>) -> Option<Option<u64>> {
        let at = record.time.text().and_then(|time| self.clock.ms(time));
        if at.is_none() {
            up(&mut self.lines.without_time);
        }
        match at {
            Some(at) if self.period.contains(&at) => Some(Some(at)),
            None if !self.is_bounded => Some(None),
            Some(_) => {
                up(&mut self.lines.of_another_time);
                None
            }
            None => None,
        }
    }

    fn call(&mut self, record: &Record<'_>, is_story: bool) {
        let Some(at) = self.time(record) else { return };
        up(&mut self.lines.calls);
        if is_story {
            up(&mut self.lines.of_the_failover_log);
        }
        if let Some(at) = at {
            self.seen = Some(self.seen.map_or((at, at), |(first, last)| (first.min(at), last.max(at))));
        }
        let verdict = judge(record);
        let took = record.duration_ms.number();
        let tool = self.name_of(record);
        self.all.add(record, &verdict);
        self.tools.of(tool).add(record, &verdict);
        at.into_iter().for_each(|at| self.timeline.add(at, took, &verdict));
        if let (super::judge::End::Answered, Some(took), Some(server)) = (verdict.end, took, verdict.server) {
            self.pairs.of(&format!("{tool}\0{server}")).add(took);
        }
        self.hops(record, at, took);
        if let (super::judge::End::Unanswered, class) = (verdict.end, verdict.class.unwrap_or("(no server asked)")) {
            up(&mut self.classes.of(class).unanswered);
        }
        self.callers.add(record.caller().unwrap_or("(not said)"), |usage| usage.add(record, &verdict));
        let uses = record.input_tokens.number().or(record.output_tokens.number()).or(record.credits.number());
        if let (Some(model), _) | (None, Some(model)) = (record.model.text(), uses.map(|_| "(not said)")) {
            self.models.of(model).add(record, &verdict);
        }
        if let Some(credential) = record.credential.text() {
            // Name, slot and fingerprint.
            let mut parts = credential.rsplitn(3, '/');
            let (fingerprint, slot, name) = (parts.next(), parts.next(), parts.next());
            let name = if name.is_some() { [name, slot, fingerprint] } else { [Some(credential), None, None] };
            let refused = record.hops().iter().any(|hop| hop.class.text() == Some("credential"));
            self.token(at, name, true, refused);
        }
    }

    /// What a call is told under: its tool, or the method that is no call of a tool.
    fn name_of<'r>(&self, record: &'r Record<'_>) -> &'r str {
        let method = record.method.text().filter(|method| *method != "tools/call");
        let Some(name) = record.tool.text().or(method) else { return NOT_SAID };
        // What a client calls and no registry lists may be anything.
        let is_listed = record.task.text().is_none_or(|task| !matches!(task, "other" | "protocol"));
        if is_listed || self.tools.has(name) || self.tools.len() < UNLISTED { name } else { NOT_SAID }
    }

    fn hops(&mut self, record: &Record<'_>, at: Option<u64>, took: Option<f64>) {
        let hops = record.hops();
        let alone = hops.iter().filter(|hop| hop.class.text().is_some()).count() < 2;
        for hop in hops {
            let Some(name) = hop.server.text() else { continue };
            let Some(class) = hop.class.text() else {
                let server = self.servers.of(name);
                up(&mut server.passed_by);
                if hop.reason.text().is_some_and(|reason| reason == "open" && is_unwell(reason)) {
                    server.flaps.passed_by_open(at);
                }
                continue;
            };
            self.attempt(name, class, at, hop.ms.number().or(took.filter(|_| alone)));
        }
        if let (true, Some(server), Some(class)) = (hops.is_empty(), record.server.text(), record.class.text()) {
            self.attempt(server, class, at, took);
        }
    }

    /// An attempt at a server that came to `class`.
    fn attempt(&mut self, server: &str, class: &str, at: Option<u64>, took: Option<f64>) {
        let server = self.servers.of(server);
        up(&mut server.asked);
        let sign = sign(class);
        server.flaps.attempt(sign, at);
        match sign {
            Sign::Well => took.into_iter().for_each(|ms| server.times.add(ms)),
            Sign::Failing => up(&mut server.failed),
            Sign::Neither => {}
        }
        if class != "success" {
            up(&mut self.classes.of(class).attempts);
        }
    }

    fn audit(&mut self, record: &Record<'_>) {
        let Some(at) = self.time(record) else { return };
        up(&mut self.lines.audit);
        if let Some(credential) = record.credential.text() {
            // A line of the audit's own, about a token and not about a call.
            self.token(at, [Some(credential), record.slot.text(), record.fingerprint.text()], false, false);
        }
        let decisions = record.decisions.text().and_then(|text| serde_json::from_str::<Vec<Decision<'_>>>(text).ok());
        for decision in decisions.unwrap_or_default() {
            let event = decision.event.text();
            let name = [decision.credential.text(), decision.slot.text(), decision.fingerprint.text()];
            self.token(at, name, matches!(event, Some("selected" | "switched")), event == Some("rejected"));
        }
    }

    fn token(&mut self, at: Option<u64>, name: [Option<&str>; 3], used: bool, refused: bool) {
        let token = self.tokens.of(&name.map(Option::unwrap_or_default).join("\0"));
        token.seen(at);
        for (holds, count) in [(used, &mut token.used), (refused, &mut token.refused)] {
            if holds {
                up(count);
            }
        }
    }
}
