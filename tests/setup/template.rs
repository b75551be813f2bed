//! The `CloudFormation` template of `deploy/iam/cloudformation`, around the documents that the code makes.

const PARTS: &str = r#"AWSTemplateFormatVersion: "2010-09-09"
Description: The role of ses-smtp-operator, its policy, and the permissions boundary of the users that it makes
Parameters:
  ClusterId:
    Type: String
    AllowedPattern: "[a-z0-9][a-z0-9-]{0,31}"
    Description: "Cluster id: SES_SMTP_CLUSTER_ID, or what the operator's log says at its start"
  OidcProvider:
    Type: String
    Default: ""
    Description: "For IRSA: the cluster's OIDC issuer without https://. Empty: EKS Pod Identity"
  EksClusterName:
    Type: String
    Default: ""
    Description: "For EKS Pod Identity: the cluster's name at EKS, whose service account gets the role"
Conditions:
  Irsa: !Not [!Equals [!Ref OidcProvider, ""]]
  PodIdentity: !Not [!Equals [!Ref EksClusterName, ""]]
Resources:
  Boundary:
    Type: AWS::IAM::ManagedPolicy
    Properties:
      ManagedPolicyName: ses-smtp-boundary
      PolicyDocument:
<boundary-policy>
  OperatorPolicy:
    Type: AWS::IAM::ManagedPolicy
    Properties:
      ManagedPolicyName: ses-smtp-operator
      PolicyDocument: !Sub |
<operator-policy>
  Role:
    Type: AWS::IAM::Role
    Properties:
      RoleName: ses-smtp-operator
      ManagedPolicyArns: [!Ref OperatorPolicy]
      AssumeRolePolicyDocument: !If
        - Irsa
        - !Sub |
<irsa-trust-policy>
        -
<pod-identity-trust-policy>
  Association:
    Type: AWS::EKS::PodIdentityAssociation
    Condition: PodIdentity
    Properties:
      ClusterName: !Ref EksClusterName
      Namespace: ses-smtp-operator
      ServiceAccount: ses-smtp-operator
      RoleArn: !GetAtt Role.Arn
Outputs:
  RoleArn:
    Description: "For IRSA: annotate the service account with it (eks.amazonaws.com/role-arn)"
    Value: !GetAtt Role.Arn
"#;

/// What stands for the placeholders of the documents in `deploy/iam`.
pub const STANDS_FOR: [(&str, &str); 4] = [
    ("arn:aws:", "arn:${AWS::Partition}:"),
    ("ACCOUNT", "${AWS::AccountId}"),
    ("CLUSTER", "${ClusterId}"),
    ("OIDC_PROVIDER", "${OidcProvider}"),
];

/// The documents, by the name of their file.
pub const DOCUMENTS: [&str; 4] =
    ["boundary-policy", "operator-policy", "irsa-trust-policy", "pod-identity-trust-policy"];

/// The template, with the documents as `document` has them.
pub fn template(document: impl Fn(&str) -> String) -> String {
    DOCUMENTS.into_iter().fold(PARTS.to_owned(), |template, name| {
        let indent = if name.contains("trust") { 12 } else { 8 };
        let text = STANDS_FOR.iter().fold(document(name), |text, (from, to)| text.replace(from, to));
        let lines: Vec<String> = text.lines().map(|line| format!("{}{line}", " ".repeat(indent))).collect();
        template.replace(&format!("<{name}>"), &lines.join("\n"))
    })
}
