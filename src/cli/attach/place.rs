//! Where in a bootstrap the parts go.

use super::edit::Path;
use crate::cli::load::Tree;
use crate::registry::Problem;

/// Which of several is meant.
#[derive(Debug, Default, clap::Args)]
pub struct Choice {
    /// The listener that clients connect to; its number among those with HTTP, from 0, if it has no name [default: the only one]
    #[arg(long, value_name = "NAME")]
    pub listener: Option<String>,
    /// Its filter chain, likewise; default_filter_chain for that one [default: the only one with HTTP]
    #[arg(long, value_name = "NAME")]
    pub filter_chain: Option<String>,
    /// The virtual host that gets the routes [default: the only one]
    #[arg(long, value_name = "NAME")]
    pub virtual_host: Option<String>,
}

const FRAGMENT: &str =
    "put in by hand what `dualpath render --target fragment` writes; Istio and Envoy Gateway have targets of their own";

/// Where connections go that no filter chain is for; it may be all that a listener has.
const DEFAULT_CHAIN: &str = "default_filter_chain";

/// The connection manager and the virtual host.
#[derive(Debug)]
pub(super) struct Place {
    pub manager: Path,
    pub host: Path,
}

impl Place {
    /// # Errors
    /// What is not there, or is there more than once, and what to do about that.
    pub fn find(tree: &Tree, choice: &Choice) -> Result<Self, Problem> {
        let manager = manager(tree, choice)?;
        let at = manager.find(tree);
        if at.is_some_and(|manager| manager.get("route_config").is_none()) {
            let rule = "must be in this file: routes that come from elsewhere can't be added here";
            return Err(manager.key("route_config").problem(rule, FRAGMENT));
        }
        let hosts = manager.key("route_config").key("virtual_hosts");
        let entries = hosts.find(tree).map(Tree::entries).unwrap_or_default();
        let number = chosen(&hosts, entries.iter().map(name), choice.virtual_host.as_deref(), "--virtual-host")?;
        let place = Place { host: hosts.entry(number), manager };
        if place.host.key("matcher").find(tree).is_some() {
            return Err(place
                .host
                .key("matcher")
                .problem("chooses the routes, so none can be put ahead of it", FRAGMENT));
        }
        if place.host.key("routes").find(tree).is_none_or(|routes| routes.entries().is_empty()) {
            let rule = "must have a route, ahead of which others are put";
            return Err(place
                .host
                .key("routes")
                .problem(rule, "add one that answers 404: {match: {prefix: /}, direct_response: {status: 404}}"));
        }
        place.router(tree)?;
        Ok(place)
    }

    /// The number of the router among the filters.
    pub fn router(&self, tree: &Tree) -> Result<usize, Problem> {
        let filters = self.manager.key("http_filters");
        let entries = filters.find(tree).map(Tree::entries).unwrap_or_default();
        let is_router =
            |filter: &Tree| is_a(filter, ".http.router.v3.Router") || name(filter) == Some("envoy.filters.http.router");
        match entries.split_last() {
            Some((last, before)) if is_router(last) => Ok(before.len()),
            _ => Err(filters.problem(
                "must end with envoy.filters.http.router",
                "the gate stands right before the router, which has to be the last",
            )),
        }
    }
}

/// The connection manager that clients reach.
fn manager(tree: &Tree, choice: &Choice) -> Result<Path, Problem> {
    let listeners = Path::of(&["static_resources", "listeners"]);
    let entries = listeners.find(tree).map(Tree::entries).unwrap_or_default();
    if tree.get("staticResources").is_some() {
        let hint = "write names as Envoy's documentation has them: static_resources, filter_chains, typed_config";
        return Err(Path::of(&["staticResources"]).problem("must be written static_resources, as must all names", hint));
    }
    if entries.is_empty() {
        return Err(listeners.problem("has no listener to attach to", FRAGMENT));
    }
    let with_http = |listener: &Path| -> Vec<(Option<&str>, Path)> {
        let chains = listener.key("filter_chains");
        let count = chains.find(tree).map_or(0, |chains| chains.entries().len());
        let all = (0..count).map(|number| chains.entry(number)).chain([listener.key(DEFAULT_CHAIN)]);
        let of = |path: Path| {
            let chain = path.find(tree)?;
            let filters = chain.get("filters").map(Tree::entries).unwrap_or_default();
            let at = filters.iter().position(|filter| is_a(filter, ".HttpConnectionManager"))?;
            let called = name(chain).or((path == listener.key(DEFAULT_CHAIN)).then_some(DEFAULT_CHAIN));
            Some((called, path.key("filters").entry(at).key("typed_config")))
        };
        all.filter_map(of).collect()
    };
    let open: Vec<usize> = (0..entries.len()).filter(|at| !with_http(&listeners.entry(*at)).is_empty()).collect();
    let names = open.iter().map(|at| entries.get(*at).and_then(name));
    let number = chosen(&listeners, names, choice.listener.as_deref(), "--listener")?;
    let listener = listeners.entry(open.get(number).copied().unwrap_or_default());
    let chains = listener.key("filter_chains");
    let managers = with_http(&listener);
    let names = managers.iter().map(|(name, _)| *name);
    let number = chosen(&chains, names, choice.filter_chain.as_deref(), "--filter-chain")?;
    managers.into_iter().nth(number).map(|(_, path)| path).ok_or_else(|| chains.problem("has none", FRAGMENT))
}

/// The number of the one that is wanted, by its name or by its number as it is shown.
fn chosen<'t>(
    path: &Path,
    names: impl Iterator<Item = Option<&'t str>>,
    wanted: Option<&str>,
    option: &str,
) -> Result<usize, Problem> {
    let called = |(number, name): (usize, Option<&str>)| name.map_or_else(|| number.to_string(), str::to_owned);
    let names: Vec<String> = names.enumerate().map(called).collect();
    let shown = names.join(", ");
    match (wanted, names.as_slice()) {
        (_, []) => Err(path.problem("has none that speaks HTTP and has its routes", FRAGMENT)),
        (None, [_]) => Ok(0),
        (None, _) => {
            let rule = format!("has several that may be meant: {shown}");
            Err(path.problem(rule, &format!("choose one by {option}; what has no name has a number here")))
        }
        (Some(wanted), names) => names.iter().position(|name| name == wanted).ok_or_else(|| {
            path.problem(format!("has none that speaks HTTP and is called {wanted}"), &format!("there are: {shown}"))
        }),
    }
}

/// What an entry is called.
pub(super) fn name(tree: &Tree) -> Option<&str> {
    tree.get("name").and_then(Tree::text)
}

/// Whether an extension's message is of a type that ends with this.
pub(super) fn is_a(extension: &Tree, type_name: &str) -> bool {
    let found = extension.get("typed_config").and_then(|config| config.get("@type")).and_then(Tree::text);
    found.is_some_and(|found| found.ends_with(type_name))
}
