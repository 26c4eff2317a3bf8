"""Figures in plain words, for templates."""

from django import template

from transcoding import words

register = template.Library()
register.filter("file_size", words.file_size)
register.filter("clock", words.clock)
