//! The few words of SMTP (RFC 5321) that a login takes, over any stream.
//!
//! Owns commands and replies: their form, and how much of a reply is read. It must not know what a
//! reply means for a credential, and it keeps nothing that it sent.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ses_smtp_core::login::Trouble;
use ses_smtp_core::password::SmtpPassword;
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use zeroize::Zeroizing;

/// Longest line of a reply in bytes; RFC 5321, section 4.5.3.1.5, allows 512.
const MAX_LINE: u64 = 2048;
/// Most lines of a reply. SES's longest, the one to EHLO, has fewer than ten.
const MAX_LINES: usize = 64;
/// The client's name where there is no other (RFC 5321, section 4.1.3): a pod's says nothing.
const EHLO: &str = "EHLO [127.0.0.1]";

/// A reply.
pub(super) struct Answer {
    /// Code, 200 to 599.
    pub(super) code: u16,
    /// Text after the code, the lines of it.
    lines: Vec<String>,
}

impl Answer {
    /// True if the text, on one line, holds `words` in any case.
    pub(super) fn says(&self, words: &str) -> bool {
        self.lines.join(" ").to_ascii_lowercase().contains(words)
    }

    /// True if the reply to EHLO offers an extension.
    pub(super) fn offers(&self, extension: &str) -> bool {
        let keyword =
            |line: &String| line.split(' ').next().is_some_and(|word| word.eq_ignore_ascii_case(extension));
        self.lines.iter().skip(1).any(keyword)
    }
}

/// One side of a conversation.
pub(super) struct Talk<S>(BufReader<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> Talk<S> {
    /// A conversation over `stream`.
    pub(super) fn new(stream: S) -> Self {
        Self(BufReader::new(stream))
    }

    /// The stream, to go on under TLS. What the server said beyond its last reply would be taken
    /// for an answer under TLS, though anybody on the way may have said it.
    pub(super) fn into_stream(self) -> Result<S, Trouble> {
        if self.0.buffer().is_empty() { Ok(self.0.into_inner()) } else { Err(Trouble::Tls) }
    }

    /// Reads the greeting.
    pub(super) async fn greeting(&mut self) -> Result<(), Trouble> {
        expect(220, self.answer().await?).map(drop)
    }

    /// Says EHLO and gives what the server offers.
    pub(super) async fn hello(&mut self) -> Result<Answer, Trouble> {
        expect(250, self.ask(EHLO).await?)
    }

    /// Sends AUTH PLAIN (RFC 4616) with the credentials. Only a stream under TLS may get here.
    pub(super) async fn auth(&mut self, username: &str, password: &SmtpPassword) -> Result<Answer, Trouble> {
        let plain = Zeroizing::new(["", username, password.expose()].join("\0"));
        let encoded = Zeroizing::new(STANDARD.encode(plain.as_bytes()));
        self.ask(&Zeroizing::new(["AUTH PLAIN ", &encoded].concat())).await
    }

    /// Sends a command and reads the reply.
    pub(super) async fn ask(&mut self, command: &str) -> Result<Answer, Trouble> {
        let line = Zeroizing::new([command, "\r\n"].concat());
        self.0.write_all(line.as_bytes()).await.map_err(|_| Trouble::Protocol)?;
        self.0.flush().await.map_err(|_| Trouble::Protocol)?;
        self.answer().await
    }

    async fn answer(&mut self) -> Result<Answer, Trouble> {
        let mut lines = Vec::new();
        let mut first_code = None;
        while lines.len() < MAX_LINES {
            let (code, last, text) = parse(&self.line().await?).ok_or(Trouble::Protocol)?;
            // All lines of a reply have one code (RFC 5321, section 4.2.1).
            if *first_code.get_or_insert(code) != code {
                return Err(Trouble::Protocol);
            }
            lines.push(text);
            if last {
                return Ok(Answer { code, lines });
            }
        }
        Err(Trouble::Protocol)
    }

    async fn line(&mut self) -> Result<String, Trouble> {
        let mut line = Vec::new();
        let read = (&mut self.0).take(MAX_LINE).read_until(b'\n', &mut line).await;
        if read.is_err() || line.pop() != Some(b'\n') {
            return Err(Trouble::Protocol);
        }
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }
}

/// A line's code, whether it is the reply's last, and its text.
fn parse(line: &str) -> Option<(u16, bool, String)> {
    let (code, rest) = line.split_at_checked(3)?;
    let digits = code.bytes().all(|byte| byte.is_ascii_digit());
    let code = code.parse().ok().filter(|code| digits && (200..600).contains(code))?;
    match rest.split_at_checked(1) {
        None => Some((code, true, String::new())),
        Some((" ", text)) => Some((code, true, text.to_owned())),
        Some(("-", text)) => Some((code, false, text.to_owned())),
        Some(_) => None,
    }
}

/// The reply, if it has this code.
fn expect(code: u16, answer: Answer) -> Result<Answer, Trouble> {
    match answer.code {
        found if found == code => Ok(answer),
        400..500 => Err(Trouble::Temporary),
        _ => Err(Trouble::Protocol),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_lines_of_replies() {
        assert_eq!(parse("250"), Some((250, true, String::new())));
        assert_eq!(parse("250 Ok"), Some((250, true, "Ok".to_owned())));
        assert_eq!(parse("250-AUTH PLAIN"), Some((250, false, "AUTH PLAIN".to_owned())));
        for bad in ["", "25", "2500 x", "abc x", "+25 x", "199 x", "600 x", "250=x", "25é", "é50 x"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    async fn answer_to(text: &[u8]) -> Result<Answer, Trouble> {
        let (mut server, client) = tokio::io::duplex(text.len().max(1));
        server.write_all(text).await.unwrap();
        drop(server);
        Talk::new(client).answer().await
    }

    #[tokio::test]
    async fn reads_replies_of_many_lines() {
        let answer =
            answer_to(b"250-host STARTTLS\r\n250-8BITMIME\r\n250-size 10\n250 StartTLS\r\n").await.unwrap();
        assert_eq!(answer.code, 250);
        assert!(answer.offers("STARTTLS") && answer.offers("SIZE") && !answer.offers("AUTH"));
        // The first line is the host's, whatever it says.
        let answer = answer_to(b"250 STARTTLS\r\n").await.unwrap();
        assert!(!answer.offers("STARTTLS"));
        let answer = answer_to(b"535-Account NOT\r\n535 Subscribed to SES\r\n").await.unwrap();
        assert!(answer.says("not subscribed"));
    }

    #[tokio::test]
    async fn takes_nothing_else_for_a_reply() {
        let endless = "250-x\r\n".repeat(MAX_LINES + 1);
        let long = "250 ".to_owned() + &"x".repeat(4096) + "\r\n";
        for bad in ["", "250 cut", "250-more\r\n", "250-one\r\n251 two\r\n", "\r\n", &endless, &long] {
            assert_eq!(answer_to(bad.as_bytes()).await.err(), Some(Trouble::Protocol), "{bad}");
        }
    }
}
