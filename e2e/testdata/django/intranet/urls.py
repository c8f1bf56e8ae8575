from django.contrib import admin
from django.http import JsonResponse
from django.urls import path


def whoami(request):
    told = {name: value for name, value in request.META.items() if name.startswith("HTTP_")}
    return JsonResponse({"user": request.user.get_username(), "staff": request.user.is_staff, "told": told})


urlpatterns = [path("whoami", whoami), path("admin/", admin.site.urls)]
