//! What stands before a stub, so that servers can be reached by other ways than HTTP/1.1 in the clear: a plain Envoy that ends
//! TLS or speaks HTTP/2, and a forward proxy.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use dualpath_lab::envoy::{Envoy, Settings, free_ports};
use dualpath_lab::in_tree;
use dualpath_lab::scratch::Scratch;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Request header by which the stub sees in which version of HTTP the front was spoken to.
pub const PROTOCOL: &str = "x-front-protocol";

/// Request header with the subject of the certificate that the front was shown.
pub const PEER: &str = "x-front-peer";

/// What the front speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    /// HTTP/2 without TLS, and nothing else.
    H2c,
    /// TLS as `mcp.internal`, with what the client chooses of HTTP/1.1 and HTTP/2.
    Tls,
    /// The same, for clients with a certificate of the same authority.
    MutualTls,
}

/// A running front. Its server may start later.
pub struct Front(Envoy);

impl Front {
    /// A front of the server at this port.
    pub async fn start(speaks: Speaks, server: u16) -> Front {
        let (listener, admin) = free_ports().expect("ports");
        let scratch = Arc::new(Scratch::new().expect("a directory"));
        let bootstrap = bootstrap(speaks, (listener, admin), server).to_string();
        let settings = Settings { concurrency: 1, ..Settings::default() };
        Front(Envoy::start(&bootstrap, scratch, (listener, admin), &settings).await.expect("a front"))
    }

    pub fn addr(&self) -> SocketAddr {
        self.0.addr()
    }
}

/// A file of the certificates that tests use: `ca.pem`, and `.pem` and `.key` of `server` (mcp.internal,
/// spiffe://internal/mcp) and `client`. They are for nothing else, and end in the year 2126.
pub fn certificate(file: &str) -> PathBuf {
    in_tree("tests/lab/tests/e2e/certificates").join(file)
}

/// Writes an SDS file with the client's certificate, as the secret of this name.
pub fn write_client_certificate(scratch: &Scratch, name: &str) -> PathBuf {
    let resource = json!({
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
        "name": name,
        "tls_certificate": {
            "certificate_chain": {"filename": certificate("client.pem")},
            "private_key": {"filename": certificate("client.key")},
        },
    });
    let file = scratch.path().join("client.json");
    fs::write(&file, json!({"resources": [resource]}).to_string()).expect("a file");
    file
}

fn bootstrap(speaks: Speaks, (listener, admin): (u16, u16), server: u16) -> Value {
    let address = |port| json!({"socket_address": {"address": "127.0.0.1", "port_value": port}});
    let header = |name: &str, value: &str| json!({"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"});
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "front",
        "codec_type": if speaks == Speaks::H2c { "HTTP2" } else { "AUTO" },
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [{
            "match": {"prefix": "/"},
            "route": {"cluster": "server", "timeout": "0s"},
            "request_headers_to_add": [header(PROTOCOL, "%PROTOCOL%"), header(PEER, "%DOWNSTREAM_PEER_SUBJECT%")],
        }]}]},
        "http_filters": [{"name": "router", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}],
    });
    let mut chain = json!({"filters": [{"name": "http", "typed_config": manager}]});
    if speaks != Speaks::H2c {
        let mut context = json!({
            "alpn_protocols": ["h2", "http/1.1"],
            "tls_certificates": [{
                "certificate_chain": {"filename": certificate("server.pem")},
                "private_key": {"filename": certificate("server.key")},
            }],
        });
        if speaks == Speaks::MutualTls {
            context["validation_context"] = json!({"trusted_ca": {"filename": certificate("ca.pem")}});
        }
        chain["transport_socket"] = json!({"name": "tls", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "require_client_certificate": speaks == Speaks::MutualTls,
            "common_tls_context": context,
        }});
    }
    json!({
        "admin": {"address": address(admin)},
        "static_resources": {
            "listeners": [{"name": "in", "address": address(listener), "filter_chains": [chain]}],
            "clusters": [{"name": "server", "type": "STATIC", "load_assignment": {"cluster_name": "server",
                "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(server)}}]}]}}],
        },
    })
}

/// A forward proxy that opens tunnels to one place, wherever it is asked to.
pub struct Proxy {
    pub addr: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    refuses: Arc<AtomicBool>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    pub async fn start(to: SocketAddr) -> Proxy {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let addr = listener.local_addr().expect("an address");
        let (asked, refuses) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (asked_by, refusing) = (Arc::clone(&asked), Arc::clone(&refuses));
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(tunnel(stream, to, Arc::clone(&asked_by), Arc::clone(&refusing)));
            }
        });
        Proxy { addr, asked, refuses, accepting }
    }

    /// The first lines of the requests so far.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no panic").clone()
    }

    /// Answers from now on with 403. Tunnels that are open stay.
    pub fn refuse(&self) {
        self.refuses.store(true, Ordering::Relaxed);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn tunnel(
    mut client: TcpStream,
    to: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    refuses: Arc<AtomicBool>,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await?);
    }
    let line = String::from_utf8_lossy(&head).lines().next().unwrap_or_default().to_owned();
    asked.lock().expect("no panic").push(line);
    if refuses.load(Ordering::Relaxed) {
        return client.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").await;
    }
    let mut server = TcpStream::connect(to).await?;
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    copy_bidirectional(&mut client, &mut server).await.map(drop)
}
