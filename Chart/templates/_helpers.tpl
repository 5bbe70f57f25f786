{{/* 42 characters, so that data-NAME-registry and what controllers put behind a name stay within 63. */}}
{{- define "kube-registrar.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 42 | trimSuffix "-" -}}
{{- end -}}

{{- define "kube-registrar.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $full := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{- default $full .Values.fullnameOverride | trunc 42 | trimSuffix "-" -}}
{{- end -}}

{{- define "kube-registrar.registry" -}}
{{ include "kube-registrar.fullname" . }}-registry
{{- end -}}

{{- define "kube-registrar.selector" -}}
app.kubernetes.io/name: {{ include "kube-registrar.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Labels of every object: (list $ COMPONENT). */}}
{{- define "kube-registrar.labels" -}}
{{- $root := index . 0 -}}
{{ include "kube-registrar.selector" $root }}
app.kubernetes.io/component: {{ index . 1 }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
app.kubernetes.io/part-of: kube-registrar
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The metadata of a namespaced object: (list $ NAME COMPONENT [LABELS [ANNOTATIONS [NAMESPACE]]]). */}}
{{- define "kube-registrar.metadata" -}}
{{- $root := index . 0 -}}
{{- $labels := gt (len .) 3 | ternary (index (concat . (list dict)) 3) dict -}}
{{- $annotations := gt (len .) 4 | ternary (index (concat . (list dict dict)) 4) dict -}}
{{- $namespace := gt (len .) 5 | ternary (index (concat . (list "" "" "")) 5) "" -}}
name: {{ index . 1 }}
namespace: {{ default $root.Release.Namespace $namespace }}
labels: {{- merge (dict) $labels (include "kube-registrar.labels" (list $root (index . 2)) | fromYaml) | toYaml | nindent 2 }}
{{- with merge (dict) $annotations $root.Values.commonAnnotations }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The metadata of a cluster-scoped object: (list $ NAME [LABELS]). */}}
{{- define "kube-registrar.clusterMetadata" -}}
{{- $root := index . 0 -}}
{{- $labels := gt (len .) 2 | ternary (index (concat . (list dict)) 2) dict -}}
name: {{ index . 1 }}
labels: {{- merge (dict) $labels (include "kube-registrar.labels" (list $root "operator") | fromYaml) | toYaml | nindent 2 }}
{{- with $root.Values.commonAnnotations }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Cluster-scoped names hold the namespace too, where it is not the name: two releases never share one. */}}
{{- define "kube-registrar.clusterName" -}}
{{- $full := include "kube-registrar.fullname" . -}}
{{- eq $full .Release.Namespace | ternary $full (printf "%s-%s" .Release.Namespace $full) -}}
{{- end -}}

{{- define "kube-registrar.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ default $.Chart.AppVersion .tag }}{{ end }}
{{- end -}}
{{- end -}}

{{/* The image of the registry: the operator's, unless it is held at another. */}}
{{- define "kube-registrar.registryImage" -}}
{{- $own := .Values.embedded.image -}}
{{- if or $own.tag $own.digest -}}
{{ .Values.image.repository }}{{ if $own.digest }}@{{ $own.digest }}{{ else }}:{{ $own.tag }}{{ end }}
{{- else -}}
{{ include "kube-registrar.image" . }}
{{- end -}}
{{- end -}}

{{/* Labels of pods, without versions: a new chart alone restarts nobody: (list $ COMPONENT LABELS). */}}
{{- define "kube-registrar.podLabels" -}}
{{- $root := index . 0 -}}
{{- $own := include "kube-registrar.selector" $root | fromYaml -}}
{{- $_ := set $own "app.kubernetes.io/component" (index . 1) -}}
{{- $_ := set $own "app.kubernetes.io/part-of" "kube-registrar" -}}
{{- merge (dict) $own $root.Values.commonLabels (index . 2) | toYaml -}}
{{- end -}}

{{- define "kube-registrar.serviceAccount" -}}
{{- default (.Values.serviceAccount.create | ternary (include "kube-registrar.fullname" .) "default") .Values.serviceAccount.name -}}
{{- end -}}

{{- define "kube-registrar.operatorKey" -}}
{{- default (printf "%s-operator-key" (include "kube-registrar.fullname" .)) .Values.embedded.operatorKey.existingSecret -}}
{{- end -}}

{{/* HOST:PORT to listen on; an IPv6 address stands in brackets: (list $ PORT). */}}
{{- define "kube-registrar.listen" -}}
{{- $host := (index . 0).Values.listenHost -}}
{{ contains ":" $host | ternary (printf "[%s]" $host) $host }}:{{ index . 1 }}
{{- end -}}

{{/* Where clients and the operator find the API of the embedded registry. */}}
{{- define "kube-registrar.endpoint" -}}
{{ empty .Values.embedded.tls.secretName | ternary "http" "https" }}://{{ include "kube-registrar.registry" . }}.{{ .Release.Namespace }}.svc:{{ .Values.embedded.api.port }}
{{- end -}}

{{/* AWS's own limits do not apply to a registry of one's own. */}}
{{- define "kube-registrar.rates" -}}
{{- range list "RegisterInstance" "DeregisterInstance" "UpdateInstanceCustomHealthStatus" "GetOperation" "ListOperations" "CreateService" "UpdateService" "DeleteService" "GetService" "ListServices" "CreateHttpNamespace" "CreatePrivateDnsNamespace" "CreatePublicDnsNamespace" "UpdateHttpNamespace" "UpdatePrivateDnsNamespace" "UpdatePublicDnsNamespace" "DeleteNamespace" "GetNamespace" "ListNamespaces" "ListInstances" "GetInstancesHealthStatus" "ListTagsForResource" "TagResource" }}
{{ . }}: 500/500
{{- end }}
{{- end -}}

{{- define "kube-registrar.registries" -}}
{{- if eq .Values.mode "registries" -}}
{{- .Values.registries | toYaml -}}
{{- else if eq .Values.mode "cloudmap" -}}
default: {{- merge (dict "kind" "cloudmap") (pick .Values.cloudmap "region" "endpointUrl" "roleArn" "externalId" "rates") | toYaml | nindent 2 }}
{{- else -}}
default:
  kind: cloudmap
  endpointUrl: {{ include "kube-registrar.endpoint" . }}
  region: {{ .Values.embedded.region }}
  sharedWrites: false
  rates: {{- include "kube-registrar.rates" . | nindent 4 }}
{{- end -}}
{{- end -}}

{{/* The configuration file of the operator; what is empty is left out, so that the program's own default holds. */}}
{{- define "kube-registrar.config" -}}
{{- $registries := dict -}}
{{- range $name, $entry := include "kube-registrar.registries" . | fromYaml -}}
{{- if eq $entry.kind "embedded" -}}
{{- fail (printf "registries.%s has the kind embedded, whose folder can be open in one process only: use mode: embedded, or the kind cloudmap with the endpointUrl of a kube-registrar serve" $name) -}}
{{- end -}}
{{- $kept := dict -}}
{{- range $key, $value := $entry -}}
{{- if or $value (kindIs "bool" $value) (kindIs "float64" $value) -}}{{- $_ := set $kept $key $value -}}{{- end -}}
{{- end -}}
{{- $_ := set $registries $name $kept -}}
{{- end -}}
{{- $config := dict "registries" $registries "policy" .Values.policy "resyncSeconds" (int .Values.resyncSeconds) -}}
{{- $_ := set $config "allowUndeclared" .Values.allowUndeclared -}}
{{- $_ := set $config "leaderElection" .Values.leaderElection.enabled -}}
{{- $_ := set $config "leaseName" (include "kube-registrar.fullname" .) -}}
{{- $_ := set $config "listen" (include "kube-registrar.listen" (list . 8080)) -}}
{{- $_ := set $config "logFormat" .Values.log.format -}}
{{- $_ := set $config "logLevel" .Values.log.level -}}
{{- with .Values.clusterName }}{{ $_ := set $config "clusterName" . }}{{ end -}}
{{- with .Values.watchNamespaces }}{{ $_ := set $config "watchNamespaces" . }}{{ end -}}
{{- $default := default (hasKey $registries "default" | ternary "default" (keys $registries | sortAlpha | first)) .Values.defaultRegistry -}}
{{- if and (eq .Values.mode "registries") (not (hasKey $registries $default)) -}}
{{- fail (printf "defaultRegistry is %q, and registries has no such key: it has %s" $default (keys $registries | sortAlpha | join ", ")) -}}
{{- end -}}
{{- $_ := set $config "defaultRegistry" $default -}}
{{- with .Values.servedRegistry -}}
{{- if not (hasKey $registries .) -}}
{{- fail (printf "servedRegistry is %q, and no registry is called so: there is %s" . (keys $registries | sortAlpha | join ", ")) -}}
{{- end -}}
{{- $_ := set $config "servedRegistry" . -}}
{{- $config = merge $config (include "kube-registrar.servedConfig" $ | fromYaml) -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{/* What the operator serves in front of a registry. */}}
{{- define "kube-registrar.servedConfig" -}}
{{- with .Values.served -}}
apiListen: {{ include "kube-registrar.listen" (list $ 8081) | quote }}
apiAtOnce: {{ int .api.atOnce }}
apiConnections: {{ int .api.connections }}
accessKeys: /etc/kube-registrar/keys
{{- with .api.rate }}
apiRate: {{ . }}
{{- end }}
{{- if .tls.secretName }}
tlsCert: /etc/kube-registrar/served-tls/tls.crt
tlsKey: /etc/kube-registrar/served-tls/tls.key
{{- end }}
{{- if .dns.enabled }}
dnsListen: {{ include "kube-registrar.listen" (list $ 5353) | quote }}
{{- end }}
{{- end -}}
{{- end -}}

{{/* The Services of a Cloud Map API, and of DNS: (list $ NAME COMPONENT VALUES). */}}
{{- define "kube-registrar.services" -}}
{{- $root := index . 0 -}}
{{- $component := index . 2 -}}
{{- with index . 3 -}}
{{- $api := .api -}}
{{- range list (index $ 1) (printf "data-%s" (index $ 1)) }}
---
{{- if hasPrefix "data-" . }}
# SDKs put `data-` before the host of DiscoverInstances, also where an endpoint is given.
{{- end }}
apiVersion: v1
kind: Service
metadata: {{- include "kube-registrar.metadata" (list $root . $component dict $api.service.annotations) | nindent 2 }}
spec:
  type: {{ $api.service.type }}
  {{- if and $api.service.loadBalancerSourceRanges (eq $api.service.type "LoadBalancer") }}
  loadBalancerSourceRanges: {{- toYaml $api.service.loadBalancerSourceRanges | nindent 4 }}
  {{- end }}
  selector: {{- include "kube-registrar.selector" $root | nindent 4 }}
    app.kubernetes.io/component: {{ $component }}
  ports:
    - {name: api, port: {{ $api.port }}, targetPort: api, protocol: TCP}
{{- end }}
{{- if .dns.enabled }}
---
apiVersion: v1
kind: Service
metadata: {{- include "kube-registrar.metadata" (list $root (printf "%s-dns" (include "kube-registrar.fullname" $root)) $component dict .dns.service.annotations) | nindent 2 }}
spec:
  type: {{ .dns.service.type }}
  {{- with .dns.service.clusterIP }}
  clusterIP: {{ . }}
  {{- end }}
  {{- if and .dns.service.loadBalancerSourceRanges (eq .dns.service.type "LoadBalancer") }}
  loadBalancerSourceRanges: {{- toYaml .dns.service.loadBalancerSourceRanges | nindent 4 }}
  {{- end }}
  selector: {{- include "kube-registrar.selector" $root | nindent 4 }}
    app.kubernetes.io/component: {{ $component }}
  ports:
    - {name: dns, port: 53, targetPort: dns, protocol: UDP}
    - {name: dns-tcp, port: 53, targetPort: dns-tcp, protocol: TCP}
{{- end }}
{{- end -}}
{{- end -}}

{{/* The configuration file of the embedded registry. */}}
{{- define "kube-registrar.registryConfig" -}}
{{- $own := .Values.embedded -}}
{{- $registry := dict "kind" "embedded" "data" "/var/lib/kube-registrar" "region" $own.region "accountId" $own.accountId "quotas" $own.quotas -}}
{{- $_ := set $registry "customHealthDelaySeconds" (int $own.customHealthDelaySeconds) -}}
{{- $_ := set $registry "checkIntervalSeconds" (int $own.checkIntervalSeconds) -}}
{{- with $own.checkAddresses }}{{ $_ := set $registry "checkAddresses" . }}{{ end -}}
{{- $config := dict "registries" (dict "default" $registry) "apiAtOnce" (int $own.api.atOnce) "apiConnections" (int $own.api.connections) -}}
{{- with $own.api.rate }}{{ $_ := set $config "apiRate" . }}{{ end -}}
{{- $_ := set $config "apiListen" (include "kube-registrar.listen" (list . 8081)) -}}
{{- $_ := set $config "listen" (include "kube-registrar.listen" (list . 8080)) -}}
{{- if $own.dns.enabled }}{{ $_ := set $config "dnsListen" (include "kube-registrar.listen" (list . 5353)) }}{{ end -}}
{{- $_ := set $config "accessKeys" "/etc/kube-registrar/keys" -}}
{{- if $own.tls.secretName -}}
{{- $_ := set $config "tlsCert" "/etc/kube-registrar/tls/tls.crt" -}}
{{- $_ := set $config "tlsKey" "/etc/kube-registrar/tls/tls.key" -}}
{{- end -}}
{{- $_ := set $config "logFormat" .Values.log.format -}}
{{- $_ := set $config "logLevel" .Values.log.level -}}
{{- toYaml $config -}}
{{- end -}}

{{/* What the operator and the test need to ask the embedded registry: its key, and the CA of its certificate. */}}
{{- define "kube-registrar.keyEnv" -}}
{{- if eq .Values.mode "embedded" }}
- name: AWS_ACCESS_KEY_ID
  valueFrom:
    secretKeyRef: {name: {{ include "kube-registrar.operatorKey" . }}, key: accessKeyID}
- name: AWS_SECRET_ACCESS_KEY
  valueFrom:
    secretKeyRef: {name: {{ include "kube-registrar.operatorKey" . }}, key: secretAccessKey}
- name: AWS_EC2_METADATA_DISABLED
  value: "true"
{{- if .Values.embedded.tls.secretName }}
- name: AWS_CA_BUNDLE
  value: /etc/kube-registrar/tls/ca.crt
{{- end }}
{{- end }}
{{- end -}}

{{- define "kube-registrar.configVolumes" -}}
- name: config
  configMap:
    name: {{ include "kube-registrar.fullname" . }}
- name: tmp
  emptyDir: {sizeLimit: 64Mi}
{{- if and (eq .Values.mode "embedded") .Values.embedded.tls.secretName }}
- name: registry-ca
  secret:
    secretName: {{ .Values.embedded.tls.secretName }}
    items: [{key: ca.crt, path: ca.crt}]
{{- end }}
{{- end -}}

{{/* The files of what the operator serves: keys of clients, and a certificate. */}}
{{- define "kube-registrar.servedVolumes" -}}
{{- if .Values.servedRegistry }}
- name: keys
  projected:
    defaultMode: 288 # 0440
    sources:
      {{- range .Values.served.accessKeysSecrets }}
      - secret: {name: {{ . }}}
      {{- end }}
{{- with .Values.served.tls.secretName }}
- name: served-tls
  secret: {secretName: {{ . }}, defaultMode: 288}
{{- end }}
{{- end }}
{{- end -}}

{{- define "kube-registrar.servedMounts" -}}
{{- if .Values.servedRegistry }}
- {name: keys, mountPath: /etc/kube-registrar/keys, readOnly: true}
{{- if .Values.served.tls.secretName }}
- {name: served-tls, mountPath: /etc/kube-registrar/served-tls, readOnly: true}
{{- end }}
{{- end }}
{{- end -}}

{{- define "kube-registrar.configMounts" -}}
- {name: config, mountPath: /etc/kube-registrar/config, readOnly: true}
- {name: tmp, mountPath: /tmp}
{{- if and (eq .Values.mode "embedded") .Values.embedded.tls.secretName }}
- {name: registry-ca, mountPath: /etc/kube-registrar/tls, readOnly: true}
{{- end }}
{{- end -}}

{{/* Whether helm test can register its own pod: it may be written, and removed, and is watched. Empty: not. */}}
{{- define "kube-registrar.tests" -}}
{{- $watched := or (not .Values.watchNamespaces) (has .Release.Namespace .Values.watchNamespaces) -}}
{{- if and .Values.tests.enabled $watched (eq .Values.policy "sync") -}}
yes
{{- end -}}
{{- end -}}

{{/* Whether one of Prometheus' kinds is to be rendered: (list $ KIND). Empty: not. */}}
{{- define "kube-registrar.monitors" -}}
{{- $root := index . 0 -}}
{{- $api := printf "monitoring.coreos.com/v1/%s" (index . 1) -}}
{{- if or (eq $root.Values.metrics.renderMode "alwaysRender") ($root.Capabilities.APIVersions.Has $api) -}}
yes
{{- else if eq $root.Values.metrics.renderMode "failIfMissing" -}}
{{- fail (printf "this cluster does not serve %s: install the Prometheus operator's CRDs, or set metrics.renderMode to skipIfMissing" $api) -}}
{{- end -}}
{{- end -}}

{{/* Whether the cluster serves a kind of policy that is wanted: (list $ KIND). Empty: not. */}}
{{- define "kube-registrar.policies" -}}
{{- $root := index . 0 -}}
{{- $api := printf "admissionregistration.k8s.io/v1/%s" (index . 1) -}}
{{- if or (eq $root.Values.admission.renderMode "alwaysRender") ($root.Capabilities.APIVersions.Has $api) -}}
yes
{{- else if eq $root.Values.admission.renderMode "failIfMissing" -}}
{{- fail (printf "this cluster does not serve %s: set admission.renderMode to skipIfMissing" $api) -}}
{{- end -}}
{{- end -}}

{{/* Whether annotations are checked at apply time. Policies are cluster-scoped, so never with watchNamespaces. */}}
{{- define "kube-registrar.validates" -}}
{{- if and .Values.admission.validation.enabled (not .Values.watchNamespaces) -}}
{{- include "kube-registrar.policies" (list . "ValidatingAdmissionPolicy") -}}
{{- end -}}
{{- end -}}

{{/* Whether pods are given the readiness gate. */}}
{{- define "kube-registrar.addsGate" -}}
{{- if and .Values.admission.readinessGate.enabled (not .Values.watchNamespaces) -}}
{{- include "kube-registrar.policies" (list . "MutatingAdmissionPolicy") -}}
{{- end -}}
{{- end -}}

{{- define "kube-registrar.gatePolicy" -}}
{{ include "kube-registrar.clusterName" . }}-readiness-gate
{{- end -}}

{{/* Rules on what may carry the readiness gate, to list it at an uninstall. */}}
{{- define "kube-registrar.gatedRules" -}}
- apiGroups: [apps]
  resources: [deployments, statefulsets, daemonsets, replicasets]
  verbs: [list]
- apiGroups: [batch]
  resources: [cronjobs]
  verbs: [list]
- apiGroups: [""]
  resources: [replicationcontrollers, pods]
  verbs: [list]
{{- end -}}

{{/* Rules on what is namespaced, where no list of namespaces is given in all of them. */}}
{{- define "kube-registrar.namespacedRules" -}}
# Pods ask for registrations; a pod is looked at once more before what nobody wants is deregistered.
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch]
# Services may ask for their endpoints, or for themselves.
- apiGroups: [""]
  resources: [services]
  verbs: [get, list, watch]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [list, watch]
# patch: finalizers, and kopf's notes of its progress in annotations.
- apiGroups: [kube-registrar.dev]
  resources: [registryservices]
  verbs: [get, list, watch, patch]
- apiGroups: [kube-registrar.dev]
  resources: [registryservices/status]
  verbs: [patch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}

{{/* Rules on what is cluster-scoped: what a RegistryNamespace needs, and nodes where they may be read. */}}
{{- define "kube-registrar.clusterRules" -}}
# Their labels say which registry namespaces they may use; the UID of kube-system says which cluster this is.
- apiGroups: [""]
  resources: [namespaces]
  verbs: [get, list, watch]
- apiGroups: [kube-registrar.dev]
  resources: [registrynamespaces]
  verbs: [get, list, watch, patch]
- apiGroups: [kube-registrar.dev]
  resources: [registrynamespaces/status]
  verbs: [patch]
{{- if or (eq .Values.rbac.nodes "always") (and (eq .Values.rbac.nodes "auto") (not .Values.watchNamespaces)) }}
# Optional: zones of pods without labels for them, nodes that do not answer, the addresses of NodePorts.
- apiGroups: [""]
  resources: [nodes]
  verbs: [list, watch]
{{- end }}
{{- if and .Values.rbac.podAddresses .Values.watchNamespaces }}
# Optional: whose pod has an address that an endpoint without a pod names.
- apiGroups: [""]
  resources: [pods]
  verbs: [list]
{{- end }}
{{- end -}}

{{/* A binding of a role to the operator: (list $ KIND NAME). */}}
{{- define "kube-registrar.binding" -}}
{{- $root := index . 0 -}}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ index . 1 }}
  name: {{ index . 2 }}
subjects:
  - kind: ServiceAccount
    name: {{ include "kube-registrar.serviceAccount" $root }}
    namespace: {{ $root.Release.Namespace }}
{{- end -}}
