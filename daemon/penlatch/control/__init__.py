"""The local door to the daemon: Varlink over a Unix socket, callers known by their system user."""
