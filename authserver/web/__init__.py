"""What the server shows to browsers, and the short way to the protocol: thin views over ``oauth`` and ``oidc``."""
