import type { VNode } from "preact";
import { attempt } from "../../api";
import { Icon } from "../../components/icons";
import { Panel } from "../../components/shell";
import { t } from "../../i18n";
import { live } from "../../live";
import { act, goOnDuty, setState, starting } from "../../rtc/duty";
import type { Agent } from "../../types";

/** A queue's call is talked through or wrapped up, and the day's longer wrap-ups are not used up. */
export const canWrapLonger = (agent: Agent | null | undefined): boolean =>
  Boolean(
    agent?.longer_left &&
      (agent.phase === "wrap" || (agent.call?.queue && agent.call.phase !== "ringing")),
  );

/** One tap for more time after this call. */
export function LongerWrap(props: { agent: Agent }): VNode | null {
  const { agent } = props;
  if (!canWrapLonger(agent) && !agent.wrap_longer) return null;
  return (
    <button
      type="button"
      class={`btn ${agent.wrap_longer ? "btn-secondary" : "btn-outline"}`}
      disabled={!canWrapLonger(agent)}
      data-action="wrap_longer"
      onClick={() => void attempt(() => act("wrap_longer"))}
    >
      <Icon name="clock" class="size-4" />
      {t("wrap.longer")}
      <span class="text-sm font-normal">{t("wrap.longer_left", { n: agent.longer_left })}</span>
      <kbd class="kbd kbd-sm" aria-hidden="true">
        W
      </kbd>
    </button>
  );
}

/** On and off duty, ready and not ready. During a call the buttons choose what comes after it. */
export function DutyCard(props: { agent: Agent }): VNode {
  const { agent } = props;
  if (agent.phase === "offline") {
    const phone = agent.door === "phone";
    return (
      <section class="panel items-center px-6 py-12 text-center" data-call="off">
        <p class="mb-5 text-lg">{t("call.none_offline")}</p>
        <button
          type="button"
          class="btn btn-primary btn-lg"
          disabled={starting.value}
          onClick={() => void goOnDuty()}
        >
          <Icon name="power" />
          {t(starting.value ? "duty.starting" : "duty.on")}
        </button>
        <p class="quiet mt-3 max-w-md text-sm">
          {phone ? t("duty.on_phone") : t("duty.on_browser")}
        </p>
      </section>
    );
  }
  const after = agent.phase === "busy" || agent.phase === "wrap";
  const chosen = after
    ? (agent.next_state ?? "ready")
    : agent.phase === "not_ready"
      ? "not_ready"
      : "ready";
  const reasons = live.value?.pause_reasons ?? [];
  const choose = (state: "ready" | "not_ready" | "offline", reason?: string) => () =>
    void attempt(() => setState(state, reason ?? null));
  return (
    <Panel
      title={after ? t(chosen === "not_ready" ? "duty.next_not_ready" : "duty.next_ready") : t("board.state")}
      extra={
        <button type="button" class="btn btn-ghost btn-sm" onClick={choose("offline")}>
          <Icon name="power" class="size-4" />
          {t("duty.off")}
        </button>
      }
    >
      {agent.phase === "not_ready" && agent.reason === "missed" && (
        <p class="alert alert-warning mb-3" role="status" data-missed>
          <Icon name="alert" />
          {t("duty.missed_text")}
        </p>
      )}
      <div class="flex flex-wrap gap-2">
        <button
          type="button"
          class={`btn ${chosen === "ready" ? "btn-success" : "btn-outline"}`}
          aria-pressed={chosen === "ready"}
          onClick={choose("ready")}
        >
          <Icon name="check" />
          {t("duty.ready")}
        </button>
        <div role="group" aria-label={t("duty.reason")} class="flex flex-wrap gap-2">
          {["", ...reasons].map((reason) => {
            const on = chosen === "not_ready" && (after ? !reason : (agent.reason ?? "") === reason);
            return (
              <button
                key={reason}
                type="button"
                class={`btn ${on ? "btn-warning" : "btn-outline"}`}
                aria-pressed={on}
                onClick={choose("not_ready", reason || undefined)}
              >
                <Icon name="pause" class="size-4" />
                {reason ? <bdi>{reason}</bdi> : t("duty.not_ready")}
              </button>
            );
          })}
        </div>
        {agent.phase !== "wrap" && <LongerWrap agent={agent} />}
      </div>
    </Panel>
  );
}
