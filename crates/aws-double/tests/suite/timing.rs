//! How changes spread: to SMTP, to lists, to the quota and to the last use.

use std::time::Duration;

use aws_double::account::KeyState;
use aws_double::{Config, Double};

use crate::smtp::{Attempt, Form};
use crate::support::{FROM_EXAMPLE, client, code, fixed, is, mailer, start};

const REGION: &str = "eu-west-1";

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Whether each login passes, after the double's time has moved on so many seconds.
async fn logins<const N: usize>(double: &Double, id: &str, waits: [u64; N]) -> [bool; N] {
    let password = double.password_of(id, REGION).unwrap();
    let mut passed = [false; N];
    for (wait, passed) in waits.into_iter().zip(&mut passed) {
        double.advance(seconds(wait));
        *passed = Attempt::new(double, REGION, Form::Implicit, id, &password).send().await.is_ok();
    }
    passed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_settle_and_linger_at_their_own_speeds() {
    let mut config = Config { time_scale: 10.0, ..fixed() };
    config.settings.key_delay = seconds(100);
    config.settings.key_linger = Some(seconds(40));
    let double = start(config).await;
    let (id, _) = mailer(&double, "m", REGION, FROM_EXAMPLE);
    assert_eq!(logins(&double, &id, [0, 9, 1]).await, [false, false, true]);
    double.by_hand().set_key("m", &id, KeyState::Inactive).unwrap();
    assert_eq!(logins(&double, &id, [0, 3, 1]).await, [true, true, false]);
    double.advance(seconds(10));
    double.by_hand().set_key("m", &id, KeyState::Active).unwrap();
    assert_eq!(logins(&double, &id, [0, 9, 1]).await, [false, false, true]);
    double.by_hand().set_key("m", &id, KeyState::Deleted).unwrap();
    let listed = client(&double).list_access_keys().user_name("m").send().await.unwrap();
    assert!(listed.access_key_metadata.is_empty(), "the list hides a key that still logs in");
    assert_eq!(logins(&double, &id, [3, 1]).await, [true, false]);
}

#[tokio::test]
async fn new_keys_show_late_in_their_list() {
    let mut config = fixed();
    config.settings.key_list_delay = Some(seconds(15));
    let double = start(config).await;
    double.call("CreateUser", &[("UserName", "u")]).unwrap();
    let iam = client(&double);
    let key = iam.create_access_key().user_name("u").send().await.unwrap().access_key.unwrap();
    let listed = async || {
        let keys = iam.list_access_keys().user_name("u").send().await.unwrap().access_key_metadata;
        keys.into_iter().filter_map(|key| key.access_key_id).collect::<Vec<_>>()
    };
    assert_eq!(iam.list_users().send().await.unwrap().users.len(), 1, "users have a delay of their own");
    double.advance(seconds(14));
    assert!(listed().await.is_empty());
    double.advance(seconds(1));
    assert_eq!(listed().await, [key.access_key_id]);
}

#[tokio::test]
async fn racing_creates_can_make_three_keys() {
    let mut config = fixed();
    config.settings.quota_lag = seconds(5);
    let double = start(config).await;
    double.call("CreateUser", &[("UserName", "u")]).unwrap();
    let iam = client(&double);
    let create = || iam.create_access_key().user_name("u").send();
    let (a, b, c) = tokio::join!(create(), create(), create());
    assert!(a.is_ok() && b.is_ok() && c.is_ok());
    double.advance(seconds(5));
    assert_eq!(code(create().await), is("LimitExceeded", 409));
    let keys = iam.list_access_keys().user_name("u").send().await.unwrap().access_key_metadata;
    assert_eq!(keys.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_shows_late_as_last_use() {
    let mut config = fixed();
    config.settings.last_used_lag = seconds(3600);
    let double = start(config).await;
    let (id, _) = mailer(&double, "m", REGION, FROM_EXAMPLE);
    let at = double.now().as_second();
    assert_eq!(logins(&double, &id, [0]).await, [true]);
    let iam = client(&double);
    let used = async || {
        let answer = iam.get_access_key_last_used().access_key_id(&id).send().await.unwrap();
        let used = answer.access_key_last_used.unwrap();
        (used.service_name, used.region, used.last_used_date.map(|date| date.secs()))
    };
    double.advance(seconds(3599));
    assert_eq!(used().await, ("N/A".to_owned(), "N/A".to_owned(), None));
    double.advance(seconds(1));
    assert_eq!(used().await, ("ses-smtp".to_owned(), REGION.to_owned(), Some(at)));
}
