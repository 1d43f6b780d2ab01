import type { VNode } from "preact";
import { attempt } from "../../api";
import { Icon } from "../../components/icons";
import { hasSound } from "../../components/mic";
import { Since } from "../../components/phase";
import { t } from "../../i18n";
import { live } from "../../live";
import { queueName } from "../../names";
import { act } from "../../rtc/duty";
import type { Agent, Callback } from "../../types";

/** The call-back that this agent is kept free for, while the box is calling. */
export const keptFor = (agent: Agent): Callback | undefined =>
  (live.value?.callbacks ?? []).find(
    (one) => one.agent === agent.id && one.phase === "dialling",
  );

export function CallbackCard(props: { callback: Callback }): VNode {
  const { callback } = props;
  return (
    <section
      class="panel border-2 border-info p-6"
      aria-labelledby="callback-heading"
      data-call="callback"
    >
      <h2 id="callback-heading" class="flex items-center gap-2 font-semibold">
        <Icon name="arrow_out" class="size-5" />
        {t("callback.calling")}
      </h2>
      <p class="mt-1 text-2xl font-bold sm:text-3xl" data-caller role="status">
        <bdi dir="ltr">{callback.number}</bdi>
      </p>
      <dl class="mt-4 flex flex-wrap gap-x-8 gap-y-3">
        <div>
          <dt class="quiet text-sm">{t("call.queue")}</dt>
          <dd class="text-lg font-medium">
            <bdi>{queueName(callback.queue)}</bdi>
          </dd>
        </div>
        <div>
          <dt class="quiet text-sm">{t("callback.waits")}</dt>
          <dd class="text-lg font-medium">
            <Since at={callback.since} />
          </dd>
        </div>
      </dl>
      {callback.accepted ? (
        <p class="mt-5 flex items-center gap-2 font-medium" role="status">
          <Icon name="check" />
          {t("callback.accepted")}
        </p>
      ) : hasSound() ? (
        <>
          <p class="quiet mt-4">{t("callback.hint")}</p>
          <button
            type="button"
            class="btn btn-success btn-lg mt-3"
            onClick={() => void attempt(() => act("answer"))}
          >
            <Icon name="phone" />
            {t("callback.accept")}
          </button>
        </>
      ) : (
        <p class="quiet mt-4">{t("callback.phone_hint")}</p>
      )}
    </section>
  );
}
