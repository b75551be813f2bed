//! Groups and console passwords on the wire.

use super::{Answer, Done, Params, Xml, user};
use crate::account::{Account, ApiError, Group, View};
use crate::clock::iso;

/// The group and login-profile calls; `None` for any other action.
pub(super) fn call(account: &mut Account, action: &str, p: &Params, view: View) -> Option<Answer> {
    Some(match action {
        "CreateGroup" => create_group(account, p, view),
        "AddUserToGroup" => {
            member(p).and_then(|(u, g)| account.add_user_to_group(u, g, view.now)).map(nothing)
        }
        "RemoveUserFromGroup" => {
            member(p).and_then(|(u, g)| account.remove_user_from_group(u, g, view.now)).map(nothing)
        }
        "ListGroupsForUser" => list_groups(account, p, view),
        "CreateLoginProfile" => create_profile(account, p, view),
        "DeleteLoginProfile" => user(p).and_then(|u| account.delete_login_profile(u, view.now)).map(nothing),
        _ => return None,
    })
}

fn nothing((): ()) -> Done {
    Done::nothing()
}

fn member(p: &Params) -> Result<(&str, &str), ApiError> {
    Ok((p.need("UserName")?, p.need("GroupName")?))
}

fn group_xml(group: &Group) -> Xml {
    Xml::new()
        .text("Path", &group.path)
        .text("GroupName", &group.name)
        .text("GroupId", &group.id)
        .text("Arn", &group.arn)
        .text("CreateDate", iso(group.created))
}

fn create_group(account: &mut Account, p: &Params, view: View) -> Answer {
    let group = account.create_group(p.need("GroupName")?, p.get("Path"), view.now)?;
    Ok(Done::with(Xml::new().element("Group", &group_xml(group))))
}

fn list_groups(account: &Account, p: &Params, view: View) -> Answer {
    let page = account.list_groups_for_user(p.need("UserName")?, &p.page()?, view.now)?;
    Ok(Done::with(Xml::new().page("Groups", &page, group_xml)))
}

fn create_profile(account: &mut Account, p: &Params, view: View) -> Answer {
    let name = user(p)?;
    account.create_login_profile(name, view.now)?;
    let inside = Xml::new()
        .text("UserName", name)
        .text("CreateDate", iso(view.now))
        .text("PasswordResetRequired", p.get("PasswordResetRequired") == Some("true"));
    Ok(Done::with(Xml::new().element("LoginProfile", &inside)))
}
