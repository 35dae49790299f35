//! What stands in the places of a module and of a secret while Envoy checks a configuration.

/// The smallest module that Envoy loads as a proxy-wasm plugin: a memory, the version of the interface, an allocator.
/// With it the configuration can be checked before the filter has been built.
pub const EMPTY_MODULE: &[u8] = b"\0asm\x01\0\0\0\
    \x01\x09\x02\x60\0\0\x60\x01\x7f\x01\x7f\
    \x03\x03\x02\0\x01\
    \x05\x03\x01\0\x01\
    \x07\x3f\x03\x06memory\x02\0\x17proxy_abi_version_0_2_1\0\0\x18proxy_on_memory_allocate\0\x01\
    \x0a\x09\x02\x02\0\x0b\x04\0\x41\0\x0b";

/// An SDS file as an operator writes it; the secret is named by credential and slot.
pub const SECRET_FILE: &str = r#"resources:
- "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret
  name: pat-a
  generic_secret: {secret: {inline_string: not-a-secret}}
"#;
