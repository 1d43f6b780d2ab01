import type { VNode } from "preact";
import { attempt } from "../api";
import { number, percent } from "../format";
import { t, type Key } from "../i18n";
import { myself } from "../live";
import {
  chooseCodec,
  codecChoice,
  elsewhere,
  micFault,
  peerFault,
  peerState,
  quality,
  replaceMicrophone,
  testMicrophone,
  testing,
  turnSoundOn,
  useHere,
} from "../rtc/duty";
import { CHOICES, type CodecChoice } from "../rtc/codec";
import { choose, chosen, devices, level } from "../rtc/microphone";
import { ringing, unlocked } from "../rtc/sound";
import { Icon } from "./icons";
import { Panel } from "./shell";

/** Everything that keeps the agent from being heard, each with the way out. */
export function SoundProblems(): VNode | null {
  const fault = micFault.value;
  const on = peerState.value !== "off";
  return (
    <>
      {elsewhere.value && (
        <p role="alert" class="alert alert-warning" data-sound="elsewhere">
          <Icon name="alert" />
          {t("audio.elsewhere")}
          <button type="button" class="btn btn-sm" onClick={() => void useHere()}>
            {t("audio.use_here")}
          </button>
        </p>
      )}
      {fault && (
        <p role="alert" class="alert alert-error" data-sound={fault}>
          <Icon name="mute" />
          {fault === "insecure"
            ? t("audio.insecure", { address: `https://${location.hostname}` })
            : t(`audio.mic_${fault}`)}
        </p>
      )}
      {!unlocked.value && (on || ringing.value) && (
        <p role="alert" class="alert alert-warning">
          <Icon name="sound" />
          {t("audio.blocked")}
          <button type="button" class="btn btn-sm" onClick={() => void turnSoundOn()}>
            {t("audio.unblock")}
          </button>
        </p>
      )}
      {peerFault.value && on && !fault && (
        <p role="alert" class="alert alert-error">
          <Icon name="alert" />
          {t("audio.failed", { reason: peerFault.value })}
        </p>
      )}
    </>
  );
}

function connection(): { key: Key; look: string } {
  if (peerState.value === "off") return { key: "audio.off", look: "badge-ghost" };
  if (peerState.value === "connecting") return { key: "audio.connecting", look: "badge-info" };
  if (peerState.value === "lost") return { key: "audio.lost", look: "badge-error" };
  const grade = quality.value?.grade ?? "good";
  const looks = { good: "badge-success", fair: "badge-warning", poor: "badge-error" };
  return { key: `audio.${grade}`, look: looks[grade] };
}

/** Microphone, its level, and how good the connection is. */
export function SoundPanel(): VNode {
  const state = connection();
  const now = quality.value;
  const open = peerState.value !== "off" || testing.value;
  return (
    <Panel
      title={t("audio.title")}
      extra={
        <span class={`badge ${state.look}`} data-peer={peerState.value}>
          <span class="sr-only">{t("audio.quality")}</span> {t(state.key)}
        </span>
      }
    >
      <label class="block">
        <span class="mb-1 block text-sm">{t("audio.mic")}</span>
        <select
          class="select w-full"
          value={chosen.value}
          onChange={(event) => {
            choose(event.currentTarget.value);
            void replaceMicrophone();
          }}
        >
          <option value="">{t("audio.mic_default")}</option>
          {devices.value.map((one, i) => (
            <option key={one.deviceId} value={one.deviceId}>
              {one.label || `${t("audio.mic")} ${number(i + 1)}`}
            </option>
          ))}
        </select>
      </label>
      <label class="mt-3 block">
        <span class="mb-1 block text-sm">{t("audio.codec")}</span>
        <select
          class="select w-full"
          value={codecChoice.value}
          onChange={(event) => chooseCodec(event.currentTarget.value as CodecChoice)}
        >
          {CHOICES.map((one) => (
            <option key={one} value={one}>
              {t(`audio.codec_${one}`)}
            </option>
          ))}
        </select>
      </label>
      <div class="mt-3 flex items-center gap-2">
        <Icon name="mic" class="quiet size-4" />
        <progress
          class="progress progress-success h-2.5 grow"
          aria-label={t("audio.level")}
          max={1}
          value={open ? level.value : 0}
        />
      </div>
      {peerState.value === "off" ? (
        <button
          type="button"
          class="btn btn-sm mt-3"
          aria-pressed={testing.value}
          onClick={() => void attempt(() => testMicrophone(!testing.value))}
        >
          <Icon name="mic" class="size-4" />
          {t(testing.value ? "audio.test_stop" : "audio.test")}
        </button>
      ) : (
        now &&
        now.rtt_ms !== null && (
          <p class="quiet figures mt-3 text-sm">
            {t("audio.detail", { rtt: now.rtt_ms, loss: percent(now.loss) })}
          </p>
        )
      )}
    </Panel>
  );
}

export const hasSound = (): boolean => myself.value?.door === "browser";
