"""The message that brings a link: what it says, in whose words, and whether it went out.

The token of a link is never stored, so a message is sent at once or not at all: no queue may keep it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from smtplib import SMTPException, SMTPRecipientsRefused
from string import Formatter
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.mail import send_mail
from django.db import transaction
from django.utils import timezone, translation
from django.utils.dateformat import format as format_date
from django.utils.translation import gettext as _

from encounters import sms
from encounters.callers import Caller
from encounters.keys import TOKEN_LENGTH
from encounters.models import Channel, Invitation, MessageText, Verb
from encounters.sms import NotSent

if TYPE_CHECKING:
    from portal.accounts.models import Team

CHANNELS = (Channel.EMAIL, Channel.SMS)
LINK, UNTIL = "link", "until"
PLACEHOLDERS: Mapping[str, bool] = {LINK: True, UNTIL: False}
"""What a text may hold in braces, and whether it must."""


@dataclass(frozen=True, kw_only=True)
class Text:
    subject: str
    body: str
    is_own: bool = False
    """The team's own words, not the shipped ones."""

    def filled(self, values: Mapping[str, str]) -> str:
        return self.body.format(**values)


def sample(language: str) -> dict[str, str]:
    """What a preview fills in: as long as the real thing."""
    with translation.override(language):
        until = format_date(timezone.localdate() + timedelta(days=settings.INVITATION_DAYS), "j F")
    return {LINK: f"{settings.BASE_URL}/u/{'x' * TOKEN_LENGTH}/", UNTIL: until}


GSM = set(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""Letters of which 160 fit into one text message. Source: 3GPP TS 23.038, section 6.2.1."""
GSM_TWICE = set("\f^{}\\[~]|€")
"""Letters of its extension table, each as long as two."""


def segments(text: str) -> int:
    """As how many text messages it is counted, and paid. Source: 3GPP TS 23.038 and TS 23.040, 9.2.3.24.1."""
    if set(text) <= GSM | GSM_TWICE:
        length, alone, joined = sum(2 if letter in GSM_TWICE else 1 for letter in text), 160, 153
    else:
        length, alone, joined = len(text.encode("utf-16-le")) // 2, 70, 67
    return 1 if length <= alone else -(-length // joined)


def problem(body: str) -> str:
    """What is wrong with the placeholders of this text, in words for staff; empty: nothing."""
    try:
        fields = list(Formatter().parse(body))
    except ValueError:
        return "A brace { or } stands alone. Write braces around link and until only."
    named = {name for _, name, _, _ in fields if name is not None}
    if any(form or conversion for _, _, form, conversion in fields):
        return "Write the placeholders as {link} and {until}, with nothing more inside the braces."
    unknown = sorted(named - set(PLACEHOLDERS))
    if unknown:
        return f"There is no {{{unknown[0]}}}. Only {{link}} and {{until}} are filled in."
    missing = [name for name, needed in PLACEHOLDERS.items() if needed and name not in named]
    return f"The text needs {{{missing[0]}}}: without it the patient gets no link." if missing else ""


def shipped(channel: Channel, language: str) -> Text:
    """Names neither the patient nor the reason: others may read over the shoulder."""
    with translation.override(language):
        if channel == Channel.SMS:
            return Text(
                subject="",
                body=_(
                    "Your clinic asks you to send a video. Open {link} and give your date of birth. "
                    "The link works until {until}. Not expected? Phone your clinic first."
                ),
            )
        return Text(
            subject=_("Please send your video to your clinic"),
            body="\n\n".join(
                [
                    _("Hello,"),
                    _("your clinic asks you to send a video."),
                    _("Open this link on your phone. It works until {until}:"),
                    "{link}",
                    _("You need your date of birth. You do not need an account."),
                    _(
                        "If you did not expect this message, please phone your clinic "
                        "before you open the link."
                    ),
                ]
            )
            + "\n",
        )


def text_for(team: "Team", channel: Channel, language: str) -> Text:
    own = MessageText.objects.filter(team=team, channel=channel, language=language).first()
    if own is None:
        return shipped(channel, language)
    return Text(subject=own.subject, body=own.body, is_own=True)


@transaction.atomic
def change_text(
    *, caller: Caller, team: "Team", channel: Channel, language: str, subject: str, body: str
) -> None:
    """Give a team its own text; an empty body brings the shipped one back."""
    own = MessageText.objects.filter(team=team, channel=channel, language=language)
    if body:
        MessageText.objects.update_or_create(
            team=team, channel=channel, language=language, defaults={"subject": subject, "body": body}
        )
    else:
        own.delete()
    caller.record(Verb.TEXTS_CHANGED, reason=f"{channel.label} in {language} of team {team.code}")


def deliver(*, caller: Caller, invitation: Invitation, link: str) -> None:
    """Send the message that brings this link, and keep whether it went out, or why not: `failure`."""
    try:
        _send(invitation, link)
    except NotSent as error:
        _note(caller, invitation, Verb.LINK_NOT_SENT, failure=error.code)
    else:
        _note(caller, invitation, Verb.LINK_SENT, sent_at=timezone.now())


@transaction.atomic
def _note(caller: Caller, invitation: Invitation, verb: Verb, **outcome: object) -> None:
    Invitation.objects.filter(pk=invitation.pk).update(**outcome)
    invitation.refresh_from_db()
    reason = ", ".join(filter(None, [invitation.get_channel_display(), invitation.failure]))
    caller.record(verb, encounter=invitation.encounter, reason=reason)


def _send(invitation: Invitation, link: str) -> None:
    channel, language = Channel(invitation.channel), invitation.language
    text = text_for(invitation.encounter.team, channel, language)
    with translation.override(language):
        until = format_date(timezone.localtime(invitation.expires_at), "j F")
    words = text.filled({LINK: link, UNTIL: until})
    patient = invitation.encounter.patient
    if channel == Channel.SMS:
        sms.send(to=patient.mobile, text=words)
    else:
        _send_mail(patient.email, text.subject, words)


def _send_mail(to: str, subject: str, body: str) -> None:
    try:
        send_mail(subject, body, None, [to])
    except SMTPRecipientsRefused as error:
        raise NotSent("bad_address") from error
    except (SMTPException, OSError) as error:
        raise NotSent("unreachable") from error
