//! Users and tags on the wire.

use super::{Answer, Done, Params, Xml, user};
use crate::account::{Account, NewUser, Tag, User, View};
use crate::clock::iso;

/// A user as lists show it: without tags and boundary.
pub(super) fn summary_of(user: &User) -> Xml {
    Xml::new()
        .text("Path", &user.path)
        .text("UserName", &user.name)
        .text("UserId", &user.id)
        .text("Arn", &user.arn)
        .text("CreateDate", iso(user.created))
}

fn tag_xml(tag: &Tag) -> Xml {
    Xml::new().text("Key", &tag.key).text("Value", &tag.value)
}

/// A user as `CreateUser` and `GetUser` show it.
fn whole(user: &User) -> Xml {
    with_marks(summary_of(user), user)
}

/// Boundary and tags, behind what is there already.
pub(super) fn with_marks(mut xml: Xml, user: &User) -> Xml {
    if let Some(arn) = &user.boundary {
        let kind = Xml::new().text("PermissionsBoundaryType", "Policy").text("PermissionsBoundaryArn", arn);
        xml = xml.element("PermissionsBoundary", &kind);
    }
    if user.tags.is_empty() { xml } else { xml.members("Tags", &user.tags, tag_xml) }
}

pub(super) fn create(account: &mut Account, p: &Params, view: View) -> Answer {
    let new = NewUser {
        name: p.need("UserName")?.to_owned(),
        path: p.get("Path").map(str::to_owned),
        tags: p.tags(),
        boundary: p.get("PermissionsBoundary").map(str::to_owned),
    };
    let user = account.create_user(new, view.now)?;
    Ok(Done::with(Xml::new().element("User", &whole(user))))
}

pub(super) fn get(account: &Account, p: &Params, view: View) -> Answer {
    let found = account.get_user(user(p)?, view.now)?;
    Ok(Done::with(Xml::new().element("User", &whole(found))))
}

pub(super) fn delete(account: &mut Account, p: &Params, view: View) -> Answer {
    account.delete_user(p.need("UserName")?, view.now)?;
    Ok(Done::nothing())
}

pub(super) fn update(account: &mut Account, p: &Params, view: View) -> Answer {
    account.update_user(p.need("UserName")?, p.get("NewUserName"), p.get("NewPath"), view.now)?;
    Ok(Done::nothing())
}

pub(super) fn list(account: &Account, p: &Params, view: View) -> Answer {
    let page = account.list_users(p.get("PathPrefix"), &p.page()?, view)?;
    Ok(Done::with(Xml::new().page("Users", &page, |user| summary_of(user))))
}

pub(super) fn tag(account: &mut Account, p: &Params, view: View) -> Answer {
    account.tag_user(p.need("UserName")?, p.tags(), view.now)?;
    Ok(Done::nothing())
}

pub(super) fn untag(account: &mut Account, p: &Params, view: View) -> Answer {
    account.untag_user(p.need("UserName")?, &p.list("TagKeys"), view.now)?;
    Ok(Done::nothing())
}

pub(super) fn list_tags(account: &Account, p: &Params, view: View) -> Answer {
    let page = account.list_user_tags(p.need("UserName")?, &p.page()?, view.now)?;
    Ok(Done::with(Xml::new().page("Tags", &page, tag_xml)))
}

pub(super) fn summary(account: &Account) -> Done {
    let entry = |xml: Xml, (key, value): (&str, usize)| {
        xml.element("entry", &Xml::new().text("key", key).text("value", value))
    };
    let map = account.summary().into_iter().fold(Xml::new(), entry);
    Done::with(Xml::new().element("SummaryMap", &map))
}
