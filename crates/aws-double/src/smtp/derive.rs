//! The double's own derivation of SMTP passwords (SES Developer Guide, "Obtaining Amazon SES SMTP
//! credentials"). Kept apart from the operator's on purpose: each checks the other.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::sigv4::hmac;

/// The password that a secret access key has in a Region.
pub(crate) fn password(secret: &str, region: &str) -> Option<String> {
    let start = format!("AWS4{secret}").into_bytes();
    let chain = ["11111111", region, "ses", "aws4_request", "SendRawEmail"];
    let signature = chain.iter().try_fold(start, |key, message| hmac(&key, message.as_bytes()))?;
    let versioned: Vec<u8> = std::iter::once(4).chain(signature).collect();
    Some(STANDARD.encode(versioned))
}

#[cfg(test)]
mod tests {
    use super::password;

    #[test]
    fn published_vectors() {
        let cases = [
            ("some+secret+key", "eu-central-1", "BMXhUYlu5Z3gSXVQORxlVa7XPaz91aGWdfHxvkOZdWZ2"),
            (crate::CALLER_SECRET, "us-east-2", "BMPPgbAHoFVbze1Ud0oA5uNdXRwUXUZ+qOwphGJbl/cS"),
            (crate::CALLER_SECRET, "us-east-1", "BLBM/9hSUELfq8Gw+rU1YcBjkOxGbhT2XG763xVLGWL9"),
        ];
        for (secret, region, expected) in cases {
            assert_eq!(password(secret, region).as_deref(), Some(expected), "{region}");
        }
    }
}
