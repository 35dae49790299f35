//! The rendered targets where they go: the real istiod and the real Envoy Gateway serve them over xDS to the real Envoy.
//!
//! `make targets` builds what is needed and gives the tests a network of their own, as the control planes open ports that can't
//! be chosen. There is no cluster: what Kubernetes itself does with the resources is not seen here.
//!
//! Both control planes drop without a word what does not fit, and what checks files for them ends with status 0 then. So what is
//! looked at is Envoy's own configuration.

mod envoy_gateway;
mod istio;
mod kubernetes_api;
mod plane;
mod proxy;
mod rendered;
mod world;
