//! README and guide: what they show is tried, what they name is there.
//!
//! The word behind a fence says what a block is. ```` ```sh ```` is run in a scratch folder that has `envoy/` and
//! `build/dualpath`; a ```` ```text ```` right behind it is its output. `run=make` names targets of the Makefile,
//! `run=sidecar` is run by the end-to-end tests, in front of a real Envoy, `run=runbook` while that page's trouble is made,
//! `run=func-e` by `tests/make/func-e`, and `run=no reason="..."` is in the list below.
//! ```` ```yaml ```` is a registry; without `version`, its keys are put into the example, at the place that `at=` names.

#[path = "documentation/blocks.rs"]
mod blocks;
#[path = "documentation/commands.rs"]
mod commands;
#[path = "documentation/names.rs"]
mod names;
#[path = "documentation/registries.rs"]
mod registries;
