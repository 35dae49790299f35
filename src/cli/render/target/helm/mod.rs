//! A Helm chart for a sidecar beside an agent: the same pod as the target `kubernetes` has.

use serde_json::json;

use super::kubernetes::Pod;
use super::{File, Job, Output, Rendered, envoy};
use crate::cli::render::heading::heading;
use crate::cli::render::to_yaml;

/// The files of the chart that no registry decides.
const FIXED: [(&str, &str); 8] = [
    ("values.schema.json", include_str!("chart/values.schema.json")),
    ("templates/_helpers.tpl", include_str!("chart/templates/_helpers.tpl")),
    ("templates/configmap.yaml", include_str!("chart/templates/configmap.yaml")),
    ("templates/deployment.yaml", include_str!("chart/templates/deployment.yaml")),
    ("templates/podmonitor.yaml", include_str!("chart/templates/podmonitor.yaml")),
    ("templates/service.yaml", include_str!("chart/templates/service.yaml")),
    ("templates/serviceaccount.yaml", include_str!("chart/templates/serviceaccount.yaml")),
    ("templates/tests/ready.yaml", include_str!("chart/templates/tests/ready.yaml")),
];

const CHART: &str = include_str!("chart/Chart.yaml");
const VALUES: &str = include_str!("chart/values.yaml");

const APPLY: [&str; 2] = ["helm upgrade --install RELEASE FOLDER -f YOUR-VALUES.yaml;", "helm test RELEASE"];
const APPLY_WITH_SECRETS: [&str; 2] =
    ["helm upgrade --install RELEASE FOLDER -f YOUR-VALUES.yaml, once the secrets are there;", "helm test RELEASE"];
const BACK: [&str; 1] = ["helm rollback RELEASE"];

pub(super) fn render(job: &Job) -> Result<Rendered, String> {
    let pod = Pod::of(job)?;
    let mut notes = pod.notes.clone();
    let job = &Job { registry: &pod.registry, ..*job };
    let apply = if pod.has_secrets() { APPLY_WITH_SECRETS } else { APPLY };
    let bootstrap = envoy::text(job, &apply, &BACK, &mut notes)?;
    if pod.has_secrets() {
        notes.push(format!(
            "the pods need the secrets {}: the target kubernetes writes them to begin with",
            pod.secret_names().join(", ")
        ));
    }
    let secrets: Vec<_> = pod.mounted.iter().map(|one| json!({"name": one.name, "mountPath": one.path})).collect();
    let registry = json!({"registry": {
        "url": pod.url(),
        "metricsPort": pod.metrics_port,
        "secrets": secrets,
        "variables": pod.variables,
    }});
    let registry = to_yaml(&registry).map_err(|error| error.to_string())?;
    let values = format!("{}{VALUES}{}\n", heading(job, "Values of a Helm chart", &apply, &BACK), registry.trim_end());
    let file = |path: &str, text: String| File { path: path.to_owned(), text, is_yours: false };
    let mut files = vec![
        file("Chart.yaml", CHART.replace("VERSION", env!("CARGO_PKG_VERSION"))),
        file("values.yaml", values),
        file("files/bootstrap.yaml", bootstrap),
    ];
    files.extend(FIXED.map(|(path, text)| file(path, text.to_owned())));
    Ok(Rendered { output: Output::Folder(files), notes })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From how Envoy is probed to how it ends, without comments and indentation.
    fn container(text: &str) -> Vec<&str> {
        let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
        lines.skip_while(|line| *line != "startupProbe:").take_while(|line| *line != "volumeMounts:").collect()
    }

    #[test]
    fn the_chart_probes_and_ends_envoy_as_the_manifests_do() {
        let manifests = include_str!("../../../../../envoy/kubernetes/sidecar.yaml");
        let (_, chart) = FIXED.iter().find(|(path, _)| *path == "templates/deployment.yaml").expect("a deployment");
        assert_eq!(container(chart), container(manifests));
        assert!(container(chart).len() > 15);
    }
}
