//! What is kept of an answer, and the answer that it becomes again.

use crate::json::{Object, Raw};
use crate::jsonrpc::{RequestId, members};

use super::Scope;

/// The member of a kept answer's `_meta` that says how old it is: `{"age_ms": 1200, "stale": false}`.
const META: &str = "dualpath/cache";

/// The result of a call, and how long it counts. Times in ms, of the monotonic clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// When it was asked for.
    pub asked_ms: u64,
    /// So long from then on it is given without a server being asked.
    pub fresh_ms: u64,
    /// So long from then on it is given where no server has answered.
    pub keep_ms: u64,
    /// What it says itself of how long it counts (`ttlMs`).
    pub ttl_ms: Option<u64>,
    /// Where in `text` what is said of its age goes: behind the bracket of `_meta`.
    pub meta_at: u32,
    /// Where in `text` the rest of its `ttlMs` goes.
    pub ttl_at: u32,
    /// The result, without its `ttlMs`.
    pub text: String,
}

/// The answer may not be kept: it is no result, not the whole of one, a tool's error, or says so itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotKept;

/// What is looked for in a result.
const MEMBERS: [&str; 9] =
    ["isError", "_meta", "resultType", "ttlMs", "cacheScope", "requestState", "inputRequests", "task", "content"];

/// What is looked for in its `_meta`.
const OF_META: [&str; 2] = ["io.modelcontextprotocol/related-task", META];

/// The members of these names, each as it stands; what is there twice, or in another case, is nothing to keep.
fn found<'a, const N: usize>(object: &'a str, names: &[&str; N]) -> Result<[Option<Raw<'a>>; N], NotKept> {
    let mut found = [None; N];
    members(object, names, &mut found).map_err(|_| NotKept)?;
    Ok(found)
}

/// Where `part` begins in `whole`, which it is a part of.
fn at(whole: &str, part: &str) -> Option<usize> {
    part.as_ptr().addr().checked_sub(whole.as_ptr().addr()).filter(|at| *at < whole.len())
}

impl Kept {
    /// What is to be kept of the JSON-RPC answer `message`, which was asked for at `asked_ms`.
    ///
    /// # Errors
    /// If it may not be kept in this scope.
    pub fn of(message: &str, scope: Scope, asked_ms: u64) -> Result<Self, NotKept> {
        let [id, result, error, method] = found(message, &["id", "result", "error", "method"])?;
        let (Some(_), Some(result), None, None) = (id, result, error, method) else { return Err(NotKept) };
        let result = result.get();
        let [is_error, meta, kind, ttl, told_scope, state, requests, task, content] = found(result, &MEMBERS)?;
        let is_whole = kind.is_none_or(|kind| kind.text().as_deref() == Some("complete"));
        let is_open = [state, requests, task].iter().flatten().next().is_some();
        let has_failed = is_error.is_some_and(|word| word.get() != "false");
        let may_be_shown = match told_scope.map(Raw::text) {
            None => true,
            Some(Some(word)) if word == "public" => true,
            Some(Some(word)) => word == "private" && scope != Scope::Shared,
            Some(None) => false,
        };
        if !is_whole || is_open || has_failed || !may_be_shown || content.is_none() {
            return Err(NotKept);
        }
        let ttl_ms = match ttl {
            None => None,
            Some(ttl) => Some(ttl.get().parse::<u64>().ok().filter(|ms| *ms > 0).ok_or(NotKept)?),
        };
        let (text, meta_at, shift) = match meta {
            Some(meta) => {
                if found(meta.get(), &OF_META)?.iter().flatten().next().is_some() {
                    return Err(NotKept);
                }
                (result.to_owned(), at(result, meta.get()).and_then(|at| at.checked_add(1)).ok_or(NotKept)?, 0)
            }
            None => {
                const BEFORE: &str = r#"{"_meta":{},"#;
                let inner = result.strip_prefix('{').ok_or(NotKept)?;
                ([BEFORE, inner].concat(), BEFORE.len().saturating_sub(2), BEFORE.len().saturating_sub(1))
            }
        };
        let place = |at: usize| u32::try_from(at).map_err(|_| NotKept);
        let mut kept =
            Kept { asked_ms, fresh_ms: 0, keep_ms: 0, ttl_ms, meta_at: place(meta_at)?, ttl_at: u32::MAX, text };
        if let Some(ttl) = ttl {
            let start = at(result, ttl.get()).and_then(|at| at.checked_add(shift)).ok_or(NotKept)?;
            let (before, rest) = kept.text.split_at_checked(start).ok_or(NotKept)?;
            kept.text = [before, rest.get(ttl.get().len()..).ok_or(NotKept)?].concat();
            if start < meta_at {
                kept.meta_at = place(meta_at.saturating_sub(ttl.get().len()))?;
            }
            kept.ttl_at = place(start)?;
        }
        Ok(kept)
    }

    /// Sets how long it counts: as the operator says, but fresh no longer than it says itself.
    pub fn counts(mut self, ttl_ms: u64, stale_ms: u64) -> Self {
        self.fresh_ms = self.ttl_ms.map_or(ttl_ms, |told| told.min(ttl_ms));
        self.keep_ms = self.fresh_ms.saturating_add(stale_ms);
        self
    }

    /// How old it is.
    pub fn age_ms(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.asked_ms)
    }

    /// Whether it is given without a server being asked.
    pub fn is_fresh(&self, now_ms: u64) -> bool {
        self.age_ms(now_ms) < self.fresh_ms
    }

    /// The answer to request `id`, with its age.
    pub fn answer(&self, id: RequestId<'_>, now_ms: u64) -> Option<Vec<u8>> {
        let age_ms = self.age_ms(now_ms);
        let stale = if self.is_fresh(now_ms) { "false" } else { "true" };
        let age = Object::default().number("age_ms", age_ms).json("stale", stale).done();
        let behind = self.text.get(usize::try_from(self.meta_at).ok()?..)?;
        let comma = if behind.trim_start().starts_with('}') { "" } else { "," };
        let told = ["\"", META, "\":", &age, comma].concat();
        let left = self.ttl_ms.map(|ttl| ttl.saturating_sub(age_ms).to_string()).unwrap_or_default();
        let mut places = [(self.meta_at, told.as_str()), (self.ttl_at, left.as_str())];
        if self.ttl_at < self.meta_at {
            places.reverse();
        }
        let [before, id, then, end] = [r#"{"jsonrpc":"2.0","id":"#, id.as_json(), r#","result":"#, "}"];
        let length = [before, id, then, end, &told, &left, &self.text].iter().map(|part| part.len()).sum();
        let mut answer = Vec::with_capacity(length);
        for part in [before, id, then] {
            answer.extend_from_slice(part.as_bytes());
        }
        let mut from = 0;
        for (at, text) in places.into_iter().filter(|(at, _)| *at != u32::MAX) {
            let at = usize::try_from(at).ok()?;
            answer.extend_from_slice(self.text.get(from..at)?.as_bytes());
            answer.extend_from_slice(text.as_bytes());
            from = at;
        }
        answer.extend_from_slice(self.text.get(from..)?.as_bytes());
        answer.extend_from_slice(end.as_bytes());
        Some(answer)
    }
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_family = "wasm", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use serde_json::{Value, json};

    use super::*;

    fn of(result: &str) -> Result<Kept, NotKept> {
        Kept::of(&format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#), Scope::Caller, 1000)
    }

    fn again(result: &str, now_ms: u64) -> Value {
        let kept = of(result).expect("it may be kept").counts(60_000, 600_000);
        let answer = kept.answer(RequestId::from_json("\"me\"").expect("an id"), now_ms).expect("an answer");
        serde_json::from_slice(&answer).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&answer)))
    }

    #[test]
    fn an_answer_comes_back_under_the_clients_id_with_its_age_and_else_as_it_was() {
        for result in [
            r#"{"content":[],"isError":false}"#,
            r#" { "content" : [ {"type":"text","text":"a\nb \u20ac"} ] , "_meta" : { } } "#,
            r#"{"_meta":{"a":{"_meta":{}}},"content":[]}"#,
            r#"{"content":[],"_meta":{"x":"}"},"structuredContent":{"ttlMs":7}}"#,
        ] {
            let mut expected: Value = serde_json::from_str(result).expect("JSON");
            expected["_meta"]["dualpath/cache"] = json!({"age_ms": 2000, "stale": false});
            let expected = json!({"jsonrpc": "2.0", "id": "me", "result": expected});
            assert_eq!(again(result, 3000), expected, "{result}");
        }
        assert_eq!(
            again(r#"{"content":[]}"#, 61_000)["result"]["_meta"]["dualpath/cache"],
            json!({"age_ms": 60_000, "stale": true})
        );
    }

    #[test]
    fn an_answer_counts_no_longer_than_it_says_and_a_client_is_told_what_is_left() {
        for result in [
            r#"{"ttlMs":5000,"content":[],"_meta":{"a":1}}"#,
            r#"{"_meta":{"a":1},"content":[],"ttlMs":5000}"#,
            r#"{"content":[],"ttlMs": 5000 ,"x":1}"#,
            r#"{"ttlMs":5000,"content":[]}"#,
        ] {
            let mut kept = of(result).expect("it may be kept").counts(60_000, 0);
            assert_eq!((kept.fresh_ms, kept.is_fresh(5_999), kept.is_fresh(6_000)), (5_000, true, false));
            assert_eq!(again(result, 3_000)["result"]["ttlMs"], 3_000, "{result}");
            assert_eq!(again(result, 9_000)["result"]["ttlMs"], 0, "{result}");
            kept = kept.counts(1_000, 0);
            assert_eq!(kept.fresh_ms, 1_000, "nor longer than the operator says");
        }
    }

    #[test]
    fn only_a_whole_success_is_kept() {
        for result in [
            r#"{"content":[],"isError":true}"#,
            r#"{"content":[],"isError":"true"}"#,
            r#"{"content":[],"isError":null}"#,
            r#"{"content":[],"resultType":"input_required"}"#,
            r#"{"content":[],"resultType":"task"}"#,
            r#"{"content":[],"requestState":"s"}"#,
            r#"{"content":[],"inputRequests":{}}"#,
            r#"{"task":{"taskId":"7"}}"#,
            r#"{"content":[],"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"7"}}}"#,
            r#"{"content":[],"_meta":{"dualpath/cache":{"age_ms":5,"stale":true}}}"#,
            r#"{"content":[],"ttlMs":0}"#,
            r#"{"content":[],"ttlMs":-1}"#,
            r#"{"content":[],"ttlMs":"60"}"#,
            r#"{"content":[],"cacheScope":"none"}"#,
            r#"{"content":[],"cacheScope":7}"#,
            r#"{"content":[],"isError":false,"isError":true}"#,
            r#"{"content":[],"IsError":true}"#,
            r#"{"content":[],"_meta":null}"#,
            r#"{}"#,
            r#"[]"#,
            r#"7"#,
        ] {
            assert_eq!(of(result), Err(NotKept), "{result}");
        }
        for message in [
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"m"}}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{"content":[]},"error":null}"#,
            r#"{"jsonrpc":"2.0","method":"notifications/progress"}"#,
            r#"[{"jsonrpc":"2.0","id":1,"result":{"content":[]}}]"#,
            "",
        ] {
            assert_eq!(Kept::of(message, Scope::Caller, 0), Err(NotKept), "{message}");
        }
        assert!(of(r#"{"content":[],"resultType":"complete","cacheScope":"public","ttlMs":5}"#).is_ok());
    }

    #[test]
    fn what_is_private_is_never_shared() {
        let message = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[],"cacheScope":"private"}}"#;
        let kept = [Scope::Caller, Scope::Session, Scope::Shared].map(|scope| Kept::of(message, scope, 0).is_ok());
        assert_eq!(kept, [true, true, false]);
    }
}
