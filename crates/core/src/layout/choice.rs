//! The layout that a spec asks for: the default one, a preset, the spec's own, or a preset with changes.

use std::collections::BTreeMap;

use crate::endpoint::{Endpoint, Endpoints};
use crate::preset::{self, Preset};

use super::template::{Name, Token, placeholders, tokens};
use super::{Form, Layout, PASSWORD, Part, USERNAME};

/// Most entries in `spec.secret.data`.
pub const MAX_KEYS: usize = 64;
/// Longest text of one, in characters.
pub const MAX_TEXT: usize = 4096;
/// Largest data, in bytes, well below the 1 MiB of a Secret: others may add keys.
pub const MAX_SIZE: usize = 512 * 1024;
/// Longest data key of a Secret.
const MAX_DATA_KEY: usize = 253;
/// Room for a password with each character percent-encoded, or for a user name.
const ROOM: usize = 3 * crate::password::LENGTH;

/// Where placeholders get their text from.
struct Source<'a> {
    endpoints: &'a Endpoints,
    from_address: Option<&'a str>,
}

pub(super) fn standard(endpoints: &Endpoints) -> Layout {
    let mut parts = BTreeMap::from([(USERNAME.to_owned(), vec![Part::Username])]);
    parts.extend(place("", &endpoints.primary));
    if !endpoints.additional.is_empty() {
        parts.extend(endpoints.iter().flat_map(|it| place(&format!("{}.", it.region), it)));
    }
    Layout(parts)
}

/// Host, port and password of an endpoint, each under a data key with this prefix.
fn place(prefix: &str, endpoint: &Endpoint) -> [(String, Vec<Part>); 3] {
    let key = |name: &str| format!("{prefix}{name}");
    [
        (key("host"), vec![Part::Text(endpoint.host.clone())]),
        (key("port"), vec![Part::Text(endpoint.port.to_string())]),
        (key(PASSWORD), vec![Part::Password(endpoint.region.to_string(), Form::Plain)]),
    ]
}

impl Layout {
    /// The layout for what `spec.secret` says, or why there can't be one. `from_address` is the first
    /// sender without a wildcard.
    pub fn choose(
        preset: Option<&str>,
        data: &BTreeMap<String, String>,
        endpoints: &Endpoints,
        from_address: Option<&str>,
    ) -> Result<Self, String> {
        let source = Source { endpoints, from_address };
        let mut layout = match preset {
            Some(name) => source.preset(name)?,
            None if data.is_empty() => return Ok(standard(endpoints)),
            None => BTreeMap::new(),
        };
        within_limits(data)?;
        for (key, text) in data {
            layout.insert(key.clone(), source.parts(key, text)?);
        }
        let layout = Self(layout);
        layout.is_whole(endpoints)?;
        Ok(layout)
    }

    /// The operator finds again by the data what it published: with the user name or a password missing,
    /// a lost record would mean a key that nobody may touch, or another key at each change.
    fn is_whole(&self, endpoints: &Endpoints) -> Result<(), String> {
        if !self.parts().any(|part| *part == Part::Username) {
            return Err(
                "spec.secret.data: no entry holds the user name: use $(username) or $(url) in one".to_owned()
            );
        }
        let held = |code: &str| self.passwords().any(|(region, _)| region == code);
        match endpoints.regions().find(|region| !held(region.as_str())) {
            None => self.fits(),
            Some(region) => {
                let prefix =
                    if *region == endpoints.primary.region { String::new() } else { format!("{region}.") };
                Err(format!(
                    "spec.secret.data: no entry holds the password for {region}: use $({prefix}password), \
                     $({prefix}passwordUrlEncoded) or $({prefix}url) in one"
                ))
            }
        }
    }

    fn fits(&self) -> Result<(), String> {
        let length = |part: &Part| if let Part::Text(text) = part { text.len() } else { ROOM };
        let size: usize = self.parts().map(length).sum();
        if size <= MAX_SIZE {
            return Ok(());
        }
        Err(format!(
            "spec.secret.data: the Secret may get {size} bytes, {MAX_SIZE} are allowed: use fewer placeholders or less text"
        ))
    }
}

/// What admission checks too.
fn within_limits(data: &BTreeMap<String, String>) -> Result<(), String> {
    if data.len() > MAX_KEYS {
        return Err(format!("spec.secret.data has {} entries, {MAX_KEYS} are allowed", data.len()));
    }
    if let Some(key) = data.keys().find(|key| !is_data_key(key)) {
        return Err(format!(
            "spec.secret.data: the key {key:?} is not valid: use 1 to {MAX_DATA_KEY} letters, digits, -, _ and ., \
             and neither . nor anything that begins with .."
        ));
    }
    let long = data.iter().map(|(key, text)| (key, text.chars().count())).find(|(_, size)| *size > MAX_TEXT);
    long.map_or(Ok(()), |(key, size)| {
        Err(format!("spec.secret.data: {key} has {size} characters, {MAX_TEXT} are allowed"))
    })
}

/// True for what Kubernetes takes as a key in a Secret's data.
pub fn is_data_key(key: &str) -> bool {
    (1..=MAX_DATA_KEY).contains(&key.len())
        && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        && key != "."
        && !key.starts_with("..")
}

impl Source<'_> {
    /// A preset's layout. More Regions have the default layout's keys, as no consumer knows of them.
    fn preset(&self, name: &str) -> Result<BTreeMap<String, Vec<Part>>, String> {
        let preset = Preset::find(name).ok_or_else(|| {
            format!("spec.secret.preset {name:?} is not known: use one of {}", preset::names().join(", "))
        })?;
        let more = self.endpoints.additional.iter().flat_map(|it| place(&format!("{}.", it.region), it));
        let mut layout: BTreeMap<String, Vec<Part>> = more.collect();
        for (key, text) in preset.layout {
            layout.insert((*key).to_owned(), self.parts(key, text)?);
        }
        Ok(layout)
    }

    fn parts(&self, key: &str, text: &str) -> Result<Vec<Part>, String> {
        let parts = tokens(text).into_iter().map(|token| match token {
            Token::Text(text) => Ok(vec![Part::Text(text.to_owned())]),
            Token::Placeholder(name) => self.placeholder(key, name),
        });
        Ok(super::joined(parts.collect::<Result<Vec<_>, _>>()?.into_iter().flatten()))
    }

    fn placeholder(&self, key: &str, text: &str) -> Result<Vec<Part>, String> {
        let (endpoint, name) = match text.rsplit_once('.') {
            None => (Some(&self.endpoints.primary), text),
            Some((code, name)) => (self.endpoints.iter().find(|it| it.region.as_str() == code), name),
        };
        let (Some(endpoint), Some(name)) = (endpoint, Name::parse(name)) else {
            return Err(self.unknown(key, text));
        };
        if name != Name::FromAddress {
            return Ok(parts_of(name, endpoint));
        }
        let address = self.from_address.ok_or_else(|| {
            format!(
                "spec.secret.data: {key} uses $({text}), and spec.policy.fromAddresses has no entry without a \
                 wildcard: add one, or write the address out"
            )
        });
        Ok(vec![Part::Text(address?.to_owned())])
    }

    fn unknown(&self, key: &str, text: &str) -> String {
        let shown: String = text.chars().take(80).collect();
        format!(
            "spec.secret.data: {key} uses $({shown}), which is not known: use {}, alone or after a Region that the \
             object serves and a dot ({}); for a dollar write $$",
            placeholders(),
            self.endpoints.region_list()
        )
    }
}

fn parts_of(name: Name, at: &Endpoint) -> Vec<Part> {
    let password = |form| Part::Password(at.region.to_string(), form);
    let text = match name {
        Name::Host => at.host.clone(),
        Name::Port => at.port.to_string(),
        Name::HostPort => format!("{}:{}", at.host, at.port),
        Name::Region => at.region.to_string(),
        Name::Starttls => (!at.implicit_tls).to_string(),
        Name::ImplicitTls => at.implicit_tls.to_string(),
        Name::Username => return vec![Part::Username],
        Name::Password(form) => return vec![password(form)],
        Name::Url => return url(at, password(Form::UrlEncoded)),
        Name::FromAddress => String::new(),
    };
    vec![Part::Text(text)]
}

/// `smtp://user:password@host:port`. A user name needs no encoding: it has letters and digits only.
fn url(at: &Endpoint, password: Part) -> Vec<Part> {
    let scheme = if at.implicit_tls { "smtps" } else { "smtp" };
    let text = |text: String| Part::Text(text);
    vec![
        text(format!("{scheme}://")),
        Part::Username,
        text(":".to_owned()),
        password,
        text(format!("@{}:{}", at.host, at.port)),
    ]
}
