"""From records of Kubernetes objects to what is wanted of the registries. Pure: values in, values out."""
