//! The control endpoint and the files that the double writes.

use aws_double::{Config, Double};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{client, code, is, start};

/// One request on a connection of its own: status line and body.
async fn request(double: &Double, method: &str, path: &str, body: &str) -> (String, String) {
    let url = double.iam_url();
    let host = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).await.unwrap();
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.unwrap();
    let (head, body) = reply.split_once("\r\n\r\n").unwrap();
    assert!(head.to_lowercase().contains("\r\ndate: "), "{head}");
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

#[tokio::test]
async fn faults_edits_time_and_state_by_json() {
    let double = start(Config::default()).await;
    let edit = r#"{"params":{"Action":"CreateUser","UserName":"u"}}"#;
    assert!(request(&double, "POST", "/_double/edits", edit).await.0.contains("200"));
    assert!(request(&double, "POST", "/_double/edits", edit).await.1.contains("EntityAlreadyExists"));
    let fault = r#"{"action":"GetUser","user":"u","kind":{"type":"ErrorBefore","status":503,"code":"ServiceUnavailable"}}"#;
    request(&double, "POST", "/_double/faults", fault).await;
    let iam = client(&double);
    assert_eq!(code(iam.get_user().user_name("u").send().await), is("ServiceUnavailable", 503));
    let before = double.now();
    request(&double, "POST", "/_double/time", r#"{"advance_seconds":3600}"#).await;
    assert!(double.now().duration_since(before).as_secs() >= 3600);
    let state: serde_json::Value =
        serde_json::from_str(&request(&double, "GET", "/_double/state", "").await.1).unwrap();
    assert_eq!(state["accounts"]["123456789012"][0]["name"], "u");
    assert_eq!(state["counts"]["GetUser"], 1);
    assert!(request(&double, "GET", "/_double/journal", "").await.1.contains("ServiceUnavailable"));
    let quarantine = r#"{"user":"u"}"#;
    assert!(request(&double, "POST", "/_double/quarantine", quarantine).await.0.contains("200"));
    assert_eq!(double.user("u").unwrap().attached, ["arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3"]);
    let unknown = request(&double, "POST", "/_double/quarantine", r#"{"user":"x"}"#).await;
    assert!(unknown.0.contains("400") && unknown.1.contains("NoSuchEntity"), "{unknown:?}");
    request(&double, "POST", "/_double/reset", "").await;
    assert!(double.journal().is_empty());
    assert!(request(&double, "GET", "/_double/nothing", "").await.0.contains("404"));
    assert!(request(&double, "POST", "/_double/faults", "{").await.0.contains("400"));
}

#[tokio::test]
async fn unsigned_and_unknown_calls_are_refused() {
    let double = start(Config::default()).await;
    let (status, body) = request(&double, "POST", "/", "Action=ListUsers&Version=2010-05-08").await;
    assert!(status.contains("403") && body.contains("<Code>MissingAuthenticationToken</Code>"), "{body}");
    let unknown = double.call("CreateRole", &[]).unwrap_err();
    assert_eq!((unknown.code.as_ref(), unknown.status), ("InvalidAction", 400));
}

#[tokio::test]
async fn journal_lines_go_to_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("journal.jsonl");
    let double = start(Config { journal_file: Some(file.clone()), ..Config::default() }).await;
    client(&double).create_user().user_name("u").send().await.unwrap();
    let line: serde_json::Value =
        serde_json::from_str(std::fs::read_to_string(file).unwrap().trim()).unwrap();
    assert_eq!(
        (&line["action"], &line["user"], &line["outcome"]),
        (&"CreateUser".into(), &"u".into(), &"ok".into())
    );
    let ports = double.smtp("eu-west-1").unwrap();
    let expected =
        format!("eu-west-1: {{host: localhost, starttls: [{}], tls: [{}]}}\n", ports.starttls, ports.tls);
    assert_eq!(double.endpoints_yaml(), expected);
}
