//! The credential report: a picture of all users and their keys, made anew only every few hours.
//!
//! Owns the report's states, age and columns. It tells neither key ids nor secrets.

use k8s_openapi::jiff::Timestamp;

use super::{AccessKey, Account, ApiError, KeyState, User};
use crate::clock;

const COLUMNS: &str = "user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,\
    password_next_rotation,mfa_active,\
    access_key_1_active,access_key_1_last_rotated,access_key_1_last_used_date,access_key_1_last_used_region,access_key_1_last_used_service,\
    access_key_2_active,access_key_2_last_rotated,access_key_2_last_used_date,access_key_2_last_used_region,access_key_2_last_used_service,\
    cert_1_active,cert_1_last_rotated,cert_2_active,cert_2_last_rotated";
/// What a report says where there is nothing.
const NONE: &str = "N/A";
/// The keys a report has room for.
const SLOTS: usize = 2;

/// A credential report.
#[derive(Debug, Clone)]
pub struct Report {
    /// The moment whose state it shows.
    pub made: Timestamp,
    /// The CSV text.
    pub csv: String,
}

/// The answer of `GenerateCredentialReport`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportState {
    /// This call began a report.
    Started,
    /// A report is being made.
    InProgress,
    /// A report that is young enough is there.
    Complete,
}

impl ReportState {
    /// IAM's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "STARTED",
            Self::InProgress => "INPROGRESS",
            Self::Complete => "COMPLETE",
        }
    }
}

impl Account {
    /// `GenerateCredentialReport`.
    pub fn generate_report(&mut self, now: Timestamp) -> ReportState {
        match self.get_report(now).map_err(|error| error.status) {
            Ok(_) => ReportState::Complete,
            Err(404) => ReportState::InProgress,
            Err(_) => {
                self.report = Some(Report { made: now, csv: self.csv(now) });
                ReportState::Started
            }
        }
    }

    /// `GetCredentialReport`.
    pub fn get_report(&self, now: Timestamp) -> Result<&Report, ApiError> {
        let report = self.report.as_ref().ok_or_else(ApiError::report_missing)?;
        if report.made > clock::before(now, self.settings.report_delay) {
            return Err(ApiError::report_in_progress());
        }
        if report.made <= clock::before(now, self.settings.report_interval) {
            return Err(ApiError::report_expired());
        }
        Ok(report)
    }

    fn csv(&self, now: Timestamp) -> String {
        let mut text = format!("{COLUMNS}\n{}", self.root_row(now));
        for user in self.users() {
            text.push('\n');
            text.push_str(&self.user_row(user, now));
        }
        text
    }

    /// The account itself comes first in every report.
    fn root_row(&self, now: Timestamp) -> String {
        let arn = self.arn("root", "", "");
        let head = ["<root_account>", &arn, &clock::offset_form(now)].map(field).join(",");
        let slots = vec![empty_slot(); SLOTS].join(",");
        format!(
            "{head},not_supported,no_information,not_supported,not_supported,true,{slots},{}",
            certificates()
        )
    }

    fn user_row(&self, user: &User, now: Timestamp) -> String {
        let head =
            [&user.name, &user.arn, &clock::offset_form(user.created)].map(|text| field(text)).join(",");
        let password = match user.login_profile {
            Some(set) => format!("true,no_information,{},{NONE}", clock::offset_form(set)),
            None => format!("false,{NONE},{NONE},{NONE}"),
        };
        let live = user.key_ids.iter().filter_map(|id| self.keys.get(id)).filter(|key| key.state().is_live());
        let slots = live.map(|key| self.slot(key, now)).chain(std::iter::repeat_with(empty_slot));
        let slots = slots.take(SLOTS).collect::<Vec<_>>().join(",");
        format!("{head},{password},false,{slots},{}", certificates())
    }

    fn slot(&self, key: &AccessKey, now: Timestamp) -> String {
        let active = key.state() == KeyState::Active;
        let used = self.shown_use(key, now).map_or_else(
            || [NONE; 3].join(","),
            |used| format!("{},{},{}", clock::offset_form(used.at), used.region, used.service),
        );
        format!("{active},{},{used}", clock::offset_form(key.created))
    }
}

fn empty_slot() -> String {
    format!("false,{}", [NONE; 4].join(","))
}

fn certificates() -> String {
    [["false", NONE]; 2].concat().join(",")
}

/// A field, quoted if it must be: names and paths may hold commas.
fn field(text: &str) -> String {
    if text.contains([',', '"']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}
