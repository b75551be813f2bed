//! IAM's rules for names, paths, tags and policy texts. Pure checks, no state.

use super::{ApiError, Tag};

/// Longest user name on creation.
const USER_NAME: usize = 64;
/// Longest name that calls on existing things accept.
const ANY_NAME: usize = 128;
/// Longest path.
const PATH: usize = 512;
/// Most tags per user.
const TAGS: usize = 50;
/// Longest tag key and tag value.
const TAG_KEY: usize = 128;
const TAG_VALUE: usize = 256;

fn name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_+=,.@-".contains(c)
}

fn checked(name: &str, field: &str, longest: usize) -> Result<(), ApiError> {
    if name.is_empty() {
        return Err(ApiError::constraint(name, field, "have length greater than or equal to 1"));
    }
    if name.chars().count() > longest {
        return Err(ApiError::constraint(
            name,
            field,
            &format!("have length less than or equal to {longest}"),
        ));
    }
    if name.chars().all(name_char) {
        return Ok(());
    }
    Err(ApiError::validation(format!(
        "The specified value for {field} is invalid. It must contain only alphanumeric characters and/or the following: +=,.@_-"
    )))
}

/// The name of a user to be created.
pub(crate) fn new_user_name(name: &str) -> Result<(), ApiError> {
    checked(name, "userName", USER_NAME)
}

/// The name of an existing thing.
pub(crate) fn name(name: &str, field: &str) -> Result<(), ApiError> {
    checked(name, field, ANY_NAME)
}

/// A path: `/`, or text of printable ASCII between slashes.
pub(crate) fn path(path: &str) -> Result<(), ApiError> {
    if path.len() > PATH {
        return Err(ApiError::constraint(path, "path", "have length less than or equal to 512"));
    }
    let framed = path == "/" || (path.len() > 2 && path.starts_with('/') && path.ends_with('/'));
    if framed && path.chars().all(|c| c.is_ascii_graphic()) {
        return Ok(());
    }
    Err(ApiError::validation(
        "The specified value for path is invalid. It must begin and end with / and contain only alphanumeric characters and/or / characters.",
    ))
}

/// `[\p{L}\p{Z}\p{N}_.:/=+\-@]`, with the standard library's nearest classes.
fn tag_char(c: char) -> bool {
    c.is_alphanumeric() || (c.is_whitespace() && !c.is_control()) || "_.:/=+-@".contains(c)
}

fn tag(tag: &Tag) -> Result<(), ApiError> {
    tag_text(&tag.key, "tags.member.key", 1, TAG_KEY)?;
    tag_text(&tag.value, "tags.member.value", 0, TAG_VALUE)?;
    if tag.key.to_lowercase().starts_with("aws:") {
        return Err(ApiError::invalid_input("Tag keys starting with 'aws:' are reserved for system use."));
    }
    Ok(())
}

fn tag_text(text: &str, field: &str, shortest: usize, longest: usize) -> Result<(), ApiError> {
    let length = text.chars().count();
    if length < shortest || length > longest {
        let rule = format!("have length between {shortest} and {longest}");
        return Err(ApiError::constraint(text, field, &rule));
    }
    if text.chars().all(tag_char) {
        return Ok(());
    }
    let rule = r"satisfy regular expression pattern: [\p{L}\p{Z}\p{N}_.:/=+\-@]*";
    Err(ApiError::constraint(text, field, rule))
}

/// The tags of one call, one by one and together.
pub(crate) fn tags(tags: &[Tag]) -> Result<(), ApiError> {
    tags.iter().try_for_each(tag)?;
    let mut keys: Vec<String> = tags.iter().map(|t| t.key.to_lowercase()).collect();
    keys.sort();
    if keys.windows(2).any(|pair| pair.first() == pair.last()) {
        let text = "Duplicate tag keys found. Please note that Tag keys are case insensitive.";
        return Err(ApiError::invalid_input(text));
    }
    tag_count(tags)
}

/// The number of tags a user has after a call.
pub(crate) fn tag_count(tags: &[Tag]) -> Result<(), ApiError> {
    if tags.len() > TAGS {
        return Err(ApiError::limit("The number of tags has reached the maximum limit."));
    }
    Ok(())
}

/// The characters of a policy: U+0020 to U+00FF, tab, line feed, carriage return.
pub(crate) fn policy_text(document: &str) -> Result<(), ApiError> {
    let allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{ff}');
    if !document.is_empty() && document.chars().all(allowed) {
        return Ok(());
    }
    Err(ApiError::validation("The specified value for policyDocument is invalid."))
}
