//! An Envoy whose listeners and clusters come from files that it watches, as they would come from a control plane, and
//! can be replaced while it runs.

use std::fs;
use std::sync::Arc;

use serde_json::{Value, json};

use super::envoy::{Envoy, Settings, StartError, free_ports, render};
use super::registry::Builder;
use super::scratch::Scratch;

/// What can be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The listener, with the gate.
    Listeners,
    /// The clusters, with the attempts.
    Clusters,
}

impl Part {
    const ALL: [Part; 2] = [Part::Listeners, Part::Clusters];

    fn key(self) -> &'static str {
        match self {
            Part::Listeners => "listeners",
            Part::Clusters => "clusters",
        }
    }

    fn type_url(self) -> &'static str {
        match self {
            Part::Listeners => "type.googleapis.com/envoy.config.listener.v3.Listener",
            Part::Clusters => "type.googleapis.com/envoy.config.cluster.v3.Cluster",
        }
    }

    /// The counter of updates that Envoy has accepted.
    fn updates(self) -> &'static str {
        match self {
            Part::Listeners => "envoy_listener_manager_lds_update_success",
            Part::Clusters => "envoy_cluster_manager_cds_update_success",
        }
    }
}

/// The files of one Envoy.
#[derive(Debug)]
pub struct Xds {
    scratch: Arc<Scratch>,
    ports: (u16, u16),
}

impl Xds {
    /// Renders the registry, writes listeners and clusters into files in `scratch`, and starts Envoy with those.
    pub async fn launch(
        registry: &Builder,
        scratch: &Arc<Scratch>,
        settings: &Settings,
    ) -> Result<(Envoy, Xds), StartError> {
        let mut tries = 0;
        loop {
            let xds = Xds { scratch: Arc::clone(scratch), ports: free_ports()? };
            let bootstrap = xds.bootstrap(registry)?;
            match Envoy::start(&bootstrap, Arc::clone(scratch), xds.ports, settings).await {
                Err(StartError::PortTaken) if tries < 3 => tries += 1,
                Err(error) => return Err(error),
                Ok(envoy) => return Ok((envoy, xds)),
            }
        }
    }

    /// Replaces a part by what another registry makes of it, and waits until Envoy has accepted it.
    ///
    /// # Errors
    /// When the registry is refused, or Envoy refuses or ignores the update.
    pub async fn update(&self, envoy: &Envoy, part: Part, registry: &Builder) -> Result<(), StartError> {
        let not_ready = |error: &dyn std::fmt::Display| StartError::NotReady(error.to_string());
        let before = envoy.metrics().await.map_err(|error| not_ready(&error))?.sum(part.updates(), &[]);
        self.write(part, &self.render(registry)?)?;
        let (_, accepted) =
            envoy.metrics_until(|m| m.sum(part.updates(), &[]) > before).await.map_err(|error| not_ready(&error))?;
        if accepted { Ok(()) } else { Err(not_ready(&"the update was not accepted")) }
    }

    fn render(&self, registry: &Builder) -> Result<Value, StartError> {
        render(&registry.clone().ports(self.ports.0, self.ports.1))
    }

    /// The bootstrap without the parts that come from files.
    fn bootstrap(&self, registry: &Builder) -> Result<String, StartError> {
        let mut bootstrap = self.render(registry)?;
        for part in Part::ALL {
            self.write(part, &bootstrap)?;
            bootstrap["static_resources"][part.key()].take();
        }
        let source = |part| json!({ "path_config_source": { "path": self.file(part) }, "resource_api_version": "V3" });
        bootstrap["dynamic_resources"] =
            json!({ "lds_config": source(Part::Listeners), "cds_config": source(Part::Clusters) });
        Ok(bootstrap.to_string())
    }

    /// Writes a part of a bootstrap into its file, by a rename, which is what Envoy watches for.
    fn write(&self, part: Part, bootstrap: &Value) -> Result<(), StartError> {
        let mut resources = bootstrap["static_resources"][part.key()].clone();
        for resource in resources.as_array_mut().into_iter().flatten() {
            resource["@type"] = json!(part.type_url());
        }
        let (target, new) = (self.file(part), self.file(part).with_extension("new"));
        fs::write(&new, json!({ "resources": resources }).to_string())?;
        Ok(fs::rename(&new, &target)?)
    }

    fn file(&self, part: Part) -> std::path::PathBuf {
        self.scratch.path().join(format!("{}.json", part.key()))
    }
}
