//! The two slots of a credential at one server, as one worker knows them: which has a token that may be sent, and which
//! of two goes first.

use super::testimony::Word;
use super::{Declared, Defect, Fingerprint, FingerprintKey, Handed, Lifetime, Secret, Validity};

/// One of the two places for a credential's secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Slot {
    /// Slot a.
    A = 0,
    /// Slot b.
    B = 1,
}

impl Slot {
    /// Both, in order.
    pub const BOTH: [Slot; 2] = [Slot::A, Slot::B];

    /// The name used in the registry, in metrics and in the audit trail.
    pub fn as_str(self) -> &'static str {
        match self {
            Slot::A => "a",
            Slot::B => "b",
        }
    }

    /// The one that is not this.
    pub fn other(self) -> Self {
        match self {
            Slot::A => Slot::B,
            Slot::B => Slot::A,
        }
    }
}

/// Two clocks: tokens live in calendar time, waiting is measured on a clock that never jumps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Seconds since 1970.
    pub wall_s: u64,
    /// Monotonic milliseconds.
    pub ms: u64,
}

/// Whether a slot's token may be sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Availability {
    /// It may.
    Usable,
    /// There is none.
    Missing,
    /// It is not valid yet.
    NotYet,
    /// It has expired.
    Expired,
    /// What is there can't be sent.
    Defective(Defect),
    /// The server refused it, and it is not tried again before this time, monotonic ms.
    Resting(u64),
}

/// How long a refused token rests the first time, while the other slot takes over. It doubles with every refusal of the same
/// token, ...
pub const FIRST_REST_MS: u64 = 30_000;
/// ... up to this.
pub const LONGEST_REST_MS: u64 = 600_000;
/// So many refusals without a success between make a token rest that no other slot stands in for. One alone may be about the
/// request that was refused.
pub const CORROBORATING: u32 = 3;
/// How long it rests then: the last token that can be sent is tried again soon, whatever was said of it.
pub const LAST_REST_MS: u64 = 1_000;
/// For so long after somebody else has used a token with success, refused calls do not make it rest as the last one.
pub const VOUCHED_MS: u64 = 10_000;

/// For so long after a server has accepted a token, its refusals may as well be an illness of the server's, which ends.
pub const RECENT_MS: u64 = 60_000;

#[derive(Debug, Clone)]
struct Token {
    secret: Secret,
    /// What its place holds, where that is not the token alone.
    source: Option<Secret>,
    fingerprint: Fingerprint,
    lifetime: Lifetime,
    bad_date: bool,
    defect: Option<Defect>,
    /// When the server last accepted it.
    worked_ms: Option<u64>,
    /// How often in a row the server has refused it, and when last.
    refusals: u32,
    refused_ms: u64,
    /// Whether the prober's own request was refused as well.
    condemned: bool,
    /// Until when others' successes speak for it.
    vouched_until_ms: u64,
}

impl Token {
    /// Whether its place still holds this.
    fn is_from(&self, bytes: &[u8]) -> bool {
        self.source.as_ref().unwrap_or(&self.secret).is(bytes)
    }

    /// Whether nothing is wrong with it, whatever servers say.
    fn is_valid(&self, now: Now) -> bool {
        self.defect.is_none() && self.lifetime.validity(now.wall_s) == Validity::Valid
    }

    /// Whether it is for certain not the refused requests that were at fault.
    fn is_corroborated(&self) -> bool {
        self.condemned || self.refusals >= CORROBORATING && self.refused_ms >= self.vouched_until_ms
    }

    /// Until when it rests. `stand_in`: another token takes over meanwhile.
    fn rests_until_ms(&self, stand_in: bool) -> u64 {
        let rest = match self.refusals.checked_sub(1) {
            None => return 0,
            Some(before) if stand_in => FIRST_REST_MS.saturating_mul(2u64.saturating_pow(before)).min(LONGEST_REST_MS),
            Some(_) if self.is_corroborated() => LAST_REST_MS,
            Some(_) => return 0,
        };
        self.refused_ms.saturating_add(rest)
    }
}

/// The slot that a call gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Selection {
    /// The slot.
    pub slot: Slot,
    /// Its token.
    pub fingerprint: Fingerprint,
    /// Whether the other slot could be used if this one is refused.
    pub has_other: bool,
    /// Why the slot is another one than that of the call before, if it is.
    pub switched: Option<Cause>,
}

/// Why calls go on with the other slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The server refused the token of the slot before.
    Rejected,
    /// It has expired, or is not valid yet.
    Expired,
    /// The slot is empty.
    Emptied,
    /// The token of this slot is newer.
    Newer,
}

impl Cause {
    /// The value of the `reason` label in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Cause::Rejected => "rejected",
            Cause::Expired => "expired",
            Cause::Emptied => "emptied",
            Cause::Newer => "newer",
        }
    }
}

/// The slots of one credential as far as one server and one worker are concerned. A token that this server refuses may be
/// good enough for another.
#[derive(Debug, Clone, Default)]
pub struct SlotPair {
    tokens: [Option<Token>; 2],
    /// The slot of the last call.
    selected: Option<Slot>,
    /// The slot whose token was refused last, and has not worked since.
    refused: Option<Slot>,
}

impl SlotPair {
    fn get(&self, slot: Slot) -> Option<&Token> {
        self.tokens.get(slot as usize)?.as_ref()
    }

    fn get_mut(&mut self, slot: Slot) -> Option<&mut Token> {
        self.tokens.get_mut(slot as usize)?.as_mut()
    }

    /// Takes note of what a slot holds. `declared`: what the registry says of the life of that token. Everything that was
    /// known of another token in the slot is forgotten, above all that it rests.
    pub fn observe(
        &mut self,
        slot: Slot,
        bytes: Option<&[u8]>,
        declared: impl FnOnce(Fingerprint) -> Declared,
        key: FingerprintKey,
    ) {
        if let (Some(token), Some(bytes)) = (self.get(slot), bytes)
            && token.is_from(bytes)
        {
            return;
        }
        let handed = bytes.and_then(Handed::read);
        let source = || bytes.and_then(Secret::new).filter(Secret::is_json);
        let token = handed.map(|handed| {
            let fingerprint = key.of(&handed.secret);
            let lifetime = Lifetime::of(&handed, declared(fingerprint));
            // The same token with other dates is the same token.
            let before = self.get(slot).filter(|before| before.fingerprint == fingerprint);
            let fresh = Token {
                secret: handed.secret.clone(),
                source: None,
                fingerprint,
                lifetime,
                bad_date: false,
                defect: None,
                worked_ms: None,
                refusals: 0,
                refused_ms: 0,
                condemned: false,
                vouched_until_ms: 0,
            };
            Token {
                source: source(),
                lifetime,
                bad_date: handed.bad_date,
                defect: handed.defect,
                ..before.cloned().unwrap_or(fresh)
            }
        });
        if let Some(place) = self.tokens.get_mut(slot as usize) {
            *place = token;
        }
    }

    /// Whether a slot has a token that is none of what is defective.
    pub fn is_filled(&self) -> bool {
        self.tokens.iter().flatten().any(|token| token.defect.is_none())
    }

    /// Whether the calendar matters: a token says when it begins or ends.
    pub fn is_dated(&self) -> bool {
        let dated = |token: &Token| token.lifetime.expires_s.or(token.lifetime.not_before_s).is_some();
        self.tokens.iter().flatten().any(dated)
    }

    /// Whether the slot's token may be sent.
    pub fn availability(&self, slot: Slot, now: Now) -> Availability {
        let Some(token) = self.get(slot) else { return Availability::Missing };
        if let Some(defect) = token.defect {
            return Availability::Defective(defect);
        }
        match token.lifetime.validity(now.wall_s) {
            Validity::Expired => Availability::Expired,
            Validity::NotYet => Availability::NotYet,
            Validity::Valid => match token.rests_until_ms(self.stands_in(slot.other(), now)) {
                until if now.ms < until => Availability::Resting(until),
                _ => Availability::Usable,
            },
        }
    }

    /// Whether this slot's token is one that nothing is held against, so that the other's may rest.
    fn stands_in(&self, slot: Slot, now: Now) -> bool {
        self.get(slot)
            .is_some_and(|token| token.refusals == 0 && token.lifetime.validity(now.wall_s) == Validity::Valid)
    }

    /// Whether this slot's token could be sent if the other's were refused now.
    fn is_second(&self, slot: Slot, now: Now) -> bool {
        self.get(slot).is_some_and(|token| token.is_valid(now) && now.ms >= token.rests_until_ms(false))
    }

    /// The slots whose tokens may be sent, the better one first: of two tokens the one that was issued later; where that
    /// is not known of both, the one that worked last.
    pub fn usable(&self, now: Now) -> impl Iterator<Item = Slot> + use<> {
        let usable = |slot| self.availability(slot, now) == Availability::Usable;
        let both = if self.prefers_b() { [Slot::B, Slot::A] } else { Slot::BOTH };
        both.map(|slot| usable(slot).then_some(slot)).into_iter().flatten()
    }

    /// The slot for a call, and whether that is a change. One that rests is better than none: for who asks it is too late to
    /// ask another server. `again`: the call has been sent with one slot already, and that was refused; or it is a drill that
    /// says so, and then there is nothing to remember.
    pub fn select(&mut self, now: Now, again: bool) -> Option<Selection> {
        let rests = |slot: &Slot| matches!(self.availability(*slot, now), Availability::Resting(_));
        let better = self.usable(now).next().or_else(|| Slot::BOTH.into_iter().find(rests))?;
        let tried = self.refused.unwrap_or(better);
        let other = Some(tried.other()).filter(|other| again && self.is_second(*other, now));
        let slot = other.unwrap_or(better);
        let has_other = !again && self.is_second(slot.other(), now);
        let selection = Selection { slot, fingerprint: self.fingerprint(slot)?, has_other, switched: None };
        if slot != better {
            return Some(selection);
        }
        let before = self.selected.replace(slot).filter(|before| *before != slot);
        let switched = before.map(|before| match self.availability(before, now) {
            Availability::Resting(_) => Cause::Rejected,
            Availability::Expired | Availability::NotYet => Cause::Expired,
            Availability::Missing | Availability::Defective(_) => Cause::Emptied,
            Availability::Usable => Cause::Newer,
        });
        Some(Selection { switched, ..selection })
    }

    fn prefers_b(&self) -> bool {
        let (Some(a), Some(b)) = (self.get(Slot::A), self.get(Slot::B)) else { return false };
        match (a.lifetime.issued_s, b.lifetime.issued_s) {
            (Some(a), Some(b)) if a != b => b > a,
            _ => b.worked_ms > a.worked_ms,
        }
    }

    /// The slot's token.
    pub fn secret(&self, slot: Slot) -> Option<Secret> {
        self.get(slot).map(|token| token.secret.clone())
    }

    /// The fingerprint of the slot's token.
    pub fn fingerprint(&self, slot: Slot) -> Option<Fingerprint> {
        self.get(slot).map(|token| token.fingerprint)
    }

    /// What is wrong with what the slot holds.
    pub fn defect(&self, slot: Slot) -> Option<Defect> {
        self.get(slot)?.defect
    }

    /// Whether a date stands beside the slot's token that is none.
    pub fn has_bad_date(&self, slot: Slot) -> bool {
        self.get(slot).is_some_and(|token| token.bad_date)
    }

    /// What is known of the life of the slot's token.
    pub fn lifetime(&self, slot: Slot) -> Option<Lifetime> {
        self.get(slot).map(|token| token.lifetime)
    }

    /// The server accepted the token with this fingerprint. What the slot holds meanwhile may be another one.
    pub fn worked(&mut self, slot: Slot, fingerprint: Fingerprint, now_ms: u64) {
        let Some(token) = self.get_mut(slot).filter(|token| token.fingerprint == fingerprint) else { return };
        token.worked_ms = Some(now_ms);
        (token.refusals, token.condemned) = (0, false);
        self.refused = self.refused.filter(|refused| *refused != slot);
    }

    /// The server refused the token with this fingerprint. It rests if the other slot takes over, or if enough is held against
    /// it. Refusals while it rests, of calls that were under way already, do not count again. Answers whether this one counts.
    pub fn refused(&mut self, slot: Slot, fingerprint: Fingerprint, now: Now) -> bool {
        let rests = matches!(self.availability(slot, now), Availability::Resting(_));
        let Some(token) = self.get_mut(slot).filter(|token| token.fingerprint == fingerprint) else { return false };
        if !rests {
            token.refusals = token.refusals.saturating_add(1);
            token.refused_ms = now.ms;
            self.refused = Some(slot);
        }
        !rests
    }

    /// Hears what others have to say of the slot's token.
    pub fn hear(&mut self, slot: Slot, word: Word) {
        let Some(token) = self.get_mut(slot).filter(|token| token.fingerprint == word.fingerprint) else { return };
        if word.accepted_ms > token.refused_ms {
            (token.refusals, token.condemned) = (0, false);
            self.refused = self.refused.filter(|refused| *refused != slot);
        } else {
            token.vouched_until_ms = word.accepted_ms.saturating_add(VOUCHED_MS);
            token.condemned = token.refusals > 0 && word.is_condemned() && Some(word.condemned_ms) > token.worked_ms;
        }
    }

    /// Whether something is held against a token of these.
    pub fn is_doubted(&self) -> bool {
        self.tokens.iter().flatten().any(|token| token.refusals > 0)
    }

    /// Whether a token rests that worked not long ago, here or for somebody else.
    pub fn may_work_again(&self, now: Now) -> bool {
        Slot::BOTH.into_iter().any(|slot| {
            let rests = matches!(self.availability(slot, now), Availability::Resting(_));
            let token = self.get(slot).filter(|_| rests);
            token.is_some_and(|token| {
                let vouched_ms = token.vouched_until_ms.checked_sub(VOUCHED_MS).filter(|at| *at > 0);
                token.worked_ms.max(vouched_ms).is_some_and(|at| now.ms.saturating_sub(at) < RECENT_MS)
            })
        })
    }

    /// Whether what is held against the slot's token is more than what may be the fault of a request.
    pub fn is_corroborated(&self, slot: Slot) -> bool {
        self.get(slot).is_some_and(|token| token.refusals > 0 && token.is_corroborated())
    }

    /// The token that worked last, and when.
    pub fn last_worked(&self) -> Option<(Fingerprint, u64)> {
        let worked = self.tokens.iter().flatten().filter_map(|token| Some((token.fingerprint, token.worked_ms?)));
        worked.max_by_key(|(_, at)| *at)
    }
}
