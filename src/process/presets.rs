//! The `presets` command: ready layouts, and how to point each consumer at them.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;
use ses_smtp_core::preset::{self, Preset};

use super::output;

/// Arguments of `presets`.
#[derive(Args)]
pub(super) struct PresetsArgs {
    /// Show this one, with an example and what to set on the consumer's side
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

/// Runs the command.
pub(super) fn command(args: &PresetsArgs) -> ExitCode {
    let Some(name) = &args.name else { return output::result(&table()) };
    match Preset::find(name) {
        Some(preset) => output::result(&described(preset)),
        None => output::refuse(&unknown(name)),
    }
}

fn unknown(name: &str) -> String {
    let shown: String = name.chars().take(40).collect();
    let (nearest, names) = (Preset::nearest(name).join(", "), preset::names().join(", "));
    format!("there is no preset {shown:?}. Nearest: {nearest}. All: {names}")
}

fn table() -> String {
    let width =
        |cell: fn(&Preset) -> usize, least: usize| preset::all().map(cell).max().unwrap_or(0).max(least);
    let name = width(|preset| preset.name.len(), "NAME".len());
    let consumer = width(|preset| preset.consumer.len(), "CONSUMER".len());
    let mut text = format!("{:name$}  {:consumer$}  KEYS\n", "NAME", "CONSUMER");
    for preset in preset::all() {
        // Writing to a String doesn't fail.
        let _ = writeln!(text, "{:name$}  {:consumer$}  {}", preset.name, preset.consumer, preset.key_list());
    }
    text
}

/// A preset for somebody at a terminal.
fn described(preset: &Preset) -> String {
    let mut text = format!("{}: {}\nKeys as in: {}\n", preset.name, preset.consumer, preset.source);
    if !preset.limits.is_empty() {
        let _ = writeln!(text, "Note: {}", preset.limits);
    }
    let _ = write!(text, "\nThe Secret's data:\n\n{}", indented(&layout(preset)));
    let _ = write!(text, "\nThe object:\n\n{}", indented(&example(preset)));
    let _ = write!(text, "\nOn the consumer's side:\n\n{}", indented(preset.values));
    text
}

fn indented(text: &str) -> String {
    text.lines().fold(String::new(), |mut indented, line| {
        let _ = writeln!(indented, "  {line}");
        indented
    })
}

fn layout(preset: &Preset) -> String {
    preset.layout.iter().fold(String::new(), |mut text, (key, template)| {
        let _ = writeln!(text, "{key}: {template:?}");
        text
    })
}

/// An object that uses the preset.
fn example(preset: &Preset) -> String {
    format!(
        "apiVersion: ses-smtp.dev/v1alpha1\nkind: SesSmtpCredential\nmetadata: {{name: mailer, namespace: shop}}\n\
         spec:\n  region: eu-central-1\n  secret: {{preset: {}}}\n",
        preset.name
    )
}

#[cfg(test)]
mod tests {
    use ses_smtp_core::api::SesSmtpCredential;
    use ses_smtp_core::layout::placeholders;

    use super::*;

    fn page() -> String {
        let mut page = format!(
            "# Presets\n\n\
             A preset is a layout of the Secret for a known consumer: `spec.secret.preset: NAME`. Generated from the code by\n\
             `make generate`: don't edit. `ses-smtp-operator presets` prints the same.\n\n\
             Entries in `spec.secret.data` are added to a preset's keys or take their place. Their text may hold `$(name)` with one of\n\
             {}, alone for `spec.region`, or as `$(<region>.<name>)` for any Region that the object serves. `$$` is a\n\
             dollar; a dollar before anything but `$` or `(` stays as it is. `passwordUrlEncoded` and the password in `url` are percent-encoded: a password often has `/` or `+`,\n\
             which mean something else in a URL. A changed layout is written without a new key.\n\n\
             With `additionalRegions` a preset also has `<region>.host`, `<region>.port` and `<region>.password` for each of them.\n\n\
             | Preset | Consumer | Keys |\n|---|---|---|\n",
            placeholders().split(", ").map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
        );
        for preset in preset::all() {
            let keys: Vec<String> = preset.layout.iter().map(|(key, _)| format!("`{key}`")).collect();
            writeln!(page, "| [{0}](#{0}) | {1} | {2} |", preset.name, preset.consumer, keys.join(", "))
                .unwrap();
        }
        preset::all().for_each(|preset| section(&mut page, preset));
        page
    }

    fn section(page: &mut String, preset: &Preset) {
        write!(page, "\n## {}\n\n{}. Keys as in: {}.\n", preset.name, preset.consumer, preset.source)
            .unwrap();
        if !preset.limits.is_empty() {
            write!(page, "\n{}\n", preset.limits).unwrap();
        }
        for (what, text) in [
            ("The Secret's data:", layout(preset)),
            ("The object:", example(preset)),
            ("On the consumer's side:", preset.values.to_owned()),
        ] {
            write!(page, "\n{what}\n\n```yaml\n{text}```\n").unwrap();
        }
    }

    #[test]
    fn the_page_of_presets_is_current() {
        crate::process::docs::prove("presets.md", &page());
    }

    #[test]
    fn examples_and_values_are_yaml() {
        for preset in preset::all() {
            let object: SesSmtpCredential = serde_saphyr::from_str(&example(preset)).unwrap();
            assert_eq!(object.spec.secret.unwrap().preset.as_deref(), Some(preset.name));
            for text in [preset.values, &layout(preset)] {
                let value: serde_json::Value = serde_saphyr::from_str(text).unwrap();
                assert!(value.is_object(), "{}: {value}", preset.name);
            }
        }
    }
}
