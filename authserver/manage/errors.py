"""What a management function may refuse. The messages are for people and hold no secret."""


class ManageError(Exception):
    """The change was refused; nothing was written. The message is one sentence for the administrator."""


class NotThere(ManageError):
    """There is nothing of this name or id."""


class Taken(ManageError):
    """Something of this name or id is there already."""


class ChangedMeanwhile(ManageError):
    """Somebody else has changed it, or is changing it at this moment."""


class OutOfDate(ManageError):
    """It is no longer in the state that the administrator has seen."""


class InvalidMetadata(ManageError):
    """Client metadata cannot be registered (RFC 7591 3.2.2): a code, and a fixed sentence that names the member."""

    def __init__(self, member: str, sentence: str, error: str = "invalid_client_metadata") -> None:
        super().__init__(f"{member} {sentence}" if member else sentence)
        self.member = member
        self.error = error
        self.description = str(self)
