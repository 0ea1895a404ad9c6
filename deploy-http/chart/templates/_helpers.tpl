{{- define "deploy-api.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{/* A release's name may have dots, a Service's may not. */}}
{{- define "deploy-api.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains (include "deploy-api.name" .) .Release.Name -}}
{{- .Release.Name | replace "." "-" | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "deploy-api.name" .) | replace "." "-" | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What selects the server's pod; nothing that may change is in it. */}}
{{- define "deploy-api.selector" -}}
app.kubernetes.io/name: {{ include "deploy-api.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "deploy-api.labels" -}}
{{ include "deploy-api.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "deploy-api.serviceAccount" -}}
{{- if .Values.serviceAccount.name -}}
{{- .Values.serviceAccount.name -}}
{{- else if .Values.serviceAccount.create -}}
{{- include "deploy-api.fullname" . -}}
{{- else -}}
default
{{- end -}}
{{- end -}}

{{/* Roles of a cluster have no namespace to tell two releases of the same name apart. */}}
{{- define "deploy-api.clusterName" -}}
{{- printf "%s:%s" .Release.Namespace (include "deploy-api.fullname" .) -}}
{{- end -}}

{{- define "deploy-api.instance" -}}
{{- $instance := default (printf "%s-%s" .Release.Namespace .Release.Name | replace "." "-") .Values.instance -}}
{{- if gt (len $instance) 63 -}}
{{- fail (printf "instance: %s has more than 63 characters; give a shorter one, which then has to stay" $instance) -}}
{{- end -}}
{{- $instance -}}
{{- end -}}

{{- define "deploy-api.claim" -}}
{{- default (printf "%s-data" (include "deploy-api.fullname" .)) .Values.persistence.existingClaim -}}
{{- end -}}

{{/* The policy's ConfigMap and the key in it; empty where there is no policy. */}}
{{- define "deploy-api.policyMap" -}}
{{- if .Values.policy.document -}}
{{- include "deploy-api.fullname" . -}}-policy
{{- else -}}
{{- .Values.policy.configMap -}}
{{- end -}}
{{- end -}}

{{/* The whole seconds of a duration, rounded up. */}}
{{- define "deploy-api.seconds" -}}
{{- $number := regexFind "^[0-9]+" . | int64 -}}
{{- $unit := regexFind "[a-z]+$" . -}}
{{- if eq $unit "ms" -}}{{- div (add $number 999) 1000 -}}
{{- else if eq $unit "m" -}}{{- mul $number 60 -}}
{{- else if eq $unit "h" -}}{{- mul $number 3600 -}}
{{- else -}}{{- $number -}}
{{- end -}}
{{- end -}}

{{/* What no single value can tell, and the server would refuse at its start: said before anything is installed. */}}
{{- define "deploy-api.check" -}}
{{- $tokens := .Values.tokens -}}
{{- $keys := or $tokens.jwks.configMap $tokens.secret.name -}}
{{- if and $tokens.jwks.configMap $tokens.secret.name -}}
{{- fail "tokens: jwks.configMap and secret.name are both given; tokens are checked with one of them" -}}
{{- end -}}
{{- if and $tokens.jwks.configMap (not (and $tokens.issuer $tokens.audience)) -}}
{{- fail "tokens: jwks.configMap needs issuer and audience, or tokens meant for other services would be believed" -}}
{{- end -}}
{{- if and (or $tokens.issuer $tokens.audience $tokens.leeway) (not $keys) -}}
{{- fail "tokens: issuer, audience and leeway say what a token has to be, but there is no key to check one with; give jwks.configMap or secret.name" -}}
{{- end -}}
{{- if and .Values.external.enabled (not $keys) (ne .Values.internal.protectReads "none") -}}
{{- fail "external.enabled: that listener believes tokens alone and there is no key to check one with; give tokens.jwks or tokens.secret, or set internal.protectReads to none to serve reads alone" -}}
{{- end -}}
{{- if .Values.external.route.enabled -}}
{{- if not .Values.external.enabled -}}
{{- fail "external.route.enabled: there is nothing to lead to without external.enabled" -}}
{{- end -}}
{{- if not .Values.external.route.parentRefs -}}
{{- fail "external.route.parentRefs: name the Gateway, as in [{name: public, namespace: gateways}]" -}}
{{- end -}}
{{- end -}}
{{- $git := .Values.git -}}
{{- if and (hasPrefix "ssh://" $git.baseUrl) (not (and $git.sshKey.secret $git.knownHosts.configMap)) -}}
{{- fail "git: an ssh:// baseUrl needs sshKey.secret and knownHosts.configMap" -}}
{{- end -}}
{{- if and (or $git.sshKey.secret $git.knownHosts.configMap) (not (hasPrefix "ssh://" $git.baseUrl)) -}}
{{- fail "git: sshKey and knownHosts are for an ssh:// baseUrl" -}}
{{- end -}}
{{- if and (or $git.credentials.secret $git.ca.configMap) (not (hasPrefix "https://" $git.baseUrl)) -}}
{{- fail "git: credentials and ca are for an https:// baseUrl" -}}
{{- end -}}
{{- if and (hasPrefix "http://" $git.baseUrl) (not $git.allowHttp) -}}
{{- fail "git: over http:// anyone on the way can change what is deployed; use https://, or say allowHttp" -}}
{{- end -}}
{{- if and .Values.policy.document .Values.policy.configMap -}}
{{- fail "policy: document and configMap are both given; there is one policy" -}}
{{- end -}}
{{- if and .Values.exposure.auth (not .Values.exposure.gateway) -}}
{{- fail "exposure.auth: there is nothing to enforce it at without exposure.gateway" -}}
{{- end -}}
{{- $builder := omit .Values.build "namespace" | values | join "" -}}
{{- if and $builder (not .Values.build.namespace) -}}
{{- fail "build: nothing of it has an effect without build.namespace" -}}
{{- end -}}
{{- if and .Values.build.namespace (not (regexMatch "^https?://" $git.baseUrl)) -}}
{{- fail "build.namespace: the builder fetches the code itself, over http(s), so git.baseUrl has to be https://" -}}
{{- end -}}
{{- if eq .Values.build.namespace .Release.Namespace -}}
{{- fail "build.namespace: builds are not hardened as everything else is, so they have a namespace of their own, not the server's" -}}
{{- end -}}
{{- end -}}
