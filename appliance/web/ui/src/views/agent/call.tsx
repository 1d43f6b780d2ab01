import { effect, signal } from "@preact/signals";
import type { ComponentChildren, VNode } from "preact";
import { attempt, post } from "../../api";
import { Icon, type IconName } from "../../components/icons";
import { SpeechLevels } from "../../components/levels";
import { hasSound } from "../../components/mic";
import { Since } from "../../components/phase";
import { PoorSound } from "../../components/quality";
import { Duration } from "../../format";
import { t, type Key } from "../../i18n";
import { boxNow, live } from "../../live";
import { act, call, elsewhere, incoming, isMuted, toggleMute } from "../../rtc/duty";
import { personName } from "../../names";
import type { Agent, AgentCall } from "../../types";
import { CallbackCard, keptFor } from "./callback";
import { Consultation } from "./consult";
import { Watching } from "./colleagues";
import { LongerWrap } from "./duty";

export const keypadOpen = signal(false);
const sent = signal("");

let shown: string | null = null;
effect(() => {
  const now = call.value?.call ?? null;
  if (now !== shown) {
    shown = now;
    keypadOpen.value = false;
    sent.value = "";
  }
});

function Button(props: {
  icon: IconName;
  label: string;
  look?: string;
  pressed?: boolean;
  hint?: string;
  onPress: () => void;
}): VNode {
  return (
    <button
      type="button"
      class={`btn ${props.look ?? ""}`}
      aria-pressed={props.pressed}
      onClick={props.onPress}
    >
      <Icon name={props.icon} />
      {props.label}
      {props.hint && (
        <kbd class="kbd kbd-xs hidden text-base-content opacity-100 sm:inline-flex" aria-hidden="true">
          {props.hint}
        </kbd>
      )}
    </button>
  );
}

const does = (action: Parameters<typeof act>[0]) => (): void => void attempt(() => act(action));

function Keypad(): VNode {
  const press = (key: string): void => {
    sent.value = (sent.value + key).slice(-24);
    void attempt(() => post("/agent/keys", { digits: key }));
  };
  return (
    <div
      class="mt-4 w-52"
      role="group"
      aria-label={t("call.keypad")}
      onKeyDown={(event) => {
        if (/^[0-9*#]$/.test(event.key)) {
          event.preventDefault();
          event.stopPropagation();
          press(event.key);
        }
      }}
    >
      <output class="figures mb-2 block min-h-6 text-lg" dir="ltr" aria-label={t("call.keys_sent")}>
        {sent.value}
      </output>
      <div class="grid grid-cols-3 gap-2" dir="ltr">
        {[..."123456789*0#"].map((key) => (
          <button
            key={key}
            type="button"
            class="btn"
            aria-label={t("call.key", { key })}
            onClick={() => press(key)}
          >
            {key}
          </button>
        ))}
      </div>
    </div>
  );
}

const Fact = (props: { label: string; children: ComponentChildren }): VNode => (
  <div>
    <dt class="quiet text-sm">{props.label}</dt>
    <dd class="text-lg font-medium">{props.children}</dd>
  </div>
);

/** Name large, number beside it; the number alone is large when there is no name. */
function Who(props: { now: AgentCall }): VNode {
  const { caller, caller_name } = props.now;
  return (
    <p class="mt-1 text-2xl leading-snug font-bold break-words sm:text-3xl" data-caller>
      {caller_name ? <bdi>{caller_name}</bdi> : caller ? <bdi dir="ltr">{caller}</bdi> : t("app.unknown_caller")}
      {caller_name && caller && (
        <span class="quiet block text-xl font-medium">
          <bdi dir="ltr" class="figures">
            {caller}
          </bdi>
        </span>
      )}
    </p>
  );
}

function heading(now: AgentCall): Key {
  if (now.role !== "talk") return `watch.${now.role}`;
  if (now.phase === "ringing" && now.direction !== "out") {
    return now.direction === "internal" ? "call.internal" : "call.incoming";
  }
  if (now.phase === "ringing") return "call.calling";
  return now.phase === "connecting"
    ? now.direction === "out"
      ? "call.calling"
      : "call.connecting"
    : now.phase === "held"
      ? "call.held"
      : "call.talking";
}

function Active(props: { agent: Agent; now: AgentCall }): VNode {
  const { now } = props;
  const rings = incoming.value !== null;
  const held = now.phase === "held";
  const recorded = live.value?.calls.find((one) => one.call === now.call)?.recording;
  const sound = hasSound() && !elsewhere.value;
  return (
    <section
      class={`panel border-2 p-6 ${rings ? "ringing border-primary" : held ? "border-warning" : "border-success"}`}
      aria-labelledby="call-heading"
      data-call={now.phase}
    >
      <h2 id="call-heading" class="flex items-center gap-2 font-semibold">
        <Icon name={rings ? "bell" : held ? "hold" : "phone"} class="size-5" />
        {t(heading(now))}
        {recorded && (
          <span class="badge badge-error badge-sm ms-auto gap-1">
            <Icon name="rec" class="size-3" />
            {t("call.recorded")}
          </span>
        )}
      </h2>
      <p class="sr-only" role="status">
        {t(heading(now))}: {now.caller_name ?? now.caller ?? t("app.unknown_caller")}
      </p>
      <Who now={now} />
      <dl class="mt-4 flex flex-wrap gap-x-8 gap-y-3">
        {now.queue_name && (
          <Fact label={t("call.queue")}>
            <bdi>{now.queue_name}</bdi>
          </Fact>
        )}
        <Fact label={t(rings ? "call.ringing_for" : held ? "call.held_for" : "call.duration")}>
          <Since at={now.since} />
        </Fact>
        {now.others.length > 0 && (
          <Fact label={t("call.with")}>
            <bdi data-others>{now.others.map(personName).join(", ")}</bdi>
          </Fact>
        )}
        {now.queue && (
          <Fact label={t("call.waited")}>
            <Duration ms={now.waited_ms + (rings ? boxNow() - (live.value?.now ?? boxNow()) : 0)} />
          </Fact>
        )}
      </dl>
      {now.poor && !rings && (
        <p class="mt-3" role="status">
          <PoorSound party={now.poor} />
        </p>
      )}
      {now.phase === "talking" && (
        <div class="mt-3">
          <SpeechLevels call={now.call} levels={now.levels ?? []} />
        </div>
      )}
      {isMuted() && !rings && (
        <p class="mt-3 flex items-center gap-2 font-medium text-error" role="status">
          <Icon name="mute" />
          {t("call.muted")}
        </p>
      )}
      {rings && !hasSound() && <p class="mt-4">{t("call.answer_phone")}</p>}
      <div class="mt-5 flex flex-wrap gap-2">
        {rings ? (
          <>
            {sound && (
              <Button
                icon="phone"
                label={t("call.answer")}
                look="btn-success btn-lg"
                hint="A"
                onPress={does("answer")}
              />
            )}
            <Button
              icon="hangup"
              label={t("call.reject")}
              look="btn-outline btn-lg"
              hint="R"
              onPress={does("reject")}
            />
          </>
        ) : (
          <>
            {now.role !== "talk" && <Watching now={now} />}
            {(now.phase === "talking" || held) && now.role === "talk" && (
              <>
                <Button
                  icon={held ? "play" : "hold"}
                  label={t(held ? "call.resume" : "call.hold")}
                  look={held ? "btn-warning" : ""}
                  hint="H"
                  onPress={does(held ? "resume" : "hold")}
                />
                <Button
                  icon={isMuted() ? "mute" : "mic"}
                  label={t(isMuted() ? "call.unmute" : "call.mute")}
                  look={isMuted() ? "btn-warning" : ""}
                  pressed={isMuted()}
                  hint="M"
                  onPress={toggleMute}
                />
                <Button
                  icon="keypad"
                  label={t("call.keypad")}
                  pressed={keypadOpen.value}
                  hint="K"
                  onPress={() => (keypadOpen.value = !keypadOpen.value)}
                />
                {!now.consult && now.others.length === 0 && (
                  <Button
                    icon="clock"
                    label={t("call.park")}
                    onPress={() => void attempt(() => post("/agent/park"))}
                  />
                )}
              </>
            )}
            <Button
              icon="hangup"
              label={t("call.hangup")}
              look="btn-error"
              hint="E"
              onPress={does("hangup")}
            />
          </>
        )}
      </div>
      {now.consult && <Consultation consult={now.consult} />}
      {keypadOpen.value && !rings && <Keypad />}
    </section>
  );
}

function Wrap(props: { agent: Agent }): VNode {
  const { agent } = props;
  const whole = agent.wrap_until === null ? 0 : agent.wrap_until - agent.since;
  const left = agent.wrap_until === null ? null : Math.max(0, agent.wrap_until - boxNow());
  return (
    <section class="panel border-2 border-secondary p-6" data-call="wrap">
      <h2 class="flex items-center gap-2 font-semibold">
        <Icon name="clock" />
        {t("wrap.title")}
      </h2>
      <p class="quiet mt-1">{t("wrap.text")}</p>
      {left !== null && (
        <>
          <p class="mt-3 text-3xl font-bold" role="timer" aria-label={t("wrap.left")}>
            <Duration ms={left + 999} />
          </p>
          <progress
            class="progress progress-secondary mt-2 h-2.5 w-full"
            aria-label={t("wrap.left")}
            max={whole || 1}
            value={left}
          />
        </>
      )}
      <div class="mt-5 flex flex-wrap gap-2">
        <Button
          icon="check"
          label={t("wrap.done")}
          look="btn-secondary"
          hint="D"
          onPress={does("wrap_end")}
        />
        <LongerWrap agent={agent} />
      </div>
    </section>
  );
}

/** The call in front of the agent, the wrap-up after it, or that there is none. */
export function CallCard(props: { agent: Agent }): VNode {
  const { agent } = props;
  if (agent.call) return <Active agent={agent} now={agent.call} />;
  if (agent.phase === "wrap") return <Wrap agent={agent} />;
  const kept = keptFor(agent);
  if (kept) return <CallbackCard callback={kept} />;
  const hint: Key = agent.phase === "ready" ? "call.none_ready" : "call.none_not_ready";
  return (
    <section class="panel items-center px-6 py-10 text-center" data-call="none">
      <Icon name="phone" class="quiet size-10 opacity-60" />
      <p class="mt-3 text-lg font-medium">{t("call.none")}</p>
      <p class="quiet">{t(hint)}</p>
    </section>
  );
}
