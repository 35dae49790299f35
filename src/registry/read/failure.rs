//! Reads `failure`, and what servers and tools say of failures themselves: `rules` and `outcomes`.

use std::time::Duration;

use crate::failure::{BreakerEffect, Change, Class, Condition, Failover, Overrides, Place, Rule, ServerKind};
use crate::registry::FailureSettings;
use crate::wire::{Node, Table, or};

const MAX_RULES: usize = 50;
const MAX_TEXT: usize = 200;
const MIN_TEXT: usize = 4;

/// Whose `outcomes` are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    Server,
    Tool,
}

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

impl Default for FailureSettings {
    fn default() -> Self {
        FailureSettings { rules: Vec::new(), annotations_max_age: DAY }
    }
}

impl FailureSettings {
    #[inline(never)]
    pub(super) fn read(node: &Node) -> Option<Self> {
        let table = node.table()?;
        let default = Self::default();
        let rules = or(table.optional("rules"), default.rules, |node| read_rules(node, None));
        let annotations_max_age = or(table.optional("annotations_max_age"), default.annotations_max_age, |node| {
            node.duration(MINUTE, DAY.saturating_mul(30))
        });
        table.done();
        Some(FailureSettings { rules: rules?, annotations_max_age: annotations_max_age? })
    }
}

/// Reads a list of rules; `kind`: of servers of this kind only.
#[inline(never)]
pub(super) fn read_rules(node: &Node, kind: Option<ServerKind>) -> Option<Vec<Rule>> {
    let nodes = node.list()?;
    if nodes.len() > MAX_RULES {
        node.refuse(format!("must have at most {MAX_RULES} entries"));
        return None;
    }
    // Every rule is read before the first failure counts, so that all problems are noted.
    let rules: Vec<_> = nodes.iter().map(|node| read_rule(node, kind)).collect();
    rules.into_iter().collect()
}

fn read_rule(node: &Node, kind: Option<ServerKind>) -> Option<Rule> {
    let table = node.table()?;
    let class = table.required("class").and_then(|node| read_class(&node, kind));
    let (status, code, message) = (table.optional("status"), table.optional("jsonrpc_code"), table.optional("message"));
    let place = table.optional("in");
    table.done();
    let when = match (status, code, message) {
        (Some(status), None, None) => {
            refuse_place(place)?;
            Condition::Status(u16::try_from(status.integer(300, 599)?).ok()?)
        }
        (None, Some(code), None) => {
            refuse_place(place)?;
            refuse_for_rest(&code, kind)?;
            Condition::Code(read_code(&code)?)
        }
        (None, None, Some(message)) => {
            let text = read_text(&message);
            let Some(place) = place else {
                node.refuse_with(
                    "must say where its message stands",
                    format!("in: {}", PLACES.map(|p| p.0).join(", ")),
                );
                return None;
            };
            Condition::Message(read_place(&place, class?, kind)?, text?)
        }
        _ => {
            node.refuse("must have exactly one of status, jsonrpc_code and message");
            return None;
        }
    };
    Some(Rule { when, class: class? })
}

/// What an answer can be. That a call was not sent, that its client left, and that it was answered is not for rules to
/// say.
fn read_class(node: &Node, kind: Option<ServerKind>) -> Option<Class> {
    const CLASSES: [Class; 9] = [
        Class::Refused,
        Class::Overload,
        Class::Credential,
        Class::Authorization,
        Class::Server,
        Class::Lost,
        Class::Session,
        Class::Caller,
        Class::ToolError,
    ];
    let class = *CLASSES.get(node.one_of(&CLASSES.map(Class::as_str))?)?;
    if class == Class::Session && kind == Some(ServerKind::Rest) {
        node.refuse("must not be session for a rest server, which has none");
        return None;
    }
    Some(class)
}

fn read_code(node: &Node) -> Option<i64> {
    let code = node.value().as_i64();
    if code.is_none() {
        node.refuse("must be a whole number");
    }
    code
}

fn read_text(node: &Node) -> Option<Box<str>> {
    let text = node.string()?;
    if !(MIN_TEXT..=MAX_TEXT).contains(&text.len()) {
        node.refuse(format!("must be a text of {MIN_TEXT} to {MAX_TEXT} bytes"));
        return None;
    }
    Some(text.to_ascii_lowercase().into())
}

const PLACES: [(&str, Place); 6] = [
    ("internal_error", Place::InternalError),
    ("internal_error_start", Place::InternalErrorStart),
    ("tool_error", Place::ToolError),
    ("tool_error_start", Place::ToolErrorStart),
    ("bad_request", Place::BadRequest),
    ("bad_request_start", Place::BadRequestStart),
];

fn read_place(node: &Node, class: Class, kind: Option<ServerKind>) -> Option<Place> {
    let (name, place) = *PLACES.get(node.one_of(&PLACES.map(|place| place.0))?)?;
    if !matches!(place, Place::BadRequest | Place::BadRequestStart) {
        refuse_for_rest(node, kind)?;
    }
    let anywhere = matches!(place, Place::BadRequest | Place::InternalError | Place::ToolError);
    if anywhere && !class.may_have_been_executed() {
        node.refuse_with(
            format!("must be {name}_start for class {}", class.as_str()),
            "the class says that nothing was executed, and what follows the beginning may be the caller's own text",
        );
        return None;
    }
    Some(place)
}

fn refuse_place(place: Option<Node>) -> Option<()> {
    if let Some(place) = place {
        place.refuse("must not be given without message");
        return None;
    }
    Some(())
}

fn refuse_for_rest(node: &Node, kind: Option<ServerKind>) -> Option<()> {
    if kind == Some(ServerKind::Rest) {
        node.refuse_with(
            "must not be given for a rest server, which speaks no JSON-RPC",
            "use status, or in: bad_request",
        );
        return None;
    }
    Some(())
}

/// Reads the `outcomes` of a server or tool. They were called `on`, which is read still; YAML 1.1 takes a bare `on` for true,
/// and tools that do so write it back as that.
#[inline(never)]
pub(super) fn read_outcomes(table: &Table, owner: Owner) -> Option<Overrides> {
    if let Some(node) = table.unlisted("true") {
        let hint = "it may have been on, which YAML 1.1 takes for true: the key is called outcomes now";
        node.veiled().refuse_with("is not a known key", hint);
    }
    let (now, before) = (table.optional("outcomes"), table.unlisted("on"));
    if let (Some(_), Some(before)) = (&now, &before) {
        before.refuse("must not be given beside outcomes, which is its new name");
        return None;
    }
    or(now.or(before), Overrides::default(), |node| read_overrides(node, owner))
}

fn read_overrides(node: &Node, owner: Owner) -> Option<Overrides> {
    let table = node.table()?;
    if let Some(node) = table.unlisted(Class::Success.as_str()) {
        node.refuse("must not be given: what follows from success can't be changed");
    }
    let classes = Class::ALL.into_iter().filter(|class| *class != Class::Success);
    // Every class is read before the first failure counts, so that all problems are noted.
    let changes: Vec<_> = classes
        .filter_map(|class| Some((class, table.optional(class.as_str())?)))
        .map(|(class, node)| Some((class, read_change(&node, class, owner)?)))
        .collect();
    table.done();
    Some(Overrides::new(changes.into_iter().collect::<Option<_>>()?))
}

fn read_change(node: &Node, class: Class, owner: Owner) -> Option<Change> {
    let table = node.table()?;
    let breaker = or(table.optional("breaker"), None, |node| read_effect(node, class).map(Some));
    let failover = or(table.optional("failover"), None, |node| read_failover(node, class, owner).map(Some));
    let other_slot_first = or(table.optional("other_slot"), None, |node| read_other_slot(node, class).map(Some));
    let alert = or(table.optional("alert"), None, |node| node.boolean().map(Some));
    table.done();
    Some(Change { breaker: breaker?, failover: failover?, other_slot_first: other_slot_first?, alert: alert? })
}

fn read_effect(node: &Node, class: Class) -> Option<BreakerEffect> {
    let effects = BreakerEffect::ALL;
    let effect = *effects.get(node.one_of(&effects.map(BreakerEffect::as_str))?)?;
    let is_no_answer = !class.is_about_the_call() && class != Class::Credential || class == Class::Cancelled;
    if effect == BreakerEffect::Success && is_no_answer {
        node.refuse(format!(
            "must not be success for {}: a probe that ends so would close the breaker",
            class.as_str()
        ));
        return None;
    }
    Some(effect)
}

fn read_failover(node: &Node, class: Class, owner: Owner) -> Option<Failover> {
    let failover = *Failover::ALL.get(node.one_of(&Failover::ALL.map(Failover::as_str))?)?;
    let name = class.as_str();
    match (class, failover) {
        (Class::Cancelled, Failover::Always | Failover::WhenReplayable) => {
            node.refuse(format!("must be never for {name}: nobody waits for the answer"));
            None
        }
        (Class::NotSent, Failover::WhenReplayable | Failover::Never) => {
            node.refuse(format!("must be always for {name}: the call has certainly not been executed"));
            None
        }
        (_, Failover::Always) if class.may_have_been_executed() && owner == Owner::Server => {
            node.refuse_with(
                format!("must not be always for {name} of a server: its calls may have been executed"),
                "say so for single tools, in tools[].outcomes",
            );
            None
        }
        _ => Some(failover),
    }
}

fn read_other_slot(node: &Node, class: Class) -> Option<bool> {
    let other = node.boolean()?;
    if other && !matches!(class, Class::Overload | Class::Credential) {
        node.refuse(format!(
            "must be false for {}: another secret helps only with overload and credential",
            class.as_str()
        ));
        return None;
    }
    Some(other)
}
