import type { VNode } from "preact";
import { attempt, notice, post } from "../../api";
import { Panel } from "../../components/shell";
import { t } from "../../i18n";
import { live } from "../../live";
import type { Agent } from "../../types";

const kinds = ["always", "busy", "no_answer"] as const;

function forward(when: (typeof kinds)[number], input: HTMLInputElement, was: string): void {
  const number = input.value.replace(/[\s()./-]/g, "");
  if (number === was) return;
  if (number && !/^\+?[0-9*#]{1,24}$/.test(number)) {
    notice.value = t("dial.invalid");
    return;
  }
  void attempt(() => post("/agent/forward", { when, number: number || null })).then((done) => {
    if (!done) input.value = was;
  });
}

/** What the agent sets for calls to their own extension, and where they sit. */
export function Personal(props: { agent: Agent }): VNode {
  const { agent } = props;
  const phones = live.value?.phones ?? [];
  return (
    <Panel title={t("personal.title")}>
      <label class="flex items-center gap-3">
        <input
          type="checkbox"
          class="toggle"
          checked={agent.dnd}
          onChange={(event) => {
            const on = event.currentTarget.checked;
            void attempt(() => post("/agent/dnd", { on }));
          }}
        />
        {t("personal.dnd")}
      </label>
      <div class="mt-3 grid gap-2">
        {kinds.map((when) => (
          <label key={when} class="flex items-center gap-2">
            <span class="w-32 shrink-0 text-sm">{t(`personal.${when}`)}</span>
            <input
              class="input input-sm figures w-full"
              dir="ltr"
              type="tel"
              maxLength={30}
              autoComplete="off"
              data-forward={when}
              value={agent.forward[when] ?? ""}
              onBlur={(event) => forward(when, event.currentTarget, agent.forward[when] ?? "")}
              onKeyDown={(event) => {
                if (event.key === "Enter") event.currentTarget.blur();
              }}
            />
          </label>
        ))}
      </div>
      <label class="mt-3 flex items-center gap-2">
        <span class="w-32 shrink-0 text-sm">{t("personal.desk")}</span>
        <select
          class="select select-sm w-full"
          value={agent.phone ?? ""}
          onChange={(event) => {
            const phone = event.currentTarget.value || null;
            void attempt(() => post("/agent/desk", { phone }));
          }}
        >
          <option value="">{t("personal.own_place")}</option>
          {phones.map((one) => (
            <option key={one.extension} value={one.extension}>
              {one.extension} {one.name}
            </option>
          ))}
        </select>
      </label>
    </Panel>
  );
}
