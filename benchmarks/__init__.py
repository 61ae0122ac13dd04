"""What a request costs: the server driven from outside, the libraries and the store in process (README.md)."""
