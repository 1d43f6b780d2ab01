"""The comparison with other programs: what it says to them, and that it outlives them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.media.protocol import MediaStats
from tests.bench import media_peers
from tests.bench.bench_media import carried_out
from tests.bench.media_peers import Peer, PeerError, bdecode, bencode, compare

_REQUESTS = st.dictionaries(st.text(), st.text() | st.lists(st.text()))


@given(_REQUESTS)
def test_a_request_is_read_back_as_it_was_written(request: dict[str, str | list[str]]) -> None:
    assert bdecode(bencode(request)) == request


@given(_REQUESTS, st.data())
def test_an_answer_cut_off_is_a_value_error(
    request: dict[str, str | list[str]], data: st.DataObject
) -> None:
    whole = bencode(request)
    with pytest.raises(ValueError):  # noqa: PT011 - the kind is the contract
        bdecode(whole[: data.draw(st.integers(0, len(whole) - 1))])


def test_numbers_are_read() -> None:
    assert bdecode(b"d6:resultl2:oki-7eee") == {"result": ["ok", -7]}


def _peers(monkeypatch: pytest.MonkeyPatch, run: Callable[[int], float]) -> None:
    found = [Peer("Asterisk", "relay", "22", "relay", run)]
    monkeypatch.setattr(media_peers, "installed", lambda: iter(found))


def test_the_cheapest_run_of_each_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs, own = iter([0.9, 0.6, 0.6, 0.8]), iter([0.2, 0.3, 0.1, 0.4])
    _peers(monkeypatch, lambda calls: next(theirs))
    found = compare({"relay": lambda calls: next(own)})
    assert found["asterisk_relay_50"] == 0.6
    assert found["ratio_asterisk_relay_50"] == pytest.approx(3.0)
    assert found["ratio_asterisk_relay_100"] == pytest.approx(6.0)


@pytest.mark.parametrize("error", [PeerError("silent"), FileNotFoundError(2, "gone"), KeyError(1)])
def test_a_peer_that_fails_leaves_only_its_numbers_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    def fail(calls: int) -> float:
        if calls == 100:
            raise error
        return 0.5

    _peers(monkeypatch, fail)
    found = compare({"relay": lambda calls: 0.1})
    assert set(found) == {"asterisk_relay_50", "ours_relay_50", "ratio_asterisk_relay_50"}
    assert "  Asterisk, 100 calls" in capsys.readouterr().out.splitlines()[0]


def test_a_run_of_ours_that_fails_is_called_ours(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(calls: int) -> float:
        raise TimeoutError

    _peers(monkeypatch, lambda calls: 0.5)
    assert compare({"relay": fail}) == {}
    assert "  ours beside Asterisk, 50 calls: TimeoutError()" in capsys.readouterr().out


@pytest.mark.parametrize(("heard", "recordings"), [(True, 50), (False, 0)])
def test_ours_has_begun_when_all_legs_and_recordings_there_are_to_be_are_there(
    heard: bool, recordings: int
) -> None:
    stats = MediaStats(100, recordings, 1.0, 0.1, True, 1)
    assert carried_out(stats, 50, heard)
    assert not carried_out(stats, 51, heard)
    assert not carried_out(stats, 50, not heard)
