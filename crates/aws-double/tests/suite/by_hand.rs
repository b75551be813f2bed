//! What people do to users behind the operator's back.

use aws_double::account::KeyState;
use aws_sdk_iam::types::Tag;

use crate::support::{BOUNDARY, FROM_EXAMPLE, client, code, fixed, is, mailer, start};

#[tokio::test]
async fn a_user_is_moved_renamed_and_stripped() {
    let double = start(fixed()).await;
    let (id, _) = mailer(&double, "u", "eu-west-1", FROM_EXAMPLE);
    let (hand, before) = (double.by_hand(), double.user("u").unwrap());
    hand.set_tags("u", &[("a", "1")]).unwrap();
    hand.set_tags("u", &[("b", "2")]).unwrap();
    hand.set_path("u", "/people/").unwrap();
    hand.rename("u", "V").unwrap();
    hand.set_boundary("v", None).unwrap();
    hand.delete_policy("v", "send").unwrap();
    let iam = client(&double);
    assert_eq!(code(iam.get_user().user_name("u").send().await), is("NoSuchEntity", 404));
    let user = iam.get_user().user_name("v").send().await.unwrap().user.unwrap();
    assert_eq!((user.arn(), user.user_id()), ("arn:aws:iam::123456789012:user/people/V", before.id.as_str()));
    assert_eq!(user.tags().iter().map(Tag::key).collect::<Vec<_>>(), ["b"]);
    assert!(user.permissions_boundary().is_none() && double.user("v").unwrap().policies.is_empty());
    let keys = iam.list_access_keys().user_name("v").send().await.unwrap().access_key_metadata;
    assert_eq!(keys[0].access_key_id(), Some(id.as_str()));
    let last = iam.get_access_key_last_used().access_key_id(&id).send().await.unwrap();
    assert_eq!(last.user_name(), Some("V"));
    hand.set_boundary("v", Some(BOUNDARY)).unwrap();
    assert_eq!(double.user("v").unwrap().boundary.as_deref(), Some(BOUNDARY));

    double.call("CreateUser", &[("UserName", "w")]).unwrap();
    assert_eq!(hand.rename("v", "W").unwrap_err().code, "EntityAlreadyExists");
    hand.rename("v", "v").unwrap();
    let update = iam.update_user().user_name("V").new_path("/x").send().await;
    assert_eq!(code(update), is("ValidationError", 400));
    iam.update_user().user_name("V").new_path("/x/").send().await.unwrap();
    assert_eq!(double.user("v").unwrap().path, "/x/");
    assert_eq!(hand.rename("gone", "x").unwrap_err().code, "NoSuchEntity");
}

#[tokio::test]
async fn keys_are_made_paused_and_deleted() {
    let double = start(fixed()).await;
    let (first, _) = mailer(&double, "u", "eu-west-1", FROM_EXAMPLE);
    let hand = double.by_hand();
    let second = hand.make_key("u").unwrap();
    assert_eq!(double.secret_of(&second.id), Some(second.secret.clone()));
    assert_eq!(hand.make_key("u").err().unwrap().code, "LimitExceeded");
    hand.set_key("u", &first, KeyState::Inactive).unwrap();
    let states = || double.user("u").unwrap().keys.into_iter().map(|key| key.status).collect::<Vec<_>>();
    assert_eq!(states(), ["Inactive", "Active"]);
    hand.set_key("u", &first, KeyState::Active).unwrap();
    hand.set_key("u", &second.id, KeyState::Deleted).unwrap();
    assert_eq!(states(), ["Active"]);
    assert_eq!(hand.set_key("u", &second.id, KeyState::Deleted).unwrap_err().code, "NoSuchEntity");
    assert!(double.counts().is_empty(), "edits aren't calls of the operator");
    let record = double.journal().pop().unwrap();
    assert_eq!(
        (record.action.as_str(), record.caller.as_deref(), record.outcome.as_str()),
        ("DeleteAccessKey", Some("out-of-band"), "NoSuchEntity")
    );
}

#[tokio::test]
async fn a_user_goes_with_everything_or_comes_back_bare() {
    let double = start(fixed()).await;
    for name in ["gone", "back"] {
        let (id, _) = mailer(&double, name, "eu-west-1", FROM_EXAMPLE);
        let hand = double.by_hand();
        hand.set_tags(name, &[("a", "1")]).unwrap();
        hand.set_path(name, "/ours/").unwrap();
        hand.add_login_profile(name).unwrap();
        hand.quarantine(name).unwrap();
        let before = double.user(name).unwrap();
        assert_eq!(
            code(client(&double).delete_user().user_name(name).send().await),
            is("DeleteConflict", 409)
        );
        if name == "gone" {
            hand.purge_user(name).unwrap();
            assert_eq!(double.user(name), None);
        } else {
            let made = hand.recreate_user(name).unwrap();
            let user = double.user(name).unwrap();
            assert_ne!(user.id, before.id);
            assert_eq!((user.path.as_str(), user.id.as_str()), ("/ours/", made.id.as_str()));
            assert!(user.tags.is_empty() && user.keys.is_empty() && user.policies.is_empty());
            assert!(user.attached.is_empty() && user.boundary.is_none() && !user.login_profile);
        }
        let signed = crate::support::client_as(&double, &id, &double.secret_of(&id).unwrap());
        assert_eq!(code(signed.list_users().send().await), is("InvalidClientTokenId", 403));
    }
    assert_eq!(double.by_hand_in("210987654321").purge_user("back").unwrap_err().code, "NoSuchEntity");
}

#[tokio::test]
async fn quarantine_blocks_deletion_until_detached() {
    let double = start(fixed()).await;
    double.call("CreateUser", &[("UserName", "u")]).unwrap();
    double.by_hand().quarantine("u").unwrap();
    let iam = client(&double);
    let listed = iam.list_attached_user_policies().user_name("u").send().await.unwrap();
    let arn = listed.attached_policies()[0].policy_arn().unwrap();
    assert_eq!(arn, "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3");
    assert_eq!(code(iam.delete_user().user_name("u").send().await), is("DeleteConflict", 409));
    let detach = || iam.detach_user_policy().user_name("u").policy_arn(arn).send();
    detach().await.unwrap();
    assert_eq!(code(detach().await), is("NoSuchEntity", 404));
    iam.delete_user().user_name("u").send().await.unwrap();
}
