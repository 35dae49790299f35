use super::reference::{at, at_mut, known, read, specimen, take_away, words};
use super::*;

fn all() -> Vec<Row> {
    rows(|_| true)
}

#[test]
fn the_specimen_is_a_registry() {
    read(&specimen()).unwrap_or_else(|problems| panic!("{problems:#?}"));
}

#[test]
fn the_words_are_yaml() {
    for text in [reference::SPECIMEN, reference::WORDS] {
        serde_saphyr::from_str::<serde_json::Value>(text).unwrap_or_else(|error| panic!("{error}"));
    }
}

/// Both ways: no key that the reader takes is missing from the table, and none stands there that it does not take.
#[test]
fn the_table_has_the_keys_that_the_reader_takes_and_no_others() {
    let (known, words) = (known(), words());
    let missing: Vec<_> = known.keys().filter(|key| !words.contains_key(*key)).collect();
    let stale: Vec<_> = words.keys().filter(|key| !known.contains_key(*key)).collect();
    assert!(missing.is_empty() && stale.is_empty(), "say in words.yaml what these mean: {missing:?}; remove {stale:?}");
}

#[test]
fn the_specimen_has_every_key() {
    let specimen = specimen();
    let absent: Vec<_> =
        known().into_iter().filter(|(_, places)| places.iter().all(|place| at(&specimen, place).is_none())).collect();
    assert!(absent.is_empty(), "add them to specimen.yaml: {absent:?}");
    assert_eq!(all().len(), words().len());
}

/// Leaving a key out is the same as writing its default.
#[test]
fn the_defaults_are_as_the_table_says() {
    let (known, specimen) = (known(), specimen());
    for (key, word) in words() {
        let Some(default) = word.get("default") else { continue };
        let place = known[&key].iter().find(|place| at(&specimen, place).is_some()).expect("the specimen has it");
        let (mut with, mut without) = (specimen.clone(), specimen.clone());
        *at_mut(&mut with, place).expect("the place") = default.clone();
        take_away(&mut without, place);
        let read = |tree| read(tree).unwrap_or_else(|problems| panic!("{key}: {problems:#?}"));
        assert_eq!(read(&with), read(&without), "{key}");
    }
}

#[test]
fn only_templates_and_constants_take_any_value() {
    let any: Vec<_> = all().into_iter().filter(|row| row.must_be == "any value").map(|row| row.key).collect();
    let expected = [
        "servers[].probe.body",
        "tools[].rest.with.NAME",
        "tools[].rest.body",
        "tools[].rest.answer.content",
        "tools[].rest.answer.error.message",
        "tools[].rest.answer.error.code",
        "tools[].rest.answer.error.request_id",
        "snowflake.search.with.limit",
        "snowflake.sql.with.database",
        "snowflake.sql.with.schema",
        "snowflake.sql.with.warehouse",
        "snowflake.sql.with.role",
        "snowflake.sql.with.timeout",
        "snowflake.complete.with.model",
        "snowflake.analyst.with.semantic_view",
        "snowflake.analyst.with.semantic_model_file",
        "snowflake.analyst.with.warehouse",
        "snowflake.embed.with.model",
    ];
    assert_eq!(any, expected);
}

/// What an operator is told who writes something wrong there, for every key that can be wrong. A key without an error of its own
/// fails here, and so does an error that has changed: `DUALPATH_WRITE_GOLDEN=1` writes the file anew.
#[test]
fn every_key_has_an_error_and_it_is_the_one_that_is_written_down() {
    let specimen = specimen();
    let any: Vec<_> = all().into_iter().filter(|row| row.must_be == "any value").map(|row| row.key).collect();
    let (mut told, mut silent) = (String::new(), Vec::new());
    for (key, places) in known().into_iter().filter(|(key, _)| !any.contains(key)) {
        match places.iter().find_map(|place| reference::mistake(&specimen, place)) {
            Some(problem) => told += &format!("##### {key}\n{problem}\n"),
            None => silent.push(key),
        }
    }
    assert!(silent.is_empty(), "whatever stands there, nothing is said: {silent:?}");
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/check/keys.txt");
    if std::env::var_os("DUALPATH_WRITE_GOLDEN").is_some() {
        std::fs::write(golden, &told).expect("it can be written");
    }
    assert_eq!(told, std::fs::read_to_string(golden).expect("the file"), "{golden}");
}

#[test]
fn every_key_says_whether_it_may_be_left_out() {
    // A mapping without a default of its own has the defaults of its keys.
    let silent = all().into_iter().filter(|row| row.default.is_none() && row.must_be != "a mapping");
    let silent: Vec<_> = silent.map(|row| row.key).collect();
    assert!(silent.is_empty(), "{silent:?}");
}

#[test]
fn a_key_is_found_with_what_is_below_it() {
    let below =
        |wanted: &str| rows(|key| is_at_or_below(key, wanted)).into_iter().map(|row| row.key).collect::<Vec<_>>();
    let limits = ["limits", "limits.request_body", "limits.held", "limits.response_body", "limits.rate"];
    let rate = ["limits.rate[].tool", "limits.rate[].calls", "limits.rate[].per", "limits.rate[].caller"];
    assert_eq!(below("limits"), [limits.as_slice(), &rate].concat());
    assert_eq!(below("servers[].probe").len(), 9);
    assert!(below("server").is_empty());
}

#[test]
fn a_cell_can_hold_a_bar() {
    let row = Row { key: "a|b".into(), must_be: String::new(), default: None, meaning: String::new() };
    assert!(markdown(&[row]).contains("`a\\|b`"));
}
