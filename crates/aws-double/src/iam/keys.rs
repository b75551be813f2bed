//! Access keys on the wire.

use super::{Answer, Done, Params, Xml, user};
use crate::account::{Account, KeyListing, View};
use crate::clock::iso;

pub(super) fn create(account: &mut Account, p: &Params, view: View) -> Answer {
    let key = account.create_access_key(user(p)?, view.now)?;
    let inside = Xml::new()
        .text("UserName", &key.user)
        .text("AccessKeyId", &key.id)
        .text("Status", "Active")
        .text("SecretAccessKey", &key.secret)
        .text("CreateDate", iso(key.created));
    let done = Done::with(Xml::new().element("AccessKey", &inside));
    Ok(Done { key: Some(key.id), ..done })
}

pub(super) fn list(account: &Account, p: &Params, view: View) -> Answer {
    let name = user(p)?;
    let page = account.list_access_keys(name, &p.page()?, view)?;
    let shown = account.find_user(name).map_or(name, |user| user.name.as_str());
    let row = |key: &KeyListing| {
        Xml::new()
            .text("UserName", shown)
            .text("AccessKeyId", &key.id)
            .text("Status", key.state.as_str())
            .text("CreateDate", iso(key.created))
    };
    Ok(Done::with(Xml::new().text("UserName", shown).page("AccessKeyMetadata", &page, row)))
}

pub(super) fn update(account: &mut Account, p: &Params, view: View) -> Answer {
    let (id, status) = (p.need("AccessKeyId")?, p.need("Status")?);
    account.update_access_key(user(p)?, id, status, view.now)?;
    Ok(Done::nothing())
}

pub(super) fn delete(account: &mut Account, p: &Params, view: View) -> Answer {
    let id = p.need("AccessKeyId")?;
    account.delete_access_key(user(p)?, id, view.now)?;
    Ok(Done::nothing())
}

pub(super) fn last_used(account: &Account, p: &Params, view: View) -> Answer {
    let (owner, last) = account.last_used(p.need("AccessKeyId")?, view.now)?;
    let inside = match last {
        Some(used) => Xml::new()
            .text("LastUsedDate", iso(used.at))
            .text("ServiceName", used.service)
            .text("Region", used.region),
        // A key that was never used has no date.
        None => Xml::new().text("ServiceName", "N/A").text("Region", "N/A"),
    };
    Ok(Done::with(Xml::new().text("UserName", owner).element("AccessKeyLastUsed", &inside)))
}
