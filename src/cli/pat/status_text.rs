//! How the state of credentials is said, for people and for programs.

use std::fmt::Write;
use std::time::Duration;

use serde_json::{Value, json};

use super::Urgency;
use super::state::{CredentialStatus, PatStatus, SlotStatus, Token};
use crate::cli::credentials::days_left;
use crate::credential::{AgePolicy, Severity, date};
use crate::wire::show_duration;

/// The status in a few lines per credential.
pub fn text(status: &PatStatus, urgency: Urgency) -> String {
    let mut text = String::new();
    for credential in &status.credentials {
        let _ = writeln!(text, "{}: {}", credential.id, judgement(credential).join(", "));
        for slot in &credential.slots {
            text.push_str(&slot_line(slot, &credential.policy, status.now_s));
        }
        for (switch, times) in &credential.switches {
            let _ = writeln!(text, "  switched {times} times: {switch}");
        }
    }
    if status.credentials.is_empty() {
        text.push_str("the registry has no credentials\n");
    }
    let seen_by = match &status.admin {
        Some(url) => format!("by the Envoy at {url}"),
        None => "from here".to_owned(),
    };
    let _ = writeln!(text, "{} at {}, seen {seen_by}", urgency.as_str(), date::show(status.now_s));
    text
}

fn judgement(credential: &CredentialStatus) -> Vec<String> {
    let mut said = Vec::new();
    match credential.severity {
        Some(Severity::None) => said.push("no token ends soon".to_owned()),
        Some(Severity::Alert) => said.push("ALERT, a new token is needed soon".to_owned()),
        Some(Severity::Critical) => said.push("CRITICAL, a new token is needed now".to_owned()),
        None => said.push("when its tokens end is unknown".to_owned()),
    }
    match credential.violates_age {
        Some(true) => {
            said.push(format!("VIOLATION, a token lives for longer than {}", show(credential.policy.max_age_s)));
        }
        Some(false) => {}
        None => said.push("age unknown".to_owned()),
    }
    if credential.usable == Some(false) {
        said.push("CRITICAL, no token may be sent".to_owned());
    }
    said
}

/// A slot in one line.
pub fn slot_line(slot: &SlotStatus, policy: &AgePolicy, now_s: u64) -> String {
    format!("  slot {}  {}: {}\n", slot.slot, slot.source, slot_text(slot, policy, now_s))
}

fn slot_text(slot: &SlotStatus, policy: &AgePolicy, now_s: u64) -> String {
    let mut said = vec![match &slot.token {
        Token::Present => "present".to_owned(),
        Token::Expired => "EXPIRED".to_owned(),
        Token::NotYet => "not valid yet".to_owned(),
        Token::Withheld => "present but NOT SENT: refused by servers, or not valid now".to_owned(),
        Token::Missing(why) => format!("no token, {why}"),
        Token::Unreadable(why) => format!("unreadable, {why}"),
        Token::Hidden => "only a running Envoy sees it (--admin)".to_owned(),
    }];
    if let Some(issued) = slot.lifetime.issued_s {
        said.push(format!("issued {}", date::show(issued)));
    }
    match (slot.lifetime.expires_s, slot.days_left) {
        (Some(end), _) if end <= now_s => said.push(format!("ended {}", date::show(end))),
        (Some(end), Some(days)) => said.push(format!("ends {}, {} left", date::show(end), days_left(days))),
        (None, Some(_)) if slot.token == Token::Expired => {}
        (None, Some(days)) if slot.lifetime.issued_s.is_some() => {
            said.push(format!("{} left until it is as old as max_age allows", days_left(days)));
        }
        (None, Some(days)) => said.push(format!("{} left", days_left(days))),
        (_, None) if slot.is_unknown() => said.push("end unknown".to_owned()),
        (_, None) => {}
    }
    match (&slot.token, slot.severity) {
        (Token::Expired, _) => {}
        (_, Some(_)) if slot.lifetime.expires_s.is_some_and(|end| end <= now_s) => said.push("CRITICAL".to_owned()),
        (_, Some(Severity::Alert)) => said.push(format!("ALERT, less than {}", show(policy.alert_s))),
        (_, Some(Severity::Critical)) => said.push(format!("CRITICAL, less than {}", show(policy.critical_s))),
        _ => {}
    }
    match slot.rejected {
        Some(times) if times > 0 => said.push(format!("refused by servers {times} times")),
        _ => {}
    }
    match slot.update_failures {
        Some(times) if times > 0 => said.push(format!("Envoy could not take it {times} times, its log says why")),
        _ => {}
    }
    said.join(", ")
}

/// The status as one JSON document.
pub fn json(status: &PatStatus, urgency: Urgency) -> String {
    let tree = json!({
        "time": date::show(status.now_s),
        "admin": status.admin,
        "status": urgency.as_str(),
        "credentials": status.credentials.iter().map(credential_json).collect::<Vec<_>>(),
    });
    format!("{tree:#}\n")
}

fn credential_json(credential: &CredentialStatus) -> Value {
    let policy = &credential.policy;
    json!({
        "credential": credential.id,
        "severity": severity(credential.severity),
        "age_violation": credential.violates_age,
        "usable": credential.usable,
        "policy": {
            "max_age": show(policy.max_age_s), "alert": show(policy.alert_s), "critical": show(policy.critical_s),
        },
        "slots": credential.slots.iter().map(slot_json).collect::<Vec<_>>(),
        "switches": credential.switches.iter().map(|(switch, times)| json!({"switch": switch, "times": times})).collect::<Vec<_>>(),
    })
}

fn slot_json(slot: &SlotStatus) -> Value {
    let (token, reason) = match &slot.token {
        Token::Present => ("present", None),
        Token::Expired => ("expired", None),
        Token::NotYet => ("not_yet_valid", None),
        Token::Withheld => ("not_sent", None),
        Token::Missing(why) => ("missing", Some(why)),
        Token::Unreadable(why) => ("unreadable", Some(why)),
        Token::Hidden => ("hidden", None),
    };
    json!({
        "slot": slot.slot,
        "source": slot.source,
        "token": token,
        "reason": reason,
        "issued": slot.lifetime.issued_s.map(date::show),
        "expires": slot.lifetime.expires_s.map(date::show),
        "days_left": slot.days_left,
        "severity": severity(slot.severity),
        "rejected": slot.rejected,
        "update_failures": slot.update_failures,
    })
}

/// A severity in JSON; `unknown` where no end is known.
fn severity(severity: Option<Severity>) -> &'static str {
    severity.map_or("unknown", Severity::as_str)
}

fn show(seconds: u64) -> String {
    show_duration(Duration::from_secs(seconds))
}
