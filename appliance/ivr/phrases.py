"""The sentences that the box says by itself, in each language it speaks."""

from __future__ import annotations

from typing import Final, Literal

from appliance.ivr.numbers import in_words
from appliance.ivr.saying import digits
from appliance.site.model import Language, Prompt

PhraseName = Literal["busy", "recorded", "closed", "goodbye", "next", "nobody", "done", "refused"]

PHRASES: Final[dict[PhraseName, dict[Language, str]]] = {
    "busy": {
        "en": "All our agents are busy. Please stay on the line.",
        "ro": "Toți operatorii noștri sunt ocupați. Vă rugăm să rămâneți pe fir.",
        "bg": "Всички наши оператори са заети. Моля, останете на линия.",
        "fa": "همه همکاران ما مشغول هستند. لطفاً پشت خط بمانید.",
        "ru": "Все операторы заняты. Пожалуйста, оставайтесь на линии.",
        "zh": "所有客服人员都在忙，请不要挂机。",
    },
    "recorded": {
        "en": "This call is recorded.",
        "ro": "Această convorbire este înregistrată.",
        "bg": "Този разговор се записва.",
        "fa": "این مکالمه ضبط می‌شود.",
        "ru": "Этот разговор записывается.",
        "zh": "本次通话将被录音。",
    },
    "closed": {
        "en": "We are closed now. Please call again during our opening hours.",
        "ro": "Acum suntem închiși. Vă rugăm să reveniți în timpul programului de lucru.",
        "bg": "В момента не работим. Моля, обадете се в работно време.",
        "fa": "اکنون تعطیل هستیم. لطفاً در ساعات کاری تماس بگیرید.",
        "ru": "Сейчас мы не работаем. Пожалуйста, перезвоните в рабочее время.",
        "zh": "现在是非营业时间，请在营业时间内再次来电。",
    },
    "goodbye": {
        "en": "Thank you for calling. Goodbye.",
        "ro": "Vă mulțumim că ați sunat. La revedere.",
        "bg": "Благодарим ви за обаждането. Дочуване.",
        "fa": "از تماس شما سپاسگزاریم. خدانگهدار.",
        "ru": "Спасибо за звонок. До свидания.",
        "zh": "感谢您的来电，再见。",
    },
    "done": {
        "en": "Done.",
        "ro": "S-a făcut.",
        "bg": "Готово.",
        "fa": "انجام شد.",
        "ru": "Готово.",
        "zh": "已完成。",
    },
    "refused": {
        "en": "That is not possible.",
        "ro": "Nu este posibil.",
        "bg": "Това не е възможно.",
        "fa": "این کار ممکن نیست.",
        "ru": "Это невозможно.",
        "zh": "无法完成此操作。",
    },
    "next": {
        "en": "You are next in line.",
        "ro": "Sunteți următorul la rând.",
        "bg": "Вие сте следващият на опашката.",
        "fa": "شما نفر بعدی در صف هستید.",
        "ru": "Вы следующий в очереди.",
        "zh": "您是下一位。",
    },
    "nobody": {
        "en": "There is nobody of that name.",
        "ro": "Nu există nimeni cu acest nume.",
        "bg": "Няма човек с това име.",
        "fa": "کسی با این نام پیدا نشد.",
        "ru": "Никого с таким именем нет.",
        "zh": "没有找到这个名字。",
    },
}

_POSITION: Final[dict[Language, str]] = {
    "en": "You are number {} in line.",
    "ro": "Sunteți numărul {} la rând.",
    "bg": "Вие сте номер {} на опашката.",
    "fa": "شماره شما در صف {} است.",
    "ru": "Ваш номер в очереди — {}.",
    "zh": "您目前排在第{}位。",
}


_WAIT: Final[dict[Language, str]] = {
    "en": "Your wait will be between {} and {} minutes.",
    "ro": "Veți aștepta între {} și {} minute.",
    "bg": "Ще чакате между {} и {} минути.",
    "fa": "زمان انتظار شما بین {} و {} دقیقه است.",
    "ru": "Время ожидания от {} до {} минут.",
    "zh": "您需要等待{}到{}分钟。",
}
_WAIT_LESS: Final[dict[Language, str]] = {
    "en": "Your wait will be less than {} minutes.",
    "ro": "Veți aștepta mai puțin de {} minute.",
    "bg": "Ще чакате по-малко от {} минути.",
    "fa": "زمان انتظار شما کمتر از {} دقیقه است.",
    "ru": "Время ожидания меньше {} минут.",
    "zh": "您需要等待不到{}分钟。",
}


_CHOOSE_LANGUAGE: Final[dict[Language, str]] = {
    "en": "For English press {}.",
    "ro": "Pentru limba română apăsați {}.",
    "bg": "За български натиснете {}.",
    "fa": "برای فارسی عدد {} را فشار دهید.",
    "ru": "Для русского языка нажмите {}.",
    "zh": "中文服务请按{}。",
}
_CHOOSE_PERSON: Final[dict[Language, str]] = {
    "en": "For {} press {}.",
    "ro": "Pentru {} apăsați {}.",
    "bg": "За {} натиснете {}.",
    "fa": "برای {} عدد {} را فشار دهید.",
    "ru": "{}: нажмите {}.",
    "zh": "{}请按{}。",
}
_SPELL: Final[dict[Language, str]] = {
    "en": "Key the first letters of the name of the person you want, then the hash key.",
    "ro": "Tastați primele litere ale numelui persoanei dorite, apoi tasta diez.",
    "bg": "Наберете първите букви от името на човека, когото търсите, после диез.",
    "fa": "حروف اول نام فرد مورد نظر را وارد کنید و سپس کلید مربع را بزنید.",
    "ru": "Наберите первые буквы имени нужного человека, затем решётку.",
    "zh": "请按键输入对方姓名拼音的前几个字母，然后按井号键。",
}


def choose_language(key: str, language: Language) -> Prompt:
    """`For English press one.`, in the language that is to be chosen."""
    said = digits(key, language)
    return Prompt(text=_CHOOSE_LANGUAGE[language].format(said), language=language)


def choose_person(key: int, name: str, language: Language) -> Prompt:
    """`For Maria Ionescu press one.`"""
    text = _CHOOSE_PERSON[language].format(name, in_words(key, language))
    return Prompt(text=text, language=language)


def spell_name(language: Language) -> Prompt:
    """What a caller hears who is to find somebody by name."""
    return Prompt(text=_SPELL[language], language=language)


def expected_wait(low: int, high: int, language: Language) -> Prompt:
    """The wait that lies ahead, as a range of whole minutes."""
    high = max(high, 2)
    if low < 1:
        text = _WAIT_LESS[language].format(in_words(high, language))
    else:
        text = _WAIT[language].format(in_words(low, language), in_words(high, language))
    return Prompt(text=text, language=language)


def phrase(name: PhraseName, language: Language) -> Prompt:
    """A built-in sentence as a prompt."""
    return Prompt(text=PHRASES[name][language], language=language)


def position(n: int, language: Language) -> Prompt:
    """The place in the queue, 1 is next."""
    if n <= 1:
        return phrase("next", language)
    return Prompt(text=_POSITION[language].format(in_words(n, language)), language=language)
