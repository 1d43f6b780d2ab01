import type { VNode } from "preact";
import { attempt, post } from "../../api";
import { Icon } from "../../components/icons";
import { t } from "../../i18n";
import { personName } from "../../names";
import type { AgentCall } from "../../types";

type Step = "swap" | "complete" | "conference" | "cancel";

const does = (step: Step) => (): void =>
  void attempt(() => post("/agent/consult", { step }));

/** Somebody is asked while the caller waits: pass the call on, bring all together, or go back. */
export function Consultation(props: { consult: NonNullable<AgentCall["consult"]> }): VNode {
  const { to, phase } = props.consult;
  const up = phase !== "ringing";
  return (
    <section class="mt-5 border-t pt-4" aria-labelledby="consult-heading" data-consult={phase}>
      <h3 id="consult-heading" class="flex items-center gap-2 font-semibold">
        <Icon name="people" />
        <span role="status">
          {t(`consult.${phase}`)}: <bdi>{personName(to)}</bdi>
        </span>
      </h3>
      <div class="mt-3 flex flex-wrap gap-2">
        <button type="button" class="btn btn-primary" onClick={does("complete")}>
          <Icon name="out" />
          {t("consult.complete")}
        </button>
        {up && (
          <>
            <button type="button" class="btn" onClick={does("conference")}>
              <Icon name="people" />
              {t("consult.conference")}
            </button>
            <button type="button" class="btn" onClick={does("swap")}>
              <Icon name="swap" />
              {t("consult.swap")}
            </button>
          </>
        )}
        <button type="button" class="btn btn-outline" onClick={does("cancel")}>
          <Icon name="back" />
          {t("consult.cancel")}
        </button>
      </div>
    </section>
  );
}
