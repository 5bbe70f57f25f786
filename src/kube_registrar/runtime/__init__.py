"""Clock, back-off, logging, metrics: what every long-running part uses."""
