//! The header section of a mail, as far as SES looks at it (RFC 5322).

/// Header fields in their order, unfolded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Headers(pub(crate) Vec<(String, String)>);

impl Headers {
    /// Reads the fields up to the first empty line.
    pub(crate) fn parse(text: &str) -> Self {
        let mut fields: Vec<(String, String)> = Vec::new();
        for line in text.lines().take_while(|line| !line.is_empty()) {
            match (line.starts_with([' ', '\t']), fields.last_mut()) {
                (true, Some((_, value))) => {
                    value.push(' ');
                    value.push_str(line.trim());
                }
                _ => fields
                    .extend(line.split_once(':').map(|(n, v)| (n.trim().to_owned(), v.trim().to_owned()))),
            }
        }
        Self(fields)
    }

    /// A field by name, ignoring case.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// Display name and address of a mailbox such as `"A. B." <a@example.com>`.
pub(crate) fn mailbox(text: &str) -> (Option<String>, String) {
    match text.rsplit_once('<') {
        Some((name, rest)) => {
            let name = name.trim().trim_matches('"').to_owned();
            (
                Some(name).filter(|n| !n.is_empty()),
                rest.split('>').next().unwrap_or_default().trim().to_owned(),
            )
        }
        None => (None, text.trim().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_unfolded_and_found() {
        let headers = Headers::parse(
            "From: \"A. B.\"\r\n <a@example.com>\r\nsubject: x\r\n\r\nFrom: no@example.com\r\n",
        );
        assert_eq!(headers.get("FROM"), Some("\"A. B.\" <a@example.com>"));
        assert_eq!(
            mailbox(headers.get("from").unwrap_or_default()),
            (Some("A. B.".into()), "a@example.com".into())
        );
        assert_eq!(mailbox("b@example.com"), (None, "b@example.com".into()));
        assert_eq!(headers.0.len(), 2);
    }
}
