//! `dualpath render`: writes a registry as Envoy's configuration, so that nobody writes by hand what in-request failover needs of
//! the listener, the routes and the clusters.
//!
//! [`parts`] has all that Envoy needs, by where it goes; a module of [`target`] puts it together for one way of running Envoy.

mod access_log;
mod clusters;
mod credentials;
mod discovery;
mod drill;
mod endpoints;
mod extension;
mod folder;
mod follow;
pub(super) mod heading;
mod internal;
mod json_text;
mod listener;
mod metrics;
pub(super) mod parts;
mod pool;
mod proxy;
mod rate;
mod routes;
pub(super) mod runtime;
mod sessions;
mod size;
mod stats;
mod status_page;
pub(super) mod target;
#[cfg(test)]
mod tests;
mod tracing;
mod upstream;
mod wasm_plugin;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};

pub(in crate::cli) use self::stats::bounds;
pub(in crate::cli) use self::upstream::SYSTEM_CA_FILE;
use super::admin::read_url;
use super::load::{Loaded, load_one};
use super::output::{self, Inputs, Readers};
use super::{Environment, UNUSABLE, complain, print, print_exactly, printed, report, shown};
pub use target::envoy::{bootstrap, document};
use target::{Job, Output, Rendered, Target};

/// Write what runs a registry, for Envoy or for what runs Envoy.
///
/// The default is Envoy's whole bootstrap: listener, routes, clusters, the filter in all its places, statistics and the kill
/// switch. Other targets bring the same where Envoy, or what steers it, is there already. What is written says at its
/// beginning how to apply it and how to go back. It holds no secret, only the names of environment variables and secret
/// files, unless a credential is inline: then only its owner may read it. If the registry breaks rules, prints every problem
/// and writes nothing.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Registry file, YAML or JSON; - reads standard input
    registry: String,
    /// What to write it for
    #[arg(short, long, value_name = "TARGET", value_parser = target::parser(), default_value = "envoy")]
    target: Target,
    /// The release of what runs the target, such as 1.40.0 of Envoy: one that is too old is refused
    #[arg(long, value_name = "RELEASE")]
    target_version: Option<String>,
    /// Where to write it, each file whole or not at all: a file, or a folder for a target of several files; - is standard
    /// output, which is the default
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,
    /// The admin interface of the Envoy that watches the folder of envoy-dynamic, http://HOST:PORT or unix://PATH: each file is
    /// written once Envoy has taken up the one before, and what it refuses is taken back
    #[arg(long, value_name = "URL", value_parser = read_url)]
    admin: Option<String>,
    #[command(flatten)]
    environment: Environment,
    #[command(flatten)]
    mesh: target::mesh::Options,
}

/// Runs the subcommand.
pub fn run(args: &Args) -> ExitCode {
    if let Some(why) = args.target_version.as_deref().and_then(|version| args.target.needs().refuse(version)) {
        return unusable(&why);
    }
    if args.admin.is_some() && args.target != Target::EnvoyDynamic {
        return unusable("--admin: only an Envoy that watches a folder can be asked: --target envoy-dynamic");
    }
    if let Some(why) = args.mesh.refuse(args.target) {
        return unusable(&why);
    }
    let Loaded { registry, wire, files, .. } = match load_one(&args.registry, args.environment.name()) {
        Ok(loaded) => loaded,
        Err(error) => return report(&error),
    };
    let output = args.output.as_deref().filter(|output| output.as_os_str() != "-");
    let job = Job { registry: &registry, wire: &wire, source: &source(args), output, options: &args.mesh };
    let cannot = |why: &str| unusable(&format!("{}: cannot be rendered: {why}", shown::file(&args.registry)));
    let Rendered { output: rendered, notes } = match args.target.render(&job) {
        Ok(rendered) => rendered,
        Err(why) => return cannot(&why),
    };
    notes.iter().for_each(|note| complain(&format!("note: {note}\n")));
    let readers = if heading::inline(&registry).is_empty() { Readers::AsBefore } else { Readers::Owner };
    let inputs = Inputs::of(&files, [&wire]);
    match (rendered, output) {
        (Output::File(text), None) => printed(print_exactly(&text)),
        (Output::File(text), Some(output)) => match output::write(output, &text, &inputs, readers) {
            Ok(()) => ExitCode::SUCCESS,
            Err(why) => unusable(&format!("{}: {why}", shown::line(&output.to_string_lossy()))),
        },
        (Output::Folder(_), None) => cannot("it is several files: say by --output FOLDER where they go"),
        (Output::Folder(rendered), Some(output)) => {
            let told = match &args.admin {
                Some(admin) => follow::write(output, &rendered, &inputs, readers, admin),
                None => folder::write(output, &rendered, &inputs, readers),
            };
            match told {
                Ok(told) if told.is_empty() => printed(print("nothing has changed\n")),
                Ok(told) => printed(print(&told)),
                Err(why) => unusable(&why),
            }
        }
    }
}

/// The command line that renders this again, without where to. Of the registry's path it has the file's name alone: the same
/// registry is the same bytes from wherever it is rendered, and so rolls no pods.
fn source(args: &Args) -> String {
    let name = Path::new(&args.registry).file_name();
    let mut source = name.map_or_else(|| args.registry.clone(), |name| name.to_string_lossy().into_owned());
    if args.target != Target::Envoy {
        source.push_str(&format!(" --target {}", args.target.name()));
    }
    if let Some(name) = args.environment.name() {
        source.push_str(&format!(" --environment {name}"));
    }
    source.push_str(&args.mesh.source());
    source
}

/// Writes a tree as YAML: block style, text of several lines as literal blocks, long lines left whole.
///
/// # Errors
/// When the YAML writer refuses the tree.
pub fn to_yaml(tree: &Value) -> Result<String, serde_saphyr::ser::Error> {
    // Folding long strings would make regular expressions and lists of retry conditions hard to search for.
    let options = serde_saphyr::ser_options! { folded_wrap_chars: usize::MAX };
    serde_saphyr::to_string_with_options(tree, options)
}

/// The address by which this machine reaches a listener at `address`.
pub(in crate::cli) fn local(address: &str) -> &str {
    match address {
        "0.0.0.0" => "127.0.0.1",
        "::" => "::1",
        _ => address,
    }
}

/// An `envoy.config.core.v3.Address` of TCP.
fn socket_address(address: &str, port: u16) -> Value {
    json!({"socket_address": {"address": address, "port_value": port}})
}

/// A `google.protobuf.Duration` in its JSON form.
fn duration(time: std::time::Duration) -> Value {
    let fraction = format!("{:09}", time.subsec_nanos());
    match fraction.trim_end_matches('0') {
        "" => json!(format!("{}s", time.as_secs())),
        fraction => json!(format!("{}.{fraction}s", time.as_secs())),
    }
}

fn unusable(message: &str) -> ExitCode {
    complain(&format!("{message}\n"));
    ExitCode::from(UNUSABLE)
}
