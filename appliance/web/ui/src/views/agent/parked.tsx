import type { VNode } from "preact";
import { attempt, post } from "../../api";
import { Panel } from "../../components/shell";
import { Caller, Duration } from "../../format";
import { t } from "../../i18n";
import { boxNow, live } from "../../live";
import { personName } from "../../names";
import type { Agent } from "../../types";

/** Callers who wait for whoever takes them. */
export function Parked(props: { agent: Agent }): VNode | null {
  const parked = live.value?.parked ?? [];
  if (!parked.length) return null;
  return (
    <Panel title={t("park.title")}>
      <ul class="grid gap-2">
        {parked.map((one) => (
          <li key={one.orbit} class="flex items-center gap-3" data-parked={one.orbit}>
            <bdi dir="ltr" class="figures text-lg font-bold">
              {one.orbit}
            </bdi>
            <span class="grow">
              <Caller caller={one.caller} name={one.caller_name} />
              <span class="quiet block text-xs">
                <bdi>{personName(one.by)}</bdi> · <Duration ms={Math.max(0, one.until - boxNow())} />
              </span>
            </span>
            <button
              type="button"
              class="btn btn-sm btn-primary"
              disabled={props.agent.call !== null}
              onClick={() => void attempt(() => post("/agent/fetch", { orbit: one.orbit }))}
            >
              {t("park.fetch")}
            </button>
          </li>
        ))}
      </ul>
    </Panel>
  );
}
