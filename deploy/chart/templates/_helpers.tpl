{{/* Name of every object. */}}
{{- define "operator.name" -}}
{{- if .Values.fullnameOverride }}{{ .Values.fullnameOverride }}
{{- else if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* Name of the service account. */}}
{{- define "operator.account" -}}
{{- if .Values.serviceAccount.name }}{{ .Values.serviceAccount.name }}
{{- else if .Values.serviceAccount.create }}{{ include "operator.name" . }}
{{- else }}default
{{- end }}
{{- end }}

{{/* The label by which pods are found: the name, which a namespace has once. It is that of the manifests, so that
     Helm can take over what was applied from them; the selector of a Deployment can't be changed. */}}
{{- define "operator.selector" -}}
app.kubernetes.io/name: {{ include "operator.name" . }}
{{- end }}

{{/* Labels of every object. */}}
{{- define "operator.labels" -}}
{{ include "operator.selector" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* Name and labels of an object in the release's namespace. */}}
{{- define "operator.metadata" -}}
name: {{ include "operator.name" . }}
namespace: {{ .Release.Namespace }}
labels:
  {{- include "operator.labels" . | nindent 2 }}
{{- end }}

{{/* Name and labels of a cluster-scoped object. */}}
{{- define "operator.cluster-metadata" -}}
name: {{ include "operator.name" . }}
labels:
  {{- include "operator.labels" . | nindent 2 }}
{{- end }}

{{/* The namespaces that are watched, as a list in JSON; empty: all. */}}
{{- define "operator.namespaces" -}}
{{- $given := .Values.settings.watchNamespaces }}
{{- if and $given (not .Values.settings.clusterId) }}
{{- fail "settings.watchNamespaces needs settings.clusterId: a name for this cluster in paths and tags of IAM users" }}
{{- end }}
{{- $given | default list | uniq | toJson }}
{{- end }}

{{/* What may be done with Secrets: list and watch only where they are watched. */}}
{{- define "operator.secret-verbs" -}}
{{- if eq (toString .Values.settings.watchSecrets) "false" -}}
[get, create, update, patch]
{{- else -}}
[get, list, watch, create, update, patch]
{{- end }}
{{- end }}

{{/* Rules that hold wherever objects are watched. */}}
{{- define "operator.rules" -}}
- apiGroups: [ses-smtp.dev]
  resources: [sessmtpcredentials]
  verbs: [get, list, watch, patch]
- apiGroups: [ses-smtp.dev]
  resources: [sessmtpcredentials/status]
  verbs: [patch]
- apiGroups: [""]
  resources: [secrets]
  verbs: {{ include "operator.secret-verbs" . }}
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}

{{/* The binding of a role of the operator's name to its service account. Takes: root, kind. */}}
{{- define "operator.binding" -}}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ .kind }}
  name: {{ .role }}
subjects:
- kind: ServiceAccount
  name: {{ include "operator.account" .root }}
  namespace: {{ .root.Release.Namespace }}
{{- end }}

{{/* The image. */}}
{{- define "operator.image" -}}
{{- $image := .Values.image }}
{{- if $image.digest }}{{ printf "%s@%s" $image.repository $image.digest }}
{{- else }}{{ printf "%s:%s" $image.repository ($image.tag | default .Chart.AppVersion) }}
{{- end }}
{{- end }}

{{/* The port of --http-address. */}}
{{- define "operator.port" -}}
{{- .Values.settings.httpAddress | default ":8080" | splitList ":" | last }}
{{- end }}

{{/* True if a ConfigMap with files is needed. */}}
{{- define "operator.has-files" -}}
{{- if or .Values.endpoints .Values.smtpAuthorities }}true{{ end }}
{{- end }}

{{/* Name of the Lease: the release's, so that two releases in a namespace don't share one. */}}
{{- define "operator.lease" -}}
{{- .Values.settings.leaseName | default (include "operator.name" .) }}
{{- end }}

{{/* Each setting that is given, as the environment variable of its flag. */}}
{{- define "operator.settings" -}}
{{- $settings := .Values.settings }}
{{- if ne (include "operator.lease" .) "ses-smtp-operator" }}
{{- $settings = merge (dict "leaseName" (include "operator.lease" .)) $settings }}
{{- end }}
{{- range $name, $value := $settings }}
{{- $text := kindIs "slice" $value | ternary (join "," $value) (toString $value) }}
{{- if not (or (kindIs "invalid" $value) (eq $text "")) }}
- name: SES_SMTP_{{ $name | snakecase | upper }}
  value: {{ $text | quote }}
{{- end }}
{{- end }}
{{- end }}

{{/* The container's environment: what the operator and the test of the release both need. */}}
{{- define "operator.environment" -}}
env:
{{- include "operator.settings" . }}
{{- if .Values.endpoints }}
- name: SES_SMTP_ENDPOINTS_FILE
  value: /etc/ses-smtp-operator/endpoints.yaml
{{- end }}
{{- if .Values.smtpAuthorities }}
- name: SES_SMTP_SMTP_CA_FILE
  value: /etc/ses-smtp-operator/smtp-ca.pem
{{- end }}
- name: AWS_REGION
  value: {{ .Values.aws.region }}
{{- with .Values.aws.webIdentity.roleArn }}
- name: AWS_ROLE_ARN
  value: {{ . }}
- name: AWS_WEB_IDENTITY_TOKEN_FILE
  value: /var/run/secrets/sts.amazonaws.com/token
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- with .Values.aws.credentialsSecret }}
envFrom:
- secretRef:
    name: {{ . }}
    optional: true
{{- end }}
{{- end }}

{{/* Where its files are mounted. */}}
{{- define "operator.mounts" -}}
{{- if .Values.aws.webIdentity.roleArn }}
- name: aws-token
  mountPath: /var/run/secrets/sts.amazonaws.com
  readOnly: true
{{- end }}
{{- if include "operator.has-files" . }}
- name: files
  mountPath: /etc/ses-smtp-operator
  readOnly: true
{{- end }}
{{- end }}

{{/* Where they come from. */}}
{{- define "operator.volumes" -}}
{{- with .Values.aws.webIdentity }}
{{- if .roleArn }}
- name: aws-token
  projected:
    sources:
    - serviceAccountToken:
        audience: {{ .audience }}
        expirationSeconds: {{ .expirationSeconds }}
        path: token
{{- end }}
{{- end }}
{{- if include "operator.has-files" . }}
- name: files
  configMap:
    name: {{ include "operator.name" . }}
{{- end }}
{{- end }}

{{/* Who the pod runs as, and where. */}}
{{- define "operator.pod" -}}
serviceAccountName: {{ include "operator.account" . }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
{{ toYaml . }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
{{ toYaml . | indent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
{{ toYaml . }}
{{- end }}
{{- with .Values.affinity }}
affinity:
{{ toYaml . | indent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  seccompProfile:
    type: RuntimeDefault
{{- with include "operator.volumes" . | trim }}
volumes:
{{ . }}
{{- end }}
{{- end }}

{{/* The program in its container, without arguments. */}}
{{- define "operator.container" -}}
name: operator
image: {{ include "operator.image" . }}
{{- with .Values.image.pullPolicy }}
imagePullPolicy: {{ . }}
{{- end }}
{{ include "operator.environment" . }}
{{- with include "operator.mounts" . | trim }}
volumeMounts:
{{ . }}
{{- end }}
resources:
{{ toYaml .Values.resources | indent 2 }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end }}
