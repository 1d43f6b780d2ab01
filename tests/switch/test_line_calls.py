"""Calls from an analog line through menu and queue to an agent, step by step."""

from __future__ import annotations

from appliance import events as e
from appliance import live
from appliance.media import protocol as p
from appliance.switch import actions as act
from tests.switch.office import Office, site


def test_a_ring_with_caller_id_answers_the_line_and_plays_the_menu() -> None:
    office = Office()
    office.ring("l1")
    assert office.last(e.CallOpened).door == "line:l1"
    assert office.last(e.CallerKnown).caller == "5550123"
    assert office.commands(p.AnswerLine) == [p.AnswerLine("l1")]
    assert not office.all(act.Speak)
    office.pick_up("l1")
    assert office.last(act.Speak).prompts[0].text == "Press 1."
    assert office.last(e.Answered).party == "line:l1"


def test_a_key_in_the_menu_stops_the_prompt_and_enters_the_queue() -> None:
    office = Office()
    office.ring("l1")
    office.pick_up("l1")
    leg = office.last(p.OpenLine).leg
    office.media(p.Key(leg, "1", "inband"))
    assert office.last(e.IvrKey) == e.IvrKey(
        at=office.now, call=office.last(e.CallOpened).call, menu="main", key="1", valid=True
    )
    assert office.last(e.IvrOut).target == "sales"
    assert office.last(e.QEnter).queue == "sales"
    assert office.last(act.HoldMusic).file == ""


def test_the_agents_screen_does_not_wait_for_the_modem_to_go_off_hook() -> None:
    office = Office()
    office.on_duty("ana")
    office.ring("l2")
    assert office.last(e.Offer).agent == "ana"
    assert not office.all(e.Answered)


def test_answering_connects_and_the_wait_ends_with_two_way_audio_only() -> None:
    office = Office()
    office.on_duty("ana")
    office.queue_call()
    office.wait(3)
    office.answer("ana")
    assert not office.all(e.Connect)
    office.wait(0.2)
    office.talk()
    connect, leave = office.last(e.Connect), office.last(e.QLeave)
    assert (connect.agent, leave.reason) == ("ana", "answered")
    assert connect.at == leave.at == office.now
    assert office.last(e.Bridged).a == "line:l2"


def test_an_agent_who_answers_before_the_line_is_off_hook_is_connected_when_it_is() -> None:
    office = Office()
    office.on_duty("ana")
    office.ring("l2")
    office.answer("ana")
    assert not office.commands(p.Bridge)
    office.pick_up("l2")
    assert len(office.commands(p.Bridge)) == 1


def test_the_talk_is_recorded_caller_left_agent_right() -> None:
    office = Office()
    office.on_duty("ana")
    office.queue_call()
    office.answer("ana")
    command = office.last(p.StartRecording)
    bridge = office.last(p.Bridge)
    assert (command.left, command.right) == (bridge.a, bridge.b)
    fact = office.last(e.RecordingStarted)
    assert command.path == f"/data/{fact.path}"
    assert fact.path.startswith("recordings/2023-11-14/")


def test_hang_up_by_the_caller_ends_everything_and_starts_the_wrap_up() -> None:
    office = Office()
    office.on_duty("ana")
    office.queue_call()
    office.answer("ana")
    office.talk()
    office.wait(30)
    office.media(p.LineHungUp("l2", "tone"))
    recording = office.last(e.RecordingStarted).recording
    assert office.last(p.StopRecording).recording == recording
    assert office.last(e.WrapStart).agent == "ana"
    assert office.last(e.LineReleased).line == "l2"
    assert office.last(e.Disconnect).side == "caller"
    assert not office.w.calls
    assert not office.w.legs
    office.media(p.RecordingClosed(recording, 30_000, "done"))
    assert office.last(e.RecordingEnded).call == office.last(e.CallOpened).call
    office.wait(11)
    assert office.last(e.WrapEnd).agent == "ana"
    assert office.w.acd.agent("ana").phase == "ready"


def test_hang_up_by_the_agent_hangs_up_the_line_and_frees_it_when_it_is_on_hook() -> None:
    office = Office()
    office.on_duty("ana")
    office.queue_call()
    office.answer("ana")
    office.talk()
    office.ask(live.AgentAction("ana", "hangup"))
    assert office.last(p.HangUpLine).line == "l2"
    assert office.last(e.Disconnect).side == "callee"
    assert office.w.lines["l2"].state == "busy"
    office.media(p.LineHungUp("l2", "local"))
    assert office.w.lines["l2"].state == "idle"


def test_a_caller_who_gives_up_while_ringing_never_enters_anything() -> None:
    office = Office()
    office.media(p.LineRinging("l1"))
    office.media(p.LineRingEnded("l1"))
    assert office.last(e.Disconnect).cause == "abandoned"
    assert office.w.lines["l1"].state == "idle"


def test_a_caller_who_hangs_up_in_the_queue_is_abandoned_and_the_ringing_stops() -> None:
    office = Office()
    office.on_duty("ana")
    office.queue_call()
    office.media(p.LineHungUp("l2", "tone"))
    assert office.last(e.QLeave).reason == "abandoned"
    assert office.last(e.OfferEnd).result == "withdrawn"
    assert office.w.acd.agent("ana").phase == "ready"
    assert isinstance(office.facts[-1], e.Disconnect)


def test_waiting_too_long_says_goodbye_and_hangs_up() -> None:
    office = Office()
    office.queue_call()
    office.wait(61)
    assert office.last(e.QLeave).reason == "timeout"
    speak = office.last(act.Speak)
    office.media(p.PlayEnded(speak.leg, speak.token, "done"))
    assert office.last(e.Disconnect).cause == "timeout"


def test_hold_gives_the_caller_music_and_the_recording_silence() -> None:
    office = Office()
    office.on_duty("ana")
    office.queue_call()
    office.answer("ana")
    office.talk()
    office.ask(live.AgentAction("ana", "hold"))
    caller = office.commands(p.Bridge)[-1].a
    assert office.last(act.HoldMusic) == act.HoldMusic(caller, "")
    assert office.last(p.StartRecording).left is None
    office.wait(12)
    office.ask(live.AgentAction("ana", "resume"))
    assert office.last(e.HoldOff).at - office.last(e.HoldOn).at == 12_000
    assert len(office.commands(p.Bridge)) == 2
    assert office.last(p.StartRecording).left == caller
    assert len(office.all(e.Connect)) == 1


def test_a_modem_that_gives_up_a_call_was_lost_and_nobody_hung_up() -> None:
    office = Office()
    office.on_duty("ana")
    office.queue_call()
    office.answer("ana")
    office.talk()
    office.media(p.LineHungUp("l2", "device"))
    office.media(p.LineDown("l2", "The modem was unplugged."))
    ended = office.last(e.Disconnect)
    assert (ended.side, ended.cause) == ("system", "line_lost")
    assert len(office.all(e.Disconnect)) == 1


def test_a_line_that_vanishes_in_a_call_ends_it_and_raises_an_alarm() -> None:
    office = Office()
    office.on_duty("ana")
    office.queue_call()
    office.answer("ana")
    office.talk()
    office.media(p.LineDown("l2", "The modem was unplugged."))
    assert office.last(e.Disconnect).cause == "line_lost"
    assert office.last(e.WrapStart).agent == "ana"
    assert "line:l2" in office.w.alarms
    office.media(p.LineUp("l2", "test"))
    assert "line:l2" not in office.w.alarms
    assert office.w.lines["l2"].state == "idle"


def test_a_page_that_goes_away_in_a_call_parks_the_caller_and_takes_it_up_again() -> None:
    office = Office()
    office.on_duty("ana")
    office.queue_call()
    office.answer("ana")
    office.talk()
    office.media(p.PeerState("ana", "lost"))
    assert office.last(e.HoldOn).agent == "ana"
    office.wait(4)
    office.media(p.PeerState("ana", "connected"))
    assert office.last(e.HoldOff).at == office.now
    assert office.last(p.Bridge).b == office.last(p.OpenPeer).leg
    assert not office.all(e.Disconnect)


def test_a_page_that_never_comes_back_sends_the_caller_to_the_head_of_the_queue() -> None:
    office = Office()
    office.on_duty("ana", "bo")
    office.queue_call()
    office.answer("ana")
    office.talk()
    first = office.last(e.QEnter)
    office.media(p.PeerState("ana", "closed"))
    office.wait(31)
    again = office.last(e.QEnter)
    assert again.parent == first.entry
    assert office.last(e.Offer).agent == "bo"
    assert office.last(e.Transfer).mode == "queue"
    office.answer("bo")
    office.talk()
    assert [x.agent for x in office.all(e.Connect)] == ["ana", "bo"]


def test_a_page_that_goes_away_between_answer_and_audio_leaves_the_caller_waiting() -> None:
    office = Office()
    office.on_duty("ana", "bo")
    office.ring("l2")
    agent = office.last(e.Offer).agent
    office.answer(agent)
    office.media(p.PeerState(agent, "failed"))
    assert not office.all(e.QLeave)
    other = office.last(e.Offer).agent
    assert other != agent


def test_a_silent_side_counts_as_connected_after_two_seconds() -> None:
    office = Office()
    office.on_duty("ana")
    office.queue_call()
    office.answer("ana")
    office.wait(2.1)
    assert office.last(e.Connect).agent == "ana"


def test_the_recording_notice_is_heard_to_its_end_before_the_queue() -> None:
    office = Office(site('[recording]\nannounce = { text = "Recorded." }\n'))
    office.on_duty("ana")
    office.queue_call()
    assert not office.all(e.QEnter)
    speak = office.last(act.Speak)
    assert speak.prompts[0].text == "Recorded."
    office.media(p.PlayEnded(speak.leg, speak.token, "done"))
    assert office.last(e.QEnter).queue == "sales"
    assert len([s for s in office.all(act.Speak) if s.prompts[0].text == "Recorded."]) == 1


def test_the_media_process_dying_ends_line_calls() -> None:
    office = Office()
    office.on_duty("ana")
    office.queue_call()
    office.media_lost()
    assert office.last(e.Disconnect).cause == "line_lost"
    assert "media" in office.w.alarms
    office.media_up()
    assert "media" not in office.w.alarms


def test_stopping_ends_every_call_and_signs_everybody_out() -> None:
    office = Office()
    office.on_duty("ana")
    office.queue_call()
    office.switch.stop(office.now)
    office._take()
    assert office.last(e.Disconnect).cause == "system_stopped"
    assert office.last(e.AgentState).state == "offline"
    assert isinstance(office.facts[-1], e.SystemStopped)


def test_closing_the_last_page_signs_a_browser_agent_out_after_a_minute() -> None:
    office = Office()
    office.on_duty("ana")
    office.ask(live.AgentPresence("ana", "s1", False))
    office.media(p.PeerState("ana", "closed"))
    office.wait(59)
    assert office.last(e.AgentState).state == "ready"
    office.wait(2)
    state = office.last(e.AgentState)
    assert (state.state, state.at) == ("offline", office.now - 1000)
