import { signal } from "@preact/signals";
import type { VNode } from "preact";
import { attempt, notice, post } from "../../api";
import { Icon } from "../../components/icons";
import { Panel } from "../../components/shell";
import { t } from "../../i18n";
import type { Agent } from "../../types";

const number = signal("");

async function dial(event: Event): Promise<void> {
  event.preventDefault();
  const wanted = number.value.replace(/[\s()./-]/g, "");
  if (!/^\+?[0-9*#]{1,24}$/.test(wanted)) {
    notice.value = t("dial.invalid");
    return;
  }
  if (await attempt(() => post("/agent/dial", { number: wanted }))) number.value = "";
}

export function DialBox(props: { agent: Agent }): VNode {
  const can = props.agent.phase !== "offline" && !props.agent.call;
  return (
    <Panel title={t("dial.title")}>
      <form class="flex items-end gap-2" onSubmit={(event) => void dial(event)}>
        <label class="grow">
          <span class="mb-1 block text-sm">{t("dial.number")}</span>
          <input
            id="dial-number"
            class="input figures w-full"
            dir="ltr"
            type="tel"
            inputMode="tel"
            autoComplete="off"
            maxLength={40}
            value={number.value}
            onInput={(event) => (number.value = event.currentTarget.value)}
            onKeyDown={(event) => {
              if (event.key === "Escape") event.currentTarget.blur();
            }}
          />
        </label>
        <button type="submit" class="btn btn-success" disabled={!can || !number.value.trim()}>
          <Icon name="phone" class="size-4" />
          {t("dial.call")}
        </button>
      </form>
    </Panel>
  );
}
