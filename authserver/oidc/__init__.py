"""OpenID Connect: one file per document or chapter of OpenID Connect Core."""
