//! The command line as a person or a script uses it: the built program, its output and exit codes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Command, Output, Stdio};

/// The secret access key of AWS's own documentation.
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
/// What it yields for us-west-2.
const US_WEST_2: &str = "BF2PynzbSCAjX08zhZZnP/kW+T9P5zs/1Er0pi5vTEmd";

const VECTORS: [(&str, &str, &str); 6] = [
    ("some+secret+key", "eu-central-1", "BMXhUYlu5Z3gSXVQORxlVa7XPaz91aGWdfHxvkOZdWZ2"),
    (SECRET, "us-east-2", "BMPPgbAHoFVbze1Ud0oA5uNdXRwUXUZ+qOwphGJbl/cS"),
    (SECRET, "us-east-1", "BLBM/9hSUELfq8Gw+rU1YcBjkOxGbhT2XG763xVLGWL9"),
    (SECRET, "us-west-2", US_WEST_2),
    (SECRET, "ap-northeast-2", "BFrwSu3BsGr8nvY2bDCyObUpnNCGFtmAY0j+5nSYn0ZQ"),
    (SECRET, "us-gov-west-1", "BHW/eHvx1MM9YwW4wrJG6MGVQmLDCAM99G9YiSdGEIAw"),
];

struct Run {
    code: i32,
    stdout: String,
    stderr: String,
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

/// Runs the program with `input` on standard input and nothing but `variables` in its environment.
fn run_with(arguments: &[&str], input: &[u8], variables: &[(&str, &str)]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ses-smtp-operator"));
    command.args(arguments).env_clear().envs(variables.iter().copied());
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = pipes.spawn().unwrap();
    // A program that refuses its arguments doesn't read.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap().into()
}

fn run(arguments: &[&str], input: &str) -> Run {
    run_with(arguments, input.as_bytes(), &[])
}

fn derive(arguments: &[&str], input: &str) -> Run {
    run(&[&["derive"], arguments].concat(), input)
}

fn assert_prints(run: &Run, password: &str) {
    assert_eq!((run.code, run.stdout.as_str()), (0, format!("{password}\n").as_str()), "{}", run.stderr);
}

fn assert_refuses(run: &Run, why: &str) {
    assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{}", run.stderr);
    assert!(run.stderr.contains(why), "{why} in {}", run.stderr);
    assert!(!run.stderr.contains(SECRET), "{}", run.stderr);
}

#[test]
fn presets_are_listed_and_shown() {
    let list = run(&["presets"], "");
    assert_eq!((list.code, list.stderr.as_str()), (0, ""));
    let line = list.stdout.lines().find(|line| line.starts_with("grafana ")).unwrap();
    assert!(line.ends_with("  password user"), "{line}");
    let one = run(&["presets", "rocketchat"], "");
    assert_eq!((one.code, one.stderr.as_str()), (0, ""));
    for part in ["mail-url: \"$(url)\"", "secret: {preset: rocketchat}", "existingSecret: mailer"] {
        assert!(one.stdout.contains(part), "{part} in {}", one.stdout);
    }
    let wrong = run(&["presets", "grafanna"], "");
    assert_refuses(&wrong, "there is no preset \"grafanna\". Nearest: grafana,");
    assert!(wrong.stderr.contains("All: alertmanager, "), "{}", wrong.stderr);
}

#[test]
fn derives_from_standard_input() {
    for (secret, region, password) in VECTORS {
        for input in [secret.to_owned(), format!("{secret}\n"), format!("\u{feff} {secret}\r\n\n")] {
            assert_prints(&derive(&["--region", region], &input), password);
        }
    }
}

#[test]
fn derives_from_a_file() {
    for (secret, region, password) in VECTORS {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "{secret}").unwrap();
        let path = file.path().to_str().unwrap();
        assert_prints(&derive(&["--region", region, "--secret-access-key-file", path], ""), password);
    }
}

#[test]
fn derives_from_the_environment() {
    for (secret, region, password) in VECTORS {
        let variables = [("AWS_SECRET_ACCESS_KEY", secret), ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")];
        let run = run_with(&["derive", "--region", region, "--from-env"], b"", &variables);
        assert_prints(&run, password);
    }
}

#[test]
fn is_silent_beside_the_password() {
    assert_eq!(derive(&["--region", "us-west-2"], SECRET).stderr, "");
    let odd = derive(&["--region", "us-west-2"], "some+secret+key");
    assert!(odd.stderr.contains("doesn't look like a secret access key") && !odd.stderr.contains("some+"));
}

#[test]
fn refuses_regions_without_an_endpoint() {
    for (region, nearest) in
        [("eu-south-1", "eu-south"), ("eu-centrall-1", "eu-central-1"), ("EU West", "eu-west-")]
    {
        let run = derive(&["--region", region], SECRET);
        assert_refuses(&run, &format!("The {region} Region doesn't have an SMTP endpoint."));
        assert!(region == "eu-south-1" || run.stderr.contains(nearest), "{}", run.stderr);
    }
}

#[test]
fn computes_for_any_well_formed_region_on_request() {
    let run = derive(&["--region", "eu-south-1", "--any-region"], SECRET);
    assert_eq!((run.code, run.stdout.len()), (0, 45));
    assert_refuses(
        &derive(&["--region", "EU West", "--any-region"], SECRET),
        "isn't a well-formed Region code",
    );
}

#[test]
fn refuses_temporary_keys() {
    let id = ["--region", "us-west-2", "--access-key-id", "ASIAIOSFODNN7EXAMPLE"];
    assert_refuses(&derive(&id, SECRET), "temporary credentials");
    let from_env = ["derive", "--region", "us-west-2", "--from-env"];
    for (name, value) in [("AWS_SESSION_TOKEN", "token"), ("AWS_ACCESS_KEY_ID", "ASIAIOSFODNN7EXAMPLE")] {
        let run = run_with(&from_env, b"", &[("AWS_SECRET_ACCESS_KEY", SECRET), (name, value)]);
        assert_refuses(&run, &format!("{name} names temporary credentials"));
    }
    let long_term = ["--region", "us-west-2", "--access-key-id", "AKIAIOSFODNN7EXAMPLE"];
    assert_prints(&derive(&long_term, SECRET), US_WEST_2);
}

#[test]
fn refuses_what_is_not_a_secret() {
    let region = ["--region", "us-west-2"];
    assert_refuses(&derive(&region, ""), "The secret access key is empty.");
    assert_refuses(&derive(&region, " \n"), "The secret access key is empty.");
    assert_refuses(&derive(&region, &format!("id {SECRET}")), "isn't one secret access key");
    assert_refuses(&derive(&region, &SECRET.repeat(200)), "isn't one secret access key");
    assert_refuses(&run_with(&["derive", "--region", "us-west-2"], &[0xff, 0xfe], &[]), "isn't text");
    let missing = ["--region", "us-west-2", "--secret-access-key-file", "/does/not/exist"];
    assert_refuses(&derive(&missing, ""), "can't be read");
    assert_refuses(&derive(&["--region", "us-west-2", "--from-env"], ""), "AWS_SECRET_ACCESS_KEY isn't set");
}

#[test]
fn never_repeats_a_secret_given_by_mistake() {
    assert_refuses(&derive(&["--region", "us-west-2", SECRET], ""), "belongs to no option");
    assert_refuses(&derive(&["--region", "us-west-2", "--access-key-id", SECRET], ""), "16 to 128");
    assert_refuses(
        &derive(&["--region", "us-west-2", "--secret-access-key", SECRET], ""),
        "unexpected argument",
    );
    assert_refuses(
        &derive(&["--region", "us-west-2", "--secret-access-key-file", SECRET], ""),
        "can't be read",
    );
}

#[test]
fn takes_endpoints_of_the_admin() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    write!(file, "mx-central-1: {{host: smtp.example.com, starttls: [2500]}}\nus-west-2: none\n").unwrap();
    let path = file.path().to_str().unwrap();
    assert_eq!(derive(&["--region", "mx-central-1", "--endpoints-file", path], SECRET).code, 0);
    assert_refuses(
        &derive(&["--region", "us-west-2", "--endpoints-file", path], SECRET),
        "doesn't have an SMTP",
    );
    let listed = run_with(&["regions"], b"", &[("SES_SMTP_ENDPOINTS_FILE", path)]);
    assert!(listed.stdout.contains("smtp.example.com"), "{}", listed.stdout);
}

#[test]
fn lists_regions() {
    let table = run(&["regions"], "");
    assert_eq!(table.stdout.lines().filter(|line| line.contains("email-smtp.")).count(), 19);
    assert!(table.stdout.lines().all(|line| line == line.trim_end()));
    let json = run(&["regions", "-o", "json"], "");
    let rows: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    let smtp = |row: &&serde_json::Value| row["smtp"] == true;
    assert_eq!(rows.as_array().unwrap().iter().filter(smtp).count(), 19);
    assert_eq!(rows.as_array().unwrap().len() + 1, table.stdout.lines().count());
}

#[test]
fn prints_the_definition() {
    let crd = run(&["crd"], "");
    assert!(crd.code == 0 && crd.stdout.contains("kind: CustomResourceDefinition"), "{}", crd.stderr);
    let read: serde_json::Value = serde_saphyr::from_str(&crd.stdout).unwrap();
    assert_eq!(read["metadata"]["name"], "sessmtpcredentials.ses-smtp.dev");
}

fn iam_policy(arguments: &[&str]) -> Run {
    run(&[&["iam-policy"], arguments].concat(), "")
}

/// A file of `deploy/iam` with its placeholders filled in.
fn shipped(file: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/iam").join(file);
    std::fs::read_to_string(path).unwrap().replace("ACCOUNT", "123456789012").replace("CLUSTER", "prod-1")
}

const PLACE: [&str; 4] = ["--account", "123456789012", "--cluster-id", "prod-1"];

#[test]
fn prints_the_shipped_policies() {
    let policy = iam_policy(&PLACE);
    assert_eq!((policy.code, policy.stdout), (0, shipped("operator-policy.json")), "{}", policy.stderr);
    let boundary = iam_policy(&["--boundary"]);
    assert_eq!((boundary.code, boundary.stdout), (0, shipped("boundary-policy.json")), "{}", boundary.stderr);
}

#[test]
fn policies_name_what_they_are_told() {
    let role = "arn:aws-cn:iam::210987654321:role/team/mail";
    let told = ["--partition=aws-cn", "--user-path=/a/B/", "--boundary-name=limits"];
    let roles = format!("--assume-role={role},{role}-2");
    let printed = iam_policy(&[&PLACE, &told[..], &[roles.as_str()]].concat());
    assert_eq!(printed.code, 0, "{}", printed.stderr);
    let expected = shipped("operator-policy.json")
        .replace("arn:aws:", "arn:aws-cn:")
        .replace("/ses-smtp/", "/a/B/")
        .replace("policy/ses-smtp-boundary", "policy/limits");
    let mut expected: serde_json::Value = serde_json::from_str(&expected).unwrap();
    expected["Statement"].as_array_mut().unwrap().push(serde_json::json!({
        "Sid": "AssumeRole", "Effect": "Allow", "Action": "sts:AssumeRole", "Resource": [role, format!("{role}-2")],
    }));
    assert_eq!(serde_json::from_str::<serde_json::Value>(&printed.stdout).unwrap(), expected);
}

#[test]
fn policies_need_what_nobody_tells() {
    let fails = |arguments: &[&str], why: &str| {
        let run = run_with(arguments, b"", &[("AWS_EC2_METADATA_DISABLED", "true")]);
        assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{}", run.stderr);
        assert!(run.stderr.contains(why), "{why} in {}", run.stderr);
    };
    fails(&["iam-policy", "--cluster-id=prod-1"], "name it with --account");
    fails(&["iam-policy", "--account=123456789012"], "name it with --cluster-id");
    for (wrong, why) in [
        ("--account=12345678901", "12 digits"),
        ("--partition=aws-mars", "aws, aws-us-gov, aws-cn, aws-eusc"),
        ("--cluster-id=Prod", "lower-case"),
        ("--user-path=mail", "a slash at both ends"),
        ("--boundary-name=arn:aws:iam::1:policy/x", "not an ARN"),
        ("--assume-role=arn:aws:iam::210987654321:role/*", "ARNs of roles"),
        ("--assume-role=arn:aws:iam::210987654321:user/x", "ARNs of roles"),
        ("--assume-role=arn:aws:iam::*:role/x", "ARNs of roles"),
    ] {
        assert_refuses(&iam_policy(&[wrong]), why);
    }
    let elsewhere = "--assume-role=arn:aws-us-gov:iam::210987654321:role/x";
    assert_refuses(&iam_policy(&[&PLACE[..], &[elsewhere]].concat()), "its own partition only");
    assert_refuses(
        &iam_policy(&["--boundary", "--assume-role=arn:aws:iam::210987654321:role/x"]),
        "--boundary",
    );
}

/// What every shell's completion has to know.
const SUBCOMMANDS: [&str; 8] =
    ["run", "derive", "regions", "presets", "orphans", "iam-policy", "crd", "completions"];

#[test]
fn completes_in_every_shell() {
    let help = run(&["--help"], "").stdout;
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let listed: Vec<&str> = listed.map_while(|line| line.split_whitespace().next()).collect();
    let known: Vec<&str> = SUBCOMMANDS.into_iter().chain(["help"]).collect();
    assert_eq!(listed, known);
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = run(&["completions", shell], "");
        assert_eq!((script.code, script.stderr.as_str()), (0, ""));
        for word in SUBCOMMANDS.into_iter().chain(["region", "secret-access-key-file"]) {
            assert!(script.stdout.contains(word), "{word} is missing in the script for {shell}");
        }
    }
    assert_refuses(&run(&["completions", "tcsh"], ""), "bash, elvish, fish, powershell, zsh");
    assert_eq!(run(&["completions"], "").code, 2);
}

#[test]
fn bash_offers_what_the_script_says() {
    let script = run(&["completions", "bash"], "").stdout;
    let offered = |line: &str| {
        let words = format!("COMP_WORDS=({line}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))");
        // The function that the script registers, as bash calls it.
        let call = r#"$(complete -p ses-smtp-operator | grep -o '\-F [^ ]*' | cut -c4-) ses-smtp-operator "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}""#;
        let text = format!("{script}\n{words}\n{call}\necho \"${{COMPREPLY[@]}}\"");
        let output = Run::from(Command::new("bash").args(["--norc", "-c", &text]).output().unwrap());
        assert_eq!((output.code, output.stderr.as_str()), (0, ""));
        output.stdout.trim().to_owned()
    };
    assert_eq!(offered("ses-smtp-operator de"), "derive");
    assert_eq!(offered("ses-smtp-operator iam-policy --acc"), "--account");
    assert_eq!(offered("ses-smtp-operator completions fi"), "fish");
}

#[test]
fn helps() {
    let help = run(&["--help"], "");
    assert!(help.code == 0 && help.stdout.contains("Examples:"));
    let version = run(&["--version"], "").stdout;
    assert!(version.contains(env!("CARGO_PKG_VERSION")));
    // What keeps a build of suites out of the image.
    assert_eq!(version.contains("scaled time"), cfg!(feature = "scaled-time"));
    assert!(run(&["derive", "--help"], "").stdout.contains("--any-region"));
    assert_eq!(run(&[], "").code, 2);
    assert_eq!(run(&["nonsense"], "").code, 2);
}

#[test]
fn refuses_to_run_with_wrong_settings() {
    assert_refuses(&run(&["run", "--cluster-id", "Prod!"], ""), "'Prod!' for '--cluster-id <ID>'");
    let variables = [("SES_SMTP_IAM_RATE", "fast")];
    assert_refuses(&run_with(&["run"], b"", &variables), "'fast' for '--iam-rate <RATE>'");
    let revealing = [("LOG_SENSITIVE_BODIES", "true")];
    assert_refuses(&run_with(&["run"], b"", &revealing), "Remove the variable");
}

/// A running operator that is killed with the test.
struct Operator(std::process::Child);

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn get(address: &str, path: &str) -> Option<String> {
    let mut stream = std::net::TcpStream::connect(address).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").ok()?;
    let mut page = String::new();
    stream.read_to_string(&mut page).ok()?;
    Some(page)
}

#[test]
fn waits_for_aws_and_ends_when_told() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    let mut command = Command::new(env!("CARGO_BIN_EXE_ses-smtp-operator"));
    command.args(["run", "--http-address", &address]).env_clear();
    let example = [("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"), ("AWS_SECRET_ACCESS_KEY", SECRET)];
    let nowhere = [("AWS_REGION", "eu-west-1"), ("AWS_ENDPOINT_URL", "http://127.0.0.1:1")];
    command.envs(example).envs(nowhere).env("SES_SMTP_NONSENSE", "1");
    let mut operator = Operator(command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(operator.0.stderr.take().unwrap()).lines().map(Result::unwrap);

    let mut log = Vec::new();
    let waiting = |line: &String| line.contains("AWS credentials don't work yet");
    while !log.iter().any(waiting) {
        log.push(lines.next().expect("the operator ended"));
    }
    let ready = get(&address, "/readyz").unwrap();
    assert!(
        ready.starts_with("HTTP/1.1 503") && ready.contains("waiting for an answer from AWS STS"),
        "{ready}"
    );
    assert!(get(&address, "/metrics").unwrap().contains("ses_smtp_build_info"));

    let terminated = Command::new("kill").arg(operator.0.id().to_string()).status().unwrap();
    assert!(terminated.success() && operator.0.wait().unwrap().success());
    log.extend(lines);
    let log = log.join("\n");
    for part in ["SES_SMTP_NONSENSE", "SIGTERM"] {
        assert!(log.contains(part), "{part} in {log}");
    }
    assert!(!log.contains(SECRET) && !log.contains("panic"), "{log}");
}
