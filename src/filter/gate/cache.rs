//! The cache at the gate: a kept answer in a server's place, and the keeping of one. The steps are those of
//! [`crate::call::cached`].

use proxy_wasm::types::Action;

use super::super::clock;
use super::super::host::{self, Headers};
use super::super::metrics::{CallStatus, Metric};
use super::Gate;
use crate::cache::{Kept, NotKept, Stored};
use crate::call::Call;
use crate::call::account::Account;
use crate::call::cached::{self, Asked, ToKeep};
use crate::call::door::Client;
use crate::call::headers::RequestHeaders;
use crate::call::message::Message;
use crate::jsonrpc::{OwnedId, RequestId, text_of};

/// A kept answer in the form that its client reads.
pub(super) struct Given {
    pub content_type: &'static str,
    pub body: Vec<u8>,
}

/// The names in a client's certificate, as Envoy has them where it asks for one: a workload's URI, else DNS names.
fn certificate() -> Vec<u8> {
    let names = |kind| host::attribute(&["connection", kind]);
    names("uri_san_peer_certificate").or_else(|| names("dns_san_peer_certificate")).unwrap_or_default()
}

impl Gate {
    fn count_cache(&self, outcome: &'static str) {
        self.vm.metrics.count(Metric::Cache(self.known.task.name(&self.vm.names), outcome));
    }

    /// Answers a call with what is kept, if that is fresh. Nothing is asked of the cache for a tool without one.
    pub(super) fn ask_cache(&mut self, message: &Message<'_>, client: &Client, now_ms: u64) -> Option<Action> {
        let (tool, policy) = cached::tool_of(message)?;
        let vm = std::rc::Rc::clone(&self.vm);
        let cache = vm.cache.as_ref()?;
        let headers = Headers::Request.all();
        let pairs = headers.pairs();
        let certificate = certificate();
        let request = cached::Request { headers: RequestHeaders(&pairs), certificate: &certificate };
        let of = (&*vm.registry, vm.identity);
        let key = match cached::question(&cache.table, of, (tool, policy), (message, client), request) {
            Ok(key) => key,
            Err(why) => {
                self.count_cache(why.as_str());
                return None;
            }
        };
        let wants_events = cached::wants_events(request.headers);
        let asked = Asked { key, policy: *policy, asked_ms: now_ms, wants_events };
        // Who orders a drill, or names a server, wants to see what a server says.
        let is_free = client.drill.is_empty() && client.prefer.is_none();
        let found = cache.find(key, now_ms).filter(|kept| is_free && kept.is_fresh(now_ms));
        let found = found.zip(message.id.as_ref()).and_then(|(kept, id)| given(&kept, id.borrow(), &asked, now_ms));
        if let Some(given) = found {
            self.count_cache("hit");
            self.known.end = Some(Account::of_cache(CallStatus::Success));
            return Some(self.give(&given));
        }
        self.count_cache("miss");
        self.known.asked = Some(Box::new(asked));
        None
    }

    /// What the cache still has for a call that nobody else answers. It is counted as given.
    pub(super) fn stale_answer(&mut self, id: Option<RequestId<'_>>) -> Option<Given> {
        let asked = self.known.asked.as_ref().filter(|asked| asked.policy.stale_ms > 0)?;
        let now_ms = clock::now_ms();
        let kept = self.vm.cache.as_ref()?.find(asked.key, now_ms)?;
        let given = given(&kept, id?, asked, now_ms)?;
        self.count_cache("stale");
        self.known.end = Some(Account::of_cache(CallStatus::Fallback));
        Some(given)
    }

    /// The same for a call that was sent to nobody.
    pub(super) fn answer_stale(&mut self) -> Option<Given> {
        let id = self.known.id.take();
        let given = self.stale_answer(id.as_ref().map(OwnedId::borrow));
        self.known.id = id;
        given
    }

    /// Answers the call with it. What it is counted as is known already.
    pub(super) fn give(&mut self, given: &Given) -> Action {
        let end = self.known.end;
        let action = self.answer(200, &[("content-type", given.content_type)], &given.body, CallStatus::Success);
        self.known.end = end;
        action
    }

    /// Keeps the answer of a call that has succeeded, if it may be kept.
    pub(super) fn keep_answer(&self, call: &Call) {
        let (Some(asked), Some(cache)) = (&self.known.asked, &self.vm.cache) else { return };
        let answer = match &call.to_keep {
            ToKeep::Here(answer) => answer,
            ToKeep::TooLarge => return self.count_cache("too_large"),
            // It passed unread.
            ToKeep::Wanted(_) | ToKeep::Unwanted => return self.count_cache("not_kept"),
        };
        let quotes_client = call.authorization.as_ref().is_some_and(|secret| secret.find(answer).is_some());
        let kept = match Kept::of(&text_of(answer), asked.policy.scope, asked.asked_ms) {
            Ok(kept) if !quotes_client => kept.counts(asked.policy.ttl_ms, asked.policy.stale_ms),
            Ok(_) | Err(NotKept) => return self.count_cache("not_kept"),
        };
        self.count_cache(match cache.store(asked.key, &kept, clock::now_ms()) {
            Stored::Kept => "stored",
            Stored::TooLarge => "too_large",
            Stored::Older | Stored::Lost => "lost",
        });
    }
}

fn given(kept: &Kept, id: RequestId<'_>, asked: &Asked, now_ms: u64) -> Option<Given> {
    let body = kept.answer(id, now_ms)?;
    Some(match asked.wants_events {
        true => Given { content_type: "text/event-stream", body: cached::event(&body) },
        false => Given { content_type: "application/json", body },
    })
}
