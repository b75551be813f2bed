//! The fault proxy before the real API server.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use control_plane::{
    ControlPlane, FaultProxy, client_from_kubeconfig,
    proxy::{Action, Callback, Rule, When},
};
use futures::{StreamExt, TryStreamExt};
use http::{Method, StatusCode};
use k8s_openapi::{api::core::v1::ConfigMap, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{
    Api,
    api::{PostParams, WatchEvent, WatchParams},
};

use crate::{PATIENCE, let_robot, namespace, until};

/// A proxy, an API through it as `robot`, and one past it as admin.
async fn proxied(name: &str) -> (FaultProxy, Api<ConfigMap>, Api<ConfigMap>) {
    let (plane, admin) = namespace(name).await;
    let_robot(plane, name).await;
    let proxy = FaultProxy::start(plane).unwrap();
    let client = through(plane, &proxy, name).await;
    (proxy, Api::namespaced(client, name), Api::namespaced(admin, name))
}

async fn through(plane: &ControlPlane, proxy: &FaultProxy, namespace: &str) -> kube::Client {
    let token = plane.service_account_token(namespace, "robot").await.unwrap();
    client_from_kubeconfig(&proxy.kubeconfig(&token)).await.unwrap()
}

fn map(name: &str) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        ..ConfigMap::default()
    }
}

async fn create(api: &Api<ConfigMap>, name: &str) -> kube::Result<ConfigMap> {
    api.create(&PostParams::default(), &map(name)).await
}

fn code<T>(outcome: kube::Result<T>) -> Option<u16> {
    match outcome {
        Err(kube::Error::Api(status)) => Some(status.code),
        _ => None,
    }
}

fn counter() -> (Arc<AtomicUsize>, Callback) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let callback = move || {
        counted.fetch_add(1, Ordering::SeqCst);
    };
    (count, Arc::new(callback))
}

fn creations(action: Action) -> Rule {
    Rule::new(action).verb("create").resource("configmaps")
}

#[tokio::test]
async fn an_http_client_with_a_token_works_and_is_counted() {
    let (proxy, api, admin) = proxied("through").await;
    create(&api, "a").await.unwrap();
    assert!(api.get_opt("none").await.unwrap().is_none());
    assert!(admin.get_opt("a").await.unwrap().is_some());
    let counts = proxy.forwarded();
    assert_eq!(counts[&("create".to_owned(), "configmaps".to_owned())], 1);
    assert_eq!(counts[&("get".to_owned(), "configmaps".to_owned())], 1);
    let journal = proxy.journal();
    assert_eq!((journal[0].namespace.as_str(), journal[1].name.as_str()), ("through", "none"));
}

#[tokio::test]
async fn rights_are_those_of_the_token() {
    let (plane, _) = namespace("norights").await;
    let proxy = FaultProxy::start(plane).unwrap();
    let api: Api<ConfigMap> = Api::namespaced(through(plane, &proxy, "norights").await, "norights");
    assert_eq!(code(api.get("x").await), Some(403));
}

#[tokio::test]
async fn watch_events_stream_through_until_the_watch_is_cut() {
    let (proxy, api, admin) = proxied("watch").await;
    let mut events = api.watch(&WatchParams::default(), "0").await.unwrap().boxed();
    for name in ["a", "b"] {
        create(&admin, name).await.unwrap();
        let next = async {
            while let Some(event) = events.try_next().await.unwrap() {
                if matches!(event, WatchEvent::Added(map) if map.metadata.name.as_deref() == Some(name)) {
                    return true;
                }
            }
            false
        };
        assert!(tokio::time::timeout(PATIENCE, next).await.unwrap());
    }
    proxy.disconnect_all();
    let end = async { while matches!(events.next().await, Some(Ok(_))) {} };
    tokio::time::timeout(PATIENCE, end).await.unwrap();
    create(&api, "c").await.unwrap();
}

#[tokio::test]
async fn a_lost_reply_leaves_the_effect_and_a_lost_request_none() {
    let (proxy, api, admin) = proxied("lost").await;
    proxy.add(creations(Action::LostReply));
    create(&api, "reply").await.unwrap_err();
    assert!(admin.get_opt("reply").await.unwrap().is_some());
    proxy.clear_rules();
    proxy.add(creations(Action::LostRequest));
    create(&api, "request").await.unwrap_err();
    assert!(admin.get_opt("request").await.unwrap().is_none());
}

#[tokio::test]
async fn hooks_run_on_their_side_of_the_effect() {
    let (proxy, api, admin) = proxied("hooks").await;
    let (count, callback) = counter();
    let before = Action::Hook { when: When::BeforeEffect, callback: Arc::clone(&callback) };
    let rule = proxy.add(creations(before));
    create(&api, "a").await.unwrap_err();
    assert_eq!((count.load(Ordering::SeqCst), rule.fired()), (1, 1));
    assert!(admin.get_opt("a").await.unwrap().is_none());

    proxy.add(creations(Action::Hook { when: When::AfterEffect, callback: Arc::clone(&callback) }));
    create(&api, "a").await.unwrap_err();
    assert_eq!(count.load(Ordering::SeqCst), 2);
    assert!(admin.get_opt("a").await.unwrap().is_some());

    proxy.add(creations(Action::Observe(callback)));
    create(&api, "b").await.unwrap();
    assert_eq!(count.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn rules_choose_by_occurrence_and_body() {
    let (proxy, api, _) = proxied("choose").await;
    let contains = |text: &'static str| {
        move |call: &control_plane::proxy::Call| {
            call.body.windows(text.len()).any(|part| part == text.as_bytes())
        }
    };
    proxy.add(Rule::new(Action::Status(503)).method(Method::POST).matching(contains("\"marked\"")).nth(2));
    create(&api, "plain").await.unwrap();
    create(&api, "marked").await.unwrap();
    assert_eq!(code(create(&api, "marked").await), Some(503));
    assert_eq!(code(create(&api, "marked").await), Some(409));
}

#[tokio::test]
async fn answers_can_be_forged_with_and_without_effect() {
    let (proxy, api, admin) = proxied("forged").await;
    proxy.add(creations(Action::Status(429)));
    assert_eq!(code(create(&api, "a").await), Some(429));
    assert!(admin.get_opt("a").await.unwrap().is_none());

    proxy.add(creations(Action::StatusAfterEffect(500)));
    assert_eq!(code(create(&api, "a").await), Some(500));
    assert!(admin.get_opt("a").await.unwrap().is_some());

    proxy.add(creations(Action::Malformed));
    assert!(matches!(create(&api, "b").await, Err(kube::Error::SerdeError(_))));
    assert!(admin.get_opt("b").await.unwrap().is_some());

    let stale = serde_json::to_vec(&map("stale")).unwrap().into();
    proxy.add(Rule::new(Action::Respond(StatusCode::OK, stale)).verb("get"));
    assert_eq!(api.get("a").await.unwrap().metadata.name.as_deref(), Some("stale"));
}

#[tokio::test]
async fn calls_can_be_late_slow_or_hang() {
    let (proxy, api, admin) = proxied("late").await;
    let pause = Duration::from_millis(150);
    proxy.add(creations(Action::LateEffect(pause)));
    create(&api, "late").await.unwrap_err();
    until("the late effect", async || admin.get_opt("late").await.unwrap().is_some()).await;

    let started = std::time::Instant::now();
    proxy.clear_rules();
    proxy.add(creations(Action::Delay(pause)));
    create(&api, "slow").await.unwrap();
    assert!(started.elapsed() >= pause);

    proxy.clear_rules();
    let hang = proxy.add(creations(Action::Hang));
    let call = create(&api, "hang");
    assert!(tokio::time::timeout(pause, call).await.is_err());
    assert_eq!(hang.fired(), 1);
    assert!(admin.get_opt("hang").await.unwrap().is_none());
}
