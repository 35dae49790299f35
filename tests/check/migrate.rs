//! `dualpath migrate` and `diff` as processes.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use super::{Place, RIGHT, assert_run, dualpath};

const OLD: &str =
    "version: 1\nservers:\n  - {id: s, kind: mcp, url: 'https://host.example', on: {lost: {alert: true}}} # pager\n";

#[test]
fn a_file_is_migrated_where_it_is_with_its_rights_or_elsewhere() {
    let place = Place::new("migrate");
    let file = place.write("r.yaml", OLD);
    fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
    let told = "r.yaml: 3:53: servers[0]: on is called outcomes now\n";
    assert_run(&dualpath(&["migrate", &file], ""), 0, "outcomes: {lost: {alert: true}}} # pager\n", told);
    assert_run(&dualpath(&["migrate", &file, "-o", &file], ""), 2, "", "is the registry itself, which would be lost");
    assert_run(&dualpath(&["migrate", &file, "-o", &place.path("new.yaml")], ""), 0, "", told);
    assert_eq!(fs::read_to_string(&file).unwrap(), OLD);
    assert_run(&dualpath(&["migrate", &file, "--in-place"], ""), 0, "", told);
    let migrated = OLD.replace(" on:", " outcomes:");
    assert_eq!(fs::read_to_string(&file).unwrap(), migrated);
    assert_eq!(fs::read_to_string(place.path("new.yaml")).unwrap(), migrated);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
    assert_run(&dualpath(&["migrate", &file, "--in-place"], ""), 0, "", "nothing to migrate");
    assert_run(&dualpath(&["migrate", "-"], OLD), 0, "outcomes: {lost", "<stdin>: 3:53: servers[0]: on is called");
    assert_run(&dualpath(&["migrate", "-", "--in-place"], OLD), 2, "", "standard input has no place");
    assert_run(&dualpath(&["migrate", "no/such"], ""), 2, "", "no/such: cannot be read");
    assert_run(&dualpath(&["migrate", "-"], "a: b: c\n"), 1, "", "<stdin>:1:5: ");
}

/// A registry as production had it: one file for each environment.
fn prod() -> String {
    include_str!("registry.yaml")
        .replace("@DIR@", "/dualpath")
        .replace("environment: stg", "environment: prod")
        .replace("    task: forecast\n", "    task: forecast\n    on: {lost: {alert: true}}\n")
}

#[test]
fn a_pair_of_files_becomes_one_in_which_each_environment_says_what_its_file_did() {
    let place = Place::new("pair");
    let stg = prod()
        .replace("environment: prod", "environment: stg")
        .replace("  port: 10080\n", "")
        .replace("localhost:19443", "localhost:29443")
        .replace("  - name: complete\n", "  - name: new\n")
        .replace("    servers: [mcp-eu]\n", "");
    let (prod, stg) = (place.write("prod.yaml", &prod()), place.write("stg.yaml", &stg));
    let one = place.path("one.yaml");
    let with = format!("stg={stg}");
    // A tool that only one of them has comes last, and the order of tools is the order of lists.
    let told = "cannot be put together";
    assert_run(&dualpath(&["migrate", &prod, "--with", &with, "-o", &one], ""), 1, "", told);
    let text = fs::read_to_string(&stg).unwrap().replace("  - name: new\n", "  - name: complete\n");
    let text = text + "  - {name: new, task: search, servers: [mcp-us]}\n";
    fs::write(&stg, text).unwrap();
    assert_run(&dualpath(&["migrate", &prod, "--with", &with, "-o", &one], ""), 0, "", "with the environment of stg=");
    for (environment, file) in [("prod", &prod), ("stg", &stg)] {
        let output = dualpath(&["diff", file, &one, "-e", environment], "");
        assert_run(&output, 0, "nothing changes for calls\n", "");
    }
    let joined = fs::read_to_string(&one).unwrap();
    assert!(joined.starts_with("# A registry without a mistake") && joined.contains("outcomes: {lost"), "{joined}");
    assert_run(
        &dualpath(&["diff", &one, "-e", "prod", "-e", "stg"], ""),
        0,
        "tool new\n  calls go to mcp-us, instead of mcp-eu -> mcp-us\n",
        "",
    );
    for (arguments, told) in [
        (&["--with", "stg"][..], "--with needs the name of an environment and a file"),
        (&["--with", "stg=no/such"], "no/such: cannot be read"),
        (&["--with", &format!("STG={stg}")], "STG: must be the name of an environment"),
        (&["--with", &format!("prod={stg}")], "prod is there twice"),
    ] {
        assert_run(&dualpath(&[&["migrate", &prod], arguments].concat(), ""), 1, "", told);
    }
    assert_run(&dualpath(&["migrate", &one, "--with", &with], ""), 1, "", "has environments already");
}

#[test]
fn a_difference_is_told_with_status_0_to_people_and_to_programs() {
    let place = Place::new("diff");
    let (old, new) =
        (place.write("old.yaml", OLD), place.write("new.yaml", &OLD.replace("host.example", "other.example")));
    let says = "server s\n  is reached at https://other.example/ instead of https://host.example/\n";
    assert_run(&dualpath(&["diff", &old, &new], ""), 0, says, "");
    let json = dualpath(&["diff", &old, &new, "--format", "json"], "");
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert_eq!(json["changes"][0]["about"], "server s");
    assert_run(&dualpath(&["diff", &old, &old], ""), 0, "nothing changes for calls\n", "");
    assert_run(&dualpath(&["diff", &old], ""), 2, "", "name two files, or two environments of one");
    assert_run(&dualpath(&["diff", &old, "-e", "a", "-e", "b", "-e", "c"], ""), 2, "", "name two files");
    assert_run(&dualpath(&["diff", &old, "no/such"], ""), 2, "", "no/such: cannot be read");
    assert_run(&dualpath(&["diff", &old, "-"], "version: 2\n"), 1, "", "<stdin>:1:1: version: 2: must be 1");
}

#[test]
fn no_output_replaces_what_it_was_made_from_or_what_the_registry_names() {
    let place = Place::new("kept");
    let part = place.write("part.yaml", "servers: [{id: s, kind: mcp, url: 'https://host.example', credential: c}]\n");
    let token = place.write("token.yaml", "the token");
    let registry =
        format!("version: 1\ninclude: part.yaml\ncredentials: [{{id: c, slots: {{a: {{sds_file: {token}}}}}}}]\n");
    let registry = place.write("r.yaml", &registry);
    let other = place.write("other.yaml", OLD);
    let plain = place.write("plain.yaml", &OLD.replace("version: 1", "version: 1\nenvironment: prod"));
    let before: Vec<_> = [&part, &token, &registry, &other].map(|file| fs::read_to_string(file).unwrap()).into();
    let with = format!("stg={other}");
    for (arguments, why) in [
        (&["migrate", &*registry, "-o", &part][..], "is a part of the registry, which would be lost"),
        (&["migrate", &registry, "-o", &token], "is a file that the registry names, which would be lost"),
        (&["migrate", &plain, "--with", &with, "-o", &other], "is a part of the registry, which would be lost"),
        (&["render", &registry, "-o", &part], "is a part of the registry, which would be lost"),
        (&["render", &registry, "-o", &token], "is a file that the registry names, which would be lost"),
    ] {
        assert_run(&dualpath(arguments, ""), 2, "", why);
    }
    let after: Vec<_> = [&part, &token, &registry, &other].map(|file| fs::read_to_string(file).unwrap()).into();
    assert_eq!(before, after);
}

#[test]
fn a_folder_with_files_of_somebody_else_is_left_as_it_is() {
    let place = Place::new("foreign");
    let registry = place.write("r.yaml", RIGHT);
    for (target, name) in [("helm", "Chart.yaml"), ("helm", "values.yaml"), ("envoy-dynamic", "listeners.yaml")] {
        let folder = place.path(&format!("{target}-{name}"));
        fs::create_dir(&folder).unwrap();
        let file = format!("{folder}/{name}");
        fs::write(&file, "mine: true\n").unwrap();
        let render = || dualpath(&["render", &registry, "-t", target, "-o", &folder], "");
        assert_run(&render(), 2, "", "is there already, and not by `dualpath render`");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "nothing is written");
        assert_eq!(fs::read_to_string(&file).unwrap(), "mine: true\n");
        fs::remove_file(&file).unwrap();
        let changes = |what: &str| String::from_utf8(render().stdout).unwrap().contains(what);
        assert!(changes(name));
        fs::write(&registry, RIGHT.replace("host.", "other.")).unwrap();
        assert!(changes("changed"));
        fs::write(&registry, RIGHT).unwrap();
    }
}
