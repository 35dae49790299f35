//! `dualpath pat rotate-plan`: the steps that replace a token while calls flow.

use super::Urgency;
use super::rotation::{Plan, Wishes};
use super::status::View;
use crate::cli::{Environment, complain, print, shown};

/// Print the steps that replace a token of a credential while calls flow.
///
/// Says into which slot the new token goes and why, the statement that makes it, how it gets into its place without being
/// on a command line, how to see that calls use it, when the old one can go, and how to go back. Changes nothing. The
/// statements are Snowflake's; for another API the plan says where its own way of making a token comes in.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Registry file, YAML or JSON; - reads standard input
    registry: String,
    /// The credential's id
    credential: String,
    #[command(flatten)]
    environment: Environment,
    #[command(flatten)]
    wishes: Wishes,
    #[command(flatten)]
    view: View,
}

/// Runs the subcommand.
pub fn run(args: &Args) -> Urgency {
    let Some((registry, status)) = args.view.look(&args.registry, &args.environment) else { return Urgency::Unknown };
    let pairs = registry.credentials.iter().zip(&status.credentials);
    let Some((credential, state)) = pairs.into_iter().find(|(credential, _)| credential.id.as_str() == args.credential)
    else {
        let known: Vec<_> = registry.credentials.iter().map(|credential| credential.id.as_str()).collect();
        let file = shown::file(&args.registry);
        complain(&format!("{file}: has no credential of this id; it has: {}\n", known.join(", ")));
        return Urgency::Unknown;
    };
    match Plan::of(&registry, credential, state, (&args.registry, args.environment.name()), &args.wishes, &status) {
        Some(plan) if print(&plan.text()) => Urgency::Fine,
        _ => Urgency::Unknown,
    }
}
