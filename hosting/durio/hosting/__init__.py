"""Ways into a hub from outside: the HTTP API and the command line."""
