import { effect, signal } from "@preact/signals";
import type { VNode } from "preact";
import { useEffect } from "preact/hooks";
import { attempt, get, me } from "../api";
import { Icon } from "../components/icons";
import { DirectionIcon } from "../components/running";
import { Heading } from "../components/shell";
import { Caller, Duration, dateTime } from "../format";
import type { CallPage, CallRow } from "../history";
import { t } from "../i18n";
import { live } from "../live";
import { agentName, outcomeName, queueName } from "../names";
import { path } from "../router";

const rows = signal<CallRow[] | null>(null);
const next = signal<number | null>(null);
const search = signal("");
let asked = "";
/** Grows with each question, so that a late answer to an old one is dropped. */
let question = 0;

async function load(more: boolean): Promise<void> {
  const mine = ++question;
  const query = new URLSearchParams({ limit: "50" });
  if (asked) query.set("search", asked);
  if (more && next.value !== null) query.set("before", String(next.value));
  await attempt(async () => {
    const page = await get<CallPage>(`/calls?${query}`);
    if (mine !== question) return;
    rows.value = more ? [...(rows.value ?? []), ...page.calls] : page.calls;
    next.value = page.next;
  });
}

// While the first page is shown, it follows the switch: each fact may be a new line here.
let facts = -1;
let timer = 0;
effect(() => {
  const now = live.value?.facts ?? -1;
  if (path.value !== "/calls" || now === facts || rows.peek() === null) return;
  facts = now;
  clearTimeout(timer);
  timer = window.setTimeout(() => {
    if (path.value === "/calls" && (rows.value?.length ?? 0) <= 50) void load(false);
  }, 700);
});

const looks: Record<string, string> = {
  answered: "badge-success",
  open: "badge-info",
  abandoned: "badge-error",
  system_failure: "badge-error",
};

export const Outcome = (props: { outcome: string }): VNode => (
  <span class={`badge badge-sm h-auto py-0.5 ${looks[props.outcome] ?? "badge-warning"}`}>
    {outcomeName(props.outcome)}
  </span>
);

function Row(props: { row: CallRow; zone: string | undefined }): VNode {
  const { row } = props;
  const when = dateTime(row.opened_at, props.zone);
  const audible = row.recordings.some((one) => one.may_hear);
  return (
    <tr class="hover:bg-base-200">
      <td class="whitespace-nowrap">
        <a
          class="link link-hover font-medium"
          href={`/calls/${encodeURIComponent(row.call)}`}
          aria-label={t("calls.open", { time: when })}
        >
          <bdi>{when}</bdi>
        </a>
      </td>
      <td>
        <span class="flex items-center gap-2">
          <DirectionIcon direction={row.direction} />
          <span>
            {row.direction === "in" ? (
              <Caller caller={row.caller} name={row.caller_name} />
            ) : (
              <bdi dir="ltr">{row.called ?? "–"}</bdi>
            )}
          </span>
        </span>
      </td>
      <td>{row.queue ? <bdi>{queueName(row.queue)}</bdi> : "–"}</td>
      <td>{row.agent ? <bdi>{agentName(row.agent)}</bdi> : "–"}</td>
      <td>
        <Outcome outcome={row.outcome} />
      </td>
      <td class="text-end">{row.wait_ms === null ? "–" : <Duration ms={row.wait_ms} />}</td>
      <td class="text-end">{row.talk_ms === null ? "–" : <Duration ms={row.talk_ms} />}</td>
      <td class="text-center">
        {row.recordings.length > 0 && (
          <span class={audible ? "text-primary" : "quiet"} title={t("calls.recording")}>
            <Icon name="sound" class="size-4" />
            <span class="sr-only">{t("calls.recording")}</span>
          </span>
        )}
      </td>
    </tr>
  );
}

export function Calls(): VNode {
  useEffect(() => {
    void load(false);
  }, []);
  const zone = me.value?.timezone;
  const list = rows.value;
  return (
    <>
      <div class="mb-4 flex flex-wrap items-center justify-between gap-3">
        <Heading>{t("calls.title")}</Heading>
        <form
          role="search"
          class="join"
          onSubmit={(event) => {
            event.preventDefault();
            asked = search.value.trim();
            void load(false);
          }}
        >
          <input
            type="search"
            class="input join-item w-56 sm:w-72"
            aria-label={t("calls.search")}
            placeholder={t("calls.search")}
            maxLength={60}
            value={search.value}
            onInput={(event) => (search.value = event.currentTarget.value)}
          />
          <button type="submit" class="btn btn-primary join-item">
            {t("calls.submit")}
          </button>
        </form>
      </div>
      {list === null ? (
        <p role="status">{t("app.loading")}</p>
      ) : !list.length ? (
        <p class="panel quiet items-center px-6 py-10" role="status">
          {t(asked ? "calls.none_found" : "calls.none")}
        </p>
      ) : (
        <div class="panel overflow-x-auto" role="region" aria-label={t("calls.title")} tabIndex={0}>
          <table class="table-sm figures table">
            <thead>
              <tr>
                <th scope="col">{t("calls.when")}</th>
                <th scope="col">{t("calls.caller")}</th>
                <th scope="col">{t("calls.queue")}</th>
                <th scope="col">{t("calls.agent")}</th>
                <th scope="col">{t("calls.outcome")}</th>
                <th scope="col" class="text-end">
                  {t("calls.wait")}
                </th>
                <th scope="col" class="text-end">
                  {t("calls.talk")}
                </th>
                <th scope="col" class="text-center">
                  {t("calls.recording")}
                </th>
              </tr>
            </thead>
            <tbody>
              {list.map((row) => (
                <Row key={row.call} row={row} zone={zone} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      {next.value !== null && (
        <div class="mt-4 text-center">
          <button type="button" class="btn" onClick={() => void load(true)}>
            <Icon name="down" class="size-4" />
            {t("calls.more")}
          </button>
        </div>
      )}
    </>
  );
}
