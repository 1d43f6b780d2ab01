import { effect, signal } from "@preact/signals";
import type { VNode } from "preact";
import { useEffect } from "preact/hooks";
import { attempt, get, me, post, remove } from "../api";
import { Icon } from "../components/icons";
import { Heading, Panel } from "../components/shell";
import { Caller, Duration, dateTime } from "../format";
import { T, t } from "../i18n";
import { live, myself } from "../live";
import { agentName } from "../names";
import { path } from "../router";

interface Message {
  message: string;
  box: string;
  call: string;
  at: number;
  duration_ms: number;
  caller: string | null;
  caller_name: string | null;
  heard_at: number | null;
  heard_by: string | null;
}

const rows = signal<Message[] | null>(null);
const boxes = signal<Record<string, string>>({});
let question = 0;

async function load(): Promise<void> {
  const mine = ++question;
  await attempt(async () => {
    const found = await get<{ messages: Message[]; boxes: { id: string; name: string }[] }>(
      "/messages",
    );
    if (mine !== question) return;
    rows.value = found.messages;
    boxes.value = Object.fromEntries(found.boxes.map((one) => [one.id, one.name]));
  });
}

// Follows the switch: each fact may bring or take a message.
let facts = -1;
let timer = 0;
effect(() => {
  const now = live.value?.facts ?? -1;
  if (path.value !== "/messages" || now === facts || rows.peek() === null) return;
  facts = now;
  clearTimeout(timer);
  timer = window.setTimeout(() => {
    if (path.value === "/messages") void load();
  }, 700);
});

const change = (work: () => Promise<unknown>) => () =>
  void attempt(work).then((done) => {
    if (done) void load();
  });

function Row(props: { row: Message; zone: string | undefined }): VNode {
  const { row, zone } = props;
  const agent = myself.value;
  const canDial = agent?.door === "browser" && agent.reachable && agent.call === null;
  const who = row.caller_name ?? row.caller ?? t("app.unknown_caller");
  const fresh = row.heard_at === null;
  const url = `/messages/${encodeURIComponent(row.message)}`;
  return (
    <li
      class="rounded-box border border-base-300 p-3"
      data-message={row.message}
      data-new={fresh}
    >
      <div class="mb-2 flex flex-wrap items-center gap-x-3 gap-y-1">
        <Caller caller={row.caller} name={row.caller_name} />
        {fresh && <span class="badge badge-sm badge-warning h-auto">{t("messages.new")}</span>}
        <bdi class="text-sm">{dateTime(row.at, zone)}</bdi>
        <Duration ms={row.duration_ms} />
        <bdi class="quiet text-sm">{boxes.value[row.box] ?? row.box}</bdi>
        {row.heard_by && (
          <span class="quiet text-sm">
            <T
              k="messages.heard_by"
              v={{
                name: <bdi>{agentName(row.heard_by)}</bdi>,
                time: <bdi>{dateTime(row.heard_at ?? 0, zone)}</bdi>,
              }}
            />
          </span>
        )}
      </div>
      <audio
        class="w-full"
        controls
        preload="none"
        aria-label={t("messages.listen", { name: who })}
        src={`/api/v1${url}/audio`}
        onEnded={() => {
          if (fresh) change(() => post(`${url}/heard`, {}))();
        }}
      />
      <div class="mt-2 flex flex-wrap gap-2">
        <button
          type="button"
          class="btn btn-sm btn-success"
          disabled={!canDial || row.caller === null}
          aria-label={t("missed.call_name", { name: who })}
          onClick={() => void attempt(() => post(`${url}/call`))}
        >
          <Icon name="phone" class="size-4" />
          {t("missed.call")}
        </button>
        <button
          type="button"
          class="btn btn-sm"
          aria-label={`${t(fresh ? "messages.mark_heard" : "messages.mark_new")}: ${who}`}
          onClick={change(() => post(`${url}/heard`, { new: !fresh }))}
        >
          <Icon name="check" class="size-4" />
          {t(fresh ? "messages.mark_heard" : "messages.mark_new")}
        </button>
        <button
          type="button"
          class="btn btn-sm btn-error btn-outline ms-auto"
          aria-label={t("messages.delete_from", { name: who })}
          onClick={change(() => remove(url))}
        >
          {t("messages.delete")}
        </button>
      </div>
    </li>
  );
}

function List(): VNode {
  const list = rows.value;
  if (list === null) return <p role="status">{t("app.loading")}</p>;
  if (!list.length) {
    return (
      <p class="quiet" role="status">
        {t("messages.none")}
      </p>
    );
  }
  return (
    <ul class="grid gap-3" aria-label={t("messages.title")}>
      {list.map((row) => (
        <Row key={row.message} row={row} zone={me.value?.timezone} />
      ))}
    </ul>
  );
}

export function MessagesView(): VNode {
  useEffect(() => {
    void load();
  }, []);
  return (
    <>
      <Heading class="mb-4">{t("messages.title")}</Heading>
      <Panel title={Object.values(boxes.value).join(" · ") || t("messages.title")}>
        <p class="quiet mb-3 text-sm">{t("messages.text")}</p>
        <List />
      </Panel>
    </>
  );
}
