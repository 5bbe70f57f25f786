"""kube-registrar: keeps a service registry exactly true to Kubernetes workloads."""
