//! The ways of running Envoy that a registry is rendered for, a module each.
//!
//! A new target is a variant of [`Target`], a line in each of its methods, and a module with `render`.

mod dynamic;
pub(super) mod envoy;
mod envoy_gateway;
mod fragment;
mod helm;
mod istio;
mod kubernetes;
pub(super) mod mesh;
mod release;

use std::ffi::OsStr;
use std::path::Path;

use clap::ValueEnum;
use clap::builder::{EnumValueParser, PossibleValue, TypedValueParser};
use clap::error::ErrorKind;
use serde_json::Value;

pub(super) use dynamic::{CLUSTERS, LISTENERS};
pub(in crate::cli) use kubernetes::secret;
pub(in crate::cli) use release::{ENVOY, Needs};

use crate::registry::Registry;

/// What a registry is rendered for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Target {
    /// Envoy's whole bootstrap
    Envoy,
    /// A folder that Envoy watches, with its bootstrap: a changed registry needs no restart
    EnvoyDynamic,
    /// The parts for an Envoy that is there already, each told where it goes
    Fragment,
    /// A folder for kustomize: Envoy as a sidecar beside an agent
    Kubernetes,
    /// A Helm chart of the same
    Helm,
    /// Istio: an EnvoyFilter
    Istio,
    /// Envoy Gateway: an EnvoyPatchPolicy and an EnvoyProxy
    EnvoyGateway,
}

/// What a target is rendered from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Job<'a> {
    pub registry: &'a Registry,
    /// Its wire form.
    pub wire: &'a Value,
    /// The arguments of `dualpath render` that render this again.
    pub source: &'a str,
    /// Where it goes in a mesh.
    pub options: &'a mesh::Options,
    /// Where it goes, if not to standard output.
    pub output: Option<&'a Path>,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Rendered {
    pub output: Output,
    /// What the operator should know beside it, a line each.
    pub notes: Vec<String>,
}

/// One text, or the files of a folder in the order in which they are written.
#[derive(Debug)]
pub(super) enum Output {
    File(String),
    Folder(Vec<File>),
}

/// A file of a folder.
#[derive(Debug)]
pub(super) struct File {
    /// Where in the folder.
    pub path: String,
    pub text: String,
    /// Whether the operator changes it: it is written where there is none, and never again.
    pub is_yours: bool,
}

impl Target {
    /// What the command line calls it.
    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// What runs it, and since which release that can.
    pub fn needs(self) -> Needs {
        match self {
            Target::Envoy | Target::EnvoyDynamic | Target::Fragment => release::ENVOY,
            Target::Kubernetes | Target::Helm => release::KUBERNETES,
            Target::Istio => release::ISTIO,
            Target::EnvoyGateway => release::ENVOY_GATEWAY,
        }
    }

    /// Renders it.
    ///
    /// # Errors
    /// What about the registry this target cannot carry, and what to do about it.
    pub fn render(self, job: &Job) -> Result<Rendered, String> {
        match self {
            Target::Envoy => envoy::render(job),
            Target::EnvoyDynamic => dynamic::render(job),
            Target::Fragment => fragment::render(job),
            Target::Kubernetes => kubernetes::render(job),
            Target::Helm => helm::render(job),
            Target::Istio => istio::render(job),
            Target::EnvoyGateway => envoy_gateway::render(job),
        }
    }
}

/// Resources that people look for and that can't carry the filter, as they are asked for without `-` and `_`; and why not.
const CANNOT: [(&[&str], &str); 2] = [
    (
        &["wasmplugin", "trafficextension", "istiowasmplugin"],
        "WasmPlugin and TrafficExtension place a filter on listeners, in a VM of its own and without allow_on_headers_stop_iteration. \
         Dualpath also sits on clusters, where it judges and repeats attempts, and all its places share one VM. An EnvoyFilter can carry \
         that: --target istio",
    ),
    (
        &["envoyextensionpolicy", "extensionpolicy"],
        "EnvoyExtensionPolicy places a filter on listeners, in a VM of its own that is not loaded again after a trap. Dualpath also sits \
         on clusters, where it judges and repeats attempts, and all its places share one VM. An EnvoyPatchPolicy can carry that: \
         --target envoy-gateway",
    ),
];

/// Reads a target's name.
pub(super) fn parser() -> impl TypedValueParser<Value = Target> {
    Parser
}

#[derive(Debug, Clone, Copy)]
struct Parser;

impl TypedValueParser for Parser {
    type Value = Target;

    fn parse_ref(&self, cmd: &clap::Command, arg: Option<&clap::Arg>, value: &OsStr) -> Result<Target, clap::Error> {
        let plain: String =
            value.to_string_lossy().to_lowercase().chars().filter(|c| c.is_ascii_alphanumeric()).collect();
        if let Some((_, why)) = CANNOT.iter().find(|(names, _)| names.contains(&plain.as_str())) {
            let why = format!("--target {}: {why}\n", value.to_string_lossy());
            return Err(cmd.clone().error(ErrorKind::InvalidValue, why));
        }
        EnumValueParser::<Target>::new().parse_ref(cmd, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(Target::value_variants().iter().filter_map(ValueEnum::to_possible_value)))
    }
}
