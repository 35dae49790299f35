//! What a running Envoy's metrics say of a registry's credentials, servers and lists of tools.

use super::hint;
use super::row::{Outcome, Row};
use crate::cli::credentials::days_left;
use crate::cli::metrics::{Metrics, label_of};
use crate::cli::pat::admin::AdminMetrics;
use crate::cli::status::{Server as Seen, Status};
use crate::failure::Class;
use crate::registry::{Credential, ProberPlacement, Registry, Server};
use crate::telemetry::{FAMILIES, label, of};

/// Metrics, and what `dualpath status` makes of them.
pub struct Look<'r> {
    /// The registry.
    pub registry: &'r Registry,
    /// The metrics.
    pub metrics: &'r Metrics,
    /// The same as a status.
    pub status: &'r Status,
}

impl Look<'_> {
    /// Every row.
    pub fn rows(&self) -> Vec<Row> {
        let mut rows = vec![self.metrics_row()];
        rows.extend(self.registry.credentials.iter().map(|credential| self.credential(credential)));
        for server in &self.registry.servers {
            rows.push(self.breaker(server));
            rows.push(self.pool(server));
            rows.extend(self.drift(server));
        }
        if let Some(percent) = self.status.mcp_enabled.as_deref().filter(|percent| *percent != "100") {
            rows.push(off(format!("MCP is on for {percent} % of calls")));
        }
        rows.extend(self.status.tasks_off.iter().map(|task| off(format!("MCP is off for task {task}"))));
        rows
    }

    /// Says of each problem with a server what its attempts have ended with since `before`.
    pub fn explain(&self, rows: &mut [Row], before: &Metrics) {
        for row in rows.iter_mut().filter(|row| row.outcome == Outcome::Problem) {
            let Some((_, server)) = row.server.as_ref().and_then(|id| self.registry.server_by_id(id)) else { continue };
            let failed = self.failed(server, Some(before));
            let said: Vec<_> =
                failed.iter().map(|class| format!("{}: {}", class.as_str(), class.explanation())).collect();
            if !said.is_empty() {
                row.says.push_str(&format!("; {} has ended attempts so: {}", server.id, said.join(", ")));
            }
            if let Some(hint) = self.hint_of(server, Some(before)) {
                row.hint = Some(hint);
            }
        }
    }

    /// The classes in which attempts and probes have failed, since `before` or ever.
    fn failed(&self, server: &Server, before: Option<&Metrics>) -> Vec<Class> {
        let labels = |class: Class| [(label::SERVER, server.id.as_str()), (label::OUTCOME, class.as_str())];
        let count = |metrics: &Metrics, class| {
            metrics.sum(of::ATTEMPTS.name, &labels(class)) + metrics.sum(of::PROBES.name, &labels(class))
        };
        let has_grown =
            |class: &Class| count(self.metrics, *class) > before.map_or(0.0, |before| count(before, *class));
        Class::ALL.into_iter().filter(|class| *class != Class::Success && has_grown(class)).collect()
    }

    fn hint_of(&self, server: &Server, before: Option<&Metrics>) -> Option<String> {
        self.failed(server, before).into_iter().find_map(|class| hint::of_class(class, server))
    }

    fn metrics_row(&self) -> Row {
        let has = |name: &str| self.metrics.series(name, &[]).next().is_some();
        let there = FAMILIES.iter().filter(|family| has(family.name) || has(&format!("{}_count", family.name))).count();
        let unlabelled = self.metrics.names().find(|name| name.contains("cortex_") && name.contains("_server_"));
        let lost: Vec<_> = self
            .registry
            .servers
            .iter()
            .filter(|server| self.seen(server).is_none())
            .map(|it| it.id.as_str())
            .collect();
        match unlabelled {
            _ if lost.is_empty() => {
                Row::good("metrics", "there", format!("{there} of Dualpath's {} families so far", FAMILIES.len()))
            }
            Some(name) => Row::problem("metrics", "labels", format!("{name} has its labels in its name"))
                .hint("take `stats_config.stats_tags` from what `dualpath render` writes"),
            None if self.registry.envoy.prober == ProberPlacement::Off => {
                let says = format!("no gauge yet of: {}", lost.join(", "));
                Row::new("metrics", "there", Outcome::Skipped, says)
                    .hint("without a prober a gauge is there once a breaker has changed")
            }
            None => Row::problem("metrics", "there", format!("no gauge of: {}", lost.join(", "))).hint(
                "does this Envoy run this registry, with its prober? Its log says whether the module has started",
            ),
        }
    }

    fn seen(&self, server: &Server) -> Option<&Seen> {
        self.status.servers.iter().find(|seen| seen.id == server.id.as_str())
    }

    fn credential(&self, credential: &Credential) -> Row {
        let id = credential.id.as_str();
        let Some(seen) = self.status.credentials.iter().find(|seen| seen.id == id) else {
            return Row::problem("token", id, "this Envoy has no metrics of this credential")
                .hint("does it run this registry, with its prober?");
        };
        let refused: u64 = seen.slots.iter().map(|slot| slot.rejected).sum();
        let says = |slot: &crate::cli::status::SlotSeen| {
            let sent = if slot.is_sent { "sent" } else { "NOT sent" };
            let left = slot.days_left.map_or("end unknown".to_owned(), |days| format!("{} left", days_left(days)));
            format!("slot {}: {sent}, {left}", slot.slot)
        };
        let said = seen.slots.iter().map(says).collect::<Vec<_>>().join("; ");
        let said = if refused > 0 { format!("{said}; refused by servers {refused} times") } else { said };
        let admin = AdminMetrics::from(self.metrics.clone());
        let lost: u64 = seen.slots.iter().map(|slot| admin.update_failures(id, slot.slot)).sum();
        let plan = format!("a new token: `dualpath pat rotate-plan REGISTRY {id}`");
        if !seen.slots.iter().any(|slot| slot.is_sent) {
            let hint = match refused {
                0 => format!("is the secret where the registry says it is? `dualpath pat status REGISTRY`; {plan}"),
                _ => hint::REFUSED.to_owned(),
            };
            return Row::problem("token", id, format!("no token that may be sent ({said})")).hint(hint);
        }
        match seen.severity {
            "critical" => Row::problem("token", id, said).hint(plan),
            _ if admin.violates_age(id) == Some(true) => {
                Row::problem("token", id, format!("{said}; a token lives for longer than the policy allows")).hint(plan)
            }
            "alert" => Row::new("token", id, Outcome::Warning, said).hint(plan),
            _ if lost > 0 => {
                let says = format!("{said}; Envoy could not take what is in its place {lost} times");
                Row::new("token", id, Outcome::Warning, says)
                    .hint("Envoy's log says why; `dualpath pat check FILE` looks at an SDS file")
            }
            _ if refused > 0 => Row::new("token", id, Outcome::Warning, said).hint(hint::REFUSED),
            _ => Row::good("token", id, said),
        }
    }

    fn breaker(&self, server: &Server) -> Row {
        let id = server.id.as_str();
        let count =
            |name, class: Class| self.metrics.sum(name, &[(label::SERVER, id), (label::OUTCOME, class.as_str())]);
        let good = ["probes", "attempts"].into_iter().zip([of::PROBES.name, of::ATTEMPTS.name]);
        let good = good.map(|(what, name)| format!("{} {what} answered", count(name, Class::Success)));
        let good = good.collect::<Vec<_>>().join(", ");
        let Some(seen) = self.seen(server) else {
            return Row::new("breaker", id, Outcome::Skipped, format!("not told; {good}"));
        };
        let tools = seen.tools.filter(|tools| *tools > 0.0).map(|tools| format!(", lists {tools} tools to the prober"));
        let good = format!("{good}{}", tools.unwrap_or_default());
        if !seen.overrides.is_empty() {
            return Row::new("breaker", id, Outcome::Warning, format!("by hand: {}", seen.overrides.join(", ")))
                .hint("take the runtime key back, if it was left behind");
        }
        match seen.state {
            "closed" => Row::good("breaker", id, format!("closed, health {} %; {good}", seen.health.unwrap_or(100.0))),
            state => Row::problem("breaker", id, format!("{state}; {}", seen.why)).maybe(self.hint_of(server, None)),
        }
    }

    fn pool(&self, server: &Server) -> Row {
        let id = server.id.as_str();
        let pool =
            self.seen(server).map_or_else(|| crate::cli::status::pool(self.metrics, id), |seen| seen.pool.clone());
        let [hosts, used] = pool.hosts;
        let says = format!(
            "{used} of {hosts} addresses, {} connections, {} calls under way, {} waiting",
            pool.connections, pool.requests, pool.waiting
        );
        match () {
            () if hosts == 0.0 => Row::problem("pool", id, "Envoy has no address for it")
                .hint("does its name resolve where Envoy runs? Envoy's page /clusters says more"),
            () if pool.is_full => Row::problem("pool", id, format!("a limit is reached: {says}"))
                .hint("raise `servers[].pool`, or find out what is slow"),
            () if used < hosts => Row::new("pool", id, Outcome::Warning, says)
                .hint("some addresses are ejected: Envoy's page /clusters says why"),
            () => Row::good("pool", id, says),
        }
    }

    fn drift(&self, server: &Server) -> Option<Row> {
        let labels = [(label::SERVER, server.id.as_str())];
        let found = self.metrics.series(of::TOOL_DRIFT.name, &labels).filter(|(_, count)| *count > 0.0);
        let said: Vec<_> =
            found.filter_map(|(series, count)| Some(format!("{count} {}", label_of(series, label::REASON)?))).collect();
        let row = Row::new("drift", server.id.as_str(), Outcome::Warning, said.join(", "));
        (!said.is_empty()).then(|| row.hint("its tools are not those of the first MCP server; Envoy's log names them"))
    }
}

fn off(says: String) -> Row {
    Row::new("switch", "MCP", Outcome::Warning, says)
        .hint("was the kill switch left on? The guide's page about operations says how to set it back")
}
