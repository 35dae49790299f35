//! By what the servers of a call are put in order, where that is not by tier.

use super::{Permission, ServerIndex};
use crate::usage::Used;

/// The order of the servers of a tool, of a task's tools, or of new sessions, where it is not by tier and file.
#[derive(Debug, Clone, PartialEq)]
pub struct Routing {
    /// How it is found.
    pub by: By,
    /// What a server must offer to get these calls; those of the tool that don't are left out already.
    pub needs: Abilities,
}

/// How an order is found.
#[derive(Debug, Clone, PartialEq)]
pub enum By {
    /// Tier, then file.
    Tier,
    /// Each call is drawn for one server, which is asked first; the others follow by tier.
    Weight {
        /// The servers with a share, and its size against the others'.
        shares: Vec<(ServerIndex, u16)>,
        /// The request header that decides instead of chance, lower case: the same value goes to the same server.
        sticky: Option<String>,
    },
    /// The cheapest first: all servers in that order, those of the same price by tier.
    Cost(Vec<ServerIndex>),
    /// The fastest first, as all workers have seen it.
    Latency,
}

/// What is said of routing as a whole.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RoutingSettings {
    /// The order for `initialize`; `None` = by tier.
    pub sessions: Option<Routing>,
    /// Whose requests may name the server that is to be asked first; `None` = nobody's.
    pub by_header: Option<Permission>,
}

/// What a server offers, or what calls need of one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Abilities {
    /// Models. A call needs one at most.
    pub models: Vec<String>,
    /// The most tokens of an answer. Of a server that does not say, nothing is known.
    pub max_tokens: Option<u64>,
    /// Whatever else operators tell servers apart by.
    pub features: Vec<String>,
}

impl Abilities {
    /// The key of `needs` that a server with these abilities does not meet.
    pub fn lacks(&self, needs: &Abilities) -> Option<&'static str> {
        let has_all = |offered: &[String], needed: &[String]| needed.iter().all(|word| offered.contains(word));
        if !has_all(&self.models, &needs.models) {
            return Some("model");
        }
        // None is less than any number.
        if self.max_tokens < needs.max_tokens {
            return Some("max_tokens");
        }
        (!has_all(&self.features, &needs.features)).then_some("features")
    }
}

/// What models cost, in the unit of all prices of the registry.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Prices {
    /// When somebody last looked, in seconds since 1970.
    pub as_of_s: u64,
    /// Each model; at most [`Prices::MOST`].
    pub models: Vec<ModelPrice>,
}

/// What a model costs.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelPrice {
    /// Its name, as answers have it.
    pub model: String,
    /// A million tokens that go in. Not negative.
    pub input: f64,
    /// A million tokens that come out. Not negative.
    pub output: f64,
}

impl Prices {
    /// The most models that have a price, and so a label of their own.
    pub const MOST: usize = 100;

    /// The price of a model, with its position.
    pub fn of(&self, model: Option<&str>) -> Option<(usize, &ModelPrice)> {
        self.models.iter().enumerate().find(|(_, price)| Some(price.model.as_str()) == model)
    }
}

impl ModelPrice {
    /// What this costs, in millionths.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    pub fn micros(&self, used: &Used) -> u64 {
        (used.input as f64 * self.input + used.output as f64 * self.output).round() as u64
    }
}

impl Price {
    /// What a call costs, in millionths.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub fn micros(&self) -> u64 {
        (self.per_call * 1e6).round() as u64
    }
}

/// What a call of a server costs, in whatever unit all prices of the registry are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Price {
    /// Of one call. Not negative.
    pub per_call: f64,
    /// When somebody last looked, in seconds since 1970.
    pub as_of_s: u64,
}
