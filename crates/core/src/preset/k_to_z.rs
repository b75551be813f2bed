//! Presets by name, k to z.

use super::{PLAIN_USERNAME, Preset, RESTART};

pub(super) const PRESETS: &[Preset] = &[
    Preset {
        name: "kratos",
        consumer: "Ory Kratos",
        source: "Ory Kratos configuration, `courier.smtp.connection_uri`; chart ory/kratos, key `smtpConnectionURI`",
        layout: &[("smtpConnectionURI", "$(url)")],
        values: "\
deployment:
  extraEnv:
  - name: COURIER_SMTP_CONNECTION_URI
    valueFrom: {secretKeyRef: {name: mailer, key: smtpConnectionURI}}
kratos:
  config:
    courier: {smtp: {from_address: login@shop.example.com}}
",
        limits: "The chart's own Secret holds other material too, so the URL is given by way of an environment variable: the pods have to restart after a new key.",
    },
    Preset {
        name: "langfuse",
        consumer: "Langfuse",
        source: "Langfuse documentation for v4, Transactional Emails, `SMTP_CONNECTION_URL`",
        layout: &[("SMTP_CONNECTION_URL", "$(url)")],
        values: "\
langfuse:
  additionalEnv:
  - name: SMTP_CONNECTION_URL
    valueFrom: {secretKeyRef: {name: mailer, key: SMTP_CONNECTION_URL}}
  - {name: EMAIL_FROM_ADDRESS, value: traces@shop.example.com}
",
        limits: RESTART,
    },
    Preset {
        name: "mastodon",
        consumer: "Mastodon, chart of the project",
        source: "chart mastodon/chart, templates/secret-smtp.yaml, `mastodon.smtp.existingSecret`: keys `login` and `password`",
        layout: &[("login", "$(username)"), ("password", "$(password)")],
        values: "\
mastodon:
  smtp:
    server: email-smtp.eu-central-1.amazonaws.com
    port: 587
    from_address: social@shop.example.com
    existingSecret: mailer
",
        limits: RESTART,
    },
    Preset {
        name: "n8n",
        consumer: "n8n",
        source: "n8n documentation, User management SMTP environment variables",
        layout: &[
            ("N8N_EMAIL_MODE", "smtp"),
            ("N8N_SMTP_HOST", "$(host)"),
            ("N8N_SMTP_PASS", "$(password)"),
            ("N8N_SMTP_PORT", "$(port)"),
            ("N8N_SMTP_SSL", "$(implicitTls)"),
            ("N8N_SMTP_STARTTLS", "$(starttls)"),
            ("N8N_SMTP_USER", "$(username)"),
        ],
        values: "\
# the container of n8n
envFrom:
- secretRef: {name: mailer}
env:
- {name: N8N_SMTP_SENDER, value: flows@shop.example.com}
",
        limits: RESTART,
    },
    Preset {
        name: "outline",
        consumer: "Outline",
        source: "chart community-charts/outline, values.yaml, `smtp.existingSecret`",
        layout: &[("password", "$(password)"), ("username", "$(username)")],
        values: "\
smtp:
  host: email-smtp.eu-central-1.amazonaws.com
  port: 587
  secure: false                        # true with a port for TLS from the first byte
  fromEmail: wiki@shop.example.com
  existingSecret: {name: mailer, usernameKey: username, passwordKey: password}
",
        limits: RESTART,
    },
    Preset {
        name: "rocketchat",
        consumer: "Rocket.Chat",
        source: "chart RocketChat/helm-charts rocketchat, templates/secret.yaml, `smtp.existingSecret`: key `mail-url`",
        layout: &[("mail-url", "$(url)")],
        values: "\
smtp:
  enabled: true
  existingSecret: mailer
",
        limits: RESTART,
    },
    Preset {
        name: "sentry",
        consumer: "Sentry",
        source: "chart sentry-kubernetes/charts sentry, `mail.existingSecret`, `mail.existingSecretKey`: key `mail-password`",
        layout: &[("mail-password", "$(password)"), ("username", "$(username)")],
        values: "\
mail:
  backend: smtp
  useTls: true
  host: email-smtp.eu-central-1.amazonaws.com
  port: 587
  username: AKIAIOSFODNN7EXAMPLE        # username of the Secret
  existingSecret: mailer
  existingSecretKey: mail-password
  from: sentry@shop.example.com
",
        limits: PLAIN_USERNAME,
    },
    Preset {
        name: "supabase",
        consumer: "Supabase",
        source: "chart supabase-community/supabase-kubernetes, `secret.smtp.secretRef`",
        layout: &[("password", "$(password)"), ("username", "$(username)")],
        values: "\
secret:
  smtp:
    secretRef: mailer
    secretRefKey: {username: username, password: password}
",
        limits: RESTART,
    },
    Preset {
        name: "vaultwarden",
        consumer: "Vaultwarden",
        source: "chart guerzon/vaultwarden, templates/secrets.yaml, `smtp.existingSecret` with `username.existingSecretKey`, `password.existingSecretKey`",
        layout: &[("SMTP_PASSWORD", "$(password)"), ("SMTP_USERNAME", "$(username)")],
        values: "\
smtp:
  existingSecret: mailer
  host: email-smtp.eu-central-1.amazonaws.com
  port: 587
  security: starttls
  from: vault@shop.example.com
  username: {existingSecretKey: SMTP_USERNAME}
  password: {existingSecretKey: SMTP_PASSWORD}
",
        limits: RESTART,
    },
];
