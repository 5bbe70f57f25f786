"""`kube-registrar demo`: the product at work, told step by step, each step with a deadline and verified."""
