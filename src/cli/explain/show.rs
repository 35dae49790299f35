//! An explanation, for people and for programs.

use serde_json::{Value, json};

use super::finding::Finding;
use crate::call::answer::Conclusion;
use crate::failure::{BreakerEffect, Class};

/// The explanation in lines, each with its title and, in brackets, what decided it.
pub(super) fn text(finding: &Finding) -> String {
    let class = finding.judged.settled.verdict.class;
    let tool = finding.tool.as_deref().unwrap_or("one that the registry does not list");
    let yes = |yes: bool| if yes { "yes" } else { "no" };
    let origins = &finding.origins;
    let lines = [
        ("server", finding.server.clone(), None),
        ("tool", tool.to_owned(), None),
        ("seen", finding.seen.clone(), None),
        ("class", format!("{}: {}", class.as_str(), class.explanation()), Some(&finding.decided_by)),
        ("breaker", format!("{}: {}", finding.decisions.breaker.as_str(), counts(finding)), Some(&origins.breaker)),
        ("other slot", yes(finding.other_slot).to_owned(), Some(&origins.other_slot)),
        ("failover", failover(finding), Some(&origins.failover)),
        ("alert", yes(finding.decisions.alert).to_owned(), Some(&origins.alert)),
        ("client", client(finding), None),
    ];
    let by = |origin: Option<&String>| origin.map(|origin| format!("  [{origin}]")).unwrap_or_default();
    lines.into_iter().map(|(title, line, origin)| format!("{title:<12} {line}{}\n", by(origin))).collect()
}

/// The explanation as one JSON object.
pub(super) fn json(finding: &Finding) -> String {
    let (class, origins) = (finding.judged.settled.verdict.class, &finding.origins);
    let to: &[String] = finding.next.as_deref().unwrap_or_default();
    let client = match finding.conclusion {
        _ if goes_on(finding) => json!({"answer": "next"}),
        Conclusion::Pass | Conclusion::Gate | Conclusion::Kept => json!({"answer": "this", "status": finding.status}),
        Conclusion::Error { code, .. } => {
            json!({"answer": "error", "status": finding.status, "code": code.number(), "reason": code.name()})
        }
    };
    let value: Value = json!({
        "server": finding.server,
        "tool": finding.tool,
        "seen": finding.seen,
        "class": {"name": class.as_str(), "by": finding.decided_by},
        "breaker": {
            "effect": finding.decisions.breaker.as_str(),
            "rate": matches!(finding.decisions.breaker, BreakerEffect::Failure | BreakerEffect::Limited),
            "run": finding.decisions.breaker == BreakerEffect::Failure,
            "retry_after_ms": finding.judged.settled.verdict.retry_after_ms,
            "by": origins.breaker,
        },
        "other_slot": {"answer": finding.other_slot, "by": origins.other_slot},
        "failover": {
            "answer": finding.next.is_ok(),
            "policy": finding.decisions.failover.as_str(),
            "to": to,
            "why_not": finding.next.as_ref().err(),
            "by": origins.failover,
        },
        "alert": {"answer": finding.decisions.alert, "by": origins.alert},
        "client": client,
    });
    format!("{value:#}\n")
}

fn counts(finding: &Finding) -> String {
    match finding.decisions.breaker {
        BreakerEffect::Failure => "counts in the failure rate and in the run of failures".to_owned(),
        BreakerEffect::Limited => match finding.judged.settled.verdict.retry_after_ms {
            Some(ms) => format!("counts in the failure rate but not in the run; asks for {} s", ms.div_ceil(1000)),
            None => "counts in the failure rate but not in the run".to_owned(),
        },
        BreakerEffect::Neutral => "says nothing about the server".to_owned(),
        BreakerEffect::Success => "counts as a success".to_owned(),
    }
}

fn failover(finding: &Finding) -> String {
    match &finding.next {
        Ok(servers) => format!("yes ({}), to {}", finding.decisions.failover.as_str(), servers.join(", then ")),
        Err(why) => format!("no ({}): {why}", finding.decisions.failover.as_str()),
    }
}

fn goes_on(finding: &Finding) -> bool {
    finding.other_slot || finding.next.is_ok()
}

fn client(finding: &Finding) -> String {
    let class = finding.judged.settled.verdict.class;
    if class == Class::Cancelled {
        return "is gone".to_owned();
    }
    let last = match finding.conclusion {
        Conclusion::Pass | Conclusion::Gate | Conclusion::Kept => format!("this answer, with HTTP {}", finding.status),
        Conclusion::Error { code, .. } => {
            format!("HTTP {} with the JSON-RPC error {} {}", finding.status, code.number(), code.name())
        }
    };
    if goes_on(finding) { format!("the next answer; if this is the last, {last}") } else { last }
}
