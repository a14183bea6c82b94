"""Ways into a hub from outside: the HTTP API and the command line."""

__all__: list[str] = []
