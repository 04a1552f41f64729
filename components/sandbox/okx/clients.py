"""One websocket client of OKX: its connection, its name there, and what it is entitled to."""

from components.sandbox.core.chance import draws
from components.sandbox.flow.connection import ClientConnection
from components.sandbox.okx.limits import subscription_limit


class Client:
    """A connection with its standing."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.connection_id = f"{draws(connection.number, connection.venue, 0)[0] % (1 << 32):08x}"
        self.is_logged_in = False
        self.subscription_limit = subscription_limit()
