"""Template tags of the portal's pages."""

from django import template

register = template.Library()
