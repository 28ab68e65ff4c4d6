"""Addresses of the pages that belong to no single app, and of those that span several."""

from django.urls import URLPattern, path

from portal import account_views, audit_views, run_views, views

urlpatterns: list[URLPattern] = [
    path("", views.home, name="home"),
    path("notifications/read/", views.read_notifications, name="notifications-read"),
    path("health/", views.health, name="health"),
    path("account/", account_views.account, name="account"),
    path("account/passkeys/begin/", account_views.begin_passkey, name="passkey-begin"),
    path("account/passkeys/", account_views.finish_passkey, name="passkey-finish"),
    path("audit/", audit_views.audit, name="audit"),
    path("audit/<int:index>/", audit_views.entry, name="audit-entry"),
    path("audit/<int:index>/receipt/", audit_views.receipt, name="audit-receipt"),
    path("audit/checkpoint/", audit_views.checkpoint, name="audit-checkpoint"),
    path("audit/verify/", audit_views.verify, name="audit-verify"),
    path("audit/export/", audit_views.export, name="audit-export"),
    *run_views.urlpatterns,
]
