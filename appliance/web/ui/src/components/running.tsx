import type { VNode } from "preact";
import { me } from "../api";
import { Caller } from "../format";
import { t } from "../i18n";
import { live } from "../live";
import { agentName, partyName, queueName } from "../names";
import type { Call, Line } from "../types";
import { Icon, type IconName } from "./icons";
import { SpeechLevels } from "./levels";
import { Since } from "./phase";
import { PoorSound } from "./quality";

const arrows: Record<Call["direction"], IconName> = {
  in: "arrow_in",
  out: "arrow_out",
  internal: "swap",
};

export const DirectionIcon = (props: { direction: Call["direction"] }): VNode => (
  <span title={t(`calls.${props.direction}`)}>
    <Icon name={arrows[props.direction]} class="quiet size-4" />
    <span class="sr-only">{t(`calls.${props.direction}`)}</span>
  </span>
);

/** The calls of this moment, as the switch has them. */
export function RunningCalls(): VNode {
  const calls = live.value?.calls ?? [];
  const supervises = me.value?.role === "supervisor" || me.value?.role === "admin";
  if (!calls.length) return <p class="quiet">{t("board.no_calls")}</p>;
  return (
    <div class="overflow-x-auto" role="region" aria-label={t("board.calls")} tabIndex={0}>
      <table class="table-sm figures table" data-running>
        <thead>
          <tr>
            <th scope="col" class="!ps-0">
              {t("board.caller")}
            </th>
            <th scope="col">{t("board.where")}</th>
            <th scope="col">{t("board.with")}</th>
            <th scope="col" class="!pe-0 text-end">
              {t("board.since")}
            </th>
          </tr>
        </thead>
        <tbody>
          {calls.map((one) => (
            <tr key={one.call}>
              <td class="!ps-0">
                <span class="flex items-center gap-2">
                  <DirectionIcon direction={one.direction} />
                  <span>
                    {one.direction === "in" ? (
                      <Caller caller={one.caller} name={one.caller_name} />
                    ) : (
                      <bdi dir="ltr">{one.called ?? one.caller}</bdi>
                    )}
                    <span class="quiet block text-xs">
                      <bdi>{partyName(one.door)}</bdi>
                    </span>
                  </span>
                </span>
              </td>
              <td>
                {t(`now.${one.phase}`)}
                {one.recording && (
                  <span class="ms-2 inline-flex items-center gap-1 text-xs text-error">
                    <Icon name="rec" class="size-3" />
                    <span class="sr-only">{t("call.recorded")}</span>
                  </span>
                )}
                {one.poor && (
                  <span class="mt-1 block">
                    <PoorSound party={one.poor} />
                  </span>
                )}
                {one.phase === "talking" && supervises && (
                  <div class="mt-1">
                    <SpeechLevels call={one.call} levels={one.levels ?? []} />
                  </div>
                )}
              </td>
              <td>
                {one.agent ? (
                  <bdi>{agentName(one.agent)}</bdi>
                ) : one.queue ? (
                  <bdi class="quiet">{queueName(one.queue)}</bdi>
                ) : (
                  "–"
                )}
              </td>
              <td class="!pe-0 text-end">
                <Since at={one.since} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

const lineLook: Record<Line["state"], { icon: IconName; badge: string }> = {
  idle: { icon: "check", badge: "badge-success" },
  ringing: { icon: "bell", badge: "badge-info" },
  busy: { icon: "phone", badge: "badge-primary" },
  absent: { icon: "alert", badge: "badge-error" },
};

const Badge = (props: { icon: IconName; look: string; text: string }): VNode => (
  <span class={`badge badge-sm h-auto gap-1 py-0.5 ${props.look}`}>
    <Icon name={props.icon} class="size-3.5" />
    {props.text}
  </span>
);

/** Lines, trunks and desk phones with their state. */
export function Lines(props: { phones?: boolean }): VNode {
  const now = live.value;
  return (
    <ul class="grid gap-2">
      {now?.lines.map((one) => {
        const look = lineLook[one.state];
        return (
          <li key={one.id} class="flex items-center justify-between gap-3" data-line={one.id}>
            <span>
              <bdi class="font-medium">{one.name}</bdi>
              {one.detail && (
                <span class="quiet block text-xs">
                  <bdi>{one.detail}</bdi>
                </span>
              )}
            </span>
            <Badge icon={look.icon} look={look.badge} text={t(`line.${one.state}`)} />
          </li>
        );
      })}
      {props.phones &&
        now?.phones.map((one) => (
          <li key={one.extension} class="flex items-center justify-between gap-3">
            <span>
              <bdi class="font-medium">{one.name}</bdi>{" "}
              <bdi dir="ltr" class="quiet figures">
                {one.extension}
              </bdi>
            </span>
            {one.busy ? (
              <Badge icon="phone" look="badge-primary" text={t("line.busy")} />
            ) : one.registered ? (
              <Badge icon="check" look="badge-success" text={t("line.registered")} />
            ) : (
              <Badge icon="power" look="badge-ghost" text={t("line.unregistered")} />
            )}
          </li>
        ))}
    </ul>
  );
}
