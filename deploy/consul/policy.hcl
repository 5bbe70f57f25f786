# What a kube-registrar with the options prefix and node of their defaults may do, and no more.
#
#   consul acl policy create -name kube-registrar -rules @policy.hcl
#   consul acl token create -description kube-registrar -policy-name kube-registrar

# What it declares: registry namespaces, registry services, and their names. Another option prefix is another prefix here.
key_prefix "kube-registrar/" {
  policy = "write"
}

# The node that its instances stand on. Another option node is another name here.
node "kube-registrar" {
  policy = "write"
}

# Registering instances, and their status. Narrow it to what your registry services are called in Consul, such as
# service_prefix "test-namespace-".
service_prefix "" {
  policy = "write"
}

# Instances of others in the same services stand on other nodes: they are read, so that they are left alone.
node_prefix "" {
  policy = "read"
}
