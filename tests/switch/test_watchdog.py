"""A media process that hangs is found in time, and no other ever."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from appliance.switch.watchdog import CHECK_S, FIRST_WORD_S, HUNG_S, Watchdog


class Control:
    """Calls the watchdog as control does; `talking` are those that say something each second."""

    def __init__(self, *processes: int) -> None:
        self.dog = Watchdog()
        self.now = 1000.0
        self.talking = set(processes)
        self.hung: list[int] = []
        self._said = self.now
        self.dog.check(self.now)
        for process in processes:
            self.dog.connected(process)

    def work(self, seconds: float) -> None:
        """Check on time for so long."""
        for _ in range(round(seconds / CHECK_S)):
            self.late(CHECK_S)

    def late(self, seconds: float) -> None:
        """The next check comes only now; what arrived in the meantime is read after it."""
        self.now += seconds
        self.hung += self.dog.check(self.now)
        if self.now - self._said >= 1:
            self._said = self.now
            for process in self.talking:
                self.dog.heard(process)


def test_who_says_something_each_second_lives() -> None:
    control = Control(0, 1)
    control.work(600)
    assert control.hung == []


def test_who_says_nothing_any_more_is_told_once_and_in_time() -> None:
    control = Control(0, 1)
    control.work(10)
    control.talking.remove(1)
    control.work(HUNG_S - 1)
    assert control.hung == []
    control.work(1 + CHECK_S)
    assert control.hung == [1]
    control.work(60)
    assert control.hung == [1]


def test_the_next_one_is_watched_as_well() -> None:
    control = Control(0)
    control.work(2)
    control.talking.clear()
    control.work(HUNG_S + CHECK_S)
    control.dog.gone(0)
    control.work(60)
    control.dog.connected(0)
    control.dog.heard(0)
    control.work(HUNG_S + CHECK_S)
    assert control.hung == [0, 0]


def test_a_first_word_may_take_longer() -> None:
    control = Control()
    control.dog.connected(0)
    control.work(FIRST_WORD_S)
    assert control.hung == []
    control.work(CHECK_S)
    assert control.hung == [0]


def test_a_machine_that_slept_an_hour_accuses_nobody() -> None:
    control = Control(0)
    control.work(3)
    control.late(3600)
    control.work(600)
    assert control.hung == []


def test_a_clock_that_jumps_back_or_far_ahead_accuses_nobody() -> None:
    control = Control(0)
    control.work(3)
    for jump in (-1000.0, 1e9, 0.0):
        control.late(jump)
        control._said = control.now
        control.work(20)
    assert control.hung == []


@given(
    st.lists(
        st.one_of(
            st.floats(0.2, 0.3).map(lambda s: (s, True)),
            st.floats(0, 1e5).map(lambda s: (s, False)),
        ),
        max_size=60,
    )
)
def test_time_in_which_control_stood_still_is_nobodys_silence(
    steps: list[tuple[float, bool]],
) -> None:
    """Silence counts where checks came on time; a late one counts as two."""
    dog = Watchdog()
    now = worked = 0.0
    dog.check(now)
    dog.connected(0)
    dog.heard(0)
    for seconds, on_time in steps:
        now += seconds
        worked += seconds if on_time else min(seconds, 2 * CHECK_S)
        assert dog.check(now) == [] or worked > HUNG_S - 1e-6
