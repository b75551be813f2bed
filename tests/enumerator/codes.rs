//! The error codes by which IAM refuses calls, beside those that are faults of their own.

/// What any call may be refused with.
const ANY: [(&str, u16); 6] = [
    ("InvalidClientTokenId", 403),
    ("ExpiredToken", 403),
    ("SignatureDoesNotMatch", 403),
    ("ValidationError", 400),
    ("EntityTemporarilyUnmodifiable", 409),
    ("ServiceUnavailable", 503),
];

/// What some calls may be refused with.
///
/// "No such entity" is what IAM says of what it has just made. Calls that delete aren't told so of
/// what is there: that would be a lie, and no operator could see through it.
const SOME: [(&str, u16, &[&str]); 6] = [
    ("ConcurrentModification", 409, &["CreateUser", "TagUser", "DeleteUser"]),
    (
        "LimitExceeded",
        409,
        &[
            "CreateUser",
            "TagUser",
            "PutUserPolicy",
            "CreateAccessKey",
            "UpdateAccessKey",
            "DeleteAccessKey",
            "DeleteUserPolicy",
            "DeleteUser",
        ],
    ),
    ("InvalidInput", 400, &["CreateUser", "TagUser", "UpdateAccessKey"]),
    ("MalformedPolicyDocument", 400, &["PutUserPolicy"]),
    ("NoSuchEntity", 404, &["CreateUser", "TagUser", "PutUserPolicy", "CreateAccessKey", "UpdateAccessKey"]),
    ("DeleteConflict", 409, &["DeleteUser"]),
];

/// The codes that a call of IAM may be refused with.
pub fn of(call: &str) -> impl Iterator<Item = &'static str> {
    let some = SOME.iter().filter(move |(_, _, calls)| calls.contains(&call)).map(|(code, ..)| *code);
    ANY.iter().map(|(code, _)| *code).chain(some)
}

/// The code of that name.
pub fn named(name: &str) -> Option<&'static str> {
    statuses().find(|(code, _)| *code == name).map(|(code, _)| code)
}

/// The HTTP status that comes with a code.
pub fn status(name: &str) -> u16 {
    statuses().find(|(code, _)| *code == name).map_or(400, |(_, status)| status)
}

fn statuses() -> impl Iterator<Item = (&'static str, u16)> {
    ANY.into_iter().chain(SOME.into_iter().map(|(code, status, _)| (code, status)))
}
