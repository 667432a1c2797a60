"""Stand-ins that behave: ports in memory, vendors over real sockets."""
