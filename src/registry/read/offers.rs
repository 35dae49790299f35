//! Reads what servers offer and cost, and what calls need.

use super::slots::read_date;
use crate::registry::{Abilities, ModelPrice, Price, Prices};
use crate::wire::{Node, or};

/// What calls need.
pub(super) fn read_needs(node: &Node) -> Option<Abilities> {
    read(node, "model", |node| Some(vec![node.string()?.to_owned()]))
}

/// What a server offers.
pub(super) fn read_offers(node: &Node) -> Option<Abilities> {
    read(node, "models", read_words)
}

#[inline(never)]
fn read(node: &Node, models: &'static str, how: fn(&Node) -> Option<Vec<String>>) -> Option<Abilities> {
    let table = node.table()?;
    let models = or(table.optional(models), Vec::new(), how);
    let max_tokens = or(table.optional("max_tokens"), None, |node| node.integer(1, 100_000_000).map(Some));
    let features = or(table.optional("features"), Vec::new(), read_words);
    table.done();
    Some(Abilities { models: models?, max_tokens: max_tokens?, features: features? })
}

fn read_words(node: &Node) -> Option<Vec<String>> {
    let mut words = Vec::new();
    for word in node.list()? {
        words.push(word.string()?.to_owned());
    }
    Some(words)
}

/// What a call of a server costs.
#[inline(never)]
pub(super) fn read_price(node: &Node) -> Option<Price> {
    let table = node.table()?;
    let per_call = table.required("per_call").and_then(|node| node.number(0.0, 1e6));
    let as_of_s = table.required("as_of").and_then(|node| read_date(&node));
    table.done();
    // Not the 0 below 0, whose bits are those of the largest.
    Some(Price { per_call: per_call?.abs(), as_of_s: as_of_s? })
}

/// What models cost.
#[inline(never)]
pub(super) fn read_prices(node: &Node) -> Option<Prices> {
    let table = node.table()?;
    let as_of_s = table.required("as_of").and_then(|node| read_date(&node));
    let models = table.required("models").and_then(|node| read_models(&node));
    table.done();
    Some(Prices { as_of_s: as_of_s?, models: models? })
}

fn read_models(node: &Node) -> Option<Vec<ModelPrice>> {
    let mut models: Vec<ModelPrice> = Vec::new();
    for node in super::entries(Some(*node), Prices::MOST)? {
        let table = node.table()?;
        let named = table.required("model");
        let model = named.as_ref().and_then(|node| read_model(node));
        let cost = |key| table.required(key).and_then(|node| node.number(0.0, 1e6)).map(f64::abs);
        let (input, output) = (cost("input"), cost("output"));
        table.done();
        let price = ModelPrice { model: model?, input: input?, output: output? };
        if models.iter().any(|other| other.model == price.model) {
            named?.refuse("must not be priced twice");
            return None;
        }
        models.push(price);
    }
    Some(models)
}

fn read_model(node: &Node) -> Option<String> {
    let model = node.string()?;
    if model.is_empty() || model.len() > 128 || model.chars().any(char::is_control) {
        node.refuse("must be the name of a model: 1 to 128 characters without control characters");
        return None;
    }
    Some(model.to_owned())
}
