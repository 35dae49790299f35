//! A folder under a running Envoy, step by step: it is to have the clusters before it gets listeners that send calls there.

use std::fs;
use std::path::{Component, Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::folder;
use super::target::{CLUSTERS, File, LISTENERS};
use crate::cli::admin::page;
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
    refuse_other_folder(folder, admin)?;
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

/// Refuses a folder that the Envoy does not watch: it would take nothing up, and nobody would say so.
///
/// # Errors
/// What it watches instead.
fn refuse_other_folder(folder: &Path, admin: &str) -> Result<(), String> {
    // A listener of the metrics does not show it.
    let Ok(page) = page(admin, "/config_dump") else { return Ok(()) };
    let Some(watched) = watched(&serde_json::from_str(&page).unwrap_or_default()) else { return Ok(()) };
    let shown = shown::line(&folder.to_string_lossy()).into_owned();
    match watched {
        None => Err(format!(
            "{shown}: the Envoy at {admin} watches no folder: start it with -c {shown}/bootstrap.yaml, or render without --admin"
        )),
        Some(other) if !is_it(folder, &other) => Err(format!(
            "{shown}: the Envoy at {admin} watches another folder, {}: render into that, or name another Envoy",
            shown::line(&other.to_string_lossy())
        )),
        Some(_) => Ok(()),
    }
}

/// The folder of the listeners' file, by Envoy's configuration; no folder where it has none. `None` where the page says nothing.
fn watched(dump: &Value) -> Option<Option<PathBuf>> {
    let bootstrap = dump.get("configs")?.as_array()?.iter().find_map(|part| part.get("bootstrap"))?;
    let path = bootstrap.pointer("/dynamic_resources/lds_config/path_config_source/path").and_then(Value::as_str);
    Some(path.and_then(|path| Some(Path::new(path).parent()?.to_owned())))
}

/// Whether the folder can be what Envoy calls so. A relative name counts from where Envoy was started, and an absolute one that is
/// not here may be a name in Envoy's container.
fn is_it(folder: &Path, watched: &Path) -> bool {
    let Ok(own) = folder.canonicalize().or_else(|_| std::path::absolute(folder)) else { return true };
    if watched.is_absolute() {
        return watched.canonicalize().map_or(true, |watched| watched == own);
    }
    let is_plain = |part: &Component| !matches!(part, Component::CurDir);
    let parts: Vec<_> = watched.components().filter(is_plain).collect();
    parts.contains(&Component::ParentDir) || own.ends_with(parts.iter().collect::<PathBuf>())
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_folder_that_envoy_watches_is_told_from_others() {
        let here = std::env::current_dir().unwrap();
        for (folder, watched, expected) in [
            ("src", here.join("src"), true),
            ("src", here.join("tests"), false),
            ("src/cli/..", here.join("src"), true),
            ("src", PathBuf::from("src"), true),
            ("src/cli", PathBuf::from("./cli"), true),
            ("src", PathBuf::from("cli"), false),
            ("no-such-folder", here.join("src"), false),
            ("src", PathBuf::from("/only/in/a/container"), true),
            ("src", PathBuf::from("../src"), true),
        ] {
            assert_eq!(is_it(Path::new(folder), &watched), expected, "{folder} {}", watched.display());
        }
    }

    #[test]
    fn what_envoy_watches_is_read_from_its_configuration() {
        let page = |bootstrap: Value| json!({"configs": [{"@type": "other"}, {"bootstrap": bootstrap}]});
        let lds = json!({"lds_config": {"path_config_source": {"path": "/etc/envoy.d/listeners.yaml"}}});
        assert_eq!(watched(&page(json!({"dynamic_resources": lds}))), Some(Some(PathBuf::from("/etc/envoy.d"))));
        assert_eq!(watched(&page(json!({"static_resources": {}}))), Some(None));
        assert_eq!(watched(&json!({})), None);
    }
}
