//! OIDC tokens, as service accounts have them: who issued one, for whom, and whether its signature
//! holds. No I/O.
//!
//! Facts are of the STS reference and RFC 7515, 7517 and 7519. Only ES256 is understood, which is what the
//! control plane of the suites signs with.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use k8s_openapi::jiff::Timestamp;
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde_json::Value;

use crate::account::ApiError;
use crate::policy::{Context, texts};
use crate::sessions::Asker;

/// A provider whose tokens an account takes.
#[derive(Debug)]
pub(crate) struct Provider {
    issuer: String,
    audiences: Vec<String>,
    keys: Vec<Key>,
}

/// A public key of a provider: its id, and the point of the curve as an uncompressed one.
#[derive(Debug)]
struct Key {
    id: String,
    point: Vec<u8>,
}

/// Whom a token is of, once it is believed.
#[derive(Debug)]
pub(crate) struct Subject {
    /// The issuer without its scheme, as ARNs and condition keys have it.
    host: String,
    pub(crate) name: String,
    pub(crate) audience: String,
}

impl Provider {
    /// The error says what of the keys can't be used.
    pub(crate) fn new(issuer: &str, audiences: &[&str], jwks: &str) -> Result<Self, String> {
        let set: Value = serde_json::from_str(jwks).map_err(|error| error.to_string())?;
        let listed = set.get("keys").and_then(Value::as_array).ok_or("no list of keys")?;
        let keys = listed.iter().map(key).collect::<Option<Vec<_>>>().ok_or("a key is not of curve P-256")?;
        let audiences = audiences.iter().map(|audience| (*audience).to_owned()).collect();
        Ok(Self { issuer: issuer.to_owned(), audiences, keys })
    }

    pub(crate) fn is_of(&self, issuer: &str) -> bool {
        self.issuer == issuer
    }

    /// Whether one of the keys has signed the token's first two parts.
    fn signed(&self, token: &Token<'_>) -> bool {
        let keys = self.keys.iter().filter(|key| token.key_id.as_ref().is_none_or(|id| *id == key.id));
        keys.map(|key| UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &key.point))
            .any(|key| key.verify(token.signed.as_bytes(), &token.signature).is_ok())
    }
}

fn key(of: &Value) -> Option<Key> {
    let text = |name: &str| of.get(name).and_then(Value::as_str);
    let number = |name: &str| BASE64_URL_SAFE_NO_PAD.decode(text(name)?).ok().filter(|n| n.len() == 32);
    if text("crv")? != "P-256" {
        return None;
    }
    let point = [vec![4], number("x")?, number("y")?].concat();
    Some(Key { id: text("kid").unwrap_or_default().to_owned(), point })
}

/// The parts of a token; nothing of it is believed yet.
struct Token<'a> {
    signed: &'a str,
    signature: Vec<u8>,
    key_id: Option<String>,
    claims: Value,
}

impl<'a> Token<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let (signed, signature) = text.trim().rsplit_once('.')?;
        let (head, claims) = signed.split_once('.')?;
        let part = |text: &str| -> Option<Value> {
            serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(text).ok()?).ok()
        };
        let head = part(head)?;
        if head.get("alg")?.as_str()? != "ES256" {
            return None;
        }
        let key_id = head.get("kid").and_then(Value::as_str).map(str::to_owned);
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?;
        Some(Self { signed, signature, key_id, claims: part(claims)? })
    }

    fn claim(&self, name: &str) -> &str {
        self.claims.get(name).and_then(Value::as_str).unwrap_or_default()
    }
}

/// Whom the token is of. Signature first, then time, then audience.
pub(crate) fn verify(providers: &[Provider], token: &str, now: Timestamp) -> Result<Subject, ApiError> {
    let invalid = |text: &str| ApiError::new(400, "InvalidIdentityToken", text);
    let token = Token::read(token)
        .ok_or_else(|| invalid("The web identity token that was passed is not a valid ES256 token"))?;
    let issuer = token.claim("iss");
    let provider = providers
        .iter()
        .find(|provider| provider.is_of(issuer))
        .ok_or_else(|| invalid(&format!("No OpenIDConnect provider found in your account for {issuer}")))?;
    if !provider.signed(&token) {
        return Err(invalid("The web identity token's signature could not be verified"));
    }
    let expires = token.claims.get("exp").and_then(Value::as_i64).unwrap_or_default();
    if now.as_second() >= expires {
        let text = format!(
            "Token expired: current date/time {} must be before the expiration date/time {expires}",
            now.as_second()
        );
        return Err(ApiError::new(400, "ExpiredTokenException", text));
    }
    let audiences = token.claims.get("aud").map(texts).unwrap_or_default();
    let audience = audiences.into_iter().find(|one| provider.audiences.iter().any(|known| known == one));
    let audience = audience.ok_or_else(|| invalid("Incorrect token audience"))?.to_owned();
    let host = issuer.trim_start_matches("https://").to_owned();
    Ok(Subject { host, name: token.claim("sub").to_owned(), audience })
}

impl Subject {
    /// The provider as an account has it.
    pub(crate) fn provider_arn(&self, account: &str) -> String {
        format!("arn:aws:iam::{account}:oidc-provider/{}", self.host)
    }

    /// As trust policies of an account's roles see it.
    pub(crate) fn asker(&self, account: &str) -> Asker {
        let key = |name: &str| format!("{}:{name}", self.host);
        Asker {
            kind: "Federated",
            names: vec![self.provider_arn(account)],
            actions: &["sts:AssumeRoleWithWebIdentity"],
            context: Context::default()
                .with(&key("sub"), vec![self.name.clone()])
                .with(&key("aud"), vec![self.audience.clone()]),
        }
    }
}

#[cfg(test)]
mod tests {
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
    use serde_json::json;

    use super::*;

    const ISSUER: &str = "https://kubernetes.default.svc";

    fn pair() -> EcdsaKeyPair {
        let random = SystemRandom::new();
        let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, made.as_ref(), &random).unwrap()
    }

    fn token(pair: &EcdsaKeyPair, algorithm: &str, claims: &Value) -> String {
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&json!({ "alg": algorithm, "kid": "1" })), part(claims));
        let signature = pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }

    fn provider(pair: &EcdsaKeyPair) -> Provider {
        let point = pair.public_key().as_ref();
        let number = |from: usize| BASE64_URL_SAFE_NO_PAD.encode(&point[from..from + 32]);
        let jwks =
            json!({ "keys": [{ "kty": "EC", "crv": "P-256", "kid": "1", "x": number(1), "y": number(33) }] });
        Provider::new(ISSUER, &["sts.amazonaws.com"], &jwks.to_string()).unwrap()
    }

    #[test]
    fn a_token_is_believed_only_as_a_whole() {
        let (pair, other, now) = (pair(), pair(), Timestamp::from_second(1_000).unwrap());
        let providers = [provider(&pair)];
        let claims =
            |exp: i64, iss: &str, aud: &str| json!({ "iss": iss, "sub": "a:b", "aud": [aud], "exp": exp });
        let good = claims(1_001, ISSUER, "sts.amazonaws.com");
        let subject = verify(&providers, &token(&pair, "ES256", &good), now).unwrap();
        assert_eq!((subject.name.as_str(), subject.audience.as_str()), ("a:b", "sts.amazonaws.com"));
        let said = |text: &str| verify(&providers, text, now).unwrap_err();
        let whole = token(&pair, "ES256", &good);
        let (_, signature) = whole.rsplit_once('.').unwrap();
        let (forged, _) = token(&pair, "ES256", &claims(9_999, ISSUER, "sts.amazonaws.com"))
            .rsplit_once('.')
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .unwrap();
        for (what, text, code) in [
            ("another's key", token(&other, "ES256", &good), "InvalidIdentityToken"),
            ("other claims", format!("{forged}.{signature}"), "InvalidIdentityToken"),
            ("no algorithm", token(&pair, "none", &good), "InvalidIdentityToken"),
            ("no token", "abc".to_owned(), "InvalidIdentityToken"),
            (
                "over",
                token(&pair, "ES256", &claims(1_000, ISSUER, "sts.amazonaws.com")),
                "ExpiredTokenException",
            ),
            (
                "another issuer",
                token(&pair, "ES256", &claims(1_001, "https://x", "sts.amazonaws.com")),
                "InvalidIdentityToken",
            ),
            ("another audience", token(&pair, "ES256", &claims(1_001, ISSUER, "x")), "InvalidIdentityToken"),
        ] {
            assert_eq!(said(&text).code, code, "{what}");
        }
    }
}
