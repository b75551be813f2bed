//! Checks AWS Signature Version 4 of requests (IAM User Guide, "Create a signed AWS API request").
//!
//! The whole HMAC chain is computed. The age of a signature is not judged: tests move the clock.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit as _, Mac as _};
use http::HeaderMap;
use sha2::{Digest as _, Sha256};

use crate::account::ApiError;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// The parts of a request that are signed.
pub(crate) struct Signed<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
}

/// What an `Authorization` header claims.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) key_id: String,
    date: String,
    region: String,
    pub(crate) service: String,
    signed_headers: String,
    signature: String,
}

impl Claim {
    /// Reads the `Authorization` header.
    pub(crate) fn read(headers: &HeaderMap) -> Result<Self, ApiError> {
        let missing =
            || ApiError::new(403, "MissingAuthenticationToken", "Request is missing Authentication Token");
        let value = headers.get("authorization").and_then(|v| v.to_str().ok()).ok_or_else(missing)?;
        let incomplete = || ApiError::new(400, "IncompleteSignature", "Authorization header is incomplete.");
        Self::parse(value).ok_or_else(incomplete)
    }

    fn parse(value: &str) -> Option<Self> {
        let rest = value.strip_prefix(ALGORITHM)?;
        let field = |name: &str| {
            rest.split(',')
                .find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))
                .map(str::to_owned)
        };
        let credential = field("Credential")?;
        let mut scope = credential.split('/').map(str::to_owned);
        let claim = Self {
            key_id: scope.next()?,
            date: scope.next()?,
            region: scope.next()?,
            service: scope.next()?,
            signed_headers: field("SignedHeaders")?,
            signature: field("Signature")?,
        };
        (scope.next()? == "aws4_request").then_some(claim)
    }

    /// Whether the secret made the signature.
    pub(crate) fn verify(&self, request: &Signed<'_>, secret: &str) -> Result<(), ApiError> {
        let text = "The request signature we calculated does not match the signature you provided. \
                    Check your AWS Secret Access Key and signing method. Consult the service documentation for details.";
        let mismatch = || ApiError::new(403, "SignatureDoesNotMatch", text);
        let expected = self.sign(request, secret).ok_or_else(mismatch)?;
        (expected == self.signature).then_some(()).ok_or_else(mismatch)
    }

    fn sign(&self, request: &Signed<'_>, secret: &str) -> Option<String> {
        let time = header(request.headers, "x-amz-date")?;
        let scope = format!("{}/{}/{}/aws4_request", self.date, self.region, self.service);
        let canonical = hex(&Sha256::digest(self.canonical(request)?));
        let to_sign = format!("{ALGORITHM}\n{time}\n{scope}\n{canonical}");
        let chain = [&self.date, &self.region, &self.service, "aws4_request", &to_sign];
        let start = format!("AWS4{secret}").into_bytes();
        let signature = chain.iter().try_fold(start, |key, message| hmac(&key, message.as_bytes()))?;
        Some(hex(&signature))
    }

    fn canonical(&self, request: &Signed<'_>) -> Option<String> {
        let mut text = format!("{}\n{}\n{}\n", request.method, request.path, sorted(request.query));
        for name in self.signed_headers.split(';') {
            writeln!(text, "{name}:{}", header(request.headers, name)?).ok()?;
        }
        let body = hex(&Sha256::digest(request.body));
        write!(text, "\n{}\n{body}", self.signed_headers).ok()?;
        Some(text)
    }
}

/// A header in canonical form: values joined, runs of spaces made one.
fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    let values: Option<Vec<&str>> = headers.get_all(name).iter().map(|value| value.to_str().ok()).collect();
    let values = values.filter(|values| !values.is_empty())?;
    let tidy = |value: &&str| value.split_whitespace().collect::<Vec<_>>().join(" ");
    Some(values.iter().map(tidy).collect::<Vec<_>>().join(","))
}

fn sorted(query: &str) -> String {
    let mut pairs: Vec<&str> = query.split('&').filter(|pair| !pair.is_empty()).collect();
    pairs.sort_unstable();
    pairs.join("&")
}

/// HMAC-SHA256.
pub(crate) fn hmac(key: &[u8], message: &[u8]) -> Option<Vec<u8>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(message);
    Some(mac.finalize().into_bytes().to_vec())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
