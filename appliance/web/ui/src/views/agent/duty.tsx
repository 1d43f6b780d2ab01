import type { VNode } from "preact";
import { attempt } from "../../api";
import { Icon } from "../../components/icons";
import { Panel } from "../../components/shell";
import { t } from "../../i18n";
import { live } from "../../live";
import { goOnDuty, setState, starting } from "../../rtc/duty";
import type { Agent } from "../../types";

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
      </div>
    </Panel>
  );
}
