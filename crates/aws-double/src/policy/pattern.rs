//! Matching with `*`, `?` and policy variables.

use super::Context;

/// One step of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Is(char),
    One,
    Any,
    /// A variable without a value: the pattern matches nothing.
    Never,
}

/// A pattern with its variables filled in.
#[derive(Debug)]
pub(super) struct Pattern(Vec<Token>);

impl Pattern {
    /// `*` and `?` are wildcards, `${*}`, `${?}` and `${$}` are those characters.
    pub(super) fn wild(text: &str, context: &Context) -> Self {
        Self(tokens(text, context, true))
    }

    /// No wildcards; variables count all the same.
    pub(super) fn literal(text: &str, context: &Context) -> Self {
        Self(tokens(text, context, false))
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        matches(&self.0, &text)
    }
}

fn tokens(text: &str, context: &Context, wild: bool) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some((name, after)) = rest.strip_prefix("${").and_then(|r| r.split_once('}')) {
            variable(name, context, &mut tokens);
            rest = after;
            continue;
        }
        tokens.push(match c {
            '*' if wild => Token::Any,
            '?' if wild => Token::One,
            other => Token::Is(other),
        });
        rest = rest.strip_prefix(c).unwrap_or_default();
    }
    tokens
}

fn variable(name: &str, context: &Context, tokens: &mut Vec<Token>) {
    match name {
        "*" | "?" | "$" => tokens.extend(name.chars().map(Token::Is)),
        _ => match context.variable(name) {
            Some(value) => tokens.extend(value.chars().map(Token::Is)),
            None => tokens.push(Token::Never),
        },
    }
}

/// Greedy with one point of return, so the cost stays quadratic.
fn matches(mut pattern: &[Token], mut text: &[char]) -> bool {
    let mut star: Option<(&[Token], &[char])> = None;
    loop {
        match (pattern, text) {
            ([Token::Any, rest @ ..], _) => {
                star = Some((rest, text));
                pattern = rest;
            }
            ([Token::One, rest @ ..], [_, more @ ..]) => (pattern, text) = (rest, more),
            ([Token::Is(want), rest @ ..], [have, more @ ..]) if want == have => {
                (pattern, text) = (rest, more);
            }
            ([], []) => return true,
            _ => {
                let Some((after, [_, more @ ..])) = star else { return false };
                star = Some((after, more));
                (pattern, text) = (after, more);
            }
        }
    }
}
