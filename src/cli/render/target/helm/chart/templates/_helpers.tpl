{{- define "dualpath.name" -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "dualpath.labels" -}}
app.kubernetes.io/name: dualpath
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{- define "dualpath.selector" -}}
app.kubernetes.io/name: dualpath
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "dualpath.security" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* Envoy's image. An older one is refused: the filter would not run there. */}}
{{- define "dualpath.envoy" -}}
{{- $image := .Values.envoy.image -}}
{{- if semverCompare "<1.40.0-0" (regexFind "[0-9]+\\.[0-9]+\\.[0-9]+" $image.tag) -}}
{{- fail (printf "envoy.image.tag: %s is too old: Dualpath needs Envoy 1.40.0 or later" $image.tag) -}}
{{- end -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ $image.tag }}
{{- end -}}
{{- end -}}
