"""A waiting caller asks to be called back: which number, said back digit by digit, confirmed.

The caller stays in the queue all the while and may be given an agent at any moment; whoever drives
this then simply forgets it. Three modes: `confirm` (a number was said, a key decides), `enter`
(digits of another number), `over`. Silence and wrong keys use up tries, after which the caller
waits on: nobody is ever hung up for not choosing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from appliance.ivr.phrases import phrase
from appliance.ivr.saying import digits
from appliance.site.model import Language, Prompt

SILENCE_MS: Final = 6_000
"""After a prompt, or between two digits."""
LONGEST_SAY_MS: Final = 60_000
"""A prompt whose end is never reported counts as played after this."""
TRIES: Final = 3
MAX_DIGITS: Final = 20

Text = Literal["offer", "confirm", "enter", "unusable", "kept", "calling"]
TEXTS: Final[dict[Text, dict[Language, str]]] = {
    "offer": {
        "en": "To keep your place in line and be called back, press {}.",
        "ro": "Pentru a vă păstra locul la rând și a fi sunat înapoi, apăsați {}.",
        "bg": "За да запазите мястото си и да ви се обадим, натиснете {}.",
        "fa": "برای حفظ نوبت و تماس ما با شما، عدد {} را فشار دهید.",
        "ru": "Чтобы сохранить место в очереди и получить обратный звонок, нажмите {}.",
        "zh": "如需保留排队位置并由我们回电，请按{}。",
    },
    "confirm": {
        "en": "We will call you back at {}. To confirm, press one. For another number, press two."
        " To wait on, press the star key.",
        "ro": "Vă vom suna la {}. Pentru confirmare apăsați unu. Pentru alt număr apăsați doi."
        " Pentru a aștepta în continuare apăsați steluță.",
        "bg": "Ще ви се обадим на {}. За потвърждение натиснете едно. За друг номер натиснете две."
        " За да продължите да чакате, натиснете звездичка.",
        "fa": "با شماره {} تماس می‌گیریم. برای تأیید عدد یک را فشار دهید. برای شماره دیگر عدد دو را"
        " فشار دهید. برای ادامه انتظار کلید ستاره را بزنید.",
        "ru": "Мы перезвоним вам по номеру {}. Для подтверждения нажмите один. Для другого номера"
        " нажмите два. Чтобы ждать дальше, нажмите звёздочку.",
        "zh": "我们将回电{}。确认请按一，其他号码请按二，继续等待请按星号键。",
    },
    "enter": {
        "en": "Please key the number at which we may call you, then the hash key.",
        "ro": "Tastați numărul la care vă putem suna, apoi tasta diez.",
        "bg": "Наберете номера, на който да ви се обадим, после диез.",
        "fa": "شماره‌ای را که با آن تماس بگیریم وارد کنید و سپس کلید مربع را بزنید.",
        "ru": "Наберите номер, по которому вам перезвонить, затем решётку.",
        "zh": "请输入回电号码，然后按井号键。",
    },
    "unusable": {
        "en": "We cannot call this number.",
        "ro": "Nu putem suna la acest număr.",
        "bg": "Не можем да се обадим на този номер.",
        "fa": "تماس با این شماره ممکن نیست.",
        "ru": "По этому номеру мы позвонить не можем.",
        "zh": "我们无法拨打这个号码。",
    },
    "kept": {
        "en": "Your place is kept. We will call you back. Goodbye.",
        "ro": "Locul dumneavoastră este păstrat. Vă vom suna. La revedere.",
        "bg": "Мястото ви е запазено. Ще ви се обадим. Дочуване.",
        "fa": "نوبت شما محفوظ است. با شما تماس می‌گیریم. خدانگهدار.",
        "ru": "Ваше место сохранено. Мы вам перезвоним. До свидания.",
        "zh": "您的位置已保留，我们会给您回电。再见。",
    },
    "calling": {
        "en": "You asked us to call you back. One moment please, we connect you.",
        "ro": "Ne-ați cerut să vă sunăm. Un moment, vă rugăm, vă facem legătura.",
        "bg": "Помолихте ни да ви се обадим. Един момент, моля, свързваме ви.",
        "fa": "شما درخواست تماس کرده بودید. لطفاً یک لحظه صبر کنید تا وصل شوید.",
        "ru": "Вы просили перезвонить. Одну минуту, соединяем.",
        "zh": "您要求我们回电。请稍候，正在为您接通。",
    },
}


def text(name: Text, language: Language, value: str = "") -> Prompt:
    """One of the sentences; `value` is said digit by digit."""
    said = TEXTS[name][language].format(digits(value, language))
    return Prompt(text=said, language=language)


@dataclass(frozen=True, slots=True)
class Say:
    """Play these in place of what plays; report the end with `said`."""

    prompts: tuple[Prompt, ...]


@dataclass(frozen=True, slots=True)
class Hush:
    """Stop what plays."""


@dataclass(frozen=True, slots=True)
class Keep:
    """The caller confirmed this number (as `usable` gave it)."""

    number: str


@dataclass(frozen=True, slots=True)
class WaitOn:
    """The caller wants to wait; nothing follows."""


Output = list[Say | Hush | Keep | WaitOn]


class KeepPlace:
    """`own` is the caller's number, None when it is withheld or may not be called; `usable` gives
    the one text of a number that may be called, else None; `spoken` how it is said. `now` is UTC
    milliseconds."""

    def __init__(
        self,
        language: Language,
        own: str | None,
        usable: Callable[[str], str | None],
        spoken: Callable[[str], str],
    ) -> None:
        self._language, self._usable, self._spoken = language, usable, spoken
        self._number = own
        self._mode: Literal["confirm", "enter", "over"] = "enter" if own is None else "confirm"
        self._digits = ""
        self._tries = 0
        self._saying = False
        self._deadline: int | None = None

    @property
    def over(self) -> bool:
        return self._mode == "over"

    def begin(self, now: int) -> Output:
        """What the caller hears first."""
        return self._ask(now)

    def key(self, digit: str, now: int) -> Output:
        """The caller pressed a key; it cuts short what is being said."""
        if self.over or digit not in "0123456789*#":
            return []
        out: Output = [Hush()] if self._saying else []
        self._saying = False
        if self._mode == "enter":
            return out + self._entered(digit, now)
        if digit == "1" and self._number is not None:
            return out + self._end(Keep(self._number))
        if digit == "2":
            self._mode, self._tries = "enter", 0
            return out + self._ask(now)
        if digit == "*":
            return out + self._end(WaitOn())
        return out + self._ask(now)

    def said(self, now: int) -> Output:
        """What was to be said is over."""
        if self._saying:
            self._saying = False
            self._deadline = now + SILENCE_MS
        return []

    def tick(self, now: int) -> Output:
        """Carry out what has fallen due."""
        if self.over or self._deadline is None or now < self._deadline:
            return []
        if self._saying:
            return self.said(now)
        if self._mode == "enter" and self._digits:
            return self._decide(now)
        return self._ask(now)

    def next_deadline(self) -> int | None:
        return None if self.over else self._deadline

    def _ask(self, now: int, before: tuple[Prompt, ...] = ()) -> Output:
        """Say what is to be decided, as long as there are tries."""
        self._tries += 1
        self._digits = ""
        if self._tries > TRIES:
            return self._end(WaitOn())
        if self._mode == "confirm" and self._number is not None:
            asked = text("confirm", self._language, self._spoken(self._number))
        else:
            asked = text("enter", self._language)
        return self._say((*before, asked), now)

    def _entered(self, digit: str, now: int) -> Output:
        if digit == "#":
            return self._decide(now)
        if digit == "*":
            return self._end(WaitOn())
        self._digits += digit
        self._deadline = now + SILENCE_MS
        return self._decide(now) if len(self._digits) >= MAX_DIGITS else []

    def _decide(self, now: int) -> Output:
        number = self._usable(self._digits)
        if number is None:
            return self._ask(now, (text("unusable", self._language),))
        self._number, self._mode, self._tries = number, "confirm", 0
        return self._ask(now)

    def _say(self, prompts: tuple[Prompt, ...], now: int) -> Output:
        self._saying = True
        self._deadline = now + LONGEST_SAY_MS
        return [Say(prompts)]

    def _end(self, last: Keep | WaitOn) -> Output:
        self._mode, self._deadline, self._saying = "over", None, False
        if isinstance(last, WaitOn):
            return [Say((phrase("busy", self._language),)), last]
        return [last]
