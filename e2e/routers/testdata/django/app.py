"""The places of places_test.go in Django, as one file for gunicorn."""
import os

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path, re_path
from django.views.static import serve

settings.configure(
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"],
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
    SECRET_KEY="nothing is signed here",
    LOGGING_CONFIG=None,
)


def answer(name):
    def view(request, id="", **rest):
        return HttpResponse(f"{name}\t{id}".encode("utf-8", "surrogateescape"), content_type="text/plain")

    return view


def under(prefix, name):
    """prefix/** : the prefix itself and whatever follows a slash."""
    return [path(prefix, answer(name)), re_path(f"^{prefix}/", answer(name))]


urlpatterns = [
    path("", answer("root")),
    path("exact", answer("exact")),
    *under("Panel", "panel"),
    *under("admin", "admin"),
    path("items/secret", answer("secret")),
    path("items/<str:id>", answer("item")),
    path("users", answer("users")),
    path("users/<str:id>", answer("user")),
    path("users/<str:id>/", answer("user")),
    path("users/<str:id>/<path:tail>", answer("user")),
    path("closed/", answer("closed")),
    path("my page", answer("page")),
    path("café", answer("cafe")),
    *under("open/staff", "staff"),
    *under("open", "open"),
    path("files/<path:path>", serve, {"document_root": os.environ["FILES"]}),
    re_path("(?s)^.*$", answer("rest")),
]

application = get_wsgi_application()
