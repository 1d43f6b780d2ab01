import type { VNode } from "preact";
import { Duration } from "../format";
import { t } from "../i18n";
import { boxNow } from "../live";
import type { Agent, Phase } from "../types";
import { Icon, type IconName } from "./icons";

/** Colour, sign and word together: nobody has to tell the state from a colour. */
const looks: Record<Phase, { icon: IconName; badge: string }> = {
  offline: { icon: "power", badge: "badge-ghost" },
  ready: { icon: "check", badge: "badge-success" },
  not_ready: { icon: "pause", badge: "badge-warning" },
  offered: { icon: "bell", badge: "badge-info" },
  busy: { icon: "phone", badge: "badge-primary" },
  wrap: { icon: "clock", badge: "badge-secondary" },
};

export const phases = Object.keys(looks) as Phase[];

/** Why somebody is not ready: their own words, or that the queues paused them. */
export const reasonName = (reason: string): string =>
  reason === "missed" ? t("duty.missed") : reason;

export function PhaseBadge(props: { phase: Phase; reason?: string | null; large?: boolean }): VNode {
  const look = looks[props.phase];
  return (
    <span
      class={`badge ${look.badge} h-auto gap-1.5 ${props.large ? "px-3 py-1.5 text-base" : "py-0.5"}`}
    >
      <Icon name={look.icon} class={props.large ? "size-5" : "size-4"} />
      {t(`phase.${props.phase}`)}
      {props.phase === "not_ready" && props.reason && (
        <>
          {" · "}
          <bdi>{reasonName(props.reason)}</bdi>
        </>
      )}
    </span>
  );
}

export const Since = (props: { at: number }): VNode => <Duration ms={boxNow() - props.at} />;

/** What an agent is doing, with the caller if there is one. */
export const stateOf = (agent: Agent): VNode => (
  <PhaseBadge phase={agent.phase} reason={agent.reason} />
);
