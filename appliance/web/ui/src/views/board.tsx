import type { ComponentChildren, VNode } from "preact";
import { Icon, type IconName } from "../components/icons";
import { PhaseBadge, Since, phases } from "../components/phase";
import { Lines, RunningCalls } from "../components/running";
import { Heading, Panel } from "../components/shell";
import { Caller, Duration, number, percent } from "../format";
import { t, type Key } from "../i18n";
import { boxNow, figures, fresh, live } from "../live";
import { agentName, queueName } from "../names";
import type { Agent, Alarm, Queue } from "../types";
import { KeptPlaces } from "./missed";

/** The usual goal of call centres; a queue's own limit in seconds comes from the site document. */
const TARGET = 0.8;

function Figure(props: {
  label: string;
  children: ComponentChildren;
  look?: string;
  large?: boolean;
  name?: string;
}): VNode {
  return (
    <div>
      <dt class="quiet text-sm">{props.label}</dt>
      <dd
        class={`figures font-bold ${props.large ? "text-4xl" : "text-xl"} ${props.look ?? ""}`}
        data-figure={props.name}
      >
        {props.children}
      </dd>
    </div>
  );
}

const None = (): VNode => (
  <span>
    <span aria-hidden="true">–</span>
    <span class="sr-only">{t("board.no_figure")}</span>
  </span>
);

const time = (ms: number | null | undefined): ComponentChildren =>
  ms === null || ms === undefined ? <None /> : <Duration ms={ms} />;

/** Share against target: a bar with the target on it, a word and a sign beside the colour. */
function ServiceLevel(props: { share: number | null | undefined; seconds: number }): VNode {
  const { share } = props;
  const grade: [Key, IconName, string] =
    share === null || share === undefined
      ? ["board.no_figure", "info", ""]
      : share >= TARGET
        ? ["board.good", "check", "text-success"]
        : share >= TARGET - 0.15
          ? ["board.fair", "alert", "text-warning"]
          : ["board.poor", "alert", "text-error"];
  return (
    <div class="mt-4">
      <div class="flex flex-wrap items-baseline justify-between gap-x-3">
        <span>
          <span class="font-medium">{t("board.sl")}</span>{" "}
          <span class="quiet text-sm">{t("board.sl_text", { seconds: props.seconds })}</span>
        </span>
        <span class={`inline-flex items-center gap-1.5 font-bold ${grade[2]}`} data-figure="sl">
          <Icon name={grade[1]} class="size-4" />
          {share === null || share === undefined ? (
            <span class="text-sm font-normal">{t(grade[0])}</span>
          ) : (
            <>
              <bdi class="figures text-xl">{percent(share)}</bdi>
              <span class="text-sm font-normal">{t(grade[0])}</span>
            </>
          )}
        </span>
      </div>
      <div class="relative mt-1.5 h-2.5 overflow-hidden rounded-full bg-base-300" aria-hidden="true">
        <div
          class={`h-full ${share !== null && share !== undefined && share >= TARGET ? "bg-success" : share !== null && share !== undefined && share >= TARGET - 0.15 ? "bg-warning" : "bg-error"}`}
          style={{ width: `${Math.min(1, share ?? 0) * 100}%` }}
        />
        <div
          class="absolute inset-y-0 w-0.5 bg-base-content"
          style={{ insetInlineStart: `${TARGET * 100}%` }}
        />
      </div>
      <p class="quiet mt-1 text-xs">{t("board.target", { percent: percent(TARGET) })}</p>
    </div>
  );
}

function byPhase(agents: Agent[]): VNode {
  return (
    <ul class="mt-4 flex flex-wrap gap-2" aria-label={t("board.by_state")}>
      {phases
        .map((phase) => ({ phase, n: agents.filter((one) => one.phase === phase).length }))
        .filter((one) => one.n > 0)
        .map(({ phase, n }) => (
          <li key={phase} class="flex items-center gap-1.5">
            <PhaseBadge phase={phase} />
            <span class="figures font-bold">{number(n)}</span>
          </li>
        ))}
    </ul>
  );
}

function QueueCard(props: { queue: Queue }): VNode {
  const { queue } = props;
  const today = figures.value[queue.id];
  const agents = (live.value?.agents ?? []).filter((one) => one.queues.includes(queue.id));
  const kept = (live.value?.callbacks ?? []).filter((one) => one.queue === queue.id).length;
  const longest = queue.oldest_since === null ? null : boxNow() - queue.oldest_since;
  const late = longest !== null && longest > queue.service_level_s * 1000;
  return (
    <section class="panel p-5" data-queue={queue.id} aria-labelledby={`queue-${queue.id}`}>
      <div class="flex items-center justify-between gap-3">
        <h2 id={`queue-${queue.id}`} class="text-lg font-semibold">
          <bdi>{queue.name}</bdi>
        </h2>
        <span class={`badge h-auto py-0.5 ${queue.open ? "badge-success" : "badge-ghost"}`}>
          {t(queue.open ? "board.open" : "board.closed")}
        </span>
      </div>
      <dl class="mt-3 grid grid-cols-2 gap-4">
        <Figure
          label={t("board.waiting")}
          large
          name="waiting"
          look={queue.waiting ? (late ? "text-error" : "text-primary") : ""}
        >
          {number(queue.waiting)}
          {kept > 0 && (
            <span class="quiet ms-2 text-base font-medium" data-figure="kept">
              {t("callback.kept", { n: kept })}
            </span>
          )}
        </Figure>
        <Figure label={t("board.longest")} large name="longest" look={late ? "text-error" : ""}>
          {longest === null ? "–" : <Duration ms={longest} />}
        </Figure>
      </dl>
      <ServiceLevel share={today?.sl_all} seconds={queue.service_level_s} />
      <dl class="mt-4 grid grid-cols-2 gap-4 sm:grid-cols-4">
        <Figure label={t("board.answered")} name="answered">
          {today ? number(today.answered) : <None />}
        </Figure>
        <Figure label={t("board.abandoned")} name="abandoned">
          {today ? number(today.abandoned) : <None />}
        </Figure>
        <Figure label={t("board.asa")} name="asa">
          {time(today?.asa_ms)}
        </Figure>
        <Figure label={t("board.aht")} name="aht">
          {time(today?.aht_ms)}
        </Figure>
      </dl>
      {byPhase(agents)}
    </section>
  );
}

const alarmLook: Record<Alarm["severity"], string> = {
  info: "alert-info",
  warning: "alert-warning",
  critical: "alert-error",
};

function Alarms(): VNode | null {
  const alarms = live.value?.alarms ?? [];
  if (!alarms.length) return null;
  return (
    <ul class="mb-4 grid gap-2" aria-label={t("board.alarms")}>
      {alarms.map((one) => (
        <li key={one.id} class={`alert alert-soft ${alarmLook[one.severity]}`}>
          <Icon name={one.severity === "info" ? "info" : "alert"} />
          <span dir="auto">
            <strong>{one.title}</strong> {one.detail} {one.advice}
          </span>
        </li>
      ))}
    </ul>
  );
}

function Agents(): VNode {
  const agents = live.value?.agents ?? [];
  return (
    <div class="overflow-x-auto" role="region" aria-label={t("board.agents")} tabIndex={0}>
      <table class="table-sm table">
        <thead>
          <tr>
            <th scope="col" class="!ps-0">
              {t("board.agent")}
            </th>
            <th scope="col">{t("board.state")}</th>
            <th scope="col">{t("board.with")}</th>
            <th scope="col" class="!pe-0 text-end">
              {t("board.since")}
            </th>
          </tr>
        </thead>
        <tbody>
          {agents.map((one) => (
            <tr key={one.id} data-agent={one.id}>
              <th scope="row" class="!ps-0 font-medium">
                <bdi>{one.name}</bdi>
              </th>
              <td>
                <PhaseBadge phase={one.phase} reason={one.reason} />
                {one.phase !== "offline" && !one.reachable && (
                  <span class="mt-1 flex items-center gap-1 text-xs text-error">
                    <Icon name="alert" class="size-3.5" />
                    {t("board.unreachable")}
                  </span>
                )}
              </td>
              <td>{one.call ? <Caller caller={one.call.caller} name={one.call.caller_name} /> : "–"}</td>
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

function Waiting(): VNode {
  const waiting = live.value?.waiting ?? [];
  if (!waiting.length) return <p class="quiet">{t("board.no_callers")}</p>;
  return (
    <div class="overflow-x-auto" role="region" aria-label={t("board.callers")} tabIndex={0}>
      <table class="table-sm figures table">
        <thead>
          <tr>
            <th scope="col" class="!ps-0">
              {t("board.position")}
            </th>
            <th scope="col">{t("board.caller")}</th>
            <th scope="col">{t("board.queue")}</th>
            <th scope="col" class="!pe-0 text-end">
              {t("board.wait")}
            </th>
          </tr>
        </thead>
        <tbody>
          {waiting.map((one) => (
            <tr key={one.entry}>
              <td class="!ps-0 font-bold">{number(one.position)}</td>
              <td>
                <Caller caller={one.caller} name={one.caller_name} />
                {one.offered_to.length > 0 && (
                  <span class="quiet flex items-center gap-1 text-xs">
                    <Icon name="bell" class="size-3" />
                    <bdi>{one.offered_to.map(agentName).join(", ")}</bdi>
                  </span>
                )}
              </td>
              <td>
                <bdi>{queueName(one.queue)}</bdi>
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

/** The live page: everything moves with the switch, nothing is asked for. */
export function Board(): VNode {
  if (!live.value) return <p role="status">{t("app.loading")}</p>;
  return (
    <div class={fresh.value ? "" : "opacity-90"} data-fresh={fresh.value}>
      <Heading class="mb-4">{t("board.title")}</Heading>
      <Alarms />
      <div class="grid grid-cols-1 gap-4 lg:grid-cols-2">
        {live.value.queues.map((one) => (
          <QueueCard key={one.id} queue={one} />
        ))}
      </div>
      <div class="mt-4 grid grid-cols-1 items-start gap-4 lg:grid-cols-2">
        <Panel title={t("board.callers")}>
          <Waiting />
        </Panel>
        {(live.value.callbacks ?? []).length > 0 && (
          <Panel title={t("board.kept")}>
            <KeptPlaces />
          </Panel>
        )}
        <Panel title={t("board.agents")}>
          <Agents />
        </Panel>
        <Panel title={t("board.calls")}>
          <RunningCalls />
        </Panel>
        <Panel title={t("board.lines")}>
          <Lines phones />
        </Panel>
      </div>
    </div>
  );
}
