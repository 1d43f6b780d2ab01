import { effect } from "@preact/signals";
import type { VNode } from "preact";
import { attempt, me } from "../../api";
import { SoundPanel, SoundProblems, hasSound } from "../../components/mic";
import { Since, PhaseBadge } from "../../components/phase";
import { Heading, Panel } from "../../components/shell";
import {
  type Shortcut,
  ShortcutButton,
  ShortcutHelp,
  useShortcuts,
} from "../../components/shortcuts";
import { Duration, number } from "../../format";
import { t } from "../../i18n";
import { boxNow, live, myself, tick } from "../../live";
import { act, call, incoming, setState, title, toggleMute } from "../../rtc/duty";
import { CallCard, keypadOpen } from "./call";
import { Colleagues } from "./colleagues";
import { DialBox } from "./dial";
import { DutyCard, canWrapLonger } from "./duty";
import { Parked } from "./parked";
import { Personal } from "./personal";

function shortcuts(): Shortcut[] {
  const agent = myself.value;
  const now = call.value;
  const does = (action: Parameters<typeof act>[0]) => () => void attempt(() => act(action));
  const talking = now?.phase === "talking" || now?.phase === "held";
  const when = (condition: boolean | undefined, run: () => void) => () => {
    if (condition) run();
  };
  return [
    ...(hasSound()
      ? [
          {
            code: "KeyA",
            label: "A",
            what: "call.answer" as const,
            run: when(Boolean(incoming.value), does("answer")),
          },
        ]
      : []),
    {
      code: "KeyR",
      label: "R",
      what: "call.reject",
      run: when(Boolean(incoming.value), does("reject")),
    },
    {
      code: "KeyH",
      label: "H",
      what: "call.hold",
      run: when(talking, does(now?.phase === "held" ? "resume" : "hold")),
    },
    {
      code: "KeyM",
      label: "M",
      what: "call.mute",
      run: when(talking, toggleMute),
    },
    {
      code: "KeyK",
      label: "K",
      what: "call.keypad",
      run: when(talking, () => (keypadOpen.value = !keypadOpen.value)),
    },
    {
      code: "KeyE",
      label: "E",
      what: "call.hangup",
      run: when(Boolean(now) && !incoming.value, does("hangup")),
    },
    {
      code: "KeyD",
      label: "D",
      what: "wrap.done",
      run: when(agent?.phase === "wrap", does("wrap_end")),
    },
    {
      code: "KeyW",
      label: "W",
      what: "wrap.longer",
      run: when(canWrapLonger(agent), does("wrap_longer")),
    },
    {
      code: "KeyS",
      label: "S",
      what: "keys.ready",
      run: when(agent?.phase === "ready" || agent?.phase === "not_ready", () => {
        void attempt(() => setState(agent?.phase === "ready" ? "not_ready" : "ready"));
      }),
    },
    {
      code: "KeyN",
      label: "N",
      what: "keys.dial",
      run: () => document.getElementById("dial-number")?.focus(),
    },
  ];
}

function MyQueues(): VNode {
  const mine = myself.value?.queues ?? [];
  const queues = (live.value?.queues ?? []).filter((one) => mine.includes(one.id));
  return (
    <Panel title={t("queues.title")}>
      <table class="table-sm figures table">
        <thead>
          <tr>
            <th scope="col" class="!ps-0">
              {t("call.queue")}
            </th>
            <th scope="col">{t("queues.waiting")}</th>
            <th scope="col">{t("queues.longest")}</th>
            <th scope="col" class="!pe-0">
              {t("queues.ready")}
            </th>
          </tr>
        </thead>
        <tbody>
          {queues.map((one) => (
            <tr key={one.id}>
              <th scope="row" class="!ps-0 font-medium">
                <bdi>{one.name}</bdi>
                {!one.open && <span class="quiet"> · {t("queues.closed")}</span>}
              </th>
              <td class={one.waiting ? "font-bold" : ""}>{number(one.waiting)}</td>
              <td>{one.oldest_since ? <Duration ms={boxNow() - one.oldest_since} /> : "–"}</td>
              <td class="!pe-0">{number(one.ready)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Panel>
  );
}

export function AgentView(): VNode {
  const agent = myself.value;
  useShortcuts(shortcuts);
  if (!live.value) return <p role="status">{t("app.loading")}</p>;
  if (!agent) {
    return (
      <>
        <Heading>{t("nav.agent")}</Heading>
        <p class="mt-3">{t("duty.not_agent")}</p>
      </>
    );
  }
  return (
    <>
      <div class="mb-4 flex flex-wrap items-center gap-3">
        <Heading>{t("nav.agent")}</Heading>
        <PhaseBadge phase={agent.phase} reason={agent.reason} large />
        <span class="text-lg" data-timer>
          <Since at={agent.since} />
        </span>
        <div class="ms-auto">
          <ShortcutButton />
        </div>
      </div>
      <div class="grid grid-cols-1 items-start gap-4 lg:grid-cols-[minmax(0,2fr)_minmax(0,1fr)]">
        <div class="grid grid-cols-1 gap-4">
          {hasSound() && <SoundProblems />}
          {(agent.phase !== "offline" || agent.call) && <CallCard agent={agent} />}
          <DutyCard agent={agent} />
        </div>
        <div class="grid grid-cols-1 gap-4">
          <DialBox agent={agent} />
          <Parked agent={agent} />
          <MyQueues />
          <Colleagues agent={agent} />
          <Personal agent={agent} />
          {hasSound() && <SoundPanel />}
        </div>
      </div>
      <ShortcutHelp list={shortcuts()} />
    </>
  );
}

// A ringing call flashes in the title, whatever view is shown and also in a hidden tab.
effect(() => {
  const ring = incoming.value;
  const agent = myself.value;
  if (!ring || me.value?.person == null) {
    title.value = "";
    return;
  }
  const who = ring.caller_name ?? ring.caller ?? t("app.unknown_caller");
  const office = live.value?.office ?? "";
  title.value = Math.floor(tick.value / 1000) % 2 ? `☎ ${who}` : `${agent?.name ?? ""} · ${office}`;
});
