import type { VNode } from "preact";
import { attempt, me, post } from "../../api";
import { Icon } from "../../components/icons";
import { PhaseBadge } from "../../components/phase";
import { Panel } from "../../components/shell";
import { t } from "../../i18n";
import { live } from "../../live";
import type { Agent, AgentCall } from "../../types";

type Mode = "listen" | "whisper" | "barge" | "take_over";
const modes: readonly Mode[] = ["listen", "whisper", "barge", "take_over"];

const watch = (of: string, mode: Mode) => (): void =>
  void attempt(() => post("/agent/supervise", { of, mode }));

/** The agent in whose call this supervisor is. */
const watched = (call: AgentCall): string | undefined =>
  live.value?.agents.find((one) => one.call?.call === call.call && one.call.role === "talk")?.id;

/** The buttons of a supervisor in somebody else's call. */
export function Watching(props: { now: AgentCall }): VNode {
  const of = watched(props.now);
  return (
    <div class="flex flex-wrap gap-2" data-watching={props.now.role}>
      {of &&
        modes.map((mode) => (
          <button
            key={mode}
            type="button"
            class={`btn ${props.now.role === mode ? "btn-info" : ""}`}
            aria-pressed={props.now.role === mode}
            onClick={watch(of, mode)}
          >
            {t(`watch.do_${mode}`)}
          </button>
        ))}
    </div>
  );
}

/** Who is there; what rings at a colleague can be taken, and supervisors come into calls. */
export function Colleagues(props: { agent: Agent }): VNode {
  const others = (live.value?.agents ?? []).filter(
    (one) => one.id !== props.agent.id && (one.phase !== "offline" || one.call),
  );
  const supervises = me.value?.role === "supervisor" || me.value?.role === "admin";
  const free = props.agent.call === null;
  return (
    <Panel title={t("colleagues.title")}>
      {others.length === 0 && <p class="quiet">{t("colleagues.none")}</p>}
      <ul class="grid gap-3">
        {others.map((one) => (
          <li key={one.id} data-colleague={one.id}>
            <span class="flex items-center gap-2">
              <bdi class="grow font-medium">{one.name}</bdi>
              {one.dnd && <span class="badge badge-ghost badge-sm">{t("personal.dnd")}</span>}
              <PhaseBadge phase={one.phase} reason={one.reason} />
              {one.call?.phase === "ringing" && one.call.direction !== "out" && free && (
                <button
                  type="button"
                  class="btn btn-sm btn-success"
                  onClick={() => void attempt(() => post("/agent/pickup", { colleague: one.id }))}
                >
                  <Icon name="phone" class="size-4" />
                  {t("colleagues.pickup")}
                </button>
              )}
            </span>
            {supervises &&
              free &&
              one.call?.role === "talk" &&
              (one.call.phase === "talking" || one.call.phase === "held") && (
                <span class="mt-1 flex flex-wrap gap-1">
                  {modes.map((mode) => (
                    <button
                      key={mode}
                      type="button"
                      class="btn btn-xs"
                      aria-label={`${t(`watch.do_${mode}`)}: ${one.name}`}
                      onClick={watch(one.id, mode)}
                    >
                      {t(`watch.do_${mode}`)}
                    </button>
                  ))}
                </span>
              )}
          </li>
        ))}
      </ul>
    </Panel>
  );
}
