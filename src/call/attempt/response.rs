//! An attempt's answer: held as long as it takes to judge it, and no longer.
//!
//! A JSON answer is judged whole. An SSE answer is held until its first message, then streams; earlier if it shows for half
//! of the attempt's time that it is alive, or brings an id with which its client could come back. A REST answer is held to
//! its end, because it must be translated. What is too long to be held, or compressed, passes unjudged.

use super::request::response;
use super::{Attempt, Body, Flow, Reaction, Scene, listed, normal};
use crate::call::answer::is_translated;
use crate::call::{KeptAnswer, Kind, Session, Task};
use crate::failure::{
    Basis, Case, Class, EventJudgement, Expected, Head, Judgement, Said, Standing, Verdict, is_encoded, judge_head,
    read_body, read_event, retry_after,
};
use crate::held;
use crate::jsonrpc::{Answer, text_of};
use crate::sse::Scanner;
use crate::translate;

/// An error answer longer than this is judged by its first bytes: no error needs more to say what it is.
const ERROR_BODY: usize = 64 * 1024;

/// What the log says of an answer that can't be told.
const TOO_LONG: &str = "the translated answer is longer than limits.response_body";

/// A longer failure of a session's owner is told in our own words, in bytes.
const LONGEST_KEPT: usize = 4096;

/// The headers of an answer, as far as they matter.
#[derive(Debug, Clone, Copy, Default)]
pub struct ResponseHead<'h> {
    /// The HTTP status.
    pub status: u16,
    /// The value of `content-type`.
    pub content_type: Option<&'h [u8]>,
    /// The value of `content-encoding`.
    pub content_encoding: Option<&'h [u8]>,
    /// The value of `retry-after`.
    pub retry_after: Option<&'h [u8]>,
    /// Whether the answer ends with its headers.
    pub bodiless: bool,
}

/// What is being waited for while the response headers are held.
#[derive(Debug)]
pub(super) enum Holding {
    /// Nothing: the answer passes.
    Nothing,
    /// The whole body, of which so many bytes are there.
    Whole(Head, usize),
    /// The first event with data; so many bytes have been searched.
    Event(Box<Scanner>, usize),
    /// Nothing: the stream passes, but for what clients can't read of it.
    Normal(Box<normal::Stream>),
    /// Nothing: a translation has gone out, and what is left of the original must not follow it.
    Rest,
}

impl Attempt {
    /// The answer's headers have arrived.
    pub fn response_headers(&mut self, scene: &mut Scene<'_>, head: &ResponseHead<'_>) -> Reaction {
        self.status = head.status;
        self.answered_after_ms = Some(scene.now_ms.saturating_sub(self.began_ms).saturating_sub(self.waited_ms));
        let retry_after_ms = head.retry_after.and_then(|value| retry_after::parse(value, (scene.wall_ms)()));
        let ResponseHead { status, content_type, bodiless, .. } = *head;
        let encoded = head.content_encoding.is_some_and(is_encoded);
        let head = Head { status, retry_after_ms, bodiless, encoded };
        let mut reaction = Reaction::default();
        match self.judge_head(scene, &head) {
            Judgement::Decided(verdict) if self.translates && is_translated(verdict.class) => {
                if bodiless {
                    self.translate(scene, &head, verdict, 0, &|_, _| Vec::new())
                } else {
                    self.hold(Holding::Whole(head, 0))
                }
            }
            // The gate will put its own answer in the place of this one, for which it needs the body's end. The router's
            // clock runs only until it sees the headers, so they wait here. Where the call goes on, the failure of a
            // session's owner may yet be what the client gets.
            Judgement::Decided(verdict)
                if !bodiless
                    && is_replaced_by_gate(scene, verdict.class, status)
                    && (owns_session(scene) || !self.would_go_on(scene, verdict)) =>
            {
                self.hold(Holding::Whole(head, 0))
            }
            // What can't be read can't be shown where not every tool is allowed.
            Judgement::Decided(verdict) if encoded && verdict.class == Class::Success && filters_list(scene) => {
                self.conclude(scene, Class::Server.into(), false, &mut reaction);
                reaction
            }
            // A stream that the client has opened itself may bring it the answer to an earlier request.
            Judgement::Decided(verdict)
                if verdict.class == Class::Success
                    && scene.call.kind == Kind::Session
                    && scene.registry.listener.allowed_tools.restricts()
                    && content_type.is_some_and(is_event_stream) =>
            {
                self.conclude(scene, verdict, true, &mut reaction);
                self.holding =
                    if encoded { Holding::Rest } else { Holding::Normal(Box::new(normal::Stream::new(false))) };
                reaction
            }
            Judgement::Decided(verdict) => {
                self.conclude(scene, verdict, verdict.class == Class::Success, &mut reaction);
                reaction
            }
            Judgement::NeedsBody if status < 300 && content_type.is_some_and(is_event_stream) => {
                self.hold(Holding::Event(Box::default(), 0))
            }
            Judgement::NeedsBody => {
                reaction = self.hold(Holding::Whole(head, 0));
                // It is JSON or no answer at all, and clients refuse to read it under another name.
                reaction.name_as_json = status < 300 && !content_type.is_some_and(is_json);
                reaction
            }
        }
    }

    /// Makes room for what there is of the answer.
    fn has_room(&mut self, scene: &Scene<'_>, bytes: usize) -> bool {
        let limit = usize::try_from(scene.registry.limits.held).unwrap_or(usize::MAX);
        let has_room = self.room.make(held::Holding::Answer, bytes, limit);
        self.lacked_room |= !has_room;
        has_room
    }

    fn hold(&mut self, holding: Holding) -> Reaction {
        self.holding = holding;
        Reaction::flow(Flow::Hold)
    }

    /// More of the answer's body has arrived; `size` bytes of it are held or have just come.
    pub fn response_body(&mut self, scene: &mut Scene<'_>, size: usize, end: bool, body: &Body<'_>) -> Reaction {
        match std::mem::replace(&mut self.holding, Holding::Nothing) {
            Holding::Nothing => Reaction::default(),
            Holding::Whole(head, _) => self.whole_body(scene, head, size, end, body),
            Holding::Event(scanner, searched) => {
                let reaction = self.first_event(scene, scanner, searched, size, end, body);
                let filters = filters_list(scene);
                if reaction.flow == Flow::Pass && reaction.onward_in_s.is_none() && (filters || is_normalised(scene)) {
                    let stream = Box::new(normal::Stream::new(self.is_complete && !filters));
                    return Reaction { flow: self.normal(scene, stream, size, end, body), ..reaction };
                }
                reaction
            }
            Holding::Normal(stream) => Reaction::flow(self.normal(scene, stream, size, end, body)),
            Holding::Rest => {
                self.holding = Holding::Rest;
                Reaction::flow(Flow::Drop)
            }
        }
    }

    /// The answer ends with trailers, and Envoy has no other end to tell of.
    pub fn response_trailers(&mut self, scene: &mut Scene<'_>, body: &Body<'_>) -> Reaction {
        match std::mem::replace(&mut self.holding, Holding::Nothing) {
            Holding::Nothing | Holding::Normal(_) | Holding::Rest => Reaction::default(),
            Holding::Whole(head, size) => {
                // Where no body came there is no buffer either that could take a translation.
                let bodiless = size == 0;
                self.whole_body(scene, Head { bodiless, ..head }, size, true, body)
            }
            Holding::Event(scanner, size) => self.first_event(scene, scanner, size, size, true, body),
        }
    }

    fn whole_body(&mut self, scene: &mut Scene<'_>, head: Head, size: usize, end: bool, body: &Body<'_>) -> Reaction {
        let limit = if head.status < 300 { body_limit(scene) } else { ERROR_BODY };
        if !end && size <= limit && self.has_room(scene, size) {
            return self.hold(Holding::Whole(head, size));
        }
        if (size > limit || self.lacked_room) && head.status < 300 {
            // Too long to be held, or too much beside what else is held.
            if filters_list(scene) {
                let mut reaction = Reaction::default();
                self.conclude(scene, Class::Server.into(), false, &mut reaction);
                return reaction;
            }
            return self.pass_unjudged(scene);
        }
        let bytes = body(0, size.min(limit));
        let mut said = Said::default();
        let judged = read_body(&case(scene), &head, &bytes, &mut said);
        let verdict = seen(scene, judged);
        if self.translates && is_translated(verdict.class) {
            return self.translate(scene, &head, verdict, size, body);
        }
        let reaction = self.conclude_read(scene, verdict, KeptAnswer { status: head.status, body: bytes }, false);
        let reaction = noted(scene, reaction, said);
        scene.call.answered_ms = reaction.onward_in_s.is_none().then_some(scene.now_ms);
        reaction
    }

    fn first_event(
        &mut self,
        scene: &mut Scene<'_>,
        mut scanner: Box<Scanner>,
        searched: usize,
        size: usize,
        end: bool,
        body: &Body<'_>,
    ) -> Reaction {
        scanner.push(&body(searched, size.saturating_sub(searched)));
        while let Some(event) = scanner.next_event() {
            let mut said = Said::default();
            match read_event(&case(scene), &event, &mut said) {
                EventJudgement::LifeSign => {}
                EventJudgement::Interim => return self.pass_unjudged(scene),
                EventJudgement::Answer(verdict) => {
                    let verdict = seen(scene, verdict);
                    let answer = KeptAnswer { status: 200, body: event.data };
                    let reaction = self.conclude_read(scene, verdict, answer, true);
                    return noted(scene, reaction, said);
                }
            }
        }
        let is_whole = scanner.is_between_events();
        if end && !(scanner.is_resumable() && is_whole) {
            // A server may end a connection after an event that only has an id; its client comes back with that for the
            // answer. Any other stream that ends here is no answer.
            let mut reaction = Reaction::default();
            self.conclude(scene, Class::Server.into(), false, &mut reaction);
            return reaction;
        }
        // The host holds the stream, the scanner a copy of its event; memory that grows piece by piece is half empty.
        let held = size.saturating_add(scanner.held().saturating_mul(2));
        let shows_life = size > 0 && is_whole && (scanner.is_resumable() || self.has_waited_enough(scene));
        if end || shows_life || size > body_limit(scene) || !self.has_room(scene, held) {
            return self.pass_unjudged(scene);
        }
        self.hold(Holding::Event(scanner, size))
    }

    /// Lets a stream pass in the shape that clients read, `size` bytes of which are there.
    fn normal(
        &mut self,
        scene: &Scene<'_>,
        mut stream: Box<normal::Stream>,
        size: usize,
        end: bool,
        body: &Body<'_>,
    ) -> Flow {
        let bytes = body(0, size);
        let id = scene.call.request_id();
        let filters = filters_list(scene) || id.is_none();
        let change = |event: &str| match id {
            Some(id) if !filters => normal::completed(event, id, true),
            id => listed::filtered(event, id, &scene.registry.listener.allowed_tools),
        };
        let mut out = stream.push(&bytes, &change, body_limit(scene));
        if end || stream.held() > body_limit(scene) || !self.has_room(scene, stream.held()) {
            if filters {
                // An event that is not complete is none, and one that is too long can't be read.
                self.holding = Holding::Rest;
            } else {
                out.extend(stream.rest());
            }
        } else {
            self.holding = Holding::Normal(stream);
        }
        Flow::Rewrite(out)
    }

    /// Whether a stream that shows life need not be held any longer. While it is, the router's clock runs, and a server that
    /// is at work must not be cut off. A call that can't be repeated gains little from being held; any other is held for
    /// half of its time, in which it can still go on.
    fn has_waited_enough(&self, scene: &Scene<'_>) -> bool {
        let per_try_ms = scene.call.flight.time().per_try_ms;
        !scene.call.replay.is_allowed() || per_try_ms > 0 && self.took_ms(scene) >= per_try_ms.div_ceil(2)
    }

    /// Lets an answer go unread. That it came at all says that the server is well; but what must be translated is of no use
    /// so.
    fn pass_unjudged(&mut self, scene: &mut Scene<'_>) -> Reaction {
        let class = if self.translates { Class::Server } else { Class::Success };
        let mut reaction = Reaction::default();
        self.conclude(scene, class.into(), class == Class::Success, &mut reaction);
        reaction
    }

    /// Settles the attempt by `answer`, which has been read whole. `of_event`: it is the data of an event.
    fn conclude_read(
        &mut self,
        scene: &mut Scene<'_>,
        verdict: Verdict,
        answer: KeptAnswer,
        of_event: bool,
    ) -> Reaction {
        // Asked of failures only: what is judged a success can be read.
        // A refusal is to no request's id.
        let readable = verdict.class == Class::Success
            || verdict.is_refusal_of_mcp()
            || is_readable(scene, &answer.body, of_event);
        let mut reaction = Reaction::default();
        self.conclude(scene, verdict, readable, &mut reaction);
        self.is_complete = verdict.basis != Basis::Contentless;
        if !of_event && !self.is_complete && reaction.onward_in_s.is_none() && is_normalised(scene) {
            let text = text_of(&answer.body);
            let completed = scene.call.request_id().and_then(|id| normal::completed(&text, id, false));
            let fits = completed.filter(|completed| completed.len() <= body_limit(scene));
            reaction.flow = fits.map_or(Flow::Pass, Flow::Replace);
        }
        if !of_event && verdict.class == Class::Success && filters_list(scene) {
            let text = String::from_utf8_lossy(&answer.body);
            let allowed = &scene.registry.listener.allowed_tools;
            let filtered = listed::filtered(&text, scene.call.request_id(), allowed);
            reaction.flow = filtered.map_or(Flow::Pass, Flow::Replace);
        }
        if verdict.class == Class::Success && scene.call.tools_page.is_some() {
            reaction.lesson = Some(answer.body);
        } else if verdict.class == Class::Success && scene.call.to_keep.is_wanted() {
            match &reaction.flow {
                Flow::Replace(completed) => scene.call.to_keep.take(completed.clone()),
                // The stream completes this one on its way; what is kept is what the client gets.
                _ if of_event && !self.is_complete && is_normalised(scene) => {
                    let text = text_of(&answer.body);
                    let completed = scene.call.request_id().and_then(|id| normal::completed(&text, id, true));
                    scene.call.to_keep.take(completed.unwrap_or_default());
                }
                _ => scene.call.to_keep.take(answer.body),
            }
        } else if readable && reaction.onward_in_s.is_some() && answer.body.len() <= LONGEST_KEPT && owns_session(scene)
        {
            scene.call.owners_failure = Some(answer);
        }
        reaction
    }

    /// Turns the API's answer into the tool's result. `size` is the number of bytes in the body buffer.
    fn translate(
        &mut self,
        scene: &mut Scene<'_>,
        head: &Head,
        verdict: Verdict,
        size: usize,
        body: &Body<'_>,
    ) -> Reaction {
        let mut reaction = Reaction::default();
        let bytes = if head.bodiless { Vec::new() } else { body(0, size) };
        if let Some(poll) = translate::status_path(head.status, &bytes) {
            // It is at work, and its result is fetched as long as the client waits.
            (scene.call.poll, self.accepted) = (Some(poll), true);
            self.conclude(scene, verdict, false, &mut reaction);
            if reaction.onward_in_s.is_some() {
                return reaction;
            }
        }
        let mut answer = match scene.direct().map(|direct| translate::answer(&direct.mapping, head.status, &bytes)) {
            Some(Ok(answer)) => answer,
            unusable => {
                reaction.complaint = unusable.and_then(Result::err).map(|error| error.to_string());
                self.conclude(scene, Class::Server.into(), false, &mut reaction);
                return reaction;
            }
        };
        let class = if answer.is_error() { Class::Caller } else { verdict.class };
        reaction.used = answer.take_used();
        let json = response(scene, &answer);
        if json.len() > body_limit(scene) {
            reaction.complaint = Some(TOO_LONG.to_owned());
            self.conclude(scene, Class::Server.into(), false, &mut reaction);
            return reaction;
        }
        self.conclude(scene, Verdict { class, ..verdict }, true, &mut reaction);
        if class == Class::Success && scene.call.to_keep.is_wanted() {
            scene.call.to_keep.take(json.clone());
        }
        if head.bodiless {
            // There is no body to replace, so only a reply of our own can bring one.
            reaction.flow = Flow::Reply(json);
        } else {
            reaction.flow = Flow::Replace(json);
            // Of an error that is too long to be held, more is to come.
            self.holding = Holding::Rest;
        }
        reaction
    }

    fn judge_head(&self, scene: &Scene<'_>, head: &Head) -> Judgement {
        match judge_head(&case(scene), head) {
            Judgement::Decided(verdict) => Judgement::Decided(seen(scene, verdict)),
            Judgement::NeedsBody => Judgement::NeedsBody,
        }
    }
}

/// The reaction to an answer, with what else it says.
fn noted(scene: &mut Scene<'_>, reaction: Reaction, said: Said) -> Reaction {
    scene.call.ledger.iter_mut().for_each(|ledger| ledger.error_code = said.code);
    Reaction { used: said.used, ..reaction }
}

/// The longest answer that is held, and the longest that is put in the place of one ([`Limits::room`] is no less).
///
/// [`Limits::room`]: crate::registry::Limits::room
fn body_limit(scene: &Scene<'_>) -> usize {
    usize::try_from(scene.registry.limits.response_body).unwrap_or(usize::MAX)
}

/// The verdict, by whose credential the server has seen.
fn seen(scene: &Scene<'_>, verdict: Verdict) -> Verdict {
    if scene.knows_only_clients() { verdict.about_the_client() } else { verdict }
}

/// Whether the client is in a session of this server's.
fn owns_session(scene: &Scene<'_>) -> bool {
    scene.call.session.owner() == Some(&scene.server.id)
}

/// Whether the gate may answer in the place of an answer of this class and status.
fn is_replaced_by_gate(scene: &Scene<'_>, class: Class, status: u16) -> bool {
    matches!(scene.call.kind, Kind::Request | Kind::Notification)
        && (!class.is_about_the_call() || status == 401 && !scene.knows_only_clients())
}

/// Whether the answer is a tool's, and its shape is to be what every client reads.
fn is_normalised(scene: &Scene<'_>) -> bool {
    scene.server.normalise && scene.call.kind == Kind::Request && scene.call.task != Task::Protocol
}

/// Whether the answer is a list of tools, not all of which its client may see.
fn filters_list(scene: &Scene<'_>) -> bool {
    scene.call.tools_page.is_some() && scene.registry.listener.allowed_tools.restricts()
}

/// Whether an MCP client can read this as the answer to its call.
fn is_readable(scene: &Scene<'_>, body: &[u8], of_event: bool) -> bool {
    let (text, id) = (text_of(body), scene.call.request_id());
    if of_event { Answer::of_event(&text, id) } else { Answer::of_body(&text, id) }.is_readable()
}

/// What the server's answer is judged by.
fn case<'s>(scene: &'s Scene<'_>) -> Case<'s> {
    let expected = match (scene.call.kind, scene.call.request_id()) {
        (Kind::Request, Some(id)) => Expected::Answer(id),
        (Kind::Notification, _) => Expected::Nothing,
        _ => Expected::Anything,
    };
    let server = scene.server;
    let standing = match &scene.call.session {
        _ if scene.call.kind == Kind::Session => Standing::Own,
        Session::Server { owner, .. } if *owner == server.id => Standing::Own,
        Session::Gate => Standing::Gate,
        Session::None | Session::Server { .. } => Standing::Outside,
    };
    Case { kind: server.kind, dialect: server.dialect, rules: &server.rules, expected, standing }
}

/// Whether a value of `content-type` says that the body is a stream of Server-Sent Events.
pub fn is_event_stream(value: &[u8]) -> bool {
    is_type(value, b"text/event-stream")
}

/// Whether a value of `content-type` says that the body is JSON.
fn is_json(value: &[u8]) -> bool {
    is_type(value, b"application/json")
}

fn is_type(value: &[u8], name: &[u8]) -> bool {
    value.trim_ascii_start().get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
}
