//! The credential report: CSV with a row for each user of the account.
//!
//! Owns the reading of the report's text. Columns are found by name, because AWS has added some in
//! the middle. A report that can't be read whole isn't read at all: what is missing from half a
//! report would pass for a user without keys.
//!
//! Source: IAM User Guide, "Generate credential reports for your AWS account".

use std::collections::BTreeMap;

use aws_sdk_iam::operation::get_credential_report::GetCredentialReportOutput;
use k8s_openapi::jiff::Timestamp;
use serde::Deserialize;
use ses_smtp_core::inventory::{CredentialReport, KeySlot};

use super::reply::timestamp;

/// The `user` of the row of the account's root, which is no IAM user.
const ROOT: &str = "<root_account>";
/// The time of a key that doesn't exist.
const NO_KEY: &str = "N/A";

/// The columns that are read.
#[derive(Deserialize)]
struct Row {
    user: String,
    access_key_1_active: String,
    access_key_1_last_rotated: String,
    access_key_2_active: String,
    access_key_2_last_rotated: String,
}

/// The report in a reply of `GetCredentialReport`; `None` if any part of it can't be read.
pub(super) fn read(output: &GetCredentialReportOutput) -> Option<CredentialReport> {
    let generated = timestamp(output.generated_time()?)?;
    Some(CredentialReport { generated, users: users(output.content()?.as_ref())? })
}

/// The keys of each user. Every report has a row at least, the root's.
fn users(csv: &[u8]) -> Option<BTreeMap<String, Vec<KeySlot>>> {
    let rows: Vec<Row> = csv::Reader::from_reader(csv).into_deserialize().collect::<Result<_, _>>().ok()?;
    if rows.is_empty() {
        return None;
    }
    let mut users = BTreeMap::new();
    for row in rows.into_iter().filter(|row| row.user != ROOT) {
        let keys = row.keys()?;
        // Two rows of one name contradict each other.
        if row.user.is_empty() || users.insert(row.user, keys).is_some() {
            return None;
        }
    }
    Some(users)
}

impl Row {
    fn keys(&self) -> Option<Vec<KeySlot>> {
        let first = slot(&self.access_key_1_active, &self.access_key_1_last_rotated)?;
        let second = slot(&self.access_key_2_active, &self.access_key_2_last_rotated)?;
        Some(first.into_iter().chain(second).collect())
    }
}

/// A key's two columns; the inner `None` is a slot without a key.
fn slot(active: &str, created: &str) -> Option<Option<KeySlot>> {
    let active = flag(active)?;
    if created == NO_KEY {
        // An active key has been made at some time.
        return (!active).then_some(None);
    }
    let created: Timestamp = created.parse().ok()?;
    Some(Some(KeySlot { active, created }))
}

/// The guide writes `TRUE`, reports hold `true`.
fn flag(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        return Some(true);
    }
    text.eq_ignore_ascii_case("false").then_some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "user,arn,user_creation_time,password_enabled,access_key_1_active,\
                          access_key_1_last_rotated,access_key_2_active,access_key_2_last_rotated,cert_1_active";
    const ROOT_ROW: &str = "<root_account>,arn:aws:iam::1:root,2015-01-01T00:00:00+00:00,not_supported,\
                            false,not_supported,false,N/A,false";

    fn report(rows: &[&str]) -> String {
        let rows = [HEADER, ROOT_ROW].iter().chain(rows);
        rows.fold(String::new(), |text, row| text + row + "\n")
    }

    fn row(name: &str, keys: &str) -> String {
        format!("{name},arn,2026-01-01T00:00:00+00:00,false,{keys},false")
    }

    fn key(active: bool, created: &str) -> KeySlot {
        KeySlot { active, created: created.parse().unwrap() }
    }

    #[test]
    fn reads_users_with_none_one_and_two_keys() {
        let first = "2026-11-25T12:00:00+00:00";
        let text = report(&[
            &row("none", "false,N/A,false,N/A"),
            &row("one", &format!("true,{first},false,N/A")),
            &row("second", &format!("false,N/A,TRUE,{first}")),
            &row("two", &format!("true,{first},false,2026-11-25T13:00:00Z")),
        ]);
        let expected = [
            ("none", vec![]),
            ("one", vec![key(true, "2026-11-25T12:00:00Z")]),
            ("second", vec![key(true, "2026-11-25T12:00:00Z")]),
            ("two", vec![key(true, "2026-11-25T12:00:00Z"), key(false, "2026-11-25T13:00:00Z")]),
        ];
        let expected = expected.map(|(name, keys)| (name.to_owned(), keys));
        assert_eq!(users(text.as_bytes()), Some(expected.into()));
    }

    #[test]
    fn finds_columns_by_name_wherever_they_are() {
        let text = "new,access_key_2_last_rotated,access_key_2_active,access_key_1_last_rotated,\
                    access_key_1_active,user\r\nx,N/A,false,2026-11-25T12:00:00Z,true,u\r\n";
        let expected = [("u".to_owned(), vec![key(true, "2026-11-25T12:00:00Z")])].into();
        assert_eq!(users(text.as_bytes()), Some(expected));
    }

    #[test]
    fn takes_quoted_names_and_an_account_without_users() {
        let text = report(&[&row("\"a,b\"", "false,N/A,false,N/A")]);
        assert!(users(text.as_bytes()).unwrap().contains_key("a,b"));
        assert_eq!(users(report(&[]).as_bytes()), Some(BTreeMap::new()));
    }

    #[test]
    fn refuses_what_it_cannot_read_whole() {
        let no_keys = "false,N/A,false,N/A";
        for bad in [
            row("u", "maybe,N/A,false,N/A"),
            row("u", "true,N/A,false,N/A"),
            row("u", "true,yesterday,false,N/A"),
            row("u", "false,,false,N/A"),
            row("", no_keys),
            row("a,b", no_keys),
            row("u", "false,N/A"),
            row("u", no_keys) + "\n" + &row("u", no_keys),
        ] {
            assert_eq!(users(report(&[&bad]).as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn refuses_what_is_no_report() {
        let lacks_a_column = report(&[]).replace("access_key_2_active", "else");
        for bad in ["", "\n", HEADER, "<html>no</html>", "\0\0\0", &lacks_a_column] {
            assert_eq!(users(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(users(&[report(&[]).as_bytes(), b"\xff\xfe,a,a,a,a,a,a,a,a"].concat()), None);
    }

    /// Nothing tells a report that ends between two rows from a whole one.
    #[test]
    fn a_report_cut_within_a_row_is_none() {
        let text = report(&[&row("u", "true,2026-11-25T12:00:00+00:00,false,N/A")]);
        let last_row = text.trim_end().rfind('\n').unwrap() + 2;
        let last_column = text.rfind(',').unwrap();
        for end in last_row..last_column {
            assert_eq!(users(&text.as_bytes()[..end]), None, "cut at {end}");
        }
    }
}
