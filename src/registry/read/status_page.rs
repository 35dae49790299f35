//! Reads `status_page`.

use std::net::IpAddr;

use super::slots::read_sds_file;
use crate::registry::StatusPage;
use crate::wire::{Node, or};

/// The longest name of a host.
const LONGEST: usize = 253;

impl StatusPage {
    pub(super) fn read(node: &Node) -> Option<Self> {
        let table = node.table()?;
        let port = table.required("port").and_then(|node| node.port());
        let address = or(table.optional("address"), "127.0.0.1".to_owned(), Node::address);
        let hosts = or(table.optional("hosts"), Vec::new(), |node| node.list()?.iter().map(read_host).collect());
        let token_file = or(table.optional("token_file"), None, |node| read_sds_file(node).map(Some));
        let certificate = or(table.optional("certificate"), None, |node| read_sds_file(node).map(Some));
        let client_ca_file = or(table.optional("client_ca_file"), None, |node| node.file_name().map(Some));
        table.done();
        let (token_file, certificate, client_ca_file) = (token_file?, certificate?, client_ca_file?);
        let page =
            StatusPage { address: address?, port: port?, hosts: hosts?, token_file, certificate, client_ca_file };
        let is_here = page.address.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        if page.client_ca_file.is_some() && page.certificate.is_none() {
            node.refuse_with(
                "must have a certificate where it has a client_ca_file",
                "certificates are shown over TLS only",
            );
        } else if !is_here && page.certificate.is_none() {
            let hint = "it would be read on the way, and so would a token; from elsewhere kubectl port-forward or ssh -L reaches 127.0.0.1";
            node.refuse_with("must have a certificate unless its address is 127.0.0.1 or ::1", hint);
        } else if !is_here && page.token_file.is_none() && page.client_ca_file.is_none() {
            let hint = "whoever reaches the port would see the names of servers and their troubles";
            node.refuse_with("must have a token_file or a client_ca_file unless its address is 127.0.0.1 or ::1", hint);
        } else {
            return Some(page);
        }
        None
    }
}

/// The name of a host, as a browser sends it, without the port.
fn read_host(node: &Node) -> Option<String> {
    let name = node.string()?;
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_part = |part: &str| !part.is_empty() && part.chars().all(allowed);
    if name.len() > LONGEST || !name.split('.').all(is_part) {
        node.refuse_with("must be the name of a host in small letters", "such as status.example.com, without a port");
        return None;
    }
    Some(name.to_owned())
}
