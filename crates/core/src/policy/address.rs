//! Patterns of mail addresses: the only wildcards that a policy of ours can hold.

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

/// Longest address pattern, in characters.
pub const MAX_ADDRESS: usize = 320;
/// Address patterns as a regular expression for the resource's schema. Whether a domain beyond ASCII is a
/// real one, and the length of labels, only [`Address::parse`] knows.
pub const ADDRESS_PATTERN: &str = concat!(
    r"^(\*|((\*|[A-Za-z0-9!#%&'+/=^_`{|}~-]+(\.[A-Za-z0-9!#%&'+/=^_`{|}~-]+)*)@|\*@\*\.)",
    r"[\p{L}\p{N}]([\p{L}\p{M}\p{N}-]*[\p{L}\p{M}\p{N}])?(\.[\p{L}\p{N}]([\p{L}\p{M}\p{N}-]*[\p{L}\p{M}\p{N}])?)+)$",
);

/// A pattern of addresses: `user@domain`, `*@domain`, `*@*.domain` or `*`.
///
/// A star stands only for a whole local part or for whole labels, so `*example.com`, which would
/// match evilexample.com, can't be written. `$`, `?` and quotes are left out: under `StringLike` they
/// would be variables or wildcards. IAM compares with regard to case and takes no text beyond Latin-1, so the
/// domain is kept in lower case and in punycode; the local part, which is ASCII, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address(String);

impl Address {
    /// Takes a pattern of one of the four forms.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self(text.to_owned()));
        }
        let (local, domain) = text.split_once('@').filter(|_| text.chars().count() <= MAX_ADDRESS)?;
        let pattern = match (local, domain.strip_prefix("*.")) {
            ("*", Some(parent)) => format!("*@*.{}", punycode(parent)?),
            _ if local == "*" || is_local(local) => format!("{local}@{}", punycode(domain)?),
            _ => return None,
        };
        Some(Self(pattern))
    }

    /// The pattern as it stands in policies.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// True for the part of an address before the `@`, without quotes.
pub fn is_local(text: &str) -> bool {
    let is_atom = |atom: &str| {
        !atom.is_empty()
            && atom.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#%&'+/=^_`{|}~-".contains(&b))
    };
    text.split('.').all(is_atom)
}

/// True for a domain of two labels or more, in ASCII.
pub fn is_domain(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.contains('.') && text.split('.').all(is_label)
}

/// A domain in lower case and punycode. Each label has to be written in one of its two usual forms: what IDNA
/// would turn into another text (wide letters, invisible characters, other dots) is refused, so that what is
/// read in a spec is what the policy says.
fn punycode(text: &str) -> Option<String> {
    let (rules, hyphens) = (AsciiDenyList::STD3, Hyphens::CheckFirstLast);
    let idna = Uts46::new();
    let ascii = idna.to_ascii(text.as_bytes(), rules, hyphens, DnsLength::Verify).ok()?;
    let (unicode, _) = idna.to_unicode(ascii.as_bytes(), rules, hyphens);
    let lower = text.to_lowercase();
    let same_count = lower.split('.').count() == ascii.split('.').count();
    let mut labels = lower.split('.').zip(ascii.split('.').zip(unicode.split('.')));
    let as_written = labels.all(|(label, (ascii, unicode))| label == ascii || label == unicode);
    (same_count && as_written && is_domain(&ascii)).then(|| ascii.into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kept(text: &str) -> Option<String> {
        Address::parse(text).map(|address| address.0)
    }

    #[test]
    fn takes_four_forms() {
        for good in ["*", "a@example.com", "First.Last+tag@example.com", "*@example.com", "*@*.example.com"] {
            assert_eq!(kept(good).as_deref(), Some(good));
        }
        for bad in [
            "",
            "*example.com",
            "a*@example.com",
            "a@*.example.com",
            "*@*",
            "*@*.",
            "*@*.com",
            "*@*.*.example.com",
            "a@b",
            "a@@example.com",
            "\"a\"@example.com",
            "${aws:username}@example.com",
            "a@${aws:username}.com",
            "a?@example.com",
            "a@exa mple.com",
            "ä@example.com",
            "a@example.com\n",
            "a@example.com.",
            "**@example.com",
            ".a@example.com",
            "a@-example.com",
            "a@example_.com",
        ] {
            assert_eq!(kept(bad), None, "{bad:?}");
        }
        assert_eq!(kept(&format!("a@{}.com", "b".repeat(64))), None);
        assert_eq!(kept(&format!("{}@example.com", "a".repeat(MAX_ADDRESS))), None);
    }

    #[test]
    fn writes_domains_in_lower_case_and_punycode() {
        for (given, expected) in [
            ("*@Shop.EXAMPLE.com", "*@shop.example.com"),
            ("First@Example.com", "First@example.com"),
            ("*@bücher.example", "*@xn--bcher-kva.example"),
            ("*@*.BÜCHER.example", "*@*.xn--bcher-kva.example"),
            ("a@xn--bcher-kva.example", "a@xn--bcher-kva.example"),
            ("a@xn--bcher-kva.bücher.example", "a@xn--bcher-kva.xn--bcher-kva.example"),
            ("a@straße.example", "a@xn--strae-oqa.example"),
            ("a@例え.テスト", "a@xn--r8jz45g.xn--zckzah"),
            ("a@उदाहरण.example", "a@xn--p1b6ci4b4b3a.example"),
        ] {
            assert_eq!(kept(given).as_deref(), Some(expected), "{given}");
        }
    }

    #[test]
    fn refuses_what_would_become_another_text() {
        for trick in [
            "*@ｅvil.example",
            "*@evil。example",
            "*@evil\u{ad}.example",
            "*@ev\u{200b}il.example",
            "*@\u{202e}evil.example",
            "*@①.example",
            "*@ﬁne.example",
            "*@xn--a.example",
            "*@xn--example-.com",
            "*＠example.com",
            "＊@example.com",
            "*@*。example.com",
        ] {
            assert_eq!(kept(trick), None, "{trick:?}");
        }
    }

    proptest! {
        #[test]
        fn only_ascii_without_variables_is_kept(text in "[*a@.ü?$\\{\\}x\"-]{1,12}|\\PC{0,40}|\\*@(\\*\\.)?\\PC{1,20}") {
            if let Some(kept) = kept(&text) {
                prop_assert!(kept.is_ascii() && !kept.contains(['$', '?', '"', ' ']));
                prop_assert_eq!(kept.matches('*').count(), text.matches('*').count());
                prop_assert_eq!(Address::parse(&kept).map(|again| again.0), Some(kept), "parsed again it is the same");
            }
        }
    }
}
