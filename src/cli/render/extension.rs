//! Envoy's way of naming an extension: a name for people, and a typed message.

use serde_json::{Map, Value};

/// A `google.protobuf.Any` in its JSON form: `fields` of the message type `type_name`.
pub(super) fn typed(type_name: &str, fields: Value) -> Value {
    let mut message = Map::new();
    message.insert("@type".to_owned(), Value::String(format!("type.googleapis.com/{type_name}")));
    if let Value::Object(fields) = fields {
        message.extend(fields);
    }
    Value::Object(message)
}

/// An `envoy.config.core.v3.TypedExtensionConfig`, or any of the older messages of the same shape.
pub(super) fn extension(name: &str, type_name: &str, fields: Value) -> Value {
    let mut config = Map::new();
    config.insert("name".to_owned(), Value::String(name.to_owned()));
    config.insert("typed_config".to_owned(), typed(type_name, fields));
    Value::Object(config)
}

/// A `google.protobuf.Any` that holds text, which Envoy hands to a Wasm module as it stands.
pub(super) fn text(text: String) -> Value {
    typed("google.protobuf.StringValue", serde_json::json!({"value": text}))
}
