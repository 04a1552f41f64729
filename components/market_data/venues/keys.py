"""The two secrets by which a venue knows us."""

from typing import final

from components.runtime.secrets import Secret


@final
class ApiCredentials:
    """A key and its secret, shown only in the words that need them."""

    __slots__ = ("_key", "_secret")

    def __init__(self, key: Secret, secret: Secret) -> None:
        """Take them as references gave them."""
        self._key = key
        self._secret = secret

    def reveal(self) -> tuple[str, str]:
        """Give both as texts."""
        return self._key.reveal().decode(), self._secret.reveal().decode()
