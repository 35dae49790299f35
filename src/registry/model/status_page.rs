//! A page for operators.

/// The listener that serves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusPage {
    /// IP address to bind.
    pub address: String,
    /// TCP port to bind.
    pub port: u16,
    /// The names that it may be asked for under, in small letters. Addresses and `localhost` need not be named.
    pub hosts: Vec<String>,
    /// SDS file with the token that is asked for, if one is.
    pub token_file: Option<String>,
    /// SDS file with the certificate of the listener, which speaks TLS then.
    pub certificate: Option<String>,
    /// File with the certificate authorities of those who may see the page, if they are asked for a certificate.
    pub client_ca_file: Option<String>,
}
