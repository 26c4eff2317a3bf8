"""The patient's way in Welsh, on a phone: no word of English is left, and the switch works by keyboard."""

import functools
import re
from pathlib import Path

import pytest
from babel.messages.pofile import read_po
from django.conf import settings
from playwright.sync_api import Page, expect

from encounters.wordings import SHIPPED
from portal.demo import generate_clip
from tests.browser.conftest import choose, sign_in

pytestmark = pytest.mark.browser
CLINIC_S_OWN = ("Neurology outpatients", "IMG_0042.MOV", "holiday.mov", "English", "Ffilmiwch eich dwylo.")
"""What no catalogue translates: names, what the clinician wrote, and a language's own name."""
WORDS = """() => {
  const hidden = new Set(["SCRIPT", "STYLE", "TEMPLATE", "NOSCRIPT"]);
  const found = [document.title];
  const shown = NodeFilter.SHOW_TEXT | NodeFilter.SHOW_ELEMENT;
  const { FILTER_ACCEPT, FILTER_REJECT } = NodeFilter;
  const acceptNode = (node) => hidden.has(node.nodeName) ? FILTER_REJECT : FILTER_ACCEPT;
  const walker = document.createTreeWalker(document.documentElement, shown, { acceptNode });
  const spoken = ["aria-label", "alt", "placeholder", "title"];
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (node.nodeType === Node.TEXT_NODE) found.push(node.textContent);
    else for (const name of spoken) found.push(node.getAttribute(name) ?? "");
  }
  return found.map((text) => text.replaceAll(/\\s+/g, " ").trim()).filter(Boolean);
}"""


UNITS = {"kb", "mb", "gb"}
MONTHS = {"ionawr", "chwefror", "mawrth", "ebrill", "mai", "mehefin", "gorffennaf", "awst", "medi", "hydref"}
MONTHS |= {"tachwedd", "rhagfyr"}
MONTHS |= {month[:3] for month in MONTHS} | {"tach", "rhag"}


def english_and_welsh() -> tuple[set[str], set[str]]:
    """Words that only the English sentences have, and all words of the Welsh ones, in lower case."""
    english, welsh = set(), set()
    for path in Path(settings.BASE_DIR / "locale/cy/LC_MESSAGES").glob("*.po"):
        with path.open("rb") as file:
            for message in read_po(file):
                if message.id:
                    ids = message.id if isinstance(message.id, tuple | list) else [message.id]
                    strings = message.string if isinstance(message.string, tuple | list) else [message.string]
                    english.update(*map(words_of, ids))
                    welsh.update(*map(words_of, strings))
    english.update(*map(words_of, SHIPPED["en-gb"].values()))
    welsh.update(*map(words_of, SHIPPED["cy"].values()))
    return english - welsh, welsh


def words_of(text: str) -> set[str]:
    plain = re.sub(r"%\(\w+\)[sd]|\{\w+\}", " ", text.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"))
    return {word.strip("'").lower() for word in re.findall(r"[^\W\d_]+(?:'[^\W\d_]+)?", plain)}


def assert_no_english(page: Page) -> None:
    """Every visible or spoken word is one of the Welsh sentences', or the clinic's own."""
    only_english, welsh = english_and_welsh()
    shown = page.evaluate(WORDS)
    assert page.evaluate("document.documentElement.lang") == "cy"
    left = set()
    for text in shown:
        words = words_of(functools.reduce(lambda rest, own: rest.replace(own, " "), CLINIC_S_OWN, text))
        left |= {(word, text) for word in (words - welsh - MONTHS - UNITS) | (words & only_english)}
    assert not left


def make_link(desk: Page, demo) -> str:
    sign_in(desk, demo, "clinician")
    desk.goto(f"{demo.base_url}/encounters/new/")
    desk.get_by_label("Record number").fill("CY-1")
    desk.get_by_label("Date of birth").fill("1949-02-08")
    desk.get_by_label("Given name").fill("Gwenllian")
    desk.get_by_label("Family name").fill("Thistlewood")
    desk.get_by_label("What should the patient film?").fill("Ffilmiwch eich dwylo.")
    desk.get_by_role("button", name="Open encounter").click()
    desk.get_by_label("The patient reads").select_option("cy")
    desk.get_by_role("button", name="Show link and QR code").click()
    expect(desk.get_by_role("img", name="QR code of the upload link")).to_be_visible()
    return desk.locator("#new-link").input_value()


def give_date(page: Page, day: str) -> None:
    page.locator("#id_day").fill(day)
    page.locator("#id_month").fill("2")
    page.locator("#id_year").fill("1949")
    page.get_by_role("button", name="Parhau").click()


def test_the_whole_way_is_in_welsh(demo, phone, desk, tmp_path):
    clip = tmp_path / "IMG_0042.MOV"
    generate_clip(clip)
    text = tmp_path / "holiday.mov"
    text.write_text("Annwyl feddyg, dyma fy fideo.")
    link = make_link(desk, demo)

    phone.goto(link)
    assert phone.url.endswith("/send/birth-date/")
    assert_no_english(phone)
    give_date(phone, "9")
    expect(phone.get_by_text("Nid dyna'r dyddiad geni sydd gennym.")).to_be_visible()
    assert_no_english(phone)
    give_date(phone, "8")

    expect(phone.get_by_role("heading", name="Ydych chi'n cytuno?")).to_be_visible()
    phone.locator(".proxy summary").click()
    assert_no_english(phone)
    phone.locator("#id_proxy_name").fill("x")
    phone.get_by_role("button", name="Parhau").click()
    expect(phone.get_by_text("Mae angen i chi gytuno i hwn")).to_be_visible()
    phone.locator("#id_proxy_name").fill("")
    assert_no_english(phone)
    phone.get_by_role("checkbox").first.check()
    phone.get_by_role("button", name="Parhau").click()

    expect(phone.get_by_role("heading", name="Beth mae eich fideo yn ei ddangos?")).to_be_visible()
    assert_no_english(phone)
    phone.get_by_role("button", name="Parhau").click()

    expect(phone.get_by_role("heading", name="Anfon eich fideos")).to_be_visible()
    assert_no_english(phone)
    choose(phone, clip, text)
    expect(phone.locator(".queue__item", has_text="IMG_0042.MOV")).to_contain_text(
        "Gall eich clinig ei wylio", timeout=120_000
    )
    expect(phone.locator(".queue__item", has_text="holiday.mov")).to_contain_text("Nid fideo yw'r ffeil hon")
    assert_no_english(phone)
    phone.reload()
    assert_no_english(phone)
    phone.get_by_role("button", name="Rwyf wedi anfon popeth").click()

    expect(phone.get_by_role("heading", name="Diolch.")).to_be_visible()
    assert_no_english(phone)
    phone.get_by_role("link", name="Yr hyn y cytunoch iddo").click()
    expect(phone.get_by_text("Cytunoch i hyn ar")).to_be_visible()
    assert_no_english(phone)
    phone.get_by_role("button", name="Rwy'n cytuno i hyn").last.click()
    expect(phone.get_by_role("button", name="Tynnu hyn yn ôl")).to_be_visible()
    phone.get_by_role("button", name="Tynnu hyn yn ôl").click()
    expect(phone.get_by_text("Tynnwyd yn ôl ar")).to_be_visible()
    assert_no_english(phone)
    phone.get_by_role("link", name="Tynnu popeth yn ôl").click()
    expect(phone.get_by_role("link", name="Cadw fy fideos")).to_be_visible()
    assert_no_english(phone)
    phone.get_by_role("button", name="Tynnu popeth yn ôl a dileu fy fideos").click()
    expect(phone.get_by_role("heading", name="Rydych wedi tynnu popeth yn ôl")).to_be_visible()
    assert_no_english(phone)


def test_the_language_is_changed_by_keyboard_and_stays(demo, phone):
    phone.goto(demo.access["patient"]["link"])
    expect(phone.get_by_role("heading", name="What is your date of birth?")).to_be_visible()
    switch = phone.get_by_role("button", name="Cymraeg")
    for _ in range(5):
        phone.keyboard.press("Tab")
        if switch.evaluate("(button) => button === document.activeElement"):
            break
    expect(switch).to_be_focused()

    phone.keyboard.press("Enter")

    expect(phone.get_by_role("heading", name="Beth yw eich dyddiad geni?")).to_be_visible()
    phone.reload()
    expect(phone.get_by_role("button", name="English")).to_be_visible()
    assert phone.evaluate("document.documentElement.lang") == "cy"
