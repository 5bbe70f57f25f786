#!/bin/sh
# Makes the role and the user of kube-registrar in etcd, with no more rights than it needs, and a role for CoreDNS.
# etcdctl takes endpoint, certificates and root's password from its own variables (ETCDCTL_ENDPOINTS, ETCDCTL_USER, …).
# It asks for the passwords of the new users.
set -eu

etcdctl="${ETCDCTL:-etcdctl}"
prefix="${PREFIX:-/kube-registrar/}" # the option prefix, with its last slash
skydns="${SKYDNS_PATH:-/skydns}/"    # the option skydnsPath, and a slash

$etcdctl role add kube-registrar
$etcdctl role grant-permission kube-registrar --prefix=true readwrite "$prefix"
$etcdctl role grant-permission kube-registrar --prefix=true readwrite "$skydns"
$etcdctl user add kube-registrar
$etcdctl user grant-role kube-registrar kube-registrar

$etcdctl role add coredns
$etcdctl role grant-permission coredns --prefix=true read "$skydns"
$etcdctl user add coredns
$etcdctl user grant-role coredns coredns
