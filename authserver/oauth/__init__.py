"""OAuth 2: one file per specification; ``registry.py`` says in which order they run."""
