import { signal } from "@preact/signals";
import type { VNode } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { ApiError, explain, get, me } from "../api";
import { Icon } from "../components/icons";
import { Sound } from "../components/quality";
import { DirectionIcon } from "../components/running";
import { Heading, Panel } from "../components/shell";
import { Caller, Duration, dateTime, number, time } from "../format";
import type { CallRow, RecordingRow, Step } from "../history";
import { T, known, t } from "../i18n";
import { agentName, partyName, queueName, word } from "../names";
import { path } from "../router";
import { Outcome } from "./calls";

const row = signal<CallRow | null>(null);
const fault = signal<string | null>(null);

async function load(id: string): Promise<void> {
  fault.value = null;
  if (row.value?.call !== id) row.value = null;
  try {
    row.value = await get<CallRow>(`/calls/${encodeURIComponent(id)}`);
  } catch (error) {
    if (error instanceof ApiError || error instanceof Error) fault.value = explain(error);
  }
}

/** One recording: the browser's own player, which seeks by byte ranges, with jumps and speed. */
function Player(props: { of: RecordingRow; zone: string | undefined }): VNode {
  const { of, zone } = props;
  const audio = useRef<HTMLAudioElement>(null);
  const jump = (seconds: number) => () => {
    if (audio.current) audio.current.currentTime += seconds;
  };
  return (
    <li class="rounded-box border border-base-300 p-3">
      <p class="mb-2 flex flex-wrap items-center gap-x-3 text-sm">
        <span class="font-medium">
          {t("detail.recording_of", { time: time(of.started_at, zone) })}
        </span>
        {of.agent && <bdi>{agentName(of.agent)}</bdi>}
        {of.duration_ms === null ? (
          <span class="badge badge-error badge-sm">{t("detail.still_recording")}</span>
        ) : (
          <Duration ms={of.duration_ms} />
        )}
      </p>
      {of.may_hear ? (
        <>
          <audio
            ref={audio}
            class="w-full"
            controls
            preload="metadata"
            aria-label={t("detail.recording_of", { time: time(of.started_at, zone) })}
            src={`/api/v1/recordings/${encodeURIComponent(of.recording)}`}
          />
          <div class="mt-2 flex flex-wrap items-center gap-2">
            <button type="button" class="btn btn-sm" onClick={jump(-10)}>
              {t("detail.back10")}
            </button>
            <button type="button" class="btn btn-sm" onClick={jump(10)}>
              {t("detail.on10")}
            </button>
            {[1, 1.5, 2].map((factor) => (
              <button
                key={factor}
                type="button"
                class="btn btn-ghost btn-sm"
                aria-label={t("detail.speed", { factor })}
                onClick={() => {
                  if (audio.current) audio.current.playbackRate = factor;
                }}
              >
                <bdi dir="ltr">{number(factor)}×</bdi>
              </button>
            ))}
            <span class="quiet ms-auto text-xs">{t("detail.left_right")}</span>
          </div>
        </>
      ) : (
        <p class="quiet text-sm">{t("error.forbidden")}</p>
      )}
    </li>
  );
}

function sentence(step: Step): VNode {
  const made = `fact.${step.kind}`;
  const system = step.kind === "disconnect" && step.who === "system";
  const key = system ? "fact.disconnect_system" : known(made) ? made : "fact.other";
  const what = step.what ?? "";
  const said = step.kind === "ivr_key" || step.kind === "caller_known" ? what : word(what);
  return (
    <T
      k={key}
      v={{
        who: <bdi class="font-medium">{step.who ? partyName(step.who) : ""}</bdi>,
        what: <bdi class="font-medium">{said}</bdi>,
        kind: step.kind,
      }}
    />
  );
}

function Journey(props: { row: CallRow; zone: string | undefined }): VNode {
  const { row: call, zone } = props;
  return (
    <ol class="grid gap-1.5">
      {(call.steps ?? []).map((step, i) => (
        <li key={i} class="grid grid-cols-[4.5rem_4rem_1fr] gap-2 text-sm">
          <span class="figures quiet">
            <bdi>{time(step.at, zone)}</bdi>
          </span>
          <span class="figures quiet text-end">
            <bdi dir="ltr">+</bdi>
            <Duration ms={step.at - call.opened_at} />
          </span>
          <span>{sentence(step)}</span>
        </li>
      ))}
    </ol>
  );
}

export function CallDetail(): VNode {
  const id = decodeURIComponent(path.value.slice("/calls/".length));
  useEffect(() => {
    void load(id);
  }, [id]);
  const call = row.value;
  const zone = me.value?.timezone;
  const back = (
    <a class="btn btn-ghost btn-sm mb-3" href="/calls">
      <Icon name="back" class="size-4 rtl:-scale-x-100" />
      {t("detail.back")}
    </a>
  );
  if (!call) {
    return (
      <>
        {back}
        <Heading>{t("calls.title")}</Heading>
        <p class="mt-3" role="status">
          {fault.value ?? t("app.loading")}
        </p>
      </>
    );
  }
  return (
    <>
      {back}
      <div class="mb-4 flex flex-wrap items-center gap-3">
        <Heading>{t("detail.title", { time: dateTime(call.opened_at, zone) })}</Heading>
        <Outcome outcome={call.outcome} />
      </div>
      <div class="grid grid-cols-1 items-start gap-4 lg:grid-cols-2">
        <div class="grid grid-cols-1 gap-4">
          <section class="panel p-4">
            <dl class="grid grid-cols-2 gap-3 sm:grid-cols-3">
              <div>
                <dt class="quiet text-sm">{t("calls.caller")}</dt>
                <dd class="flex items-center gap-2 font-medium">
                  <DirectionIcon direction={call.direction} />
                  <span>
                    <Caller caller={call.caller} name={call.caller_name} />
                  </span>
                </dd>
              </div>
              <div>
                <dt class="quiet text-sm">{t("calls.called")}</dt>
                <dd class="font-medium">
                  <bdi dir="ltr">{call.called ?? "–"}</bdi>
                </dd>
              </div>
              <div>
                <dt class="quiet text-sm">{t("calls.queue")}</dt>
                <dd class="font-medium">{call.queue ? <bdi>{queueName(call.queue)}</bdi> : "–"}</dd>
              </div>
              <div>
                <dt class="quiet text-sm">{t("calls.agent")}</dt>
                <dd class="font-medium">{call.agent ? <bdi>{agentName(call.agent)}</bdi> : "–"}</dd>
              </div>
              <div>
                <dt class="quiet text-sm">{t("calls.wait")}</dt>
                <dd class="font-medium">
                  {call.wait_ms === null ? "–" : <Duration ms={call.wait_ms} />}
                </dd>
              </div>
              <div>
                <dt class="quiet text-sm">{t("calls.talk")}</dt>
                <dd class="font-medium">
                  {call.talk_ms === null ? "–" : <Duration ms={call.talk_ms} />}
                </dd>
              </div>
            </dl>
          </section>
          <Panel title={t("detail.recordings")}>
            {call.recordings.length ? (
              <ul class="grid gap-3">
                {call.recordings.map((one) => (
                  <Player key={one.recording} of={one} zone={zone} />
                ))}
              </ul>
            ) : (
              <p class="quiet">{t("detail.no_recordings")}</p>
            )}
          </Panel>
          {call.quality && call.quality.length > 0 && (
            <Panel title={t("quality.title")}>
              <Sound rows={call.quality} />
            </Panel>
          )}
        </div>
        <Panel title={t("detail.journey")}>
          <Journey row={call} zone={zone} />
        </Panel>
      </div>
    </>
  );
}
