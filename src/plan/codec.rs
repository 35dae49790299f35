//! The plan as bytes: a version, then postcard's encoding (compact, and quick enough for every request).

use super::Plan;

impl Plan {
    /// The plan as bytes; empty if it can't be encoded, which [`Plan::decode`] takes as "no plan".
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_extend(self, vec![Self::VERSION]).unwrap_or_default()
    }

    /// The plan in `bytes`; `None` for anything that no gate of this version wrote.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first()?;
        if *version != Self::VERSION {
            return None;
        }
        let (plan, tail): (Self, _) = postcard::take_from_bytes(rest).ok()?;
        tail.is_empty().then_some(plan)
    }
}

/// A ticket within a plan, as the number that the breaker makes of it.
pub(super) mod ticket {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    use crate::breaker::Ticket;

    pub fn serialize<S: Serializer>(ticket: &Ticket, serializer: S) -> Result<S::Ok, S::Error> {
        ticket.to_bits().serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Ticket, D::Error> {
        Ticket::from_bits(u64::deserialize(deserializer)?).ok_or_else(|| D::Error::custom("no ticket"))
    }
}

/// The class of a drilled hop within a plan: 0 for none, else its position among all classes and one.
pub(super) mod drill {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::failure::Class;

    pub fn serialize<S: Serializer>(drill: &Option<Class>, serializer: S) -> Result<S::Ok, S::Error> {
        let position = drill.and_then(|class| (1u8..).zip(Class::ALL).find(|(_, known)| *known == class));
        position.map_or(0, |(at, _)| at).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Class>, D::Error> {
        let number = usize::from(u8::deserialize(deserializer)?);
        Ok(number.checked_sub(1).and_then(|at| Class::ALL.get(at)).copied())
    }
}

/// A secret within a plan, as its bytes.
pub(super) mod secret {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::credential::Secret;

    pub fn serialize<S: Serializer>(secret: &Option<Secret>, serializer: S) -> Result<S::Ok, S::Error> {
        secret.as_ref().map(|secret| secret.header_value("")).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
        Ok(Option::<Vec<u8>>::deserialize(deserializer)?.as_deref().and_then(Secret::new))
    }
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_family = "wasm", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::super::{Hop, Kind, Owner, Refusal, Stop, Time};
    use super::*;
    use crate::breaker::Ticket;
    use crate::credential::Secret;
    use crate::failure::{Class, Replay};

    fn plan() -> Plan {
        Plan {
            kind: Kind::Request,
            replay: Replay::Allowed,
            id: Some("\"a-1\"".to_owned()),
            tool: Some("search".to_owned()),
            tools_page: None,
            session_owner: Owner::Server("a".to_owned()),
            session_id: None,
            call_uuid: [7; 16],
            cursor: 0,
            other_slot: false,
            repeats: false,
            again: 2,
            patient: false,
            time: Time { per_try_ms: 3_000, deadline_ms: Some(9_000), hurried: false },
            stop: None,
            attempts: 0,
            hops: vec![
                Hop { server: "a".to_owned(), ticket: Ticket::default(), drill: None },
                Hop { server: "b".to_owned(), ticket: Ticket::default(), drill: Some(Class::Lost) },
            ],
            originals: Some(vec![("accept".to_owned(), b"*/*".to_vec())]),
            authorization: Secret::new(b"Bearer of-the-client"),
        }
    }

    #[test]
    fn a_plan_survives_its_encoding() {
        let plan = plan().advanced();
        assert_eq!(Plan::decode(&plan.encode()), Some(plan));
    }

    #[test]
    fn a_plan_does_not_show_what_the_client_authenticates_with() {
        assert!(!format!("{:?}", plan()).contains("of-the-client"));
    }

    #[test]
    fn a_plan_is_spent_after_its_last_hop_unless_that_is_tried_again() {
        let last = plan().advanced();
        assert!(!plan().is_spent() && !last.is_spent());
        assert!(last.clone().advanced().is_spent());
        assert!(!last.with_other_slot().is_spent());
    }

    #[test]
    fn a_plan_that_was_stopped_is_spent_whatever_is_left_of_it() {
        let stopped = plan().stopped(Stop { why: Refusal::Budget, lost: true });
        assert!(stopped.is_spent());
        assert_eq!((stopped.cursor, stopped.attempts), (1, 1));
        assert_eq!(Plan::decode(&stopped.encode()), Some(stopped));
    }

    #[test]
    fn only_a_patient_plan_stays_with_its_server_unasked_and_only_so_often() {
        assert_eq!(plan().successor(), plan().advanced());
        let mut patient = Plan { patient: true, ..plan() };
        for left in [1, 0] {
            patient = patient.successor();
            assert_eq!((patient.cursor, patient.again, patient.repeats), (0, left, true));
        }
        assert_eq!(patient.successor().cursor, 1);
    }

    #[test]
    fn a_plan_of_another_version_is_no_plan() {
        let mut bytes = plan().encode();
        bytes[0] += 1;
        assert_eq!(Plan::decode(&bytes), None);
    }

    #[test]
    fn no_prefix_of_a_plan_is_a_plan() {
        let bytes = plan().encode();
        for cut in 0..bytes.len() {
            assert_eq!(Plan::decode(&bytes[..cut]), None, "cut at {cut}");
        }
    }

    #[cfg(not(target_family = "wasm"))]
    proptest::proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = Plan::decode(&bytes);
        }
    }
}
