//! An Envoy whose configuration comes from a control plane, by its two addresses.

use std::net::{Ipv4Addr, SocketAddr};

use dualpath_lab::client::Client;
use dualpath_lab::http;
use dualpath_lab::metrics::Metrics;
use serde_json::Value;

use crate::plane::until;

/// Where it is.
#[derive(Debug, Clone, Copy)]
pub struct Proxy {
    pub listener: SocketAddr,
    pub admin: SocketAddr,
}

impl Proxy {
    pub fn new((listener, admin): (u16, u16)) -> Proxy {
        Proxy { listener: (Ipv4Addr::LOCALHOST, listener).into(), admin: (Ipv4Addr::LOCALHOST, admin).into() }
    }

    /// A client of `path` at this host.
    pub fn client(&self, host: &str, path: &str) -> Client {
        Client::new(self.listener, path).header("host", host)
    }

    async fn admin(&self, method: &str, path: &str) -> Result<String, http::Error> {
        Ok(http::request(self.admin, method, path, &[], "").await?.text())
    }

    pub async fn set_runtime(&self, key: &str, value: &str) {
        self.admin("POST", &format!("/runtime_modify?{key}={value}")).await.expect("the admin interface");
    }

    pub async fn metrics(&self) -> Metrics {
        Metrics::parse(&self.admin("GET", "/stats/prometheus").await.expect("the admin interface"))
    }

    /// Waits until the metrics say so.
    pub async fn until_metrics(&self, what: &str, holds: impl Fn(&Metrics) -> bool) {
        until(what, async || holds(&self.metrics().await)).await;
    }

    /// What it runs.
    pub async fn running(&self) -> Running {
        let dump = self.admin("GET", "/config_dump").await.unwrap_or_default();
        Running::of(&serde_json::from_str(&dump).unwrap_or_default())
    }

    /// Waits until it runs what `holds`, and returns that.
    pub async fn until_running(&self, what: &str, holds: impl Fn(&Running) -> bool) -> Running {
        let mut running = self.running().await;
        until(what, async || {
            running = self.running().await;
            holds(&running)
        })
        .await;
        running
    }
}

/// What the control plane has brought, as Envoy has it in use.
#[derive(Debug, Default)]
pub struct Running {
    pub clusters: Vec<Value>,
    pub listeners: Vec<Value>,
    pub routes: Vec<Value>,
}

impl Running {
    fn of(dump: &Value) -> Running {
        let mut running = Running::default();
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        for part in list(&dump["configs"]) {
            running.clusters.extend(list(&part["dynamic_active_clusters"]).iter().map(|at| at["cluster"].clone()));
            let active = |at: &Value| at["active_state"]["listener"].clone();
            running.listeners.extend(list(&part["dynamic_listeners"]).iter().map(active).filter(Value::is_object));
            for kind in ["static_route_configs", "dynamic_route_configs"] {
                running.routes.extend(list(&part[kind]).iter().map(|at| at["route_config"].clone()));
            }
        }
        running
    }

    pub fn has_listener(&self, name: &str) -> bool {
        self.listeners.iter().any(|listener| listener["name"] == name)
    }

    /// The HTTP filters of the listener that has the gate, by name.
    pub fn filters(&self) -> Vec<String> {
        let managers = self.listeners.iter().flat_map(managers);
        let mut names = managers.map(|manager| names(&manager["http_filters"]));
        names.find(|names| names.iter().any(|name| name == "dualpath.gate")).unwrap_or_default()
    }

    /// The routes of the virtual host that takes this host.
    pub fn routes_of(&self, host: &str) -> Vec<Value> {
        let hosts = self.routes.iter().flat_map(|routes| routes["virtual_hosts"].as_array().into_iter().flatten());
        let mut takes = hosts.filter(|at| at["domains"].as_array().into_iter().flatten().any(|domain| domain == host));
        takes.next().and_then(|at| at["routes"].as_array().cloned()).unwrap_or_default()
    }
}

fn managers(listener: &Value) -> Vec<Value> {
    let chains = listener["filter_chains"].as_array().into_iter().flatten().chain(listener.get("default_filter_chain"));
    let filters = chains.flat_map(|chain| chain["filters"].as_array().into_iter().flatten());
    filters.map(|filter| filter["typed_config"].clone()).collect()
}

fn names(list: &Value) -> Vec<String> {
    let name = |item: &Value| item["name"].as_str().unwrap_or("-").to_owned();
    list.as_array().into_iter().flatten().map(name).collect()
}
