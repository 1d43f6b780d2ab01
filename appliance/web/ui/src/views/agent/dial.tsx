import { signal } from "@preact/signals";
import type { VNode } from "preact";
import { attempt, notice, post } from "../../api";
import { Icon } from "../../components/icons";
import { Panel } from "../../components/shell";
import { t } from "../../i18n";
import { live } from "../../live";
import type { Agent } from "../../types";

const number = signal("");
/** The campaign, or the queue, in whose name the call is made. */
const label = signal("");

async function send(event: Event, path: "/agent/dial" | "/agent/transfer" | "/agent/consult"): Promise<void> {
  event.preventDefault();
  const wanted = number.value.replace(/[\s()./-]/g, "");
  if (!/^\+?[0-9*#]{1,24}$/.test(wanted)) {
    notice.value = t("dial.invalid");
    return;
  }
  const [kind, id] = label.value.split(":");
  const body =
    path === "/agent/consult"
      ? { step: "start", number: wanted }
      : path === "/agent/dial" && kind && id
        ? { number: wanted, [kind]: id }
        : { number: wanted };
  if (await attempt(() => post(path, body))) number.value = "";
}

/** Only where there is something to choose. */
function InTheNameOf(props: { agent: Agent }): VNode | null {
  const campaigns = live.value?.campaigns ?? [];
  const queues = (live.value?.queues ?? []).filter((one) => props.agent.queues.includes(one.id));
  if (!campaigns.length) return null;
  return (
    <label>
      <span class="mb-1 block text-sm">{t("dial.as")}</span>
      <select
        class="select"
        data-as
        value={label.value}
        onChange={(event) => (label.value = event.currentTarget.value)}
      >
        <option value="">{t("dial.as_myself")}</option>
        {campaigns.map((one) => (
          <option key={one.id} value={`campaign:${one.id}`}>
            {one.name}
          </option>
        ))}
        {queues.map((one) => (
          <option key={one.id} value={`queue:${one.id}`}>
            {one.name}
          </option>
        ))}
      </select>
    </label>
  );
}

/** Makes a call; during a talk it passes that talk on to the number instead, at once or after
 * speaking with whoever answers there. */
export function DialBox(props: { agent: Agent }): VNode {
  const phase = props.agent.call?.phase;
  const call = props.agent.call;
  const passes =
    (phase === "talking" || phase === "held") && call?.role === "talk" && !call.consult;
  const can = passes || (props.agent.phase !== "offline" && !props.agent.call);
  const path = passes ? "/agent/transfer" : "/agent/dial";
  return (
    <Panel title={t(passes ? "dial.transfer_title" : "dial.title")}>
      <form class="flex flex-wrap items-end gap-2" onSubmit={(event) => void send(event, path)}>
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
        {!passes && <InTheNameOf agent={props.agent} />}
        <button
          type="submit"
          class={`btn ${passes ? "btn-primary" : "btn-success"}`}
          disabled={!can || !number.value.trim()}
        >
          <Icon name="phone" class="size-4" />
          {t(passes ? "dial.transfer" : "dial.call")}
        </button>
        {passes && (
          <button
            type="button"
            class="btn"
            disabled={!number.value.trim()}
            onClick={(event) => void send(event, "/agent/consult")}
          >
            <Icon name="people" class="size-4" />
            {t("dial.consult")}
          </button>
        )}
      </form>
    </Panel>
  );
}
