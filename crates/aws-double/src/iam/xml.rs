//! Writing the XML of query-protocol replies.

use std::fmt::Display;

use crate::account::{ApiError, Paged};

/// XML text under construction.
#[derive(Debug, Default)]
pub(crate) struct Xml(String);

impl Xml {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// An element with text.
    pub(crate) fn text(mut self, name: &str, value: impl Display) -> Self {
        self.open(name);
        self.escape(&value.to_string());
        self.close(name);
        self
    }

    /// An element with text, left out when there is none.
    pub(crate) fn maybe(self, name: &str, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.text(name, value),
            None => self,
        }
    }

    /// An element around others.
    pub(crate) fn element(mut self, name: &str, inside: &Xml) -> Self {
        self.open(name);
        self.0.push_str(&inside.0);
        self.close(name);
        self
    }

    /// A list of `member` elements.
    pub(crate) fn members<I: IntoIterator>(
        self,
        name: &str,
        items: I,
        member: impl Fn(I::Item) -> Xml,
    ) -> Self {
        let inside = items.into_iter().fold(Xml::new(), |xml, item| xml.element("member", &member(item)));
        self.element(name, &inside)
    }

    /// A page of `member` elements with its marker.
    pub(crate) fn page<T>(self, name: &str, page: &Paged<T>, member: impl Fn(&T) -> Xml) -> Self {
        let truncated = page.marker.is_some();
        self.members(name, &page.items, member)
            .text("IsTruncated", truncated)
            .maybe("Marker", page.marker.as_ref())
    }

    /// Bare text inside an element.
    pub(crate) fn bare(value: &str) -> Self {
        let mut xml = Self::new();
        xml.escape(value);
        xml
    }

    pub(crate) fn into_text(self) -> String {
        self.0
    }

    fn open(&mut self, name: &str) {
        self.0.push('<');
        self.0.push_str(name);
        self.0.push('>');
    }

    fn close(&mut self, name: &str) {
        self.0.push_str("</");
        self.0.push_str(name);
        self.0.push('>');
    }

    fn escape(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\r' => self.0.push_str("&#xD;"),
                other => self.0.push(other),
            }
        }
    }
}

/// A whole successful reply.
pub(crate) fn reply_body(namespace: &str, action: &str, result: Option<&str>, request_id: &str) -> String {
    let result = result.map(|r| format!("<{action}Result>{r}</{action}Result>")).unwrap_or_default();
    format!(
        "<{action}Response xmlns=\"{namespace}\">{result}<ResponseMetadata><RequestId>{request_id}</RequestId>\
         </ResponseMetadata></{action}Response>"
    )
}

/// A whole error reply.
pub(crate) fn error_body(namespace: &str, error: &ApiError, request_id: &str) -> String {
    let inside =
        Xml::new().text("Type", error.fault_side()).text("Code", &error.code).text("Message", &error.message);
    let body = Xml::new().element("Error", &inside).text("RequestId", request_id).into_text();
    format!("<ErrorResponse xmlns=\"{namespace}\">{body}</ErrorResponse>")
}
