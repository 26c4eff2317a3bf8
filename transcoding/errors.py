"""The base of every error that a person may see, here and in `encounters`."""


class PortalError(Exception):
    """Something that a person can be told about. Translated once, by the portal's middleware.

    `code` is for machines and admins, `message` a plain sentence, `status` an HTTP status.
    """

    code = "error"
    message = "Something went wrong. Please try again."
    status = 400

    def __init__(self, **values: object) -> None:
        self.values = values
        super().__init__(self.code)


class StoreUnavailable(PortalError):
    code = "store_unavailable"
    message = "Our video store does not answer just now. Nothing is lost: please try again in a minute."
    status = 503
