import { signal } from "@preact/signals";
import type { VNode } from "preact";
import { useEffect } from "preact/hooks";
import { ApiError, attempt, get, me, post, put } from "../api";
import { Heading, Panel } from "../components/shell";
import { dateTime } from "../format";
import { T, t } from "../i18n";
import { agentName } from "../names";

interface Finding {
  severity: "error" | "warning";
  path: string;
  message: string;
}
interface Version {
  number: number;
  at: number;
  author: string;
  changes: string[];
  undoes: number | null;
}

const text = signal("");
const base = signal(0);
const kept = signal("");
const findings = signal<Finding[]>([]);
const versions = signal<Version[]>([]);
const busy = signal(false);
const said = signal<VNode | null>(null);

async function load(): Promise<void> {
  await attempt(async () => {
    const now = await get<{ version: number; text: string }>("/site");
    [text.value, kept.value, base.value] = [now.text, now.text, now.version];
    versions.value = (await get<{ versions: Version[] }>("/site/versions")).versions;
  });
}

function tell(answer: { version: number; at_start: string[] }): void {
  said.value = (
    <>
      <p>{t("site.done", { n: answer.version })}</p>
      {answer.at_start.length > 0 && (
        <p>
          {t("site.at_start")}{" "}
          <bdi dir="ltr" class="font-mono">
            {answer.at_start.join(", ")}
          </bdi>
        </p>
      )}
    </>
  );
}

async function run(action: () => Promise<void>): Promise<void> {
  if (busy.value) return;
  busy.value = true;
  said.value = null;
  await attempt(action);
  busy.value = false;
}

const check = (): Promise<void> =>
  run(async () => {
    findings.value = (await post<{ findings: Finding[] }>("/site/check", { text: text.value })).findings;
    if (!findings.value.length) said.value = <p>{t("site.sound")}</p>;
  });

const save = (): Promise<void> =>
  run(async () => {
    try {
      const answer = await put<{ version: number; at_start: string[]; findings: Finding[] }>("/site", {
        text: text.value,
        base: base.value,
      });
      findings.value = answer.findings;
      await load();
      tell(answer);
    } catch (error) {
      const found = error instanceof ApiError ? error.body.findings : undefined;
      if (!Array.isArray(found)) throw error;
      findings.value = found as Finding[];
    }
  });

const undo = (): Promise<void> =>
  run(async () => {
    const answer = await post<{ version: number; at_start: string[] }>("/site/undo");
    findings.value = [];
    await load();
    tell(answer);
  });

const show = (number: number): Promise<void> =>
  run(async () => {
    text.value = (await get<{ text: string }>(`/site/versions/${number}`)).text;
    findings.value = [];
    document.querySelector<HTMLElement>("#document")?.focus();
  });

function Findings(): VNode | null {
  if (!findings.value.length) return null;
  return (
    <div role="alert">
      <ul class="flex flex-col gap-2">
      {findings.value.map((one) => (
        <li
          key={one.path + one.message}
          class={`alert ${one.severity === "error" ? "alert-error" : "alert-warning"} items-start`}
        >
          <span>
            <bdi dir="ltr" class="font-mono font-medium">
              {one.path}
            </bdi>{" "}
            <span dir="auto">{one.message}</span>
          </span>
        </li>
      ))}
      </ul>
    </div>
  );
}

function Past(): VNode {
  const zone = me.value?.timezone;
  return (
    <ol class="flex flex-col gap-3">
      {versions.value.map((one) => (
        <li key={one.number} class="border-s-2 border-base-300 ps-3">
          <p class="flex flex-wrap items-center gap-x-3">
            <span class="figures font-medium">{t("site.version", { n: one.number })}</span>
            <span class="quiet text-sm">
              <bdi>{dateTime(one.at, zone)}</bdi>
            </span>
            <span class="text-sm">
              {one.author === "file" ? (
                t("site.by_hand")
              ) : (
                <T k="site.by" v={{ name: <bdi>{agentName(one.author)}</bdi> }} />
              )}
              {one.undoes !== null && ` – ${t("site.undoes", { n: one.undoes })}`}
            </span>
            {one.number !== base.value && (
              <button
                type="button"
                class="btn btn-ghost btn-xs"
                aria-label={t("site.show_version", { n: one.number })}
                onClick={() => void show(one.number)}
              >
                {t("site.show")}
              </button>
            )}
          </p>
          {one.changes.length > 0 && (
            <details>
              <summary class="quiet cursor-pointer text-sm">
                {t("site.changes", { n: one.changes.length })}
              </summary>
              <ul dir="ltr" class="mt-1 font-mono text-sm break-words">
                {one.changes.map((change) => (
                  <li key={change}>{change}</li>
                ))}
              </ul>
            </details>
          )}
        </li>
      ))}
    </ol>
  );
}

export function Site(): VNode {
  useEffect(() => {
    said.value = null;
    findings.value = [];
    void load();
  }, []);
  return (
    <div class="flex flex-col gap-4">
      <Heading>{t("site.title")}</Heading>
      <Panel title={t("site.document")}>
        <form
          class="flex flex-col gap-3"
          onSubmit={(event) => {
            event.preventDefault();
            void save();
          }}
        >
          <p class="quiet text-sm" id="site-help">
            {t("site.help")}
          </p>
          <textarea
            id="document"
            dir="ltr"
            rows={24}
            spellcheck={false}
            autocomplete="off"
            class="textarea w-full font-mono text-sm leading-snug"
            aria-label={t("site.document")}
            aria-describedby="site-help"
            value={text.value}
            onInput={(event) => (text.value = event.currentTarget.value)}
          />
          <Findings />
          <div role="status">{said.value}</div>
          <div class="flex flex-wrap gap-2">
            <button type="submit" class="btn btn-primary" disabled={busy.value || text.value === kept.value}>
              {t("site.save")}
            </button>
            <button type="button" class="btn" disabled={busy.value} onClick={() => void check()}>
              {t("site.check")}
            </button>
            <button
              type="button"
              class="btn btn-ghost"
              disabled={busy.value || text.value === kept.value}
              onClick={() => {
                text.value = kept.value;
                findings.value = [];
              }}
            >
              {t("site.discard")}
            </button>
          </div>
        </form>
      </Panel>
      <Panel
        title={t("site.versions")}
        extra={
          <button
            type="button"
            class="btn btn-sm"
            disabled={busy.value || versions.value.length < 2}
            onClick={() => void undo()}
          >
            {t("site.undo")}
          </button>
        }
      >
        <Past />
      </Panel>
    </div>
  );
}
