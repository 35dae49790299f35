//! What operators set by keys of Envoy's runtime: it needs no new configuration, and is gone with the key.
//!
//! The prober reads Envoy's runtime and leaves in the shared data what concerns Dualpath. Every worker reads it there.

use crate::breaker::Mode;
use crate::json::{Map, Value};
use crate::wire::{VEIL, looks_like_a_token, sort};

/// The key of the record in the shared data; the number is the version of its layout. An entry is a byte of flags, a name and
/// a line feed: the flags are the bits of a [`Hand`], [`TASK`] and [`RESET`]. A reset has `=` and its text behind the name.
pub const RECORD: &str = "rt1";

/// The key of the kill switch: percent of requests that may use MCP servers, 100 unless changed.
pub const MCP_ENABLED: &str = "dualpath.mcp_enabled";

const TASK: u8 = 1 << 6;
const RESET: u8 = 1 << 7;

/// The flags of the key that empties the cache. Its text counts as that of a reset does.
const PURGE: u8 = TASK | RESET;

/// The most bytes of it, more than 64 servers and 1000 tasks need.
const MOST: usize = 128 * 1024;

/// What is set for one server, or for a task: a bit for each of [`Hand::STATES`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hand(u8);

impl Hand {
    /// What a server can be put into. First the modes of its breaker, which outrank the registry's. `off`: it gets no request at
    /// all; of a task: MCP is switched off for its tools. `drained`: its weight is 0, so it gets calls only where every other
    /// server has failed, and those of its sessions.
    pub const STATES: [&str; 6] = ["normal", "metrics_only", "disabled", "forced_open", "off", "drained"];

    const OFF: u8 = 1 << 4;
    const DRAINED: u8 = 1 << 5;

    /// Whether the server is put into the state at this position of [`Hand::STATES`].
    pub fn is_in(self, state: usize) -> bool {
        self.0 & 1_u8.checked_shl(u32::try_from(state).unwrap_or(u32::MAX)).unwrap_or_default() != 0
    }

    /// The mode of the breaker, in the place of the registry's.
    pub fn mode(self) -> Option<Mode> {
        Mode::NAMED.iter().enumerate().find(|(state, _)| self.is_in(*state)).map(|(_, (_, mode))| *mode)
    }

    /// Whether it is switched off.
    pub fn is_off(self) -> bool {
        self.0 & Self::OFF != 0
    }

    /// Whether its weight is 0.
    pub fn is_drained(self) -> bool {
        self.0 & Self::DRAINED != 0
    }

    /// What a record sets for the server of this id, or for the task.
    pub fn read(record: &[u8], name: &str, is_task: bool) -> Self {
        let mut hand = Hand::default();
        for entry in record.split(|byte| *byte == b'\n') {
            if let Some((flags, known)) = entry.split_first()
                && known == name.as_bytes()
                && is_task == (flags & TASK != 0)
            {
                hand.0 |= flags & !TASK;
            }
        }
        hand
    }
}

/// What a key sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting<'k> {
    /// The id of the server, or the task.
    pub name: &'k str,
    flags: u8,
    /// The text of a reset, else nothing.
    text: &'k str,
}

impl Setting<'_> {
    /// Whether it is about a task.
    pub fn is_of_task(&self) -> bool {
        self.flags & PURGE == TASK
    }

    /// Whether all kept answers are to be thrown away.
    pub fn is_purge(&self) -> bool {
        self.flags == PURGE
    }

    /// Whether the server's breaker is to be reset, or the cache emptied, if no record before had that.
    pub fn is_reset_since(&self, before: &[u8]) -> bool {
        let mut entry = Vec::new();
        self.write(&mut entry);
        self.flags & RESET != 0 && !before.windows(entry.len()).any(|known| known == entry)
    }

    fn write(&self, record: &mut Vec<u8>) {
        record.push(self.flags);
        record.extend_from_slice(self.name.as_bytes());
        if self.flags & RESET != 0 {
            record.push(b'=');
            record.extend_from_slice(self.text.as_bytes());
        }
        record.push(b'\n');
    }
}

/// What the keys of a server set, and then the one of a task.
const SETTINGS: [(&str, &str, u8); 16] = [
    ("mode", "normal", 1),
    ("mode", "metrics_only", 1 << 1),
    ("mode", "disabled", 1 << 2),
    ("mode", "forced_open", 1 << 3),
    ("enabled", "0", Hand::OFF),
    ("enabled", "false", Hand::OFF),
    ("enabled", "1", 0),
    ("enabled", "100", 0),
    ("enabled", "true", 0),
    ("weight", "0", Hand::DRAINED),
    ("weight", "1", 0),
    ("weight", "100", 0),
    ("mcp_enabled", "0", Hand::OFF | TASK),
    ("mcp_enabled", "false", Hand::OFF | TASK),
    ("mcp_enabled", "100", TASK),
    ("mcp_enabled", "true", TASK),
];

fn setting<'k>(key: &'k str, value: &'k str) -> Option<Setting<'k>> {
    if key == "cache.purge" {
        return Some(Setting { name: "", flags: PURGE, text: value });
    }
    let (kind, rest) = key.split_once('.')?;
    let (name, what) = rest.split_once('.')?;
    let is_task = kind == "task";
    if what == "reset" && !is_task {
        return Some(Setting { name, flags: RESET, text: value });
    }
    let found = SETTINGS.iter().find(|(known, word, _)| *known == what && *word == value)?;
    Some(Setting { name, flags: found.2, text: "" }).filter(|setting| setting.is_of_task() == is_task)
}

/// Tells each key that is about a server, a task or the cache with its value and what it sets, if anything, from a runtime as Envoy's admin
/// interface shows it, in the order of the keys.
pub fn each<'r>(runtime: &'r Value, tell: &mut dyn FnMut(&'r str, &'r str, Option<Setting<'r>>)) {
    let entries = runtime.get("entries").and_then(Value::as_object).into_iter().flat_map(Map::iter);
    let is_ours = |key: &str| {
        ["server.", "task.", "cache."]
            .iter()
            .any(|kind| key.strip_prefix("dualpath.").is_some_and(|ours| ours.starts_with(kind)))
    };
    let mut entries: Vec<_> = entries.filter(|(key, _)| is_ours(key)).collect();
    sort(&mut entries, |(key, _)| *key);
    for (key, entry) in entries {
        let ours = key.strip_prefix("dualpath.");
        if let (Some(ours), Some(value)) = (ours, entry.get("final_value").and_then(Value::as_str))
            && !value.contains('\n')
        {
            // What sets nothing is told and kept as well, and might be a token that stands in the wrong place.
            let value = if looks_like_a_token(value) { VEIL } else { value };
            tell(key, value, setting(ours, value));
        }
    }
}

/// Whether a runtime has all kept answers thrown away, if no record before did.
pub fn is_purge_since(runtime: &Value, before: &[u8]) -> bool {
    let mut is_new = false;
    each(runtime, &mut |_, _, setting| {
        is_new |= setting.is_some_and(|setting| setting.is_purge() && setting.is_reset_since(before));
    });
    is_new
}

/// What the kill switch is set to, in percent; empty where that is no number, and Envoy takes what it takes without one.
pub fn switch(runtime: &Value) -> &str {
    let entry = runtime.get("entries").and_then(|entries| entries.get(MCP_ENABLED));
    let value = entry.map_or(Some("100"), |entry| entry.get("final_value").and_then(Value::as_str));
    value.filter(|value| value.len() <= 3 && value.bytes().all(|byte| byte.is_ascii_digit())).unwrap_or_default()
}

/// Whether a runtime keeps requests from MCP servers by [`MCP_ENABLED`]. What is no whole number means nothing to Envoy.
pub fn is_mcp_limited(runtime: &Value) -> bool {
    switch(runtime).parse().is_ok_and(|percent: u64| percent < 100)
}

/// The record of a runtime.
pub fn record(runtime: &Value) -> Vec<u8> {
    let mut record = Vec::new();
    each(runtime, &mut |key, value, setting| {
        // What sets nothing stands there too, for nobody, so that it is seen to come and go.
        let setting = setting.unwrap_or(Setting { name: key, flags: RESET, text: value });
        if record.len() < MOST {
            setting.write(&mut record);
        }
    });
    record
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_family = "wasm", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use serde_json::{Map, json};

    use super::*;

    fn runtime(keys: &[(&str, &str)]) -> Value {
        let entry =
            |(key, value): &(&str, &str)| ((*key).to_owned(), json!({"final_value": value, "layer_values": [value]}));
        Value::from(&json!({"layers": ["admin"], "entries": keys.iter().map(entry).collect::<Map<_, _>>()}))
    }

    fn hand(key: &str, value: &str, name: &str, is_task: bool) -> Hand {
        Hand::read(&record(&runtime(&[(key, value)])), name, is_task)
    }

    #[test]
    fn a_key_puts_one_server_into_one_state_and_no_other() {
        for (key, value, expected) in [
            ("mode", "normal", Some("normal")),
            ("mode", "metrics_only", Some("metrics_only")),
            ("mode", "disabled", Some("disabled")),
            ("mode", "forced_open", Some("forced_open")),
            ("enabled", "false", Some("off")),
            ("enabled", "0", Some("off")),
            ("enabled", "100", None),
            ("weight", "0", Some("drained")),
            ("weight", "100", None),
            ("reset", "1", None),
            ("mcp_enabled", "0", None),
        ] {
            let key = format!("dualpath.server.primary.{key}");
            let hand = |name, is_task| hand(&key, value, name, is_task);
            let one = hand("primary", false);
            let states: Vec<_> = (0..9).filter(|at| one.is_in(*at)).map(|at| Hand::STATES[at]).collect();
            assert_eq!(states, expected.into_iter().collect::<Vec<_>>(), "{key} {value}");
            assert_eq!(
                one.mode(),
                Mode::NAMED.into_iter().find(|(name, _)| expected == Some(name)).map(|named| named.1)
            );
            assert_eq!((one.is_off(), one.is_drained()), (expected == Some("off"), expected == Some("drained")));
            assert!(
                [hand("primar", false), hand("", false), hand("primary", true)]
                    .iter()
                    .all(|hand| *hand == Hand::default())
            );
        }
    }

    #[test]
    fn mcp_is_switched_off_for_one_task() {
        let key = "dualpath.task.search.mcp_enabled";
        assert!(hand(key, "0", "search", true).is_off() && hand(key, "false", "search", true).is_off());
        assert!(!hand(key, "100", "search", true).is_off() && !hand(key, "0", "search", false).is_off());
    }

    #[test]
    fn mcp_is_limited_below_a_hundred_percent() {
        for (value, expected) in
            [("0", true), ("99", true), ("100", false), ("1000", false), ("", false), ("off", false)]
        {
            assert_eq!(is_mcp_limited(&runtime(&[(MCP_ENABLED, value)])), expected, "{value}");
        }
        assert!(!is_mcp_limited(&runtime(&[])) && !is_mcp_limited(&Value::Null));
    }

    #[test]
    fn what_is_no_setting_sets_nothing() {
        for (key, value) in [
            ("server", "1"),
            ("server.a", "1"),
            ("server.a.mode", ""),
            ("server.a.mode", "open"),
            ("server.a.enabled", "50"),
            ("server.a.weight", "-1"),
            ("server.a.mod", "disabled"),
            ("server.a.mcp_enabled", "0"),
            ("server.a.b.mode", "disabled"),
            ("task.t.mcp_enabled", "50"),
            ("task.t.mode", "disabled"),
            ("task.t.reset", "1"),
        ] {
            assert_eq!(setting(key, value), None, "{key} {value}");
        }
    }

    #[test]
    fn only_what_is_about_a_server_or_a_task_is_read() {
        let page = runtime(&[
            ("dualpath.mcp_enabled", "0"),
            ("overload.x", "1"),
            ("dualpath.server.b.reset", "x\ny"),
            ("dualpath.task.t.mcp_enabled", "0"),
        ]);
        let mut told = Vec::new();
        each(&page, &mut |key, _, _| told.push(key));
        assert_eq!(told, ["dualpath.task.t.mcp_enabled"]);
        let strange = json!({"entries": {"dualpath.server.a.mode": "disabled"}});
        for value in [json!(null), json!([]), json!({"entries": []}), strange] {
            assert!(record(&Value::from(&value)).is_empty(), "{value}");
        }
    }

    #[test]
    fn a_token_in_the_wrong_place_is_neither_told_nor_kept() {
        let token = "eyJhbGciOiJIUzI1NiJ9.SECRETSECRET.sig";
        let page = runtime(&[("dualpath.server.a.reset", token), ("dualpath.server.a.mod", token)]);
        each(&page, &mut |_, value, _| assert_eq!(value, "(not shown)"));
        assert!(!record(&page).windows(6).any(|part| part == b"SECRET"));
    }

    #[test]
    fn a_reset_is_one_only_if_its_text_is_new() {
        let set = |text| runtime(&[("dualpath.server.a.reset", text)]);
        let (one, twelve) = (set("1"), set("12"));
        let is_reset = |runtime: &Value, before: &[u8]| {
            let mut reset = false;
            each(runtime, &mut |_, _, setting| reset = setting.is_some_and(|setting| setting.is_reset_since(before)));
            reset
        };
        assert!(is_reset(&one, b"") && is_reset(&one, &record(&twelve)) && is_reset(&twelve, &record(&one)));
        assert!(!is_reset(&one, &record(&one)) && !is_reset(&runtime(&[("dualpath.server.a.mode", "disabled")]), b""));
    }

    #[test]
    fn there_is_a_bound_to_what_is_kept() {
        let keys: Vec<_> = (0..30_000).map(|n| format!("dualpath.task.t{n}.mcp_enabled")).collect();
        let all: Vec<_> = keys.iter().map(|key| (key.as_str(), "0")).collect();
        assert!((MOST..MOST + 64).contains(&record(&runtime(&all)).len()));
    }
}
