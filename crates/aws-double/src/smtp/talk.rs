//! Lines over a stream.

use std::io::{Error, ErrorKind, Result};
use std::time::Duration;

use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};

/// Longest line of a command or a message.
const LINE: u64 = 64 * 1024;
/// Largest message, as offered in EHLO.
pub(super) const SIZE: usize = 41_943_040;

/// A line-wise conversation.
pub(super) struct Talk<S>(BufReader<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> Talk<S> {
    pub(super) fn new(stream: S) -> Self {
        Self(BufReader::new(stream))
    }

    /// The stream; whatever was read ahead is lost.
    pub(super) fn into_stream(self) -> S {
        self.0.into_inner()
    }

    /// Sends reply lines, each with its line end.
    pub(super) async fn say(&mut self, reply: &str) -> Result<()> {
        self.0.write_all(format!("{}\r\n", reply.replace('\n', "\r\n")).as_bytes()).await?;
        self.0.flush().await
    }

    /// The next line without its end; `TimedOut` after `idle`.
    pub(super) async fn line(&mut self, idle: Duration) -> Result<String> {
        let mut bytes = Vec::new();
        tokio::time::timeout(idle, self.read_line(&mut bytes)).await??;
        let text = String::from_utf8_lossy(&bytes);
        Ok(text.trim_end_matches(['\r', '\n']).to_owned())
    }

    async fn read_line(&mut self, bytes: &mut Vec<u8>) -> Result<()> {
        let read = (&mut self.0).take(LINE).read_until(b'\n', bytes).await?;
        if read == 0 || bytes.last() != Some(&b'\n') {
            return Err(Error::from(ErrorKind::UnexpectedEof));
        }
        Ok(())
    }

    /// A message up to the lone dot, dots unstuffed (RFC 5321 section 4.5.2); `None` if it is too long.
    pub(super) async fn message(&mut self, idle: Duration) -> Result<Option<String>> {
        let (mut text, mut fits) = (String::new(), true);
        loop {
            let line = self.line(idle).await?;
            if line == "." {
                return Ok(fits.then_some(text));
            }
            fits = fits && text.len().saturating_add(line.len()) < SIZE;
            if fits {
                text.push_str(line.strip_prefix('.').unwrap_or(&line));
                text.push_str("\r\n");
            }
        }
    }

    /// Waits until the other side goes away.
    pub(super) async fn hang(&mut self) -> Result<()> {
        let mut ignored = Vec::new();
        while self.0.read_until(b'\n', &mut ignored).await? > 0 {
            ignored.clear();
        }
        Ok(())
    }
}
