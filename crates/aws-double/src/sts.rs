//! STS: who am I. No I/O.

use crate::account::ApiError;
use crate::iam::{Done, Xml};
use crate::world::Identity;

/// The API version of STS.
pub(crate) const VERSION: &str = "2011-06-15";
/// The name space of STS's replies.
pub(crate) const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// Carries out one action of STS.
pub(crate) fn call(action: &str, who: &Identity) -> Result<Done, ApiError> {
    if action != "GetCallerIdentity" {
        let text = format!("Could not find operation {action} for version {VERSION}");
        return Err(ApiError::new(400, "InvalidAction", text));
    }
    let xml = Xml::new().text("Arn", &who.arn).text("UserId", &who.user_id).text("Account", &who.account);
    Ok(Done::with(xml))
}
