//! From a failed call to the core's [`Refusal`].

use kube::Error;
use kube::core::Status;
use ses_smtp_core::step::Refusal;

/// Longest error code that is passed on.
const MAX_CODE: usize = 40;
/// The reason that kube gives to an answer that holds no status of the API server.
const NO_STATUS: &str = "Failed to parse error data";

/// What a failed call means. `right` names the verb and resource that it needed.
///
/// Only a status of the 400s says that nothing was done; everything else may have been. An answer
/// without a status is not the API server's but that of something in front of it.
pub fn refusal(error: &Error, right: &'static str) -> Refusal {
    match error {
        Error::Api(status) => of_status(status, right),
        _ => Refusal::Unclear,
    }
}

fn of_status(status: &Status, right: &'static str) -> Refusal {
    match status.code {
        _ if status.reason == NO_STATUS => Refusal::Unclear,
        409 if status.is_already_exists() => Refusal::Exists,
        409 => Refusal::Conflict,
        404 => Refusal::NotFound,
        429 => Refusal::Throttled,
        403 if is_terminating(status) => Refusal::NamespaceTerminating,
        403 if is_rbac(status) => Refusal::Denied { right },
        401 => Refusal::Denied { right },
        408 => Refusal::Unclear,
        400..=499 => Refusal::Refused { code: code(status) },
        _ => Refusal::Unclear,
    }
}

fn is_terminating(status: &Status) -> bool {
    let causes = status.details.as_ref().map(|details| details.causes.as_slice()).unwrap_or_default();
    causes.iter().any(|cause| cause.reason == "NamespaceTerminating")
}

/// Quotas and admission rules answer 403 as well. Only the authorizer says what a user cannot do,
/// and it says so in prose alone.
fn is_rbac(status: &Status) -> bool {
    status.message.contains("\" cannot ")
}

/// The machine-readable reason, never the server's prose.
fn code(status: &Status) -> String {
    let word: String = status.reason.chars().filter(char::is_ascii_alphanumeric).take(MAX_CODE).collect();
    if word.is_empty() { status.code.to_string() } else { word }
}

#[cfg(test)]
mod tests {
    use kube::core::response::{StatusCause, StatusDetails};

    use super::*;

    fn status(code: u16, reason: &str, message: &str) -> Error {
        let status = Status { code, reason: reason.into(), message: message.into(), ..Status::default() };
        Error::Api(Box::new(status))
    }

    #[test]
    fn tells_clear_from_unclear() {
        let table = [
            (409, "AlreadyExists", "", Refusal::Exists),
            (409, "Conflict", "", Refusal::Conflict),
            (404, "NotFound", "", Refusal::NotFound),
            (429, "TooManyRequests", "", Refusal::Throttled),
            (
                403,
                "Forbidden",
                "User \"x\" cannot create resource",
                Refusal::Denied { right: "create secrets" },
            ),
            (403, "Forbidden", "exceeded quota", Refusal::Refused { code: "Forbidden".into() }),
            (422, "Invalid", "", Refusal::Refused { code: "Invalid".into() }),
            (500, "InternalError", "", Refusal::Unclear),
            (504, "Timeout", "", Refusal::Unclear),
            (404, NO_STATUS, "404 page not found", Refusal::Unclear),
            (403, NO_STATUS, "<html>", Refusal::Unclear),
        ];
        for (code, reason, message, expected) in table {
            assert_eq!(
                refusal(&status(code, reason, message), "create secrets"),
                expected,
                "{code} {reason}"
            );
        }
    }

    #[test]
    fn knows_an_ending_namespace() {
        let cause = StatusCause {
            reason: "NamespaceTerminating".into(),
            message: String::new(),
            field: String::new(),
        };
        let details: StatusDetails =
            serde_json::from_value(serde_json::json!({ "causes": [cause] })).unwrap();
        let status =
            Status { code: 403, reason: "Forbidden".into(), details: Some(details), ..Status::default() };
        assert_eq!(refusal(&Error::Api(Box::new(status)), ""), Refusal::NamespaceTerminating);
    }
}
