"""Page addresses of accounts."""

from django.urls import URLPattern, path

from accounts import views

urlpatterns: list[URLPattern] = [
    path("login/", views.login, name="login"),
    path("logout/", views.logout, name="logout"),
    path("welcome/<str:uidb64>/<str:token>/", views.welcome, name="welcome"),
    path("people/", views.people, name="people"),
    path("people/new/", views.new_person, name="person-new"),
    path("people/organisations/new/", views.new_organisation, name="organisation-new"),
    path("people/sites/new/", views.new_site, name="site-new"),
    path("people/<slug:member_id>/", views.person, name="person"),
    path("people/<slug:member_id>/invitation/", views.invite_again, name="person-invite"),
    path("people/<slug:member_id>/deactivation/", views.deactivate, name="person-deactivate"),
]
