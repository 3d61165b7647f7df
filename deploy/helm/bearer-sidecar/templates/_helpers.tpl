{{- define "bearer-sidecar.name" -}}
{{- if contains "bearer-sidecar" .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-bearer-sidecar" .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "bearer-sidecar.selector" -}}
app.kubernetes.io/name: bearer-sidecar
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "bearer-sidecar.labels" -}}
{{ include "bearer-sidecar.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "bearer-sidecar.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "bearer-sidecar.name" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{- define "bearer-sidecar.secretName" -}}
{{- .Values.store.secretName | default (printf "%s-tokens" (include "bearer-sidecar.name" .)) -}}
{{- end -}}

{{- define "bearer-sidecar.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/*
The config file: what the chart decides, under what the user wrote. Tokens lie in a folder of the volume, since its own root is writable
for a group (fsGroup), which the store refuses.
*/}}
{{- define "bearer-sidecar.config" -}}
{{- $name := include "bearer-sidecar.name" . -}}
{{- $service := printf "%s.%s.svc" $name .Release.Namespace -}}
{{- $hosts := list $name (printf "%s.%s" $name .Release.Namespace) $service (printf "%s.cluster.local" $service) -}}
{{- $store := dict "type" .Values.store.type -}}
{{- if eq .Values.store.type "kubernetes" -}}
{{- $_ := set $store "secretName" (include "bearer-sidecar.secretName" .) -}}
{{- else if eq .Values.store.type "file" -}}
{{- $_ := set $store "directory" "/var/lib/bearer-sidecar/tokens" -}}
{{- else if and (eq .Values.store.type "redis") .Values.store.url -}}
{{- $_ := set $store "url" .Values.store.url -}}
{{- end -}}
{{- if .Values.store.encryptionKeyName -}}
{{- $_ := set $store "encryptionKeyFile" (printf "/etc/bearer-sidecar/%s" .Values.store.encryptionKeyName) -}}
{{- end -}}
{{- $base := dict "version" 1 "proxy" (dict "listen" "0.0.0.0:8080" "allowedHosts" $hosts) "admin" (dict "listen" "127.0.0.1:9090" "probesListen" "0.0.0.0:9091") "store" $store -}}
{{- mergeOverwrite $base (deepCopy .Values.config.content) | toYaml -}}
{{- end -}}

{{/* What cannot work is refused before it is installed. */}}
{{- define "bearer-sidecar.validate" -}}
{{- if and (gt (int .Values.replicaCount) 1) (has .Values.store.type (list "file" "memory")) -}}
{{- fail (printf "replicaCount %v needs store.type kubernetes or redis: with %s a refresh token could be spent twice" .Values.replicaCount .Values.store.type) -}}
{{- end -}}
{{- if and (not .Values.config.existingConfigMap) (not .Values.config.content.routes) -}}
{{- fail "config.content.routes is empty: set config.content or config.existingConfigMap" -}}
{{- end -}}
{{- if and .Values.store.encryptionKeyName (not .Values.config.existingSecret) -}}
{{- fail "store.encryptionKeyName names a key of config.existingSecret, which is empty" -}}
{{- end -}}
{{- end -}}
