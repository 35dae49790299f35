//! Reads `tracing`.

use crate::registry::Tracing;
#[cfg(feature = "cli")]
use crate::registry::Url;
use crate::wire::{Node, or};

impl Tracing {
    #[inline(never)]
    pub(super) fn read(node: &Node) -> Option<Self> {
        let table = node.table()?;
        let start = or(table.optional("start"), false, Node::boolean);
        let propagates = or(table.optional("propagate"), true, Node::boolean);
        let otlp = table.optional("otlp");
        let exports = otlp.is_some();
        #[cfg(feature = "cli")]
        let export = Export::read(node, &table, otlp);
        #[cfg(not(feature = "cli"))]
        table.pass_over(&["sampling", "service_name"]);
        table.done();
        let (start, propagates) = (start?, propagates?);
        #[cfg(feature = "cli")]
        if start && !propagates {
            node.refuse("must not have start where propagate is false");
            return None;
        } else if !start && propagates && !exports {
            node.refuse_with(
                "must have otlp, start: true or propagate: false",
                "without any of them it changes nothing",
            );
            return None;
        }
        #[cfg(feature = "cli")]
        let Export { otlp, sampling, service_name } = export?;
        Some(Tracing {
            start,
            exports,
            propagates,
            #[cfg(feature = "cli")]
            otlp,
            #[cfg(feature = "cli")]
            sampling,
            #[cfg(feature = "cli")]
            service_name,
        })
    }
}

/// What only Envoy has to know.
#[cfg(feature = "cli")]
struct Export {
    otlp: Option<Url>,
    sampling: f64,
    service_name: String,
}

#[cfg(feature = "cli")]
impl Export {
    fn read(node: &Node, table: &crate::wire::Table, otlp: Option<Node>) -> Option<Self> {
        let has_collector = otlp.is_some();
        let otlp = or(otlp, None, |node| read_collector(node).map(Some));
        let (sampling, name) = (table.optional("sampling"), table.optional("service_name"));
        let is_idle = !has_collector && (sampling.is_some() || name.is_some());
        let sampling = or(sampling, 1.0, |node| node.number(0.0, 1.0));
        let service_name = or(name, "dualpath".to_owned(), |node| Some(node.string()?.to_owned()));
        if is_idle {
            node.refuse("must not have sampling or service_name without otlp");
            return None;
        }
        Some(Export { otlp: otlp?, sampling: sampling?, service_name: service_name? })
    }
}

#[cfg(feature = "cli")]
fn read_collector(node: &Node) -> Option<Url> {
    let url = Url::parse(node.string()?).map_err(|violation| node.violates(violation)).ok()?;
    if url.path != "/" {
        node.refuse("must be the URL of a gRPC server, without a path");
        return None;
    }
    Some(url)
}
