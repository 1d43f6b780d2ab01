import { effect, signal } from "@preact/signals";
import type { VNode } from "preact";
import { useEffect } from "preact/hooks";
import { attempt, get, me, post, remove } from "../api";
import { Icon } from "../components/icons";
import { Heading, Panel } from "../components/shell";
import { Caller, Duration, dateTime, number, time } from "../format";
import { T, t } from "../i18n";
import { boxNow, live, myself } from "../live";
import { agentName, queueName, word } from "../names";
import { path } from "../router";
import type { Callback } from "../types";

interface MissedRow {
  id: string;
  number: string;
  name: string | null;
  first_at: number;
  last_at: number;
  times: number;
  queue: string | null;
  reason: string;
  handled_by: string | null;
  handled_at: number | null;
  note: string;
}

interface Figures {
  requested: number;
  connected: number;
  reached: number;
  in_vain: number;
  callback_wait_ms: number | null;
}

const rows = signal<MissedRow[] | null>(null);
const figures = signal<Record<string, Figures>>({});
const writing = signal<string | null>(null);
const note = signal("");
const wish = signal({ queue: "", number: "" });
const told = signal("");
let question = 0;

async function load(): Promise<void> {
  const mine = ++question;
  await attempt(async () => {
    const [missed, back] = await Promise.all([
      get<{ missed: MissedRow[] }>("/missed"),
      get<{ figures: Record<string, Figures> }>("/callbacks"),
    ]);
    if (mine !== question) return;
    rows.value = missed.missed;
    figures.value = back.figures;
  });
}

// Follows the switch: each fact may clear a row.
let facts = -1;
let timer = 0;
effect(() => {
  const now = live.value?.facts ?? -1;
  if (path.value !== "/missed" || now === facts || rows.peek() === null) return;
  facts = now;
  clearTimeout(timer);
  timer = window.setTimeout(() => {
    if (path.value === "/missed") void load();
  }, 700);
});

function NoteForm(props: { row: MissedRow }): VNode {
  return (
    <form
      class="mt-2 flex flex-wrap gap-2"
      onSubmit={(event) => {
        event.preventDefault();
        void attempt(() =>
          post(`/missed/${props.row.id}/handled`, { note: note.value.trim() }),
        ).then((done) => {
          if (!done) return;
          writing.value = null;
          void load();
        });
      }}
    >
      <input
        class="input input-sm w-64"
        aria-label={t("missed.note")}
        placeholder={t("missed.note")}
        maxLength={500}
        value={note.value}
        onInput={(event) => (note.value = event.currentTarget.value)}
      />
      <button type="submit" class="btn btn-sm btn-primary">
        {t("missed.save")}
      </button>
      <button type="button" class="btn btn-sm" onClick={() => (writing.value = null)}>
        {t("missed.leave")}
      </button>
    </form>
  );
}

function Row(props: { row: MissedRow; zone: string | undefined }): VNode {
  const { row } = props;
  const agent = myself.value;
  const canDial = agent?.door === "browser" && agent.reachable && agent.call === null;
  const who = row.name ?? row.number;
  return (
    <tr data-missed={row.id} class={row.handled_by ? "quiet" : ""}>
      <td>
        <Caller caller={row.number} name={row.name} />
        {row.times > 1 && (
          <span class="badge badge-sm badge-warning ms-2 h-auto">
            {t("missed.times", { n: row.times })}
          </span>
        )}
        {row.handled_by && (
          <span class="block text-sm">
            <T
              k="missed.handled_by"
              v={{
                name: <bdi>{agentName(row.handled_by)}</bdi>,
                time: <bdi>{time(row.handled_at ?? 0, props.zone)}</bdi>,
              }}
            />
            {row.note && (
              <>
                {": "}
                <bdi>{row.note}</bdi>
              </>
            )}
          </span>
        )}
        {writing.value === row.id && <NoteForm row={row} />}
      </td>
      <td class="whitespace-nowrap">
        <bdi>{dateTime(row.last_at, props.zone)}</bdi>
      </td>
      <td>{row.queue ? <bdi>{queueName(row.queue)}</bdi> : "–"}</td>
      <td>{word(row.reason)}</td>
      <td>
        <span class="flex flex-wrap justify-end gap-2">
          <button
            type="button"
            class="btn btn-sm btn-success"
            disabled={!canDial}
            aria-label={t("missed.call_name", { name: who })}
            onClick={() => void attempt(() => post(`/missed/${row.id}/call`))}
          >
            <Icon name="phone" class="size-4" />
            {t("missed.call")}
          </button>
          {!row.handled_by && (
            <button
              type="button"
              class="btn btn-sm"
              aria-label={t("missed.handle_name", { name: who })}
              onClick={() => {
                note.value = "";
                writing.value = row.id;
              }}
            >
              <Icon name="check" class="size-4" />
              {t("missed.handle")}
            </button>
          )}
        </span>
      </td>
    </tr>
  );
}

function Missed(): VNode {
  const list = rows.value;
  if (list === null) return <p role="status">{t("app.loading")}</p>;
  if (!list.length) {
    return (
      <p class="quiet" role="status">
        {t("missed.none")}
      </p>
    );
  }
  return (
    <div class="overflow-x-auto" role="region" aria-label={t("missed.title")} tabIndex={0}>
      <table class="table-sm figures table">
        <thead>
          <tr>
            <th scope="col">{t("calls.caller")}</th>
            <th scope="col">{t("missed.last")}</th>
            <th scope="col">{t("calls.queue")}</th>
            <th scope="col">{t("missed.why")}</th>
            <th scope="col" class="text-end">
              {t("missed.do")}
            </th>
          </tr>
        </thead>
        <tbody>
          {list.map((row) => (
            <Row key={row.id} row={row} zone={me.value?.timezone} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** Where a call-back stands, in words. */
export function Stand(props: { one: Callback }): VNode {
  const { one } = props;
  if (one.phase === "paused" && one.retry_at !== null) {
    return <>{t("callback.paused", { time: time(one.retry_at, me.value?.timezone) })}</>;
  }
  if (one.phase === "waiting") {
    return <>{one.position === null ? "–" : t("callback.position", { position: one.position })}</>;
  }
  return (
    <>
      {t(`callback.${one.phase}` as "callback.dialling" | "callback.answered" | "callback.here")}
      {one.agent && (
        <>
          {" · "}
          <bdi>{agentName(one.agent)}</bdi>
        </>
      )}
    </>
  );
}

/** The places that are kept, live. */
export function KeptPlaces(props: { cancel?: boolean }): VNode {
  const list = live.value?.callbacks ?? [];
  if (!list.length) return <p class="quiet">{t("callback.none")}</p>;
  return (
    <div class="overflow-x-auto" role="region" aria-label={t("callback.title")} tabIndex={0}>
      <table class="table-sm figures table" data-callbacks>
        <thead>
          <tr>
            <th scope="col" class="!ps-0">
              {t("calls.caller")}
            </th>
            <th scope="col">{t("calls.queue")}</th>
            <th scope="col">{t("callback.stand")}</th>
            <th scope="col" class="text-end">
              {t("callback.waits")}
            </th>
            {props.cancel && (
              <th scope="col" class="!pe-0 text-end">
                {t("missed.do")}
              </th>
            )}
          </tr>
        </thead>
        <tbody>
          {list.map((one) => (
            <tr key={one.callback} data-callback={one.callback}>
              <td class="!ps-0">
                <bdi dir="ltr">{one.number}</bdi>
                {one.tries > 0 && (
                  <span class="quiet block text-xs">{t("callback.tries", { n: one.tries })}</span>
                )}
              </td>
              <td>
                <bdi>{queueName(one.queue)}</bdi>
              </td>
              <td>
                <Stand one={one} />
              </td>
              <td class="text-end">
                <Duration ms={boxNow() - one.since} />
              </td>
              {props.cancel && (
                <td class="!pe-0 text-end">
                  <button
                    type="button"
                    class="btn btn-sm"
                    disabled={one.phase === "answered"}
                    aria-label={t("callback.cancel_number", { number: one.number })}
                    onClick={() => void attempt(() => remove(`/callbacks/${one.callback}`))}
                  >
                    {t("callback.cancel")}
                  </button>
                </td>
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Ask(): VNode {
  const queues = live.value?.queues ?? [];
  const chosen = wish.value.queue || queues[0]?.id || "";
  return (
    <form
      class="mt-4 flex flex-wrap items-end gap-3"
      onSubmit={(event) => {
        event.preventDefault();
        told.value = "";
        const asked = wish.value.number.trim();
        void attempt(() => post("/callbacks", { queue: chosen, number: asked })).then((done) => {
          if (!done) return;
          told.value = asked;
          wish.value = { ...wish.value, number: "" };
        });
      }}
    >
      <label class="grid gap-1">
        <span class="text-sm">{t("callback.number")}</span>
        <input
          type="tel"
          class="input w-52"
          dir="ltr"
          required
          maxLength={40}
          autocomplete="off"
          value={wish.value.number}
          onInput={(event) => (wish.value = { ...wish.value, number: event.currentTarget.value })}
        />
      </label>
      <label class="grid gap-1">
        <span class="text-sm">{t("calls.queue")}</span>
        <select
          class="select w-auto"
          value={chosen}
          onChange={(event) => (wish.value = { ...wish.value, queue: event.currentTarget.value })}
        >
          {queues.map((one) => (
            <option key={one.id} value={one.id}>
              {one.name}
            </option>
          ))}
        </select>
      </label>
      <button type="submit" class="btn btn-primary">
        {t("callback.ask")}
      </button>
      <p role="status" class="w-full text-sm">
        {told.value && <T k="callback.asked" v={{ number: <bdi dir="ltr">{told.value}</bdi> }} />}
      </p>
    </form>
  );
}

function Today(): VNode | null {
  const all = Object.entries(figures.value).filter(([, one]) => one.requested > 0);
  if (!all.length) return null;
  return (
    <Panel title={t("callback.today")}>
      <div class="overflow-x-auto" role="region" aria-label={t("callback.today")} tabIndex={0}>
        <table class="table-sm figures table">
          <thead>
            <tr>
              <th scope="col" class="!ps-0">
                {t("calls.queue")}
              </th>
              <th scope="col" class="text-end">
                {t("callback.requested")}
              </th>
              <th scope="col" class="text-end">
                {t("callback.reached")}
              </th>
              <th scope="col" class="text-end">
                {t("callback.in_vain")}
              </th>
              <th scope="col" class="!pe-0 text-end">
                {t("callback.wait")}
              </th>
            </tr>
          </thead>
          <tbody>
            {all.map(([queue, one]) => (
              <tr key={queue}>
                <th scope="row" class="!ps-0 font-medium">
                  <bdi>{queueName(queue)}</bdi>
                </th>
                <td class="text-end">{number(one.requested)}</td>
                <td class="text-end">{number(one.connected + one.reached)}</td>
                <td class="text-end">{number(one.in_vain)}</td>
                <td class="!pe-0 text-end">
                  {one.callback_wait_ms === null ? "–" : <Duration ms={one.callback_wait_ms} />}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Panel>
  );
}

/** Whom the team owes a call: missed callers, and those whose place is kept. */
export function MissedView(): VNode {
  useEffect(() => {
    void load();
  }, []);
  return (
    <>
      <Heading class="mb-4">{t("nav.missed")}</Heading>
      <div class="grid grid-cols-1 items-start gap-4">
        <Panel title={t("missed.title")}>
          <p class="quiet mb-2 text-sm">{t("missed.text")}</p>
          <Missed />
        </Panel>
        <Panel title={t("callback.title")}>
          <KeptPlaces cancel />
          <Ask />
        </Panel>
        <Today />
      </div>
    </>
  );
}
