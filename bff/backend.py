"""The parts of one BFF, put together in one place."""

from flask import Request

from bff.client import Provider
from bff.login import LoginFlow
from bff.logout import Logout
from bff.outbound import Outbound
from bff.proxy import Proxy
from bff.records import User
from bff.seal import Sealer
from bff.security import Gatekeeper
from bff.session import Sessions
from bff.settings import BffSettings
from bff.store import Store
from bff.tokens import Tokens


class Backend:
    """One BFF without its routes; what a host application uses in its own views."""

    def __init__(self, settings: BffSettings) -> None:
        self.settings = settings
        self.store = Store(settings.database_url)
        self.sessions = Sessions(settings, self.store)
        self.gatekeeper = Gatekeeper(settings)
        self._outbound = Outbound(settings.ca_file)
        secret_key, previous = settings.keys
        sealer = Sealer(secret_key, previous)
        provider = Provider(settings, self._outbound)
        self.tokens = Tokens(settings, self.store, sealer, provider)
        self.login = LoginFlow(settings, self.store, sealer, provider, self.tokens)
        self.logout = Logout(settings, self.store, sealer, provider)
        self.proxy = Proxy(settings, self.tokens, self._outbound)

    def user(self, request: Request) -> User | None:
        """Give the logged-in user of a request, asking nobody but the database."""
        session = self.sessions.find(request)
        return None if session is None else session.user

    def access_token(self, request: Request, resource: str) -> str:
        """Give a fresh access token of the request's session for one resource, for use on the server only.

        Raises NotLoggedInError, ApiNotGrantedError, ProviderUnavailableError or StoreBusyError.
        """
        return self.tokens.access_token(self.sessions.require(request), resource)

    def close(self) -> None:
        """Close the database's and the provider's connections."""
        self._outbound.close()
        self.store.close()
