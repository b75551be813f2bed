//! What every class of answer, and the want of one, is taken for.

use ses_smtp_core::iam::Blocker;

use super::*;

/// Each answer gives its failure, after one HTTP call.
async fn assert_failures(table: impl IntoIterator<Item = ((u16, String), Failure)>) {
    for ((status, body), expected) in table {
        let bench = bench(&[(status, body.clone())]).await;
        assert_eq!(bench.client.delete_user("u").await, Err(expected), "{status} {body}");
        assert_eq!(bench.script.asked().len(), 1, "{body}");
    }
}

#[tokio::test]
async fn reads_clear_failures() {
    let refusal = |code: &str| Failure::Refused { code: code.to_owned() };
    assert_failures([
        (error(409, "EntityAlreadyExists", ""), Failure::Exists),
        (error(404, "NoSuchEntity", ""), Failure::Absent),
        (error(409, "LimitExceeded", "Cannot exceed quota for AccessKeysPerUser: 2"), Failure::Limit),
        (error(400, "Throttling", "Rate exceeded"), Failure::Throttled),
        (error(503, "Throttling", "Rate exceeded"), Failure::Throttled),
        ((429, String::new()), Failure::Throttled),
        (error(409, "ConcurrentModification", ""), Failure::Busy),
        (error(409, "EntityTemporarilyUnmodifiable", ""), Failure::Busy),
        (error(403, "InvalidClientTokenId", ""), refusal("InvalidClientTokenId")),
        (error(403, "ExpiredToken", ""), refusal("ExpiredToken")),
        (error(403, "SignatureDoesNotMatch", ""), refusal("SignatureDoesNotMatch")),
        (error(400, "Bad-Code!", ""), refusal("BadCode")),
    ])
    .await;
}

#[tokio::test]
async fn takes_no_server_error_and_no_foreign_answer_for_a_refusal() {
    let answers = [
        error(500, "ServiceFailure", ""),
        error(503, "ServiceUnavailable", ""),
        error(500, "NoSuchEntity", ""),
        (500, "<html>Internal Server Error</html>".to_owned()),
        (403, "<html>a proxy's refusal</html>".to_owned()),
        (302, String::new()),
    ];
    assert_failures(answers.map(|answer| (answer, Failure::Unclear))).await;
}

#[tokio::test]
async fn tells_what_blocks_a_deletion() {
    let blocked = [
        ("delete access keys first", Blocker::AccessKeys),
        ("delete policies first", Blocker::InlinePolicies),
        ("detach all policies first", Blocker::AttachedPolicies),
        ("delete login profile first", Blocker::LoginProfile),
        ("remove users from group first", Blocker::Groups),
        ("delete MFA devices first", Blocker::Other),
    ];
    let answer = |what| error(409, "DeleteConflict", &format!("Cannot delete entity, must {what}."));
    assert_failures(blocked.map(|(what, blocker)| (answer(what), Failure::Conflict(blocker)))).await;
}

#[tokio::test]
async fn names_the_missing_right() {
    let denial = |action| Failure::Denied { action, resource: "u".to_owned() };
    let named = "User: arn:aws:iam::1:user/op is not authorized to perform: iam:TagUser on resource: x";
    let unknown = "User: arn:aws:iam::1:user/op is not authorized to perform: iam:Else on resource: x";
    assert_failures([
        (error(403, "AccessDenied", ""), denial("iam:DeleteUser")),
        (error(403, "AccessDeniedException", unknown), denial("iam:DeleteUser")),
        (error(403, "AccessDenied", named), denial("iam:TagUser")),
    ])
    .await;
}

#[tokio::test]
async fn half_an_answer_is_unclear() {
    let bench = bench(&[
        ok("CreateAccessKey", ""),
        ok("ListAccessKeys", "<AccessKeyMetadata/><IsTruncated>true</IsTruncated>"),
        (200, "not XML".to_owned()),
    ])
    .await;
    let minted = bench.client.create_access_key("u").await;
    assert!(matches!(minted, Err(Failure::Unclear)), "{minted:?}");
    assert_eq!(bench.client.list_access_keys("u").await, Err(Failure::Unclear));
    assert_eq!(bench.client.get_user("u").await, Err(Failure::Unclear));
}

#[tokio::test]
async fn mints_once_whatever_the_answer() {
    for answer in [error(500, "ServiceFailure", ""), error(400, "Throttling", ""), (503, String::new())] {
        let bench = bench(&[answer]).await;
        assert!(bench.client.create_access_key("u").await.is_err());
        assert_eq!(bench.script.asked().len(), 1);
    }
}

#[tokio::test]
async fn no_server_is_unclear() {
    let counted = Arc::new(Counted::default());
    let client = Client::new(&Session::at("http://127.0.0.1:1").await, ACCOUNT, counted);
    assert_eq!(client.delete_user("u").await, Err(Failure::Unclear));
}

#[tokio::test]
async fn no_credentials_is_a_refusal() {
    let client = Client::new(&Session::without_credentials().await, ACCOUNT, Arc::new(Counted::default()));
    let refused = Failure::Refused { code: "NoCredentials".to_owned() };
    assert_eq!(client.delete_user("u").await, Err(refused));
}

/// A client of a server that handles each connection with `serve`.
async fn client_of<F>(serve: impl Fn(tokio::net::TcpStream) -> F + Send + 'static) -> Client
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            tokio::spawn(serve(connection));
        }
    });
    Client::new(&Session::at(&endpoint).await, ACCOUNT, Arc::new(Counted::default()))
}

#[tokio::test(start_paused = true)]
async fn silence_is_unclear_within_seconds() {
    let client = client_of(|connection| async move {
        let _kept_open = connection;
        std::future::pending::<()>().await;
    });
    let client = client.await;
    let started = tokio::time::Instant::now();
    assert!(matches!(client.create_access_key("u").await, Err(Failure::Unclear)));
    assert!(started.elapsed() <= Duration::from_secs(10));
}

#[tokio::test]
async fn a_connection_cut_after_the_request_is_unclear_and_not_repeated() {
    use tokio::io::AsyncReadExt as _;
    let (count, mut counted) = tokio::sync::mpsc::unbounded_channel();
    let client = client_of(move |mut connection| {
        let count = count.clone();
        async move {
            let read = connection.read(&mut [0; 4096]).await.unwrap();
            count.send(read).unwrap();
        }
    });
    let client = client.await;
    assert!(matches!(client.create_access_key("u").await, Err(Failure::Unclear)));
    assert!(counted.recv().await.unwrap() > 0);
    assert!(counted.try_recv().is_err());
}
