//! IAM's hard rules on the account itself, as tables.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;

use aws_double::account::{Account, ApiError, NewUser, Page, Settings, Tag, View};

fn account() -> Account {
    Account::new("123456789012", 7, Settings::default())
}

macro_rules! at {
    ($seconds:expr) => {
        Timestamp::from_second(1_800_000_000 + $seconds).unwrap()
    };
}

fn named(name: &str) -> NewUser {
    NewUser { name: name.to_owned(), ..NewUser::default() }
}

fn tagged(tags: &[(&str, &str)]) -> NewUser {
    let tags = tags.iter().map(|(k, v)| Tag { key: (*k).to_owned(), value: (*v).to_owned() }).collect();
    NewUser { tags, ..named("t") }
}

fn code<T>(result: Result<T, ApiError>) -> String {
    result.map_or_else(|error| format!("{} {}", error.code, error.status), |_| "ok".to_owned())
}

#[test]
fn users_are_checked_on_creation() {
    let many: Vec<(String, &str)> = (0..51).map(|n| (format!("k{n}"), "v")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(k, v)| (k.as_str(), *v)).collect();
    let long = "x".repeat(257);
    let path = |path: &str| NewUser { path: Some(path.to_owned()), ..named("p") };
    let cases = [
        (named(&"a".repeat(64)), "ok"),
        (named(&"a".repeat(65)), "ValidationError 400"),
        (named(""), "ValidationError 400"),
        (named("a/b"), "ValidationError 400"),
        (named("_+=,.@-9"), "ok"),
        (named("TAKEN"), "EntityAlreadyExists 409"),
        (path("/a/b/"), "ok"),
        (path("a/"), "ValidationError 400"),
        (path("/a"), "ValidationError 400"),
        (path("/a b/"), "ValidationError 400"),
        (path("//"), "ValidationError 400"),
        (path(&format!("/{}/", "a".repeat(511))), "ValidationError 400"),
        (tagged(&many[..50]), "ok"),
        (tagged(&many), "LimitExceeded 409"),
        (tagged(&[("A", "1"), ("a", "2")]), "InvalidInput 400"),
        (tagged(&[("aws:x", "1")]), "InvalidInput 400"),
        (tagged(&[("", "1")]), "ValidationError 400"),
        (tagged(&[("k", &long)]), "ValidationError 400"),
        (tagged(&[("k", "a*b")]), "ValidationError 400"),
        (tagged(&[("Schlüssel 1", "ü _.:/=+-@")]), "ok"),
        (NewUser { boundary: Some("arn:aws:iam::1:policy/x".to_owned()), ..named("b") }, "NoSuchEntity 404"),
    ];
    for (new, expected) in cases {
        let mut account = account();
        let taken = NewUser { path: Some("/elsewhere/".to_owned()), ..named("taken") };
        account.create_user(taken, at!(0)).unwrap();
        assert_eq!(code(account.create_user(new.clone(), at!(1))), expected, "{new:?}");
    }
}

#[test]
fn everything_on_a_user_blocks_its_deletion() {
    type Step = fn(&mut Account) -> Result<(), ApiError>;
    let cases: [(Step, &str); 6] = [
        (|a| a.create_login_profile("u", at!(1)), "must delete login profile first"),
        (|a| a.create_access_key("u", at!(1)).map(drop), "must delete access keys first"),
        (
            |a| {
                let key = a.create_access_key("u", at!(1))?;
                a.update_access_key("u", &key.id, "Inactive", at!(1))
            },
            "must delete access keys first",
        ),
        (
            |a| {
                a.put_user_policy(
                    "u",
                    "p",
                    r#"{"Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}"#,
                    at!(1),
                )
            },
            "must delete policies first",
        ),
        (
            |a| a.attach_user_policy("u", "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3", at!(1)),
            "must detach all policies first",
        ),
        (
            |a| {
                a.create_group("g", None, at!(1))?;
                a.add_user_to_group("u", "G", at!(1))
            },
            "must remove users from group first",
        ),
    ];
    for (step, text) in cases {
        let mut account = account();
        account.create_user(named("u"), at!(0)).unwrap();
        step(&mut account).unwrap();
        let error = account.delete_user("u", at!(2)).unwrap_err();
        assert_eq!((error.code.as_ref(), error.status), ("DeleteConflict", 409));
        assert!(error.message.contains(text), "{error}");
    }
}

#[test]
fn inline_policies_are_limited_together() {
    let statement = |fill: usize| {
        let sid = "s".repeat(fill);
        format!(r#"{{"Statement":[{{"Sid":"{sid}","Effect":"Allow","Action":"ses:*","Resource":"*"}}]}}"#)
    };
    let base = statement(0).len();
    let mut account = account();
    account.create_user(named("u"), at!(0)).unwrap();
    let mut put = |name: &str, text: &str| code(account.put_user_policy("u", name, text, at!(1)));
    let half = statement(1024 - base);
    assert_eq!(put("a", &half), "ok");
    assert_eq!(put("b", &format!("{half}{}", " \n".repeat(500))), "ok");
    assert_eq!(put("b", &half), "ok", "the old text of the same policy does not count");
    assert_eq!(put("c", &statement(0)), "LimitExceeded 409");
    assert_eq!(put("b", &statement(1025 - base)), "LimitExceeded 409");
    for text in ["{", "[]", "{}", r#"{"Statement":[]}"#, r#"{"Statement":{"Effect":"Allow","Action":"x"}}"#] {
        assert_eq!(put("a", text), "MalformedPolicyDocument 400", "{text}");
    }
    for (action, resource, expected) in [
        ("SendRawEmail", "*", "MalformedPolicyDocument 400"),
        (":SendRawEmail", "*", "MalformedPolicyDocument 400"),
        ("ses:", "*", "MalformedPolicyDocument 400"),
        ("ses:SendRawEmail", "user/x", "MalformedPolicyDocument 400"),
        ("ses:SendRawEmail", "arn:", "MalformedPolicyDocument 400"),
        ("ses:SendRawEmail", "", "MalformedPolicyDocument 400"),
        ("*", "arn:aws:ses", "ok"),
        ("ses:*", "arn:aws:ses:*:*:identity/*", "ok"),
    ] {
        let one =
            format!(r#"{{"Statement":{{"Effect":"Allow","Action":"{action}","Resource":"{resource}"}}}}"#);
        assert_eq!(put("a", &one), expected, "{one}");
        let listed = format!(
            r#"{{"Statement":[{{"Effect":"Deny","NotAction":["ses:x","{action}"],"NotResource":["*","{resource}"]}}]}}"#
        );
        assert_eq!(put("a", &listed), expected, "{listed}");
    }
    assert_eq!(put("a", "\u{100}"), "ValidationError 400");
}

#[test]
fn keys_keep_their_rules() {
    let mut account = account();
    account.create_user(named("u"), at!(0)).unwrap();
    let first = account.create_access_key("u", at!(1)).unwrap();
    let second = account.create_access_key("u", at!(1)).unwrap();
    account.update_access_key("u", &second.id, "Inactive", at!(2)).unwrap();
    let third = account.create_access_key("u", at!(3)).map(drop).unwrap_err();
    assert_eq!((third.status, third.message.as_str()), (409, "Cannot exceed quota for AccessKeysPerUser: 2"));
    assert_eq!(code(account.update_access_key("u", &first.id, "Expired", at!(3))), "InvalidInput 400");
    account.create_user(named("v"), at!(0)).unwrap();
    assert_eq!(code(account.delete_access_key("v", &first.id, at!(3))), "NoSuchEntity 404");
    account.delete_access_key("u", &first.id, at!(4)).unwrap();
    assert_eq!(code(account.delete_access_key("u", &first.id, at!(4))), "NoSuchEntity 404");
    assert_eq!(code(account.create_access_key("u", at!(5))), "ok");
}

#[test]
fn a_seed_repeats() {
    let run = || {
        let mut account = account();
        let id = account.create_user(named("u"), at!(0)).unwrap().id.clone();
        let key = account.create_access_key("u", at!(1)).unwrap();
        (id, key.id, key.secret)
    };
    assert_eq!(run(), run());
}

#[test]
fn lists_lag_and_go_stale() {
    let lag = Settings { list_delay: Duration::from_secs(10), ..Settings::default() };
    for (settings, stale) in [(lag, false), (Settings::default(), true)] {
        let mut account = Account::new("123456789012", 7, settings);
        account.create_user(named("u"), at!(0)).unwrap();
        let users = |account: &Account, seconds: i64, stale: bool| {
            account.list_users(None, &Page::default(), View { now: at!(seconds), stale }).unwrap().items.len()
        };
        let keys = |account: &Account, seconds: i64, stale: bool| {
            account
                .list_access_keys("u", &Page::default(), View { now: at!(seconds), stale })
                .unwrap()
                .items
                .len()
        };
        assert_eq!((users(&account, 1, stale), users(&account, 11, false)), (0, 1));
        let key = account.create_access_key("u", at!(20)).unwrap();
        assert_eq!((keys(&account, 21, stale), keys(&account, 31, false)), (0, 1));
        account.delete_access_key("u", &key.id, at!(40)).unwrap();
        assert_eq!((keys(&account, 41, stale), keys(&account, 51, false)), (1, 0));
        account.delete_user("u", at!(60)).unwrap();
        assert_eq!((users(&account, 61, stale), users(&account, 71, false)), (1, 0));
    }
}

#[test]
fn an_account_holds_5000_users() {
    let mut account = account();
    for n in 0..5000 {
        account.create_user(named(&format!("u{n}")), at!(0)).unwrap();
    }
    assert_eq!(code(account.create_user(named("more"), at!(0))), "LimitExceeded 409");
}
