"""Modem profiles as data: loading, inheriting, choosing."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from appliance.hw import hw_path
from appliance.lines.profiles import (
    Commands,
    FormatChoice,
    ProfileError,
    Registry,
    load_profiles,
    offered_formats,
    parse_profiles,
)
from appliance.lines.sound import CodecName, SoundFormat

GENERIC_TEXT = (hw_path("modems") / "generic-v253.toml").read_text("utf-8")


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_profiles()


def test_all_shipped_profiles_load_and_own_up_to_what_is_unverified(registry: Registry) -> None:
    names = {profile.name for profile in registry}
    assert names == {"generic-v253", "conexant-cx930xx", "usr5637", "mt9234mu"}
    assert all(profile.unverified for profile in registry)


@pytest.mark.parametrize(
    ("facts", "name"),
    [
        ({}, "generic-v253"),
        ({"ati0": "56000"}, "conexant-cx930xx"),
        ({"usb": "0572:1329"}, "conexant-cx930xx"),
        ({"usb": "0572:1329", "ati0": "56000", "ati3": "CX93001"}, "conexant-cx930xx"),
        ({"usb": "1234:5678", "ati0": "56000"}, "conexant-cx930xx"),
        ({"usb": "0572:1329", "ati0": "9999"}, "generic-v253"),
        ({"ati0": "5601"}, "usr5637"),
        ({"ati0": "MT9234MU-CDC"}, "mt9234mu"),
        ({"ati0": "33600"}, "generic-v253"),
    ],
)
def test_the_most_specific_profile_is_chosen(
    registry: Registry, facts: dict[str, str], name: str
) -> None:
    assert registry.choose(**facts).name == name


def test_a_longer_list_of_matches_wins() -> None:
    registry = parse_profiles(
        {
            "a.toml": GENERIC_TEXT,
            "b.toml": '[profile.old]\nlabel="o"\ninherit="generic-v253"\nmatch={ati0="^56"}',
            "c.toml": '[profile.new]\nlabel="n"\ninherit="generic-v253"\n'
            'match={ati0="^56", ati3="V2"}',
        }
    )
    assert registry.choose(ati0="56000", ati3="V2.1").name == "new"
    assert registry.choose(ati0="56000", ati3="V1").name == "old"
    assert registry.choose(ati0="56000").name in ("old", "new")


def test_an_heir_keeps_what_it_does_not_say(registry: Registry) -> None:
    conexant, generic = registry.get("conexant-cx930xx"), registry.get("generic-v253")
    assert conexant.off_hook == generic.off_hook
    assert conexant.voice != generic.voice
    assert conexant.stop_duplex == b"\x10^"


def test_hang_up_codes_are_trusted_unit_by_unit(registry: Registry) -> None:
    assert ord("l") in registry.get("conexant-cx930xx").dle_hangup
    assert ord("H") not in registry.get("usr5637").dle_hangup
    assert not registry.get("mt9234mu").hears_busy


@pytest.mark.parametrize(
    ("country", "code"),
    [("us", "B5"), ("GB", "B4"), ("fr", "3D"), ("ro", "8E"), ("de", "42"), ("zz", "")],
)
def test_countries_have_their_t35_code(registry: Registry, country: str, code: str) -> None:
    assert registry.gci(country) == code


def test_a_command_whose_value_is_unknown_is_left_out() -> None:
    commands = Commands.parse("AT+GCI={gci}|")
    assert commands.fill({"gci": ""}) is None
    assert commands.fill({"gci": "B5"}) == Commands(("AT+GCI=B5", ""))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[profile", "not TOML"),
        ("[models.x]\n", "'models' is unknown"),
        ('[profile.x]\ninherit="nobody"\nlabel="x"', "inherits unknown 'nobody'"),
        ('[profile.x]\ninherit="x"\nlabel="x"', "in a circle"),
        ('[profile.x]\ninherit="generic-v253"\nlabel="x"\ncolour=1', "x.colour is unknown"),
        ('[profile.x]\ninherit="generic-v253"', "x.label must be"),
        ('[profile.x]\ninherit="generic-v253"\nlabel="x"\nlatency_ms=9000', "from 20 to 500"),
        ('[profile.x]\ninherit="generic-v253"\nlabel="x"\nstop_duplex="zz"', "hexadecimal"),
        ('[profile.x]\ninherit="generic-v253"\nlabel="x"\ninit=["rm -rf"]', "AT commands"),
        ('[profile.x]\ninherit="generic-v253"\nlabel="x"\ninit=["AT{x}"]', "AT commands"),
        ('[profile.x]\ninherit="generic-v253"\nlabel="x"\nmatch={ati0="("}', "regular expr"),
        ('[profile.x]\ninherit="generic-v253"\nlabel="x"\nmatch={usb=["1"]}', "USB ids"),
        ('[profile.x]\ninherit="generic-v253"\nlabel="x"\ndle={hangup=["bd"]}', "single letters"),
        ('[profile.x]\ninherit="generic-v253"\nlabel="x"\nduplex="maybe"', "full or half"),
        ('[gci]\nus="1"', "two hexadecimal digits"),
    ],
)
def test_a_wrong_file_is_told_by_name_and_place(text: str, complaint: str) -> None:
    with pytest.raises(ProfileError, match=r"wrong\.toml") as error:
        parse_profiles({"generic-v253.toml": GENERIC_TEXT, "wrong.toml": text})
    assert complaint in str(error.value)


def test_an_unknown_profile_name_is_answered_with_the_known_ones(registry: Registry) -> None:
    with pytest.raises(ProfileError, match="generic-v253"):
        registry.get("nokia")


U8 = '1,"UNSIGNED PCM",8,0,8000,0,0'
S8 = '0,"SIGNED PCM",8,0,8000,0,0'


@pytest.mark.parametrize(
    ("lines", "wide", "offered"),
    [
        ((S8, U8), True, [("1", "u8"), ("0", "s8")]),
        ((S8,), True, [("0", "s8")]),
        (('+VSM: 1, "UNSIGNED PCM" , 8, 0, (7200,8000,11025), (0), (0)',), True, [("1", "u8")]),
        (('128,"8-BIT LINEAR",(7200,8000,11025)', '129,"IMA ADPCM",4,8000'), True,
         [("128", "u8")]),
        (('129,"IMA ADPCM",4,0,8000', '131,"Mu-Law",8,0,8000,0,0'), True, [("131", "ulaw")]),
        ((U8, '4,"G.711U",8,0,8000,0,0', '5,"G.711A",8,0,8000,0,0'), True,
         [("4", "ulaw"), ("5", "alaw"), ("1", "u8")]),
        (('5,"G.711 ALAW",8,0,8000,0,0', U8), True, [("5", "alaw"), ("1", "u8")]),
        (('1,"UNSIGNED PCM",8,0,11025,0,0', '5,"ALAW",8,0,(7200-11025)'), True, [("5", "alaw")]),
        (('128,"8-BIT LINEAR",(8000)', '129,"16-BIT LINEAR",(8000)'), True,
         [("129", "s16"), ("128", "u8")]),
        (('128,"8-BIT LINEAR",(8000)', '129,"16-BIT LINEAR",(8000)'), False, [("128", "u8")]),
        (('129,"16-BIT LINEAR",(8000)', '130,"8-BIT ALAW",(8000)'), True,
         [("130", "alaw"), ("129", "s16")]),
        (('6,"SIGNED PCM",16,0,8000,0,0', S8), True, [("6", "s16"), ("0", "s8")]),
        (('133,"LINEAR",16,0,8000,0,0', '129,"IMA ADPCM",4,0,8000,0,0'), True, []),
        (("nonsense", "", '9999999,"UNSIGNED PCM",8'), True, []),
    ],
)  # fmt: skip
def test_the_best_sound_format_comes_first(
    registry: Registry, lines: tuple[str, ...], wide: bool, offered: list[tuple[str, CodecName]]
) -> None:
    assert offered_formats(lines, registry.get("generic-v253").formats, wide=wide) == offered


def test_preference_is_the_profiles() -> None:
    formats = (FormatChoice('"UNSIGNED PCM",8', "u8"), FormatChoice("ALAW", "alaw"))
    lines = ('5,"ALAW",8', '1,"UNSIGNED PCM",8')
    assert offered_formats(lines, formats, wide=True) == [("1", "u8"), ("5", "alaw")]


def there_and_back(sound: SoundFormat, pcm: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
    """In frames of 20 ms."""
    encode = sound.encoder()
    raw = b"".join(encode(pcm[at : at + 160].tobytes()) for at in range(0, len(pcm), 160))
    return np.frombuffer(sound.to_pcm(raw), "<i2").astype(np.int16)


@pytest.mark.parametrize(
    ("name", "off"), [("s16", 0), ("ulaw", 400), ("alaw", 400), ("u8", 200), ("s8", 200)]
)
def test_a_format_keeps_a_tone_within_its_resolution(name: CodecName, off: int) -> None:
    tone = (12000 * np.sin(np.arange(800) * 2 * np.pi * 440 / 8000)).astype("<i2")
    sound = SoundFormat(name)
    error = there_and_back(sound, tone).astype(int) - tone
    assert np.sqrt(np.mean(error**2)) <= off
    assert len(sound.silence) == sound.width
    assert abs(np.frombuffer(sound.to_pcm(sound.silence), "<i2")[0]) <= 8


@pytest.mark.parametrize("name", ["s16", "ulaw", "alaw"])
def test_every_byte_of_a_format_survives_the_way_there_and_back(name: CodecName) -> None:
    sound = SoundFormat(name)
    every = sound.to_pcm(bytes(range(256)))
    assert sound.to_pcm(sound.encoder()(every)) == every


def test_zero_is_where_manuals_say_it_is() -> None:
    silence = {name: SoundFormat(name).silence for name in ("u8", "s8", "ulaw", "alaw")}
    assert silence == {"u8": b"\x80", "s8": b"\x00", "ulaw": b"\xff", "alaw": b"\xd5"}
    for name, one in silence.items():
        assert SoundFormat(name).encoder()(bytes(320)) == one * 160


@pytest.mark.parametrize("name", ["s16", "ulaw", "u8"])
def test_half_a_sample_is_left_out(name: CodecName) -> None:
    sound = SoundFormat(name)
    assert sound.encoder()(b"\x00\x00\x7f") == sound.silence


def test_the_hardware_data_keeps_to_its_folder() -> None:
    with pytest.raises(ValueError, match="leads out"):
        hw_path("../pyproject.toml")
    with pytest.raises(FileNotFoundError, match="nothing-here"):
        hw_path("nothing-here.toml")
