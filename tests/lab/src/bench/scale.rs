//! Does a call cost the same however much there is around it: servers, tools, workers?

use serde::Serialize;

use super::Effort;
use super::contestants::{BARE, Contestant, DUALPATH, Kind, Modules, sized};
use super::load::Failure;
use super::rendered::{Size, USUAL};
use super::setup::Surroundings;
use super::slices::{self, Clients, Cpu};
use super::statistics::Estimate;

/// What a call costs with more of something.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Scale {
    /// Of what, and how much less there is in what it is compared with.
    pub(super) what: String,
    pub(super) cpu: Cpu,
    /// CPU time per request as a multiple of that with less.
    pub(super) ratio: Estimate,
}

/// The answers.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Scales {
    pub(super) servers: Scale,
    pub(super) tools: Scale,
    /// Both at once.
    pub(super) both: Scale,
    pub(super) workers: Scale,
    /// The bare proxy's own growth with workers, which is not Dualpath's.
    pub(super) workers_bare: Scale,
}

/// Measures them. The registries are in one Envoy, the numbers of workers in one each.
pub(super) async fn measure(
    surroundings: &Surroundings,
    modules: &Modules,
    effort: &Effort,
) -> Result<Scales, Failure> {
    let (few, many) = (USUAL, effort.large);
    let contestants = [
        sized("few", &modules.dualpath, few),
        sized("servers", &modules.dualpath, Size { servers: many.servers, ..few }),
        sized("tools", &modules.dualpath, Size { tools: many.tools, ..few }),
        sized("both", &modules.dualpath, many),
    ];
    let running = surroundings.start(&contestants, 1).await?;
    let mut clients = Vec::new();
    for contestant in &contestants {
        clients.push(Clients::connect(&running, contestant.name).await?);
    }
    let slices = slices::measure(&mut clients, effort.slices()).await?;
    let scale = |what, at: usize, to: usize, slices: &[slices::Slices]| Scale {
        what,
        cpu: slices[at].cpu(),
        ratio: slices[at].ratio_to(&slices[to]),
    };
    let servers = scale(format!("MCP servers {} -> {}", few.servers, many.servers), 1, 0, &slices);
    let tools = scale(format!("tools {} -> {}", few.tools, many.tools), 2, 0, &slices);
    let what = format!("servers and tools {} and {} -> {} and {}", few.servers, few.tools, many.servers, many.tools);
    let both = scale(what, 3, 0, &slices);
    drop((clients, running));

    let contestants = [Contestant { name: BARE, kind: Kind::Bare }, sized(DUALPATH, &modules.dualpath, USUAL)];
    let (one, more) =
        (surroundings.start(&contestants, 1).await?, surroundings.start(&contestants, effort.workers).await?);
    let mut clients = Vec::new();
    for (running, name) in [(&one, DUALPATH), (&more, DUALPATH), (&one, BARE), (&more, BARE)] {
        clients.push(Clients::connect(running, name).await?);
    }
    let slices = slices::measure(&mut clients, effort.slices()).await?;
    let what = |of| format!("workers 1 -> {}, {of}", effort.workers);
    let (workers, workers_bare) = (scale(what("Dualpath"), 1, 0, &slices), scale(what("bare"), 3, 2, &slices));
    Ok(Scales { servers, tools, both, workers, workers_bare })
}
