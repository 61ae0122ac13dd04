"""The management API: what administrators do on the command line, over HTTP, for programs; a file per noun."""
