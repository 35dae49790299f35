//! How a new token gets into a slot, by the kind of the slot's source. The commands read the token from the terminal, so
//! that it is on no command line and in no history; files that they make are their owner's only.

use std::path::Path;

use serde_json::Value;

use super::bash::quoted;
use crate::cli::render::target;
use crate::registry::Source;

/// What to do, and commands to copy, which may be none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// For people.
    pub what: String,
    /// For bash.
    pub commands: Vec<String>,
}

/// How to put a token into the slot whose secret Envoy knows by `name`.
pub fn installation(source: &Source, name: &str) -> Installation {
    let told = |what: String| Installation { what, commands: Vec::new() };
    match source {
        Source::SdsFile(file) => Installation {
            what: format!(
                "Put it into {file}. Envoy takes the new file within a second; on the terminal of Envoy's machine, or\n\
                 where the file is a key of a Kubernetes secret, with the second command (not where External Secrets\n\
                 fills that secret: there the token goes to the store that it reads). It takes the secret to be called\n\
                 {}, {}:",
                secret(file).0,
                secret(file).1
            ),
            commands: vec![into_file(file, name), into_kubernetes_secret(file, name)],
        },
        Source::SdsGrpc(url) => told(format!(
            "Give it to the secret server {} as the secret {name}. Envoy takes it as soon as the server pushes it.",
            url.authority()
        )),
        Source::Endpoint(endpoint) => told(format!(
            "Put it where {}{} answers with it. Envoy asks again every {} seconds.",
            endpoint.url.authority(),
            endpoint.url.path,
            endpoint.every.as_secs()
        )),
        Source::Environment(variable) => told(format!(
            "Set the environment variable {variable} of Envoy's process to it and restart Envoy. A restart ends calls: let\n\
             Envoy drain, or restart one replica after the other. With sds_file no restart would be needed."
        )),
        Source::Inline(_) => told(
            "This slot's token stands in the registry itself, which is for demonstrations: give it another source first,\n\
             such as sds_file."
                .to_owned(),
        ),
    }
}

/// An SDS file, as JSON, which is YAML too, with places for the token and its dates that only printf fills. The secret is
/// JSON in it, so that token and dates are replaced together.
fn document(name: &str) -> String {
    let dated = r#"{\\"token\\":\\"%s\\",\\"issued\\":\\"%s\\",\\"expires\\":\\"%s\\"}"#;
    format!(
        r#"{{"resources":[{{"@type":"type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret","name":"{name}","generic_secret":{{"secret":{{"inline_string":"{dated}"}}}}}}]}}"#
    )
}

/// Reads the token and when it ends. printf is bash's own, so its arguments are no command line of a process.
const READ: &str = "IFS= read -rsp 'token: ' token; echo >&2
  IFS= read -rp 'its end, such as 2027-01-30, or nothing: ' end
  now=$(date -u +%Y-%m-%dT%H:%M:%SZ)";

/// What printf fills in.
const FILLED: &str = r#""$token" "$now" "$end""#;

fn into_file(file: &str, name: &str) -> String {
    let (target, new) = (quoted(file), quoted(&format!("{file}.new")));
    let document = document(name);
    format!(
        "( umask 077\n  \
           {READ}\n  \
           printf '{document}\\n' {FILLED} >{new}\n  \
           if [ -e {target} ]; then chown --reference={target} -- {new}; chmod --reference={target} -- {new}; fi\n  \
           dualpath pat check --name {name} -- {new} && mv -- {new} {target} )"
    )
}

/// The name of the Kubernetes secret that has the file as a key, and why it is taken to be that.
fn secret(file: &str) -> (&str, &'static str) {
    match target::secret(file) {
        Some(name) => (name, "as its folder and as `dualpath render --target kubernetes` does"),
        None => ("dualpath-pat", "as the folder's name can't be a secret's"),
    }
}

fn into_kubernetes_secret(file: &str, name: &str) -> String {
    let key = Path::new(file).file_name().and_then(|name| name.to_str()).unwrap_or("pat.yaml");
    let (document, head) = (document(name), quoted(&format!("{{\"data\":{{{}:\"", Value::from(key))));
    format!(
        "( {READ}\n  \
           printf '{document}' {FILLED} | base64 | tr -d '\\n' |\n  \
           {{ printf %s {head}; cat; printf '\"}}}}'; }} |\n  \
           kubectl patch secret {} --type merge --patch-file /dev/stdin )",
        secret(file).0
    )
}
