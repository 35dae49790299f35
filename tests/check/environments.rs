//! What operators get wrong in environments, variables and included files. Each is an edit of `environments.yaml`, or of the file
//! that it includes; what is printed is in `environments.txt`, which `DUALPATH_WRITE_GOLDEN=1` writes anew.

use std::fmt::Write as _;
use std::fs;

use super::{Place, assert_golden, dualpath};

/// A name, the environment that is chosen, and what is replaced by what.
type Mistake = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

const MISTAKES: &[Mistake] = &[
    ("00-none", "", &[]),
    ("01-none-chosen-stg", "stg", &[]),
    ("02-in-an-overlay", "stg", &[("mcp.stg.example.com", "mcp stg")]),
    ("03-in-another-overlay", "", &[("timeout: 20s", "timeout: 20")]),
    ("04-in-both", "", &[("40s", "40"), ("client_timeout: null", "port: 10081")]),
    ("05-in-an-included-file", "stg", &[("replayable: true", "replayable: yes")]),
    ("06-unknown-key-of-an-overlay", "prod", &[("timeout: 20s", "timout: 20s")]),
    ("07-unknown-environment", "prd", &[]),
    ("08-unknown-environment-of-the-file", "", &[("version: 1", "version: 1\nenvironment: prd")]),
    ("09-environments-misspelt", "", &[("environments:\n", "enviroments:\n")]),
    ("10-vars-misspelt", "stg", &[("vars: {REGION: eu", "var: {REGION: eu")]),
    ("11-include-misspelt", "stg", &[("include:", "includes:")]),
    (
        "12-environments-is-a-list",
        "",
        &[("environments:\n  stg:\n", "environments:\n  - stg:\n"), ("  prod:\n", "  - prod:\n")],
    ),
    ("13-environment-is-no-name", "", &[("  prod:\n", "  PROD:\n")]),
    ("14-environment-is-a-text", "", &[("  prod:\n", "  dev: yes\n  prod:\n")]),
    ("15-include-in-an-overlay", "", &[("  prod:\n", "  prod:\n    include: prod.yaml\n    version: 2\n")]),
    (
        "16-takes-away-what-is-not-there",
        "prod",
        &[("client_timeout: null", "client_timeot: null"), ("primary: {timeout: 20s}", "primry: null")],
    ),
    ("17-takes-a-list-entry-away-that-is-needed", "prod", &[("primary: {timeout: 20s}", "api: null")]),
    ("18-the-same-id-twice", "stg", &[("      - {id: primary", "      - {id: primary}\n      - {id: primary")]),
    ("19-an-entry-without-its-id", "stg", &[("{id: primary, url", "{url")]),
    ("20-an-id-misspelt", "stg", &[("{id: primary, url", "{id: primry, url")]),
    ("21-variable-without-value", "prod", &[("mcp-2.${REGION}", "mcp-2.${REGOIN}")]),
    ("22-variable-with-a-default", "stg", &[("api.${REGION}", "api.${REGION:-eu}")]),
    ("23-variable-of-a-wrong-value", "stg", &[("PORT: 10080", "PORT: 100800")]),
    ("24-variable-of-the-environment", "stg", &[("PORT: 10080", "OTHER: 1")]),
    ("25-variable-of-itself", "stg", &[("REGION: eu", "REGION: \"${PORT}-${LOOP}\", LOOP: \"x${REGION}\"")]),
    (
        "26-variables-in-places-of-secrets",
        "stg",
        &[
            ("{x-token-type: PAT}", "{x-token-type: \"${REGION}\"}\n    prefix: \"${REGION} \""),
            (
                "a: {sds_file: \"/etc/dualpath/${REGION}/pat-a.yaml\"}",
                "a: {env: \"${MCP_HOST}\"}\n      b: {inline: \"${REGION}\"}",
            ),
        ],
    ),
    (
        "27-variable-called-like-a-secret",
        "stg",
        &[("mcp.stg.example.com", "${API_TOKEN}"), ("REGION: eu", "MY_PASSWORD: SECRETSECRET, REGION: eu")],
    ),
    ("28-variable-called-like-a-secret-used", "stg", &[("mcp.stg.example.com", "${API_TOKEN}")]),
    ("29-variable-in-lower-case", "stg", &[("REGION: eu", "region: eu")]),
    ("30-variable-is-a-list", "stg", &[("REGION: eu", "REGION: [eu]")]),
    ("31-variable-that-grows", "stg", &[("REGION: eu", "REGION: \"@LONG@\"")]),
    ("32-token-in-another-environment", "stg", &[("timeout: 20s", "timeout: 20s, ca_file: \"@TOKEN@\"")]),
    ("33-token-in-vars", "stg", &[("REGION: eu", "REGION: \"@TOKEN@\"")]),
    ("34-included-file-is-missing", "stg", &[("parts/tools.yaml", "parts/tool.yaml")]),
    ("35-included-file-is-above", "stg", &[("parts/tools.yaml", "../tools.yaml")]),
    ("36-included-by-a-link-from-above", "stg", &[("parts/tools.yaml", "[parts/tools.yaml, parts/link.yaml]")]),
    ("37-included-folder", "stg", &[("parts/tools.yaml", "parts")]),
    ("38-includes-itself", "stg", &[("tools:\n", "include: [tools.yaml]\ntools:\n")]),
    ("39-included-syntax", "stg", &[("    task: search", "   task: search")]),
    ("40-included-of-another-version", "stg", &[("tools:\n", "version: 2\ntools:\n")]),
    (
        "41-included-is-a-list",
        "stg",
        &[("tools:\n  - name: search\n    task: search\n    replayable: true\n    rest:", "- tools:")],
    ),
    ("42-include-is-a-mapping", "stg", &[("include: parts/tools.yaml", "include: {file: parts/tools.yaml}")]),
    ("43-include-with-a-variable", "stg", &[("parts/tools.yaml", "parts/${REGION}.yaml")]),
    (
        "44-odd-number-in-an-overlay",
        "stg",
        &[("    servers:\n      - {id: primary", "    listener: {port: 0x2760}\n    servers:\n      - {id: primary")],
    ),
    ("45-variable-in-a-template", "stg", &[("region: \"${REGION}\"", "region: \"${REGON} $${REGION}\"")]),
    ("46-environment-is-a-number", "", &[("version: 1", "version: 1\nenvironment: 5")]),
];

#[test]
fn each_mistake_with_environments_is_told_as_it_was_agreed() {
    const TOKEN: &str = "eyJhbGciOiJIUzI1NiJ9.SECRETSECRET.sig";
    let place = Place::new("environments");
    fs::create_dir(place.0.join("parts")).expect("a folder");
    fs::write(place.0.parent().expect("a folder").join("elsewhere.yaml"), "{}").expect("a file");
    std::os::unix::fs::symlink("../../elsewhere.yaml", place.0.join("parts/link.yaml")).expect("a link");
    let folder = place.0.to_str().expect("UTF-8");
    let mut told = String::new();
    for (name, environment, edits) in MISTAKES {
        let mut files = [include_str!("environments.yaml"), include_str!("environments-tools.yaml")].map(str::to_owned);
        for (from, to) in *edits {
            let file = files.iter_mut().find(|text| text.contains(from)).unwrap_or_else(|| panic!("{name}: {from}"));
            *file = file.replacen(from, to, 1);
        }
        let [file, part] = files.map(|text| {
            let text = text.replace("@TOKEN@", TOKEN).replace("@LONG@", &"${PORT}".repeat(20_000));
            text.replace("@DIR@", folder)
        });
        let file = place.write("registry.yaml", &file);
        place.write("parts/tools.yaml", &part);
        let mut arguments = vec!["check", &file];
        if !environment.is_empty() {
            arguments.extend(["--environment", environment]);
        }
        let output = dualpath(&arguments, "");
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("UTF-8"));
        assert!(!text.iter().any(|text| text.contains("SECRETSECRET")), "{name} shows a secret: {text:?}");
        // What was read is shown once.
        let read = if name.starts_with("00") { text[0].clone() } else { String::new() };
        let text = (read + &text[1]).replace(&format!("{folder}/"), "");
        let status = output.status.code().expect("no signal");
        write!(told, "##### {name}\n{text}rc={status}\n").expect("a string");
    }
    assert_golden("environments.txt", &told);
}
