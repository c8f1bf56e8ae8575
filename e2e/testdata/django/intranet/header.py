"""Who is asking, as a header says: what Django's manual tells to write."""

from django.contrib.auth.backends import RemoteUserBackend
from django.contrib.auth.middleware import RemoteUserMiddleware


class HeaderMiddleware(RemoteUserMiddleware):
    """As Django's manual says for a header of another name."""

    header = "HTTP_X_AUTH_USER"


class HeaderBackend(RemoteUserBackend):
    """A new user is of the staff when the gateway says that it is an admin."""

    def configure_user(self, request, user):
        roles = request.META.get("HTTP_X_AUTH_ROLES", "").split(",")
        user.is_staff = user.is_superuser = "admin" in roles
        user.save()
        return user
