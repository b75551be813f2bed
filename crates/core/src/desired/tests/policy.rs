//! One policy that is served, and one change for each of its rules.

use super::*;

fn limited(policy: &Value) -> Result<Box<Desired>, Invalid> {
    parse(json!({ "region": "eu-central-1", "policy": policy }), &settings())
}

#[test]
fn every_field_of_the_policy_ends_up_in_it() {
    let desired = limited(&json!({
        "fromAddresses": ["*@Bücher.example", "*@xn--bcher-kva.example"],
        "feedbackAddresses": ["bounces@example.com"],
        "recipients": ["*@*.example.net"],
        "identities": [EXAMPLE],
        "configurationSets": [SHOP],
        "sourceCidrs": ["192.0.2.0/24", "2001:DB8::/32"],
    }));
    let policy: Value = serde_json::from_str(&desired.unwrap().policy.document).unwrap();
    let statement = &policy["Statement"][0];
    assert_eq!(statement["Resource"], json!([EXAMPLE, SHOP]));
    assert_eq!(
        statement["Condition"],
        json!({
            "StringLike": {
                "ses:FromAddress": ["*@xn--bcher-kva.example"],
                "ses:FeedbackAddress": ["bounces@example.com"],
            },
            "ForAllValues:StringLike": { "ses:Recipients": ["*@*.example.net"] },
            "Null": { "ses:Recipients": "false" },
            "IpAddress": { "aws:SourceIp": ["192.0.2.0/24", "2001:db8::/32"] },
        })
    );
}

#[test]
fn refuses_each_wrong_entry_of_the_policy_by_field_and_value() {
    let form = "is not allowed: use user@domain, *@domain, *@*.domain or *";
    let other = |partition: &str, region: &str| {
        format!("arn:{partition}:ses:{region}:123456789012:identity/example.com")
    };
    for (field, entry, reason, says) in [
        ("feedbackAddresses", "*@*".to_owned(), Reason::InvalidSpec, form),
        ("recipients", "*@xn--a.example".to_owned(), Reason::InvalidSpec, form),
        ("identities", "example.com".to_owned(), Reason::InvalidSpec, EXAMPLE),
        ("identities", SHOP.to_owned(), Reason::InvalidSpec, "use an ARN like"),
        ("identities", other("aws", "*"), Reason::InvalidSpec, "without wildcards"),
        ("identities", other("aws-cn", "cn-north-1"), Reason::PartitionMismatch, "use one of aws"),
        ("identities", other("aws", "us-east-1"), Reason::InvalidSpec, "no ARN in Region eu-central-1"),
        ("configurationSets", EXAMPLE.to_owned(), Reason::InvalidSpec, SHOP),
        ("configurationSets", SHOP.replace("eu-central-1", "us-east-1"), Reason::InvalidSpec, "add one"),
        ("sourceCidrs", "192.0.2.0".to_owned(), Reason::InvalidSpec, "CIDR form"),
        (
            "sourceCidrs",
            "192.0.2.7/24".to_owned(),
            Reason::InvalidSpec,
            "write 192.0.2.0/24 for the network, or 192.0.2.7/32",
        ),
        (
            "sourceCidrs",
            "2001:db8::1/64".to_owned(),
            Reason::InvalidSpec,
            "2001:db8::/64 for the network, or 2001:db8::1/128",
        ),
    ] {
        let invalid = limited(&json!({ field: [entry] })).unwrap_err();
        assert_eq!(invalid.reason, reason, "{field} {entry}: {}", invalid.message);
        assert!(invalid.message.contains(says), "{field} {entry}: {}", invalid.message);
        assert!(invalid.message.contains(&format!("spec.policy.{field}")), "{}", invalid.message);
    }
    for field in
        ["fromAddresses", "feedbackAddresses", "recipients", "identities", "configurationSets", "sourceCidrs"]
    {
        let many = vec!["x"; 21];
        let invalid = limited(&json!({ field: many })).unwrap_err();
        assert_eq!(invalid.message, format!("spec.policy.{field} has 21 entries: list 20 at most"));
    }
    let shown = limited(&json!({ "recipients": ["x".repeat(10_000)] })).unwrap_err().message;
    assert!(shown.len() < 300, "{shown}");
}

/// The address that the Secret tells as a sender is one that the policy lets pass.
#[test]
fn the_secret_tells_an_address_as_the_policy_has_it() {
    let spec = |sender: &str| {
        let data = json!({ "login": "$(url)", "from": "$(fromAddress)" });
        json!({
            "region": "eu-central-1",
            "secret": { "data": data },
            "policy": { "fromAddresses": ["*@example.com", sender] },
        })
    };
    for (sender, told) in
        [("Shop@Bücher.example", "Shop@xn--bcher-kva.example"), ("shop@EXAMPLE.com", "shop@example.com")]
    {
        let layout = |sender: &str| parse(spec(sender), &settings()).unwrap().layout.clone();
        assert_eq!(layout(sender), layout(told));
        assert_ne!(layout(sender), layout("b@example.com"));
    }
}

#[test]
fn every_region_needs_an_identity() {
    let mut spec = json!({
        "region": "eu-central-1",
        "additionalRegions": ["us-east-1"],
        "policy": { "identities": [EXAMPLE] },
    });
    let invalid = parse(spec.clone(), &settings()).unwrap_err();
    assert!(invalid.message.contains("no ARN in Region us-east-1"), "{}", invalid.message);
    spec["policy"]["identities"] = json!([EXAMPLE, EXAMPLE.replace("eu-central-1", "us-east-1")]);
    assert!(parse(spec, &settings()).is_ok());
}

#[test]
fn a_policy_that_is_too_large_names_the_longest_fields_first() {
    let long: Vec<String> = (0..20).map(|n| format!("a{n:0100}@example.com")).collect();
    let invalid = limited(&json!({ "sourceCidrs": ["0.0.0.0/0"], "recipients": long })).unwrap_err();
    assert_eq!(invalid.reason, Reason::PolicyTooLarge);
    let expected = "the policy has 2558 characters, IAM allows 2048: list fewer or shorter entries in \
                    spec.policy.recipients (about 2320), spec.policy.sourceCidrs (about 12), or use *@domain";
    assert_eq!(invalid.message, expected);
}

#[test]
fn cautions_name_what_sends_may_be_missing() {
    let caution = |spec: Value| parse(spec, &settings()).unwrap().caution.clone();
    let of = |policy: Value| caution(json!({ "region": "eu-central-1", "policy": policy }));
    assert_eq!(of(json!({ "fromAddresses": ["*"], "recipients": ["*"], "sourceCidrs": ["::/0"] })), "");
    assert!(of(json!({ "identities": [EXAMPLE] })).contains("in spec.policy.identities too"));
    assert!(of(json!({ "configurationSets": [SHOP] })).contains("in spec.policy.configurationSets too"));
    let host = "vpce-0a1b-2c3d.email-smtp.eu-central-1.vpce.amazonaws.com";
    let by_vpc = |policy: Value| {
        caution(json!({ "region": "eu-central-1", "endpoint": { "host": host }, "policy": policy }))
    };
    assert!(by_vpc(json!({ "sourceCidrs": ["192.0.2.0/24"] })).contains("VPC endpoint"));
    assert_eq!(by_vpc(json!({ "fromAddresses": ["*"] })), "");
}
