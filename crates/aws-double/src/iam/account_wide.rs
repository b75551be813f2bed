//! Readings of the whole account on the wire: authorization details and the credential report.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::policies::{attached_xml, policy_xml};
use super::users::{summary_of, with_marks};
use super::{Answer, Done, Params, Xml};
use crate::account::{Account, ApiError, Page, Paged, ReportState, User, View};
use crate::clock::iso;

/// What `GetAccountAuthorizationDetails` can be asked for. The double has only users to tell of.
const KINDS: [&str; 5] = ["User", "Role", "Group", "LocalManagedPolicy", "AWSManagedPolicy"];

/// The calls on the whole account; `None` for any other action.
pub(super) fn call(account: &mut Account, action: &str, p: &Params, view: View) -> Option<Answer> {
    Some(match action {
        "GetAccountAuthorizationDetails" => details(account, p, view),
        "GenerateCredentialReport" => Ok(generate(account, view)),
        "GetCredentialReport" => report(account, view),
        _ => return None,
    })
}

fn details(account: &Account, p: &Params, view: View) -> Answer {
    let kinds = p.list("Filter");
    if let Some(other) = kinds.iter().find(|kind| !KINDS.contains(&kind.as_str())) {
        let rule = format!("satisfy enum value set: [{}]", KINDS.join(", "));
        return Err(ApiError::constraint(other, "filter", &rule));
    }
    let page = users(account, &kinds, &p.page()?, view)?;
    let empty = |xml: Xml, name: &str| xml.element(name, &Xml::new());
    let xml = ["GroupDetailList", "RoleDetailList", "Policies"].into_iter().fold(Xml::new(), empty);
    Ok(Done::with(xml.page("UserDetailList", &page, |user| detail(user))))
}

fn users<'a>(
    account: &'a Account,
    kinds: &[String],
    page: &Page,
    view: View,
) -> Result<Paged<&'a User>, ApiError> {
    let wanted = kinds.is_empty() || kinds.iter().any(|kind| kind == "User");
    let found = account.list_users(None, page, view)?;
    Ok(if wanted { found } else { Paged { items: Vec::new(), marker: None } })
}

fn detail(user: &User) -> Xml {
    let xml = summary_of(user)
        .members("UserPolicyList", &user.inline, |(name, text)| policy_xml(Xml::new(), name, text))
        .members("GroupList", &user.groups, |name| Xml::bare(name))
        .members("AttachedManagedPolicies", &user.attached, |arn| attached_xml(arn));
    with_marks(xml, user)
}

fn generate(account: &mut Account, view: View) -> Done {
    let state = account.generate_report(view.now);
    let text = match state {
        ReportState::Started => Some("No report exists. Starting a new report generation task"),
        ReportState::InProgress | ReportState::Complete => None,
    };
    Done::with(Xml::new().text("State", state.as_str()).maybe("Description", text))
}

fn report(account: &Account, view: View) -> Answer {
    let report = account.get_report(view.now)?;
    let xml = Xml::new()
        .text("Content", STANDARD.encode(&report.csv))
        .text("ReportFormat", "text/csv")
        .text("GeneratedTime", iso(report.made));
    Ok(Done::with(xml))
}
