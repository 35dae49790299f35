//! A folder under a running Envoy, step by step: it is to have the clusters before it gets listeners that send calls there.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::folder;
use super::target::{CLUSTERS, File, LISTENERS};
use crate::cli::output::{self, Inputs, Readers};
use crate::cli::pat::admin::ask;
use crate::cli::shown;

/// How long Envoy may take to get what it needs for one of the files, names of servers for instance.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often it is asked.
const EVERY: Duration = Duration::from_millis(100);

/// The files that Envoy watches, what its counters about them begin with, and the gauge of what is not ready yet.
const WATCHED: [(&str, &str, &str); 2] = [
    (CLUSTERS, "envoy_cluster_manager_cds_update", "envoy_cluster_manager_warming_clusters"),
    (LISTENERS, "envoy_listener_manager_lds_update", "envoy_listener_manager_total_listeners_warming"),
];

/// As [`folder::write`], with the Envoy whose admin interface is at `admin`: after each file that it watches, waits until it has
/// taken that up. What it refuses is taken back.
///
/// # Errors
/// As there; or Envoy can't be asked, refuses a file, or isn't ready in time.
pub(super) fn write(
    folder: &Path,
    files: &[File],
    inputs: &Inputs,
    readers: Readers,
    admin: &str,
) -> Result<String, String> {
    folder::refuse_foreign(folder, files)?;
    let mut told = String::new();
    for file in files {
        let watched = WATCHED.iter().find(|(path, ..)| *path == file.path);
        let Some((_, prefix, warming)) = watched else {
            told.push_str(&folder::write(folder, std::slice::from_ref(file), inputs, readers)?);
            continue;
        };
        let place = folder.join(&file.path);
        let (text, before) = (fs::read_to_string(&place).ok(), Counted::of(admin, prefix)?);
        let said = folder::write(folder, std::slice::from_ref(file), inputs, readers)?;
        if said.is_empty() {
            continue;
        }
        told.push_str(&said);
        if !before.is_taken_up(admin, prefix, warming, &file.path)? {
            let back = text.map(|text| output::write(&place, &text, inputs, readers));
            let back = if back.is_some_and(|done| done.is_ok()) {
                "the one before is in its place again"
            } else {
                "it is in its place"
            };
            return Err(format!(
                "{}: Envoy refuses it, and says why in its log; {back}",
                shown::line(&place.to_string_lossy())
            ));
        }
    }
    Ok(told)
}

/// What Envoy has counted of one kind of update.
struct Counted {
    taken: f64,
    refused: f64,
}

impl Counted {
    fn of(admin: &str, prefix: &str) -> Result<Self, String> {
        let metrics = ask(admin)?;
        Ok(Counted {
            taken: metrics.sum(&format!("{prefix}_success")),
            refused: metrics.sum(&format!("{prefix}_rejected")),
        })
    }

    /// Waits until Envoy has taken up or refused what came after this count.
    fn is_taken_up(&self, admin: &str, prefix: &str, warming: &str, file: &str) -> Result<bool, String> {
        let begun = Instant::now();
        loop {
            let now = Counted::of(admin, prefix)?;
            if now.refused > self.refused {
                return Ok(false);
            }
            let unready = ask(admin)?.sum(warming);
            if now.taken > self.taken && unready == 0.0 {
                return Ok(true);
            }
            if begun.elapsed() > PATIENCE {
                let seconds = PATIENCE.as_secs();
                return Err(format!(
                    "{file}: Envoy has not taken it up after {seconds} s ({unready} not ready). What comes behind it is not written: render again"
                ));
            }
            sleep(EVERY);
        }
    }
}
