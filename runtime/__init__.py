"""How the product is started: settings, the Temporal connection, logs, the embedded set-up."""
