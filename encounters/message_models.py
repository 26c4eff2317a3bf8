"""Texts of a team's own for the messages that bring a link. A part of the models, in its own file."""

from django.db import models

FAILURES = {
    "no_carrier": "This portal sends no text messages. Ask an administrator, or send an e-mail.",
    "bad_number": "The mobile number is not one that can get text messages. Please check it.",
    "bad_address": "The mail server refused the e-mail address. Please check it.",
    "opted_out": "This number does not want text messages from us. Show the link, or send an e-mail.",
    "refused": "The message service refused the message. Please tell an administrator.",
    "busy": "The message service has too much to do just now. Please send it again in a minute.",
    "unreachable": "The message service does not answer just now. Please send it again in a minute.",
}
"""Why a message could not be sent, by code, in words for staff."""


class Channel(models.TextChoices):
    SCREEN = "screen", "shown on screen"
    EMAIL = "email", "e-mail"
    SMS = "sms", "text message"


class MessageText(models.Model):
    """What a team's message says, in one language. Without a row, the shipped text is sent."""

    team = models.ForeignKey("accounts.Team", on_delete=models.PROTECT, related_name="message_texts")
    channel = models.CharField(max_length=10, choices=Channel)
    language = models.CharField(max_length=10)
    subject = models.CharField(max_length=150, blank=True)
    """Of an e-mail; a text message has none."""
    body = models.TextField(max_length=2000)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["team", "channel", "language"], name="message_text_once_in_team_and_language"
            ),
            models.CheckConstraint(
                condition=~models.Q(channel=Channel.SCREEN), name="message_text_of_a_message"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.channel} {self.language}"
