//! An empty Kubernetes: as much of its API as istiod asks for before it serves what it reads from files.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Namespaces that exist.
const NAMESPACES: [&str; 2] = ["agents", "istio-system"];

/// Kinds by the last part of a path, where a client looks at the kind of a list.
const KINDS: [(&str, &str); 7] = [
    ("namespaces", "Namespace"),
    ("services", "Service"),
    ("pods", "Pod"),
    ("nodes", "Node"),
    ("secrets", "Secret"),
    ("configmaps", "ConfigMap"),
    ("endpointslices", "EndpointSlice"),
];

/// Serves it for as long as the test lives.
pub async fn serve() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer_all(stream));
        }
    });
    address
}

async fn answer_all(stream: TcpStream) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut first, mut length, mut metadata_only) = (String::new(), 0, false);
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let lower = line.trim_end().to_lowercase();
            if first.is_empty() {
                first = line.trim_end().to_owned();
            } else if lower.is_empty() {
                break;
            } else if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or_default();
            } else if lower.starts_with("accept:") {
                metadata_only = lower.contains("as=partialobjectmetadatalist");
            }
        }
        stream.read_exact(&mut vec![0; length]).await?;
        let mut words = first.split(' ');
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        if method == "GET" && query.contains("watch=true") && !query.contains("sendInitialEvents=true") {
            // A watch on which nothing ever happens.
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
            stream.get_mut().write_all(head.as_bytes()).await?;
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).await?;
            return Ok(());
        }
        let (status, body) = answer(method, path, query, metadata_only);
        let body = body.to_string();
        let head =
            format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.get_mut().write_all(format!("{head}{body}").as_bytes()).await?;
    }
}

fn answer(method: &str, path: &str, query: &str, metadata_only: bool) -> (u16, Value) {
    let refused = |code: u16| (code, json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code}));
    let parts: Vec<_> = path.trim_matches('/').split('/').collect();
    match parts.as_slice() {
        _ if method != "GET" => refused(403),
        ["version"] => (200, json!({"major": "1", "minor": "34", "gitVersion": "v1.34.0"})),
        // So that the client lists first, and then watches.
        ["api" | "apis", _, _, ..] if query.contains("sendInitialEvents=true") => refused(422),
        [api @ ("api" | "apis"), group, second, ..] => {
            let last = parts.last().copied().unwrap_or_default();
            let version = if *api == "api" { (*group).to_owned() } else { format!("{group}/{second}") };
            let kind = KINDS.iter().find(|(path, _)| *path == last).map_or("", |(_, kind)| kind);
            let (kind, version) = match metadata_only {
                true => ("PartialObjectMetadataList".to_owned(), "meta.k8s.io/v1".to_owned()),
                false => (format!("{kind}List"), version),
            };
            let names = if last == "namespaces" { NAMESPACES.as_slice() } else { &[] };
            let item = |name: &&str| json!({"metadata": {"name": name, "uid": name, "resourceVersion": "1"}});
            let items: Vec<_> = names.iter().map(item).collect();
            (200, json!({"kind": kind, "apiVersion": version, "metadata": {"resourceVersion": "1"}, "items": items}))
        }
        _ => refused(404),
    }
}
