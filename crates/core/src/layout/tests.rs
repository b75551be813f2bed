use proptest::prelude::*;
use url::Url;

use super::found::named_among;
use super::*;
use crate::password::SecretAccessKey;
use crate::test::{endpoints, key};

const DOC: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

type Texts = BTreeMap<String, String>;
type Data = BTreeMap<String, ByteString>;

fn passwords(secret: &str, endpoints: &Endpoints) -> Passwords {
    Passwords::derive(&SecretAccessKey::new(secret).unwrap(), endpoints.regions())
}

fn texts(pairs: &[(&str, &str)]) -> Texts {
    pairs.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect()
}

fn chosen(pairs: &[(&str, &str)], endpoints: &Endpoints) -> Result<Layout, String> {
    Layout::choose(None, &texts(pairs), endpoints, Some("news@example.com"))
}

/// What is written for key 1, and what the record knows of the passwords.
fn written(layout: &Layout, endpoints: &Endpoints, secret: &str) -> (Data, BTreeMap<String, String>) {
    let (rendering, passwords) = (layout.render(&key(1)), passwords(secret, endpoints));
    (rendering.fill(&passwords).unwrap(), rendering.recorded(&passwords).unwrap())
}

fn text<'a>(data: &'a Data, key: &str) -> &'a str {
    std::str::from_utf8(&data[key].0).unwrap()
}

#[test]
fn fills_and_recovers() {
    let endpoints = endpoints(&["eu-central-1"]);
    let layout = Layout::standard(&endpoints);
    let (data, recorded) = written(&layout, &endpoints, DOC);
    assert_eq!(data.keys().collect::<Vec<_>>(), ["host", "password", "port", "username"]);
    assert_eq!(data["port"].0, b"587");
    assert_eq!(digests(&data, &recorded), layout.render(&key(1)).digests(&recorded).unwrap());
    assert_eq!(named_key(&data), Some(key(1)));
    let found = recover_all(&data, &recorded, endpoints.regions()).unwrap();
    assert_eq!(found.digests(), recorded);
    assert!(recover(&data, &digest(b"another")).is_none());
}

#[test]
fn several_regions_have_keys_of_their_own() {
    let endpoints = endpoints(&["eu-central-1", "us-east-1"]);
    let layout = Layout::standard(&endpoints);
    let (data, _) = written(&layout, &endpoints, DOC);
    let passwords = passwords(DOC, &endpoints);
    assert_eq!(data.len(), 10);
    for region in ["eu-central-1", "us-east-1"] {
        assert_eq!(text(&data, &format!("{region}.host")), format!("email-smtp.{region}.amazonaws.com"));
        let password = passwords.get(region).unwrap().expose().as_bytes();
        assert_eq!(data[&format!("{region}.password")].0, password);
    }
    assert_eq!(data["password"], data["eu-central-1.password"]);
    assert_ne!(data["password"], data["us-east-1.password"]);
    let (rendering, few) = (layout.render(&key(1)), Passwords::found(BTreeMap::new()));
    assert!(rendering.fill(&few).is_none() && rendering.hash(&few.digests()).is_none());
}

#[test]
fn every_placeholder_has_its_value() {
    let mut endpoints = endpoints(&["eu-central-1", "us-east-1"]);
    endpoints.additional[0].port = 465;
    endpoints.additional[0].implicit_tls = true;
    let all = "$(host) $(port) $(hostPort) $(username) $(region) $(starttls) $(implicitTls) $(fromAddress) $$(host) $";
    let other = all.replace("$(", "$(us-east-1.").replace("$$(us-east-1.", "$$(");
    let layout = chosen(
        &[("here", all), ("there", &other), ("p", "$(password)"), ("q", "<$(us-east-1.passwordUrlEncoded)>")],
        &endpoints,
    );
    let (data, _) = written(&layout.unwrap(), &endpoints, DOC);
    let (host, id) = ("email-smtp.eu-central-1.amazonaws.com", key(1));
    assert_eq!(
        text(&data, "here"),
        format!("{host} 587 {host}:587 {id} eu-central-1 true false news@example.com $(host) $")
    );
    let host = "email-smtp.us-east-1.amazonaws.com";
    assert_eq!(
        text(&data, "there"),
        format!("{host} 465 {host}:465 {id} us-east-1 false true news@example.com $(host) $")
    );
    assert_eq!(text(&data, "q"), "<BLBM%2F9hSUELfq8Gw%2BrU1YcBjkOxGbhT2XG763xVLGWL9>");
}

#[test]
fn a_layout_that_cant_be_kept_is_refused() {
    let endpoints = endpoints(&["eu-central-1", "us-east-1"]);
    let whole = [("u", "$(url)"), ("v", "$(us-east-1.url)")];
    assert!(chosen(&whole, &endpoints).is_ok());
    let long = "x".repeat(MAX_TEXT + 1);
    let many = "$(url)".repeat(MAX_TEXT / 6);
    let with = |key: &str, text: &str| {
        [&whole[..], &[(key, text)]]
            .concat()
            .iter()
            .map(|(k, t)| ((*k).to_owned(), (*t).to_owned()))
            .collect::<Texts>()
    };
    for (data, message) in [
        (texts(&[("u", "$(username)"), ("p", "$(us-east-1.password)")]), "the password for eu-central-1"),
        (texts(&[("u", "$(url)")]), "the password for us-east-1: use $(us-east-1.password)"),
        (texts(&[("p", "$(password)"), ("q", "$(us-east-1.password)")]), "no entry holds the user name"),
        (with("x", "$(hst)"), "x uses $(hst), which is not known: use host, port"),
        (with("x", "$(eu-west-1.host)"), "(eu-central-1, us-east-1)"),
        (with("a b", ""), "the key \"a b\" is not valid"),
        (with("..x", ""), "the key \"..x\" is not valid"),
        (with("x", &long), "x has 4097 characters, 4096 are allowed"),
        ((0..65).map(|n| (format!("k{n}"), String::new())).collect(), "has 65 entries, 64 are allowed"),
        (
            (0..60).map(|n| (format!("k{n}"), many.clone())).chain(with("x", "")).collect(),
            "524288 are allowed",
        ),
    ] {
        let error = Layout::choose(None, &data, &endpoints, None).unwrap_err();
        assert!(error.contains(message), "{error}");
    }
    let address = [&whole[..], &[("x", "$(fromAddress)")]].concat();
    assert!(chosen(&address, &endpoints).is_ok());
    let error = Layout::choose(None, &texts(&address), &endpoints, None).unwrap_err();
    assert!(error.contains("x uses $(fromAddress)"), "{error}");
    assert!(Layout::choose(Some("nobody"), &Texts::new(), &endpoints, None).is_err());
}

#[test]
fn a_preset_is_added_to_and_overridden() {
    let endpoints = endpoints(&["eu-central-1", "us-east-1"]);
    let data = texts(&[("server", "$(hostPort)"), ("login", "user=$(username)")]);
    let layout = Layout::choose(Some("mastodon"), &data, &endpoints, None).unwrap();
    let (data, _) = written(&layout, &endpoints, DOC);
    let keys = ["login", "password", "server", "us-east-1.host", "us-east-1.password", "us-east-1.port"];
    assert_eq!(data.keys().collect::<Vec<_>>(), keys);
    assert_eq!(text(&data, "login"), format!("user={}", key(1)));
    assert_eq!(named_key(&data), Some(key(1)));
}

#[test]
fn the_hash_follows_every_value() {
    let hash = |regions: &[&str], n, port, pair: (&str, &str), secret: &str| {
        let mut endpoints = endpoints(regions);
        endpoints.primary.port = port;
        let more: Vec<(String, String)> =
            regions.iter().map(|it| (format!("{it}.p"), format!("$({it}.password)"))).collect();
        let pairs: Vec<(&str, &str)> =
            more.iter().map(|(k, t)| (k.as_str(), t.as_str())).chain([("u", "$(username)"), pair]).collect();
        let rendering = chosen(&pairs, &endpoints).unwrap().render(&key(n));
        rendering.hash(&rendering.recorded(&passwords(secret, &endpoints)).unwrap()).unwrap()
    };
    let (eu, plain) = (["eu-central-1"], ("x", "$(host) $(port) $(password)"));
    let one = hash(&eu, 1, 587, plain, DOC);
    assert_eq!(one, hash(&eu, 1, 587, plain, DOC));
    let others = [
        hash(&["us-east-1"], 1, 587, plain, DOC),
        hash(&eu, 1, 25, plain, DOC),
        hash(&eu, 2, 587, plain, DOC),
        hash(&eu, 1, 587, plain, "another"),
        hash(&["eu-central-1", "us-east-1"], 1, 587, plain, DOC),
        hash(&eu, 1, 587, ("x", "$(host) $(port) $(passwordUrlEncoded)"), DOC),
        hash(&eu, 1, 587, ("x", "$(host) $(port)  $(password)"), DOC),
        hash(&eu, 1, 587, ("y", plain.1), DOC),
    ];
    let distinct: BTreeSet<&String> = others.iter().chain([&one]).collect();
    assert_eq!(distinct.len(), others.len() + 1);
}

#[test]
fn a_value_that_imitates_the_form_of_a_digest_is_another() {
    let endpoints = endpoints(&["eu-central-1"]);
    let layout = chosen(&[("u", "$(url)")], &endpoints).unwrap();
    let (data, recorded) = written(&layout, &endpoints, DOC);
    let known = recorded.values().map(String::as_str).collect();
    let forged = pieces(&bits(&data["u"].0, &known));
    let forged = Data::from([("u".to_owned(), ByteString(forged.into_bytes()))]);
    assert_ne!(digests(&forged, &recorded), digests(&data, &recorded));
}

#[test]
fn a_key_is_named_where_only_one_is() {
    let data = |pairs: &[(&str, String)]| -> Data {
        pairs.iter().map(|(key, text)| ((*key).to_owned(), ByteString(text.clone().into_bytes()))).collect()
    };
    let (one, two) = (key(1).to_string(), key(2).to_string());
    let url = format!("smtp://{one}:x@host:587");
    assert_eq!(named_key(&data(&[("u", url.clone())])), Some(key(1)));
    assert_eq!(named_key(&data(&[("u", url.clone()), ("x", two.clone())])), None);
    assert_eq!(named_key(&data(&[("u", url.clone()), ("username", two.clone())])), Some(key(2)));
    assert_eq!(
        named_key(&data(&[("u", format!("X{one}")), ("a", "PLAINTEXTAUTHENTICATION".to_owned())])),
        None
    );
    // What others added doesn't count, and the record tells which of several is meant.
    let both = data(&[("u", url), ("username", two.clone()), ("v", two)]);
    let ours = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
    assert_eq!(named_among(&both, Some(&ours(&["u"])), None), Some(key(1)));
    assert_eq!(named_among(&both, Some(&ours(&["u", "v"])), None), None);
    assert_eq!(named_among(&both, Some(&ours(&["u", "v"])), Some(&key(2))), Some(key(2)));
    assert_eq!(named_among(&both, Some(&ours(&["u", "v"])), Some(&key(3))), None);
    assert_eq!(named_among(&both, Some(&ours(&[])), None), Some(key(2)));
}

proptest! {
    #[test]
    fn a_url_says_what_was_put_in(secret in "[A-Za-z0-9/+]{40}", port in 1_u16.., implicit: bool) {
        let mut endpoints = endpoints(&["eu-central-1"]);
        (endpoints.primary.port, endpoints.primary.implicit_tls) = (port, implicit);
        let layout = chosen(&[("u", "$(url)")], &endpoints).unwrap();
        let (data, _) = written(&layout, &endpoints, &secret);
        let passwords = passwords(&secret, &endpoints);
        let url = Url::parse(text(&data, "u")).unwrap();
        prop_assert_eq!(url.scheme(), if implicit { "smtps" } else { "smtp" });
        prop_assert_eq!(url.host_str(), Some("email-smtp.eu-central-1.amazonaws.com"));
        prop_assert_eq!(url.port(), Some(port));
        prop_assert_eq!(url.username(), key(1).to_string());
        let decoded = decoded(url.password().unwrap());
        prop_assert_eq!(decoded.as_str(), passwords.get("eu-central-1").unwrap().expose());
    }

    #[test]
    fn any_text_survives_encoding(text in "\\PC{0,40}") {
        let encoded = url_encoded(&text);
        prop_assert!(encoded.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~%".contains(&b)));
        let url = Url::parse(&format!("smtp://u:{encoded}@host")).unwrap();
        prop_assert_eq!(decoded(url.password().unwrap_or_default()), text);
    }

    /// Whatever text stands around a password: it is found again, and digests computed without it
    /// are those of what was written.
    #[test]
    fn a_password_is_found_in_any_text(
        secret in "[A-Za-z0-9/+]{40}",
        around in prop::collection::vec("(B[A-P]|%|[A-Za-z0-9+/]{0,50}|\\PC{0,9})", 4),
    ) {
        let endpoints = endpoints(&["eu-central-1", "us-east-1"]);
        let plain: Vec<String> = around.iter().map(|text| text.replace('$', "")).collect();
        let layout = chosen(&[
            ("file", &format!("{}$(password){}$(us-east-1.passwordUrlEncoded){}", plain[0], plain[1], plain[2])),
            ("more", &format!("{}$(username):$(passwordUrlEncoded)", plain[3])),
        ], &endpoints).unwrap();
        let (data, recorded) = written(&layout, &endpoints, &secret);
        let rendering = layout.render(&key(1));
        prop_assert_eq!(digests(&data, &recorded), rendering.digests(&recorded).unwrap());
        let found = recover_all(&data, &recorded, endpoints.regions()).unwrap();
        prop_assert_eq!(rendering.fill(&found).unwrap(), data.clone());
        let regions: BTreeSet<String> = found.digests().into_values().collect();
        prop_assert!(held(&data, &recorded).is_superset(&regions));
        // An edit anywhere shows.
        let mut edited = data.clone();
        edited.get_mut("file").unwrap().0.push(b'x');
        prop_assert_ne!(digests(&edited, &recorded), digests(&data, &recorded));
        let none: Data = data.into_iter().map(|(key, value)| {
            (key, ByteString(value.0.into_iter().filter(u8::is_ascii_digit).collect()))
        }).collect();
        prop_assert!(recover_all(&none, &recorded, endpoints.regions()).is_none());
        prop_assert!(held(&none, &recorded).is_empty());
    }
}

/// Percent-decoded by the URL library: what a query's value comes out as, with `+` kept as it is.
fn decoded(text: &str) -> String {
    let query = format!("v={}", text.replace('+', "%2B"));
    url::form_urlencoded::parse(query.as_bytes()).next().unwrap().1.into_owned()
}
