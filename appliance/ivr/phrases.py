"""The sentences that the box says by itself, in each language it speaks."""

from __future__ import annotations

from typing import Final, Literal

from appliance.ivr.numbers import in_words
from appliance.ivr.saying import digits
from appliance.site.model import Language, Prompt

PhraseName = Literal[
    "busy",
    "recorded",
    "closed",
    "goodbye",
    "next",
    "nobody",
    "done",
    "refused",
    "leave_message",
    "keep_or_again",
    "message_kept",
    "too_short",
    "speak_now",
    "box_full",
    "no_messages",
    "no_more_messages",
    "message_deleted",
    "message_keys",
]

BEEP: Final = Prompt(file="beep.wav")
"""The tone after which callers speak; the office may upload its own under this name."""


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
    "leave_message": {
        "en": "Please leave a message after the tone.",
        "ro": "Vă rugăm să lăsați un mesaj după semnalul sonor.",
        "bg": "Моля, оставете съобщение след сигнала.",
        "fa": "لطفاً پس از شنیدن صدای بوق پیام خود را بگذارید.",
        "ru": "Пожалуйста, оставьте сообщение после сигнала.",
        "zh": "请在提示音后留言。",
    },
    "keep_or_again": {
        "en": "To keep your message press one. To record it again press two.",
        "ro": "Pentru a păstra mesajul apăsați unu. Pentru a-l înregistra din nou apăsați doi.",
        "bg": "За да запазите съобщението, натиснете едно. За нов запис натиснете две.",
        "fa": "برای نگه داشتن پیام عدد یک و برای ضبط دوباره عدد دو را فشار دهید.",
        "ru": "Чтобы сохранить сообщение, нажмите один. Чтобы записать заново, нажмите два.",
        "zh": "保留留言请按一，重新录音请按二。",
    },
    "message_kept": {
        "en": "Your message has been kept. Thank you. Goodbye.",
        "ro": "Mesajul dumneavoastră a fost păstrat. Vă mulțumim. La revedere.",
        "bg": "Съобщението ви е запазено. Благодарим ви. Дочуване.",
        "fa": "پیام شما ذخیره شد. سپاسگزاریم. خدانگهدار.",
        "ru": "Ваше сообщение сохранено. Спасибо. До свидания.",
        "zh": "您的留言已保存，谢谢，再见。",
    },
    "too_short": {
        "en": "That was too short to be kept.",
        "ro": "Mesajul a fost prea scurt pentru a fi păstrat.",
        "bg": "Съобщението беше твърде кратко.",
        "fa": "پیام شما برای ذخیره شدن بسیار کوتاه بود.",
        "ru": "Сообщение слишком короткое.",
        "zh": "留言太短，未能保存。",
    },
    "speak_now": {
        "en": "We could not hear you. Please speak after the tone.",
        "ro": "Nu v-am auzit. Vă rugăm să vorbiți după semnalul sonor.",
        "bg": "Не ви чухме. Моля, говорете след сигнала.",
        "fa": "صدای شما شنیده نشد. لطفاً پس از صدای بوق صحبت کنید.",
        "ru": "Мы вас не слышим. Пожалуйста, говорите после сигнала.",
        "zh": "没有听到您的声音，请在提示音后讲话。",
    },
    "box_full": {
        "en": "No more messages can be left here. Please call again later.",
        "ro": "Nu mai pot fi lăsate mesaje aici. Vă rugăm să sunați mai târziu.",
        "bg": "Тук не могат да се оставят повече съобщения. Моля, обадете се по-късно.",
        "fa": "امکان گذاشتن پیام بیشتر وجود ندارد. لطفاً بعداً تماس بگیرید.",
        "ru": "Здесь больше нельзя оставить сообщение. Пожалуйста, перезвоните позже.",
        "zh": "留言箱已满，请稍后再次来电。",
    },
    "no_messages": {
        "en": "There are no messages.",
        "ro": "Nu există mesaje.",
        "bg": "Няма съобщения.",
        "fa": "پیامی وجود ندارد.",
        "ru": "Сообщений нет.",
        "zh": "没有留言。",
    },
    "no_more_messages": {
        "en": "There are no more messages.",
        "ro": "Nu mai există alte mesaje.",
        "bg": "Няма повече съобщения.",
        "fa": "پیام دیگری وجود ندارد.",
        "ru": "Больше сообщений нет.",
        "zh": "没有更多留言。",
    },
    "message_deleted": {
        "en": "The message has been deleted.",
        "ro": "Mesajul a fost șters.",
        "bg": "Съобщението е изтрито.",
        "fa": "پیام پاک شد.",
        "ru": "Сообщение удалено.",
        "zh": "留言已删除。",
    },
    "message_keys": {
        "en": "To hear it again press one, for the next message two, to delete it three, to call"
        " back five.",
        "ro": "Pentru a-l asculta din nou apăsați unu, pentru mesajul următor doi, pentru a-l"
        " șterge trei, pentru a suna înapoi cinci.",
        "bg": "За да го чуете отново, натиснете едно, за следващото две, за изтриване три, за"
        " обратно обаждане пет.",
        "fa": "برای شنیدن دوباره عدد یک، پیام بعدی عدد دو، پاک کردن عدد سه و برای تماس با"
        " گذارنده پیام عدد پنج را فشار دهید.",
        "ru": "Чтобы прослушать ещё раз, нажмите один, следующее сообщение — два, удалить — три,"
        " перезвонить — пять.",
        "zh": "重听请按一，下一条请按二，删除请按三，回拨请按五。",
    },
}

_NOT_HERE: Final[dict[Language, str]] = {
    "en": "{} cannot take your call. Please leave a message after the tone.",
    "ro": "{} nu vă poate răspunde. Vă rugăm să lăsați un mesaj după semnalul sonor.",
    "bg": "{} не може да ви отговори. Моля, оставете съобщение след сигнала.",
    "fa": "{} نمی‌تواند پاسخ دهد. لطفاً پس از شنیدن صدای بوق پیام خود را بگذارید.",
    "ru": "{}: ответить сейчас некому. Пожалуйста, оставьте сообщение после сигнала.",
    "zh": "{}现在无法接听，请在提示音后留言。",
}
_COUNTS: Final[dict[Language, str]] = {
    "en": "New messages: {}. Old messages: {}.",
    "ro": "Mesaje noi: {}. Mesaje vechi: {}.",
    "bg": "Нови съобщения: {}. Стари съобщения: {}.",
    "fa": "پیام‌های جدید: {}. پیام‌های قدیمی: {}.",
    "ru": "Новых сообщений: {}. Старых сообщений: {}.",
    "zh": "新留言：{}。旧留言：{}。",
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

_RECEIVED: Final[dict[Language, str]] = {
    "en": "Received {}, {}.",
    "ro": "Primit {}, {}.",
    "bg": "Получено {}, {}.",
    "fa": "دریافت شده {}، {}.",
    "ru": "Получено {}, {}.",
    "zh": "收到于{}，{}。",
}
_FROM: Final[dict[Language, str]] = {
    "en": "From {}.",
    "ro": "De la {}.",
    "bg": "От {}.",
    "fa": "از شماره {}.",
    "ru": "От номера {}.",
    "zh": "来自{}。",
}


def received(day: str, time: str, caller: str | None, language: Language) -> Prompt:
    """When a message came and from whom; all in words."""
    text = _RECEIVED[language].format(day, time)
    if caller is not None:
        text += " " + _FROM[language].format(caller)
    return Prompt(text=text, language=language)


def choose_language(key: str, language: Language) -> Prompt:
    """`For English press one.`, in the language that is to be chosen."""
    said = digits(key, language)
    return Prompt(text=_CHOOSE_LANGUAGE[language].format(said), language=language)


def choose_person(key: int, name: str, language: Language) -> Prompt:
    """`For Maria Ionescu press one.`"""
    text = _CHOOSE_PERSON[language].format(name, in_words(key, language))
    return Prompt(text=text, language=language)


def leave_message(name: str | None, language: Language) -> Prompt:
    """What a caller hears before the tone, of whom they wanted if it is a person's box."""
    if name is None:
        return phrase("leave_message", language)
    return Prompt(text=_NOT_HERE[language].format(name), language=language)


def message_counts(fresh: int, old: int, language: Language) -> Prompt:
    """How many messages there are."""
    said = _COUNTS[language].format(in_words(fresh, language), in_words(old, language))
    return Prompt(text=said, language=language)


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
