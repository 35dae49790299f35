//! The steps of a rotation, from what is known of the credential's slots.

use std::fmt::Write;

use super::bash;
use super::install::installation;
use super::sql::{Identifier, Token as SqlToken};
use super::state::{CredentialStatus, PatStatus, SlotStatus, Token};
use super::status_text;
use crate::cli::admin;
use crate::credential::{Cause, date};
use crate::registry::{Credential, Registry, Server, SlotSource};
use crate::telemetry::of;

/// What the operator wants of the new token.
#[derive(Debug, clap::Args)]
pub struct Wishes {
    /// The user that the token is of; in double quotes if its case matters
    #[arg(long, value_name = "NAME", value_parser = Identifier::parse)]
    pub user: Option<Identifier>,
    /// The name of the token
    #[arg(long, value_name = "NAME", value_parser = Identifier::parse)]
    pub token_name: Option<Identifier>,
    /// The role that a first token is restricted to; a rotated one keeps its own
    #[arg(long)]
    pub role: Option<String>,
    /// How many days a first token lives; a rotated one gets as many as the old one had
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=365))]
    pub days: Option<u64>,
    /// How many hours the old token is still valid beside the new one
    #[arg(long, value_name = "HOURS", default_value_t = 24, value_parser = clap::value_parser!(u64).range(0..=8760))]
    pub overlap_hours: u64,
}

/// Everything that the steps depend on.
pub struct Plan<'p> {
    /// The registry's file, as the operator names it.
    file: &'p str,
    /// The environment, where the operator names one.
    environment: Option<&'p str>,
    wishes: &'p Wishes,
    credential: &'p Credential,
    state: &'p CredentialStatus,
    /// The slot for the new token, in the registry and as it is now.
    target: (&'p SlotSource, &'p SlotStatus),
    why: &'static str,
    /// The slot with the token that is in use; `None` if there is no token.
    old: Option<&'p SlotStatus>,
    is_snowflake: bool,
    /// The Envoy that was asked, if one was.
    asked: Option<&'p str>,
    /// Where the registry's own Envoy shows its metrics.
    admin: String,
    now_s: u64,
}

impl<'p> Plan<'p> {
    /// What is to be done about `credential`, whose slots are in this `state`. The registry is in `file`, taken for the
    /// `environment` that the operator names. `None` only for a credential without slots, which the registry does not allow.
    pub fn of(
        registry: &Registry,
        credential: &'p Credential,
        state: &'p CredentialStatus,
        (file, environment): (&'p str, Option<&'p str>),
        wishes: &'p Wishes,
        status: &'p PatStatus,
    ) -> Option<Self> {
        let (at, why) = choose(&state.slots);
        let sources: Vec<_> = credential.slots.iter().flatten().collect();
        let target = (*sources.get(at)?, state.slots.get(at)?);
        let others = state.slots.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, slot)| slot);
        let old = others.chain([target.1]).find(|slot| may_be_used(slot));
        let users = registry.servers.iter().filter(|server| {
            server.credential.and_then(|at| registry.credential(at)).is_some_and(|used| used.id == credential.id)
        });
        Some(Plan {
            file,
            environment,
            wishes,
            credential,
            state,
            target,
            why,
            old,
            is_snowflake: is_snowflake(credential, users),
            asked: status.admin.as_deref(),
            admin: admin::metrics_of(&registry.envoy),
            now_s: status.now_s,
        })
    }

    /// The steps, numbered.
    pub fn text(&self) -> String {
        let from = self.asked.map_or_else(|| "from here".to_owned(), |url| format!("by the Envoy at {url}"));
        let mut text =
            format!("Replacing the token of {}, as seen {from} at {}:\n", self.credential.id, date::show(self.now_s));
        for slot in &self.state.slots {
            text.push_str(&status_text::slot_line(slot, &self.state.policy, self.now_s));
        }
        let steps = [self.which(), self.dates(), self.make(), self.install(), self.verify(), self.end(), self.back()];
        for (number, step) in (1..).zip(steps.into_iter().flatten()) {
            let step = step.replace('\n', "\n   ").replace("\n   \n", "\n\n");
            let _ = writeln!(text, "\n{number}. {}", step.trim_end());
        }
        text
    }

    fn slot(&self) -> &'static str {
        self.target.1.slot
    }

    /// The number of the step that makes the token; the one after it puts the token into its place.
    fn making(&self) -> u64 {
        if self.dates().is_some() { 3 } else { 2 }
    }

    fn which(&self) -> Option<String> {
        Some(format!("The new token goes into slot {}: {}.", self.slot(), self.why))
    }

    /// Dates of the slot's old token would be taken for the new one's.
    fn dates(&self) -> Option<String> {
        let declared = self.target.0.declared;
        (declared.issued_s.is_some() || declared.expires_s.is_some()).then(|| {
            format!(
                "The registry says when the token in slot {} was issued or ends. That is of the old token. A running Envoy does\n\
                 not hold the new one to it, but one that starts later would: take issued and expires out of the slot before\n\
                 Envoy is next started. The new token's dates belong beside it, as in the commands below.",
                self.slot()
            )
        })
    }

    fn make(&self) -> Option<String> {
        if !self.is_snowflake {
            return Some(
                "Make a second token in the API's own console and leave the old one valid. (Statements are known here for\n\
                 Snowflake only.)"
                    .to_owned(),
            );
        }
        let sql = SqlToken { user: self.wishes.user.clone(), name: self.wishes.token_name.clone() };
        let (statement, about) = match self.overlap() {
            None => (
                sql.add(self.wishes.role.as_deref(), self.wishes.days),
                "A first token: no slot has one that is valid, as far as is seen (--admin asks a running Envoy).\n\
                 A user has at most 15. Without DAYS_TO_EXPIRY it lives as long as the account's policy says, 15 days\n\
                 unless that was changed.\n\
                 The answer's columns: token_name, token_secret."
                    .to_owned(),
            ),
            Some(overlap) => (sql.rotate(overlap), self.about_rotation(overlap)),
        };
        Some(format!(
            "Make it in Snowflake, in a session that was not opened with a token of this user: such a session may not do\n\
             this. For another user it takes OWNERSHIP or MODIFY PROGRAMMATIC AUTHENTICATION METHODS on that user.\n\n\
             {statement}\n\n{about} The secret is shown once."
        ))
    }

    fn about_rotation(&self, overlap: u64) -> String {
        let mut said =
            "The new token gets the lifetime that the old one was made with; the old one goes on under another name.\n"
                .to_owned();
        if self.wishes.days.is_some() || self.wishes.role.is_some() {
            said.push_str("Role and days are kept: to change them, ADD a token under another name instead.\n");
        }
        if overlap < self.wishes.overlap_hours {
            let _ =
                writeln!(said, "Not {} hours: the old token lives for {overlap} more only.", self.wishes.overlap_hours);
        }
        if overlap == 0 {
            said.push_str("0 hours: the old token ends at once, and calls fail over until the next step is done.\n");
        }
        said + "The answer's columns: token_name, token_secret, rotated_token_name."
    }

    /// How many hours the old token stays valid, at most those that it has left; `None` without an old token.
    fn overlap(&self) -> Option<u64> {
        let old = self.old?;
        let hours = |end: u64| end.saturating_sub(self.now_s).checked_div(3600).unwrap_or_default();
        // A running Envoy tells whole days.
        let left = old.lifetime.expires_s.map(hours).or(old.days_left.map(|days| days.saturating_mul(24)));
        Some(left.map_or(self.wishes.overlap_hours, |left| left.min(self.wishes.overlap_hours)))
    }

    fn install(&self) -> Option<String> {
        let name = format!("{}-{}", self.credential.id, self.slot());
        let how = installation(&self.target.0.source, &name);
        let commands = how.commands.iter().map(|commands| format!("\n\n{commands}"));
        Some(how.what + &commands.collect::<String>())
    }

    fn verify(&self) -> Option<String> {
        let (id, slot) = (&self.credential.id, self.slot());
        let (registry, admin) = (bash::file(self.file), bash::word(self.asked.unwrap_or(&self.admin)));
        let environment =
            self.environment.map(|name| format!(" --environment {}", bash::word(name))).unwrap_or_default();
        let old = self.old.map_or("?", |old| old.slot);
        let mut said = format!(
            "See that calls use it, at every Envoy:\n\n\
             dualpath pat status {registry}{environment} --admin {admin}\n\n\
             Slot {slot} is present, and {rejected}{{credential=\"{id}\",slot=\"{slot}\"}} stays as it is.",
            rejected = of::PAT_REJECTED.name
        );
        if old != slot && old != "?" {
            let _ = write!(
                said,
                "\nCalls change over at once if both tokens tell when they were issued (as JWTs, or beside them):\n\
                 {switched}{{credential=\"{id}\",from=\"{old}\",to=\"{slot}\",reason=\"{newer}\"}} grows. Otherwise they\n\
                 change within the first call whose old token is refused.",
                switched = of::PAT_SWITCH.name,
                newer = Cause::Newer.as_str()
            );
        }
        Some(said)
    }

    fn end(&self) -> Option<String> {
        let old = self.old?;
        if !self.is_snowflake {
            return Some(format!(
                "Revoke the old token in the API's console once no Envoy uses it. {}",
                self.leave(old)
            ));
        }
        let hours = self.overlap()?;
        let end = date::show(self.now_s.saturating_add(hours.saturating_mul(3600)));
        let sql = SqlToken { user: self.wishes.user.clone(), name: None };
        Some(format!(
            "The old token ends by itself {hours} hours after step {}, which is {end} if that is done now.\n\
             {}To end it sooner, once no Envoy uses it:\n\n{}",
            self.making(),
            self.leave(old),
            sql.remove_rotated()
        ))
    }

    fn leave(&self, old: &SlotStatus) -> String {
        if old.slot == self.slot() {
            return String::new();
        }
        format!("Leave slot {} as it is: the next rotation uses it.\n", old.slot)
    }

    fn back(&self) -> Option<String> {
        let old = self.old?;
        let (slot, id) = (self.slot(), &self.credential.id);
        if old.slot == slot {
            return Some(format!(
                "To go back while the old token is valid, put it into slot {slot} again, in the same way."
            ));
        }
        Some(format!(
            "If servers refuse the new token, calls go on with slot {} by themselves, each within itself, as long as the old\n\
             token is valid; {rejected}{{credential=\"{id}\",slot=\"{slot}\"}} grows. Then repeat from step {} before\n\
             the old one ends.",
            old.slot,
            self.making(),
            rejected = of::PAT_REJECTED.name,
        ))
    }
}

/// Whether calls may be using the slot's token.
fn may_be_used(slot: &SlotStatus) -> bool {
    matches!(slot.token, Token::Present | Token::Hidden | Token::Unreadable(_))
}

/// The position of the slot for a new token, and why that one.
fn choose(slots: &[SlotStatus]) -> (usize, &'static str) {
    let [a, b] = slots else {
        return (
            0,
            "the registry has no other.\nShould it be refused, no token stands in for it; better add a second slot first",
        );
    };
    let of = |first: bool| if first { 0 } else { 1 };
    let missing = |slot: &SlotStatus| matches!(slot.token, Token::Missing(_));
    if missing(a) || missing(b) {
        return (of(missing(a)), "it is free");
    }
    let expired = |slot: &SlotStatus| slot.token == Token::Expired;
    if expired(a) || expired(b) {
        return (of(expired(a)), "its token has expired");
    }
    if let (Some(a), Some(b)) = (a.lifetime.issued_s, b.lifetime.issued_s)
        && a != b
    {
        return (of(a < b), "its token was issued earlier, so calls use the other one");
    }
    if let (Some(a), Some(b)) = (a.lifetime.expires_s, b.lifetime.expires_s)
        && a != b
    {
        return (of(a < b), "its token ends first");
    }
    (1, "nothing tells which of the two tokens is the older one; if calls use slot b, take slot a")
}

fn is_snowflake<'r>(credential: &Credential, mut users: impl Iterator<Item = &'r Server>) -> bool {
    credential.headers.iter().any(|(name, _)| name.starts_with("x-snowflake-"))
        || users.any(|server| server.url.host.ends_with(".snowflakecomputing.com"))
}
