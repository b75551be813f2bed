//! Text with `$(placeholders)`: how it is read, and which placeholders there are.
//!
//! The form is that of Kubernetes itself in a container's `args`: `$(name)` is replaced, `$$` is a
//! dollar, and any other dollar stays as it is, also in `$(` without its end. Only a name that is not
//! known differs: Kubernetes leaves it, and here it is refused, for nobody would notice.

use super::Form;

/// What a placeholder stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Host,
    Port,
    HostPort,
    Username,
    Password(Form),
    Url,
    Region,
    Starttls,
    ImplicitTls,
    FromAddress,
}

/// Every placeholder, as it is written.
const NAMES: [(&str, Name); 11] = [
    ("host", Name::Host),
    ("port", Name::Port),
    ("hostPort", Name::HostPort),
    ("username", Name::Username),
    ("password", Name::Password(Form::Plain)),
    ("passwordUrlEncoded", Name::Password(Form::UrlEncoded)),
    ("url", Name::Url),
    ("region", Name::Region),
    ("starttls", Name::Starttls),
    ("implicitTls", Name::ImplicitTls),
    ("fromAddress", Name::FromAddress),
];

/// The placeholders in one text, for messages.
pub fn placeholders() -> String {
    NAMES.map(|(text, _)| text).join(", ")
}

impl Name {
    /// The placeholder that is written so.
    pub(super) fn parse(text: &str) -> Option<Self> {
        NAMES.iter().find(|(name, _)| *name == text).map(|(_, name)| *name)
    }
}

/// A piece of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    Text(&'a str),
    /// What stands between `$(` and `)`.
    Placeholder(&'a str),
}

/// The pieces of a template, in order.
pub(super) fn tokens(mut text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    while let Some((before, after)) = text.split_once('$') {
        tokens.push(Token::Text(before));
        let (token, rest) = after_dollar(after);
        tokens.push(token);
        text = rest;
    }
    tokens.push(Token::Text(text));
    tokens
}

/// What a dollar begins, and what follows that.
fn after_dollar(after: &str) -> (Token<'_>, &str) {
    if let Some(rest) = after.strip_prefix('$') {
        return (Token::Text("$"), rest);
    }
    let named = after.strip_prefix('(').and_then(|rest| rest.split_once(')'));
    named.map_or((Token::Text("$"), after), |(name, rest)| (Token::Placeholder(name), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The template with each placeholder shown as `<name>`.
    fn shown(text: &str) -> String {
        let piece = |token: &Token| match token {
            Token::Text(text) => (*text).to_owned(),
            Token::Placeholder(name) => format!("<{name}>"),
        };
        tokens(text).iter().map(piece).collect()
    }

    #[test]
    fn reads_dollars_as_kubernetes_does() {
        for (text, expected) in [
            ("", ""),
            ("plain", "plain"),
            ("$(a)", "<a>"),
            ("x$(a)y$(b)", "x<a>y<b>"),
            ("$$(a)", "$(a)"),
            ("$$$(a)", "$<a>"),
            ("$$$$(a)", "$$(a)"),
            ("$a $ $", "$a $ $"),
            ("$(a", "$(a"),
            ("$(a$(b)", "<a$(b>"),
            ("$()", "<>"),
            ("ü$(a)€", "ü<a>€"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn every_placeholder_is_read_as_it_is_written() {
        for (text, name) in NAMES {
            assert_eq!(Name::parse(text), Some(name));
        }
        assert_eq!(Name::parse("Host"), None);
    }
}
