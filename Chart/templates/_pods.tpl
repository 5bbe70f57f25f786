{{/* Where pods may run, and what pulls their image: (list $ VALUES). */}}
{{- define "kube-registrar.placement" -}}
{{- $root := index . 0 -}}
{{- with index . 1 -}}
nodeSelector: {{- merge (dict) .nodeSelector (dict "kubernetes.io/os" "linux") | toYaml | nindent 2 }}
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}
{{- end -}}

{{/* A start proves rights and reads the cluster; only a process that is wedged is restarted. */}}
{{- define "kube-registrar.probes" -}}
startupProbe:
  httpGet: {path: /healthz, port: metrics}
  periodSeconds: 2
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /healthz, port: metrics}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
readinessProbe:
  httpGet: {path: /readyz, port: metrics}
  periodSeconds: 5
  timeoutSeconds: 5
{{- end -}}

{{/* How Prometheus asks. */}}
{{- define "kube-registrar.scrape" -}}
path: /metrics
interval: {{ .interval }}
{{- with .scrapeTimeout }}
scrapeTimeout: {{ . }}
{{- end }}
{{- with .relabelings }}
relabelings: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .metricRelabelings }}
metricRelabelings: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* A pod that runs a command and ends: (list $ WHETHER-IT-ASKS-THE-API-SERVER). */}}
{{- define "kube-registrar.shortPod" -}}
{{- $root := index . 0 -}}
automountServiceAccountToken: {{ index . 1 }}
enableServiceLinks: false
restartPolicy: Never
securityContext: {{- toYaml $root.Values.podSecurityContext | nindent 2 }}
{{ include "kube-registrar.placement" (list $root $root.Values) }}
{{- end -}}
