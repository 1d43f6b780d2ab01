import { signal } from "@preact/signals";
import type { VNode } from "preact";
import { useEffect } from "preact/hooks";
import { attempt, get, me, post } from "../api";
import { Icon } from "../components/icons";
import { PhaseBadge } from "../components/phase";
import { Lines, RunningCalls } from "../components/running";
import { Heading, Panel } from "../components/shell";
import { T, t } from "../i18n";
import { live } from "../live";
import { go } from "../router";
import type { Me } from "../types";

interface Demo {
  agents: { person: string; name: string; extension: string | null; queues: string[] }[];
  sip: { host: string | null; port: number; udp: boolean; tcp: boolean };
  phones: { extension: string; name: string; secret: string | null }[];
  dial: { extension: string; name: string }[];
}

const demo = signal<Demo | null>(null);

async function signInAs(person: string): Promise<void> {
  await attempt(async () => {
    me.value = await post<Me>("/demo/login", { person });
    go("/agent");
  });
}

function Agents(): VNode {
  return (
    <ul class="grid gap-3 sm:grid-cols-3">
      {demo.value?.agents.map((one) => {
        const now = live.value?.agents.find((agent) => agent.id === one.person);
        const mine = me.value?.person === one.person;
        return (
          <li
            key={one.person}
            class="rounded-box flex flex-col gap-2 border border-base-300 p-4"
            data-person={one.person}
          >
            <p class="flex items-center gap-3">
              <span
                class="grid size-10 shrink-0 place-items-center rounded-full bg-primary font-semibold text-primary-content"
                aria-hidden="true"
              >
                {one.name
                  .split(" ")
                  .map((part) => part[0])
                  .join("")
                  .slice(0, 2)}
              </span>
              <span class="min-w-0">
                <bdi class="block font-semibold">{one.name}</bdi>
                <span class="quiet block text-sm">
                  <bdi>{one.queues.join(", ")}</bdi>
                  {one.extension && (
                    <>
                      {" · "}
                      <bdi dir="ltr">{one.extension}</bdi>
                    </>
                  )}
                </span>
              </span>
            </p>
            <p>{now && <PhaseBadge phase={now.phase} reason={now.reason} />}</p>
            <button
              type="button"
              class={`btn mt-auto h-auto min-h-10 py-2 ${mine ? "" : "btn-primary"}`}
              onClick={() => (mine ? go("/agent") : void signInAs(one.person))}
            >
              {mine ? t("demo.to_calls") : t("demo.sign_in_as", { name: one.name })}
            </button>
          </li>
        );
      })}
    </ul>
  );
}

function Phone(): VNode {
  const now = demo.value;
  if (!now?.phones.length) return <p class="quiet">{t("demo.no_phones")}</p>;
  const ways = [now.sip.udp && "UDP", now.sip.tcp && "TCP"].filter(Boolean).join(", ");
  const host = now.sip.host ?? location.hostname;
  return (
    <>
      <p class="quiet mb-3 text-sm">{t("demo.phone_text")}</p>
      <dl class="grid grid-cols-[auto_1fr] gap-x-4 gap-y-1 text-sm">
        <dt class="quiet">{t("demo.server")}</dt>
        <dd>
          <bdi dir="ltr" class="font-mono">{`${host}:${now.sip.port}`}</bdi>
        </dd>
        <dt class="quiet">{t("demo.transport")}</dt>
        <dd>
          <bdi dir="ltr">{ways}</bdi>
        </dd>
      </dl>
      <div class="overflow-x-auto" role="region" aria-label={t("demo.phone")} tabIndex={0}>
        <table class="table-sm mt-2 table">
          <thead>
            <tr>
              <th scope="col" class="!ps-0">
                {t("demo.extension")}
              </th>
              <th scope="col" class="!pe-0">
                {t("demo.secret")}
              </th>
            </tr>
          </thead>
          <tbody>
            {now.phones.map((one) => (
              <tr key={one.extension}>
                <td class="!ps-0">
                  <bdi dir="ltr" class="font-mono">
                    {one.extension}
                  </bdi>{" "}
                  <bdi class="quiet">{one.name}</bdi>
                </td>
                <td class="!pe-0">
                  <bdi dir="ltr" class="font-mono break-all">
                    {one.secret ?? "–"}
                  </bdi>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p class="mt-3 text-sm">
        <span class="quiet">{t("demo.dial")}</span>
      </p>
      <ul class="mt-1 flex flex-wrap gap-2 text-sm">
        {now.dial.map((one) => (
          <li key={one.extension} class="badge badge-ghost h-auto py-1">
            <T
              k="demo.dial_queue"
              v={{
                extension: (
                  <bdi dir="ltr" class="font-mono font-semibold">
                    {one.extension}
                  </bdi>
                ),
                name: <bdi>{one.name}</bdi>,
              }}
            />
          </li>
        ))}
      </ul>
    </>
  );
}

export function Demo(): VNode {
  useEffect(() => {
    void attempt(async () => {
      demo.value = await get<Demo>("/demo");
    });
  }, []);
  return (
    <>
      <Heading>{t("demo.title")}</Heading>
      <p class="quiet mt-2 mb-4 max-w-3xl">{t("demo.intro")}</p>
      <div class="grid grid-cols-1 items-start gap-4 lg:grid-cols-[minmax(0,2fr)_minmax(0,1fr)]">
        <div class="grid grid-cols-1 gap-4">
          <Panel title={t("demo.agents")}>
            <Agents />
            <p class="quiet mt-3 flex items-start gap-2 text-sm">
              <Icon name="info" class="mt-0.5 size-4" />
              {t("demo.tip")}
            </p>
          </Panel>
          <Panel title={t("demo.calls")}>
            <RunningCalls />
          </Panel>
        </div>
        <div class="grid grid-cols-1 gap-4">
          <Panel title={t("demo.lines")}>
            <Lines />
          </Panel>
          <Panel title={t("demo.phone")}>
            <Phone />
          </Panel>
        </div>
      </div>
    </>
  );
}
