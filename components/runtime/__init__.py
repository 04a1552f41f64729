"""Infrastructure shared by all executables: service host, message bus, journal, configuration."""
