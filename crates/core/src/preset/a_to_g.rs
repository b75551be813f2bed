//! Presets by name, a to g.

use super::{PLAIN_USERNAME, Preset, RESTART};

pub(super) const PRESETS: &[Preset] = &[
    Preset {
        name: "alertmanager",
        consumer: "Alertmanager by way of prometheus-operator",
        source: "prometheus-operator API, kind AlertmanagerConfig, emailConfigs (`smarthost`, `authUsername`, `authPassword`)",
        layout: &[("password", "$(password)"), ("smarthost", "$(hostPort)"), ("username", "$(username)")],
        values: "\
# AlertmanagerConfig
receivers:
- name: mail
  emailConfigs:
  - to: team@example.com
    from: alerts@shop.example.com
    smarthost: email-smtp.eu-central-1.amazonaws.com:587   # smarthost of the Secret
    authUsername: AKIAIOSFODNN7EXAMPLE                      # username of the Secret
    authPassword: {name: mailer, key: password}
",
        limits: PLAIN_USERNAME,
    },
    Preset {
        name: "authentik",
        consumer: "authentik",
        source: "chart authentik, `global.envFrom`; authentik documentation, Email configuration",
        layout: &[
            ("AUTHENTIK_EMAIL__HOST", "$(host)"),
            ("AUTHENTIK_EMAIL__PASSWORD", "$(password)"),
            ("AUTHENTIK_EMAIL__PORT", "$(port)"),
            ("AUTHENTIK_EMAIL__USERNAME", "$(username)"),
            ("AUTHENTIK_EMAIL__USE_SSL", "$(implicitTls)"),
            ("AUTHENTIK_EMAIL__USE_TLS", "$(starttls)"),
        ],
        values: "\
global:
  envFrom:
  - secretRef: {name: mailer}
  env:
  - {name: AUTHENTIK_EMAIL__FROM, value: login@shop.example.com}
",
        limits: RESTART,
    },
    Preset {
        name: "bitnami",
        consumer: "Bitnami's Discourse, Ghost, Gitea, Matomo, Odoo, Redmine, SonarQube, WordPress",
        source: "charts bitnami/*, README, `smtpExistingSecret` or `smtp.existingSecret`: key `smtp-password`",
        layout: &[("smtp-password", "$(password)"), ("username", "$(username)")],
        values: "\
smtpHost: email-smtp.eu-central-1.amazonaws.com
smtpPort: 587
smtpUser: AKIAIOSFODNN7EXAMPLE        # username of the Secret
smtpProtocol: tls
smtpExistingSecret: mailer
",
        limits: PLAIN_USERNAME,
    },
    Preset {
        name: "bitnami-mastodon",
        consumer: "Mastodon, chart of Bitnami",
        source: "chart bitnami/mastodon, templates/_helpers.tpl, `smtp.existingSecret` with its keys",
        layout: &[("login", "$(username)"), ("password", "$(password)"), ("server", "$(host)")],
        values: "\
smtp:
  from_address: social@shop.example.com
  existingSecret: mailer
  existingSecretLoginKey: login
  existingSecretPasswordKey: password
  existingSecretServerKey: server
",
        limits: RESTART,
    },
    Preset {
        name: "chatwoot",
        consumer: "Chatwoot",
        source: "chart chatwoot/chatwoot, README, `existingEnvSecret` and `env.SMTP_*`",
        layout: &[
            ("SMTP_ADDRESS", "$(host)"),
            ("SMTP_AUTHENTICATION", "plain"),
            ("SMTP_ENABLE_STARTTLS_AUTO", "$(starttls)"),
            ("SMTP_PASSWORD", "$(password)"),
            ("SMTP_PORT", "$(port)"),
            ("SMTP_TLS", "$(implicitTls)"),
            ("SMTP_USERNAME", "$(username)"),
        ],
        values: "\
existingEnvSecret: mailer
env:
  MAILER_SENDER_EMAIL: support@shop.example.com
",
        limits: RESTART,
    },
    Preset {
        name: "docker-postfix",
        consumer: "Postfix relay of bokysan/docker-postfix",
        source: "bokysan/docker-postfix, README, `RELAYHOST`, `RELAYHOST_USERNAME`, `RELAYHOST_PASSWORD`",
        layout: &[
            ("RELAYHOST", "[$(host)]:$(port)"),
            ("RELAYHOST_PASSWORD", "$(password)"),
            ("RELAYHOST_USERNAME", "$(username)"),
        ],
        values: "\
extraEnv:
- {name: RELAYHOST, valueFrom: {secretKeyRef: {name: mailer, key: RELAYHOST}}}
- {name: RELAYHOST_USERNAME, valueFrom: {secretKeyRef: {name: mailer, key: RELAYHOST_USERNAME}}}
- {name: RELAYHOST_PASSWORD, valueFrom: {secretKeyRef: {name: mailer, key: RELAYHOST_PASSWORD}}}
config:
  general: {ALLOWED_SENDER_DOMAINS: shop.example.com}
",
        limits: "The pods get it as environment variables, which are read once: they have to restart within `rotation.overlap` after a new key. Use a STARTTLS port such as 587.",
    },
    Preset {
        name: "env",
        consumer: "anything that reads the commonest environment variables",
        source: "no one consumer",
        layout: &[
            ("SMTP_HOST", "$(host)"),
            ("SMTP_PASS", "$(password)"),
            ("SMTP_PASSWORD", "$(password)"),
            ("SMTP_PORT", "$(port)"),
            ("SMTP_SECURE", "$(implicitTls)"),
            ("SMTP_USER", "$(username)"),
            ("SMTP_USERNAME", "$(username)"),
        ],
        values: "\
# the container of a pod
envFrom:
- secretRef: {name: mailer}
",
        limits: RESTART,
    },
    Preset {
        name: "epam-keycloak",
        consumer: "Keycloak by way of EPAM's operator",
        source: "EDP Keycloak operator, kind KeycloakRealm, `smtp.connection.authentication`",
        layout: &[("password", "$(password)"), ("username", "$(username)")],
        values: "\
# KeycloakRealm
smtp:
  template: {from: login@shop.example.com}
  connection:
    host: email-smtp.eu-central-1.amazonaws.com
    port: 587
    enableStartTLS: true
    authentication:
      username: {secretKeyRef: {name: mailer, key: username}}
      password: {secretKeyRef: {name: mailer, key: password}}
",
        limits: "",
    },
    Preset {
        name: "gitlab",
        consumer: "GitLab",
        source: "chart gitlab, `global.smtp.password.secret` and `.key`",
        layout: &[("password", "$(password)"), ("username", "$(username)")],
        values: "\
global:
  smtp:
    enabled: true
    address: email-smtp.eu-central-1.amazonaws.com
    port: 587
    authentication: login
    starttls_auto: true
    user_name: AKIAIOSFODNN7EXAMPLE      # username of the Secret
    password: {secret: mailer, key: password}
",
        limits: PLAIN_USERNAME,
    },
    Preset {
        name: "grafana",
        consumer: "Grafana, chart of the community",
        source: "chart grafana of grafana-community, `smtp.existingSecret`, `smtp.userKey`, `smtp.passwordKey`",
        layout: &[("password", "$(password)"), ("user", "$(username)")],
        values: "\
smtp:
  existingSecret: mailer
  userKey: user
  passwordKey: password
grafana.ini:
  smtp:
    enabled: true
    host: email-smtp.eu-central-1.amazonaws.com:587
    from_address: grafana@shop.example.com               # has to be in policy.fromAddresses
annotations: {reloader.stakater.com/auto: \"true\"}      # if Reloader is there: a restart for each new key
",
        limits: RESTART,
    },
];
