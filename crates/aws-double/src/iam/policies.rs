//! Policies and boundaries on the wire.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Answer, Done, Params, Xml};
use crate::account::{Account, ApiError, View};

/// RFC 3986: everything but the unreserved characters is encoded in policy documents.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The policy calls; `None` for any other action.
pub(super) fn call(account: &mut Account, action: &str, p: &Params, view: View) -> Option<Answer> {
    Some(match action {
        "PutUserPolicy" => put(account, p, view),
        "GetUserPolicy" => get(account, p, view),
        "DeleteUserPolicy" => delete(account, p, view),
        "ListUserPolicies" => list(account, p, view),
        "AttachUserPolicy" => attach(account, p, view),
        "DetachUserPolicy" => detach(account, p, view),
        "ListAttachedUserPolicies" => list_attached(account, p, view),
        "PutUserPermissionsBoundary" => put_boundary(account, p, view),
        "DeleteUserPermissionsBoundary" => {
            done(account.delete_boundary(p.get("UserName").unwrap_or_default(), view.now))
        }
        _ => return None,
    })
}

fn done(result: Result<(), ApiError>) -> Answer {
    result.map(|()| Done::nothing())
}

fn put(account: &mut Account, p: &Params, view: View) -> Answer {
    let (user, name, document) = (p.need("UserName")?, p.need("PolicyName")?, p.need("PolicyDocument")?);
    done(account.put_user_policy(user, name, document, view.now))
}

fn get(account: &Account, p: &Params, view: View) -> Answer {
    let (user, name) = (p.need("UserName")?, p.need("PolicyName")?);
    let document = account.get_user_policy(user, name, view.now)?;
    Ok(Done::with(policy_xml(Xml::new().text("UserName", user), name, document)))
}

/// A policy's name and its encoded text, behind what is there already.
pub(super) fn policy_xml(xml: Xml, name: &str, document: &str) -> Xml {
    xml.text("PolicyName", name).text("PolicyDocument", utf8_percent_encode(document, RESERVED))
}

fn delete(account: &mut Account, p: &Params, view: View) -> Answer {
    let (user, name) = (p.need("UserName")?, p.need("PolicyName")?);
    done(account.delete_user_policy(user, name, view.now))
}

fn list(account: &Account, p: &Params, view: View) -> Answer {
    let page = account.list_user_policies(p.need("UserName")?, &p.page()?, view.now)?;
    Ok(Done::with(Xml::new().page("PolicyNames", &page, |name| Xml::bare(name))))
}

fn attach(account: &mut Account, p: &Params, view: View) -> Answer {
    let (user, arn) = (p.need("UserName")?, p.need("PolicyArn")?);
    done(account.attach_user_policy(user, arn, view.now))
}

fn detach(account: &mut Account, p: &Params, view: View) -> Answer {
    let (user, arn) = (p.need("UserName")?, p.need("PolicyArn")?);
    done(account.detach_user_policy(user, arn, view.now))
}

fn list_attached(account: &Account, p: &Params, view: View) -> Answer {
    let page = account.list_attached_user_policies(p.need("UserName")?, &p.page()?, view.now)?;
    Ok(Done::with(Xml::new().page("AttachedPolicies", &page, |arn| attached_xml(arn))))
}

/// A managed policy on a user.
pub(super) fn attached_xml(arn: &str) -> Xml {
    let name = arn.rsplit('/').next().unwrap_or(arn);
    Xml::new().text("PolicyName", name).text("PolicyArn", arn)
}

fn put_boundary(account: &mut Account, p: &Params, view: View) -> Answer {
    let (user, arn) = (p.need("UserName")?, p.need("PermissionsBoundary")?);
    done(account.put_boundary(user, arn, view.now))
}
