"""The suite: a mirror of the sources, whole stories in flows/, the rules of the house in structure/."""
