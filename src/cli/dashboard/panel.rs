//! What a dashboard consists of, whatever shows it.

/// A dashboard.
#[derive(Debug, Clone)]
pub struct Dashboard {
    /// The name of its file, and the end of its id in Grafana.
    pub slug: &'static str,
    /// What it is called.
    pub title: &'static str,
    /// What it answers, in one sentence.
    pub about: &'static str,
    /// Its panels, in rows from the left.
    pub panels: Vec<Panel>,
}

/// How a panel shows its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Lines over time.
    Lines,
    /// Areas upon each other, whose sum means something.
    Areas,
    /// The last value, large. Beyond so many hundredths it is amber, and beyond so many red.
    Number(u32, u32),
    /// The same where less is worse: below.
    LessIsWorse(u32, u32),
    /// States over time: the name and the colour of each value, from 0 on.
    States(&'static [(&'static str, &'static str)]),
}

/// A panel.
#[derive(Debug, Clone)]
pub struct Panel {
    /// What it shows.
    pub title: &'static str,
    /// How to read it.
    pub about: &'static str,
    /// How it shows it.
    pub look: Look,
    /// The unit, as Grafana calls it.
    pub unit: &'static str,
    /// The heading of the page in the runbooks, as a link has it.
    pub page: Option<&'static str>,
    /// What it asks Prometheus.
    pub queries: Vec<Query>,
}

/// A query and the name of its series.
#[derive(Debug, Clone)]
pub struct Query {
    /// PromQL, in which [`SERIES`], [`JOB`] and [`WINDOW`] stand for the variables of a dashboard.
    expression: String,
    /// Text with `{{label}}`.
    pub legend: &'static str,
}

/// In a selector of what Envoys say: those that are chosen.
const SERIES: &str = "@";
/// In a selector of what a rule has summed up per job.
const JOB: &str = "#";
/// A window that fits what is shown.
const WINDOW: &str = "[~]";

/// What is as it should be; blue, so that those see it as well who can't tell red from green.
pub const WELL: &str = "#0072B2";
/// What is about to be.
pub const BETWEEN: &str = "#E69F00";
/// What is not.
pub const ILL: &str = "#D55E00";

impl Query {
    /// A query. `@` in its selectors stands for the Envoys that are chosen, `#` for their jobs, and `[~]` for a window that fits
    /// what is shown.
    pub fn new(expression: impl Into<String>, legend: &'static str) -> Query {
        Query { expression: expression.into(), legend }
    }

    /// As Grafana takes it.
    pub fn with_variables(&self) -> String {
        self.filled("job=~\"$job\",instance=~\"$instance\"", "job=~\"$job\"", "$__rate_interval")
    }

    /// As Prometheus takes it: of every Envoy, over this window.
    pub fn of_all(&self, window: &str) -> String {
        self.filled("job=~\".+\"", "job=~\".+\"", window)
    }

    fn filled(&self, series: &str, job: &str, window: &str) -> String {
        let window = format!("[{window}]");
        self.expression.replace(SERIES, series).replace(JOB, job).replace(WINDOW, &window)
    }
}
