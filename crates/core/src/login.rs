//! What a login at an SES SMTP endpoint says of a key. The conversation itself is the adapter's.

/// How an endpoint answered AUTH. No mail is sent to find out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    /// 235: the key works in this Region.
    Accepted,
    /// 535: wrong password, inactive or unknown key, or a key that SES doesn't know yet.
    Refused,
    /// 535 with SES's text for an account that doesn't use SES in this Region.
    NotSubscribed,
    /// The endpoint said nothing about the key.
    Unreachable(Trouble),
}

impl Login {
    /// Every answer.
    pub const ALL: [Self; 8] = [
        Self::Accepted,
        Self::Refused,
        Self::NotSubscribed,
        Self::Unreachable(Trouble::Connect),
        Self::Unreachable(Trouble::Tls),
        Self::Unreachable(Trouble::Timeout),
        Self::Unreachable(Trouble::Temporary),
        Self::Unreachable(Trouble::Protocol),
    ];

    /// The answer as a word, for metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::NotSubscribed => "not subscribed",
            Self::Unreachable(trouble) => trouble.as_str(),
        }
    }
}

/// Why an endpoint said nothing about a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// No connection: name resolution, routing, a closed port.
    Connect,
    /// TLS failed: the certificate isn't trusted, or the server doesn't offer STARTTLS.
    Tls,
    /// No answer in time.
    Timeout,
    /// A temporary refusal (4xx).
    Temporary,
    /// An answer that isn't SMTP's, or that AUTH doesn't have.
    Protocol,
}

impl Trouble {
    /// What happened, for a message.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "no connection",
            Self::Tls => "TLS failed",
            Self::Timeout => "no answer in time",
            Self::Temporary => "refused for now",
            Self::Protocol => "an answer that isn't SMTP's",
        }
    }
}
