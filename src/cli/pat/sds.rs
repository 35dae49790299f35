//! Envoy's files with secrets: which secret is in one, and where its text is.

use serde_json::Value;

use crate::registry::Id;

/// The message type of a secret.
const SECRET: &str = "envoy.extensions.transport_sockets.tls.v3.Secret";

/// One secret of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resource<'v> {
    /// Its name; empty if it has none.
    pub name: &'v str,
    /// Where its text is.
    pub text: Result<Text<'v>, &'static str>,
}

/// Where the text of a secret is: an `envoy.config.core.v3.DataSource`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Text<'v> {
    /// In the file itself.
    Inline(&'v str),
    /// In the file itself, in base64.
    Base64(&'v str),
    /// In another file, that Envoy finds from its own working directory.
    File(&'v str),
    /// In an environment variable of Envoy.
    Environment(&'v str),
}

/// The secrets in a file, in order.
///
/// # Errors
/// Why this is no such file.
pub fn resources(tree: &Value) -> Result<Vec<Resource<'_>>, &'static str> {
    Ok(list(tree)?.iter().map(unwrapped).map(resource).collect())
}

fn list(tree: &Value) -> Result<&Vec<Value>, &'static str> {
    let list = tree.get("resources").ok_or("has no list named resources, as an SDS file must")?;
    list.as_array().ok_or("has something else than a list under resources")
}

/// The only secret in a file, which must have this name.
///
/// # Errors
/// Why Envoy would not take the file for it.
pub fn only<'v>(tree: &'v Value, name: &str) -> Result<Text<'v>, String> {
    Ok(resource(the_only(tree, name)?).text?)
}

/// The files that the only secret of a file leads to, which must be a certificate with its key and have this name.
///
/// # Errors
/// Why Envoy would not take the file for it.
pub fn certificate<'v>(tree: &'v Value, name: &str) -> Result<Vec<&'v str>, String> {
    let entry = the_only(tree, name)?;
    if entry.get("@type").and_then(Value::as_str).and_then(|kind| kind.rsplit('/').next()) != Some(SECRET) {
        return Err("has a resource of another type than Secret".to_owned());
    }
    let pair = either(entry, "tls_certificate", "tlsCertificate").ok_or("has a secret that is no tls_certificate")?;
    let chain = either(pair, "certificate_chain", "certificateChain").ok_or("has no certificate_chain")?;
    let key = either(pair, "private_key", "privateKey").ok_or("has no private_key")?;
    Ok([chain, key].into_iter().filter_map(|part| part.get("filename")?.as_str()).collect())
}

/// The only entry of a file, which must have this name.
fn the_only<'v>(tree: &'v Value, name: &str) -> Result<&'v Value, String> {
    let found = list(tree)?;
    let [entry] = found.as_slice() else {
        return Err(format!("has {} resources, and Envoy takes exactly one", found.len()));
    };
    let entry = unwrapped(entry);
    let own = named(entry);
    if own != name {
        return Err(format!("names its secret {}, but Envoy asks for {name}", shown(own)));
    }
    Ok(entry)
}

/// A name, if it is one: what stands there instead may be a secret.
pub fn shown(name: &str) -> String {
    if Id::new(name).is_some() { name.to_owned() } else { "otherwise (not shown)".to_owned() }
}

/// The secret itself: a file may wrap each to give it a version.
fn unwrapped(entry: &Value) -> &Value {
    entry.get("resource").unwrap_or(entry)
}

fn named(entry: &Value) -> &str {
    entry.get("name").and_then(Value::as_str).unwrap_or_default()
}

fn resource(entry: &Value) -> Resource<'_> {
    Resource { name: named(entry), text: text(entry) }
}

fn text(entry: &Value) -> Result<Text<'_>, &'static str> {
    let kind = entry.get("@type").and_then(Value::as_str).ok_or("has a resource without \"@type\"")?;
    if kind.rsplit('/').next() != Some(SECRET) {
        return Err("has a resource of another type than Secret");
    }
    let generic = either(entry, "generic_secret", "genericSecret").ok_or("has a secret that is no generic_secret")?;
    let source = generic.get("secret").ok_or("has a generic_secret without secret")?;
    let given: Vec<_> =
        SOURCES.iter().filter_map(|(key, camel, text)| Some((either(source, key, camel)?, text))).collect();
    let [(value, text)] = given.as_slice() else {
        return Err(
            "has a secret that is not given by exactly one of inline_string, inline_bytes, filename, environment_variable",
        );
    };
    // YAML reads digits alone as a number and `true` as no text, which Envoy then refuses.
    value.as_str().map(text).ok_or("has a secret that is no text: put it in quotes")
}

type Constructor = for<'v> fn(&'v str) -> Text<'v>;

/// Protobuf's JSON form allows two spellings of each name.
const SOURCES: [(&str, &str, Constructor); 4] = [
    ("inline_string", "inlineString", |text| Text::Inline(text)),
    ("inline_bytes", "inlineBytes", |text| Text::Base64(text)),
    ("filename", "filename", |text| Text::File(text)),
    ("environment_variable", "environmentVariable", |text| Text::Environment(text)),
];

fn either<'v>(value: &'v Value, key: &str, camel: &str) -> Option<&'v Value> {
    value.get(key).or_else(|| value.get(camel))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn file(secret: Value) -> Value {
        json!({"resources": [{
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
            "name": "pat-a",
            "generic_secret": {"secret": secret},
        }]})
    }

    #[test]
    fn a_secret_is_found_wherever_its_text_may_be() {
        for (source, expected) in [
            (json!({"inline_string": "x"}), Text::Inline("x")),
            (json!({"inlineString": "x"}), Text::Inline("x")),
            (json!({"inline_bytes": "eA=="}), Text::Base64("eA==")),
            (json!({"filename": "/x"}), Text::File("/x")),
            (json!({"environment_variable": "X"}), Text::Environment("X")),
        ] {
            assert_eq!(only(&file(source.clone()), "pat-a"), Ok(expected), "{source}");
        }
        let wrapped =
            json!({"resources": [{"version": "1", "resource": file(json!({"filename": "/x"}))["resources"][0]}]});
        assert_eq!(only(&wrapped, "pat-a"), Ok(Text::File("/x")));
    }

    #[test]
    fn a_certificate_is_told_from_other_secrets_and_names_its_files() {
        let pair = json!({"certificate_chain": {"filename": "/c.pem"}, "privateKey": {"filename": "/k.pem"}});
        let with = |pair: Value| {
            let mut tree = file(json!({"filename": "/x"}));
            let entry = tree["resources"][0].as_object_mut().unwrap();
            entry.remove("generic_secret");
            entry.insert("tls_certificate".to_owned(), pair);
            tree
        };
        assert_eq!(certificate(&with(pair.clone()), "pat-a"), Ok(vec!["/c.pem", "/k.pem"]));
        let inline = json!({"certificate_chain": {"inline_string": "x"}, "private_key": {"inline_string": "y"}});
        assert_eq!(certificate(&with(inline), "pat-a"), Ok(Vec::new()));
        let told = |tree: Value| certificate(&tree, "pat-a").unwrap_err();
        assert_eq!(told(file(json!({"filename": "/x"}))), "has a secret that is no tls_certificate");
        assert_eq!(told(with(json!({"private_key": {}}))), "has no certificate_chain");
        assert_eq!(told(with(json!({"certificate_chain": {}}))), "has no private_key");
        assert!(certificate(&with(pair), "other").unwrap_err().contains("but Envoy asks for other"));
    }

    #[test]
    fn what_envoy_would_refuse_is_told_without_showing_anything_of_it() {
        let good = file(json!({"inline_string": "x"}));
        let two = json!({"resources": [good["resources"][0], good["resources"][0]]});
        let named = |name: &str| {
            let mut tree = good.clone();
            tree["resources"][0]["name"] = json!(name);
            tree
        };
        let cases = [
            (json!("hunter2"), "has no list named resources"),
            (json!({"resources": "hunter2"}), "something else than a list"),
            (json!({"resources": []}), "has 0 resources"),
            (two, "has 2 resources"),
            (named("pat-b"), "names its secret pat-b, but Envoy asks for pat-a"),
            (named("Hunter2.hunter2"), "names its secret otherwise (not shown)"),
            (json!({"resources": [{"name": "pat-a"}]}), "without \"@type\""),
            (json!({"resources": [{"name": "pat-a", "@type": "x/envoy.Hunter2"}]}), "another type than Secret"),
            (file(json!({})), "exactly one of"),
            (file(json!({"inline_string": "hunter2", "filename": "hunter2"})), "exactly one of"),
            (file(json!({"inline_string": 1234})), "put it in quotes"),
        ];
        for (tree, expected) in cases {
            let found = only(&tree, "pat-a").expect_err(expected);
            assert!(found.contains(expected) && !found.to_lowercase().contains("hunter2"), "{found}");
        }
    }
}
