import { effect, signal } from "@preact/signals";
import type { ComponentChildren, VNode } from "preact";
import { attempt, me, notice, post } from "../api";
import { number, time } from "../format";
import { T, isLanguage, language, languages, t, use } from "../i18n";
import { controlUp, disconnect, fresh, heardAt, live, socketOpen, tick } from "../live";
import { go, path } from "../router";
import { Icon, type IconName } from "./icons";

type Theme = "auto" | "light" | "dark";
const stored = localStorage.getItem("theme");
const theme = signal<Theme>(stored === "light" || stored === "dark" ? stored : "auto");

effect(() => {
  if (theme.value === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme.value;
});

function chooseTheme(next: string): void {
  theme.value = next as Theme;
  localStorage.setItem("theme", next);
}

async function signOut(): Promise<void> {
  if (!(await attempt(() => post("/logout")))) return;
  disconnect();
  live.value = null;
  me.value = me.value && { ...me.value, person: null, name: null, role: null, agent: false };
  go("/sign-in");
}

export const Logo = (): VNode => (
  <svg viewBox="0 0 32 32" class="size-8 shrink-0" aria-hidden="true">
    <rect width="32" height="32" rx="8" class="fill-primary" />
    <path
      class="fill-primary-content"
      d="M7 17a9 9 0 0 1 18 0v5.500a2.500 2.500 0 0 1-2.500 2.500H21v-8h1.800a6.800 6.800 0 0 0-13.600 0H11v8H9.500A2.500 2.500 0 0 1 7 22.500Z"
    />
  </svg>
);

function Tab(props: { to: string; icon: IconName; label: string; count?: number }): VNode {
  const here = path.value === props.to || path.value.startsWith(`${props.to}/`);
  return (
    <li>
      <a
        href={props.to}
        aria-current={here ? "page" : undefined}
        class={`btn btn-sm ${here ? "btn-primary" : "btn-ghost"}`}
      >
        <Icon name={props.icon} class="size-4" />
        {props.label}
        {props.count ? (
          <span class="badge badge-sm badge-warning" data-count>
            {number(props.count)}
            <span class="sr-only"> {t("messages.new")}</span>
          </span>
        ) : null}
      </a>
    </li>
  );
}

function Menu(): VNode | null {
  const person = me.value?.person;
  if (!person && !me.value?.demo) return null;
  const waiting = live.value?.agents.find((one) => one.id === person)?.messages ?? 0;
  return (
    <nav aria-label={t("app.menu")}>
      <ul class="flex flex-wrap gap-1">
        {person && <Tab to="/agent" icon="phone" label={t("nav.agent")} />}
        {person && <Tab to="/board" icon="wave" label={t("nav.board")} />}
        {person && <Tab to="/calls" icon="clock" label={t("nav.calls")} />}
        {person && <Tab to="/missed" icon="bell" label={t("nav.missed")} />}
        {person && <Tab to="/messages" icon="mail" label={t("nav.messages")} count={waiting} />}
        {person && me.value?.role !== "agent" && (
          <Tab to="/sounds" icon="sound" label={t("nav.sounds")} />
        )}
        {me.value?.role === "admin" && person && (
          <Tab to="/site" icon="keys" label={t("nav.site")} />
        )}
        {me.value?.demo && <Tab to="/demo" icon="people" label={t("nav.demo")} />}
      </ul>
    </nav>
  );
}

function Settings(): VNode {
  return (
    <div class="flex flex-wrap items-center gap-2">
      <label class="flex items-center gap-1">
        <span class="sr-only">{t("app.language")}</span>
        <Icon name="globe" class="quiet hidden size-4 sm:block" />
        <select
          class="select select-sm w-auto"
          value={language.value}
          onChange={(event) => {
            const next = event.currentTarget.value;
            if (!isLanguage(next)) return;
            localStorage.setItem("language", next);
            void use(next);
          }}
        >
          {Object.entries(languages).map(([code, name]) => (
            <option key={code} value={code} lang={code}>
              {name}
            </option>
          ))}
        </select>
      </label>
      <label class="flex items-center gap-1">
        <span class="sr-only">{t("app.theme")}</span>
        <Icon name="sun" class="quiet hidden size-4 sm:block" />
        <select
          class="select select-sm w-auto"
          value={theme.value}
          onChange={(event) => chooseTheme(event.currentTarget.value)}
        >
          <option value="auto">{t("app.theme_auto")}</option>
          <option value="light">{t("app.theme_light")}</option>
          <option value="dark">{t("app.theme_dark")}</option>
        </select>
      </label>
      {me.value?.person && (
        <button type="button" class="btn btn-ghost btn-sm" onClick={() => void signOut()}>
          <Icon name="out" class="size-4 rtl:-scale-x-100" />
          {t("app.sign_out")}
        </button>
      )}
    </div>
  );
}

/** What is shown may be old: said in words, over the whole width. Short breaks stay unsaid. */
function Banner(): VNode | null {
  if (fresh.value || (!me.value?.person && !me.value?.demo)) return null;
  if (socketOpen.value && !controlUp.value) {
    return (
      <p role="alert" class="alert alert-warning rounded-none" data-banner="restarting">
        <Icon name="alert" />
        {t("app.restarting")}
      </p>
    );
  }
  if (!live.value || tick.value - heardAt.value < 2000) return null;
  return (
    <p role="alert" class="alert alert-error rounded-none" data-banner="stale">
      <Icon name="alert" />
      <span>
        <T k="app.stale" v={{ time: <bdi dir="ltr">{time(heardAt.value)}</bdi> }} />
      </span>
    </p>
  );
}

function Notice(): VNode | null {
  if (!notice.value) return null;
  return (
    <div class="toast toast-center z-10 w-full max-w-xl" role="alert">
      <div class="alert alert-error shadow-lg">
        <Icon name="alert" />
        <span class="min-w-0 break-words whitespace-normal">{notice.value}</span>
        <button type="button" class="btn btn-sm" onClick={() => (notice.value = null)}>
          {t("app.close")}
        </button>
      </div>
    </div>
  );
}

export function Shell(props: { children: ComponentChildren }): VNode {
  const name = me.value?.name;
  return (
    <div class="flex min-h-dvh flex-col">
      <a href="#content" class="btn btn-primary sr-only focus:not-sr-only focus:absolute focus:z-20">
        {t("app.skip")}
      </a>
      <header class="border-b border-base-300 bg-base-100">
        <div class="mx-auto flex max-w-7xl flex-wrap items-center gap-x-5 gap-y-2 px-4 py-2">
          <span class="flex items-center gap-2.5">
            <Logo />
            <span class="leading-tight">
              <span class="block font-semibold">
                <bdi>{live.value?.office ?? me.value?.office ?? "Centrala"}</bdi>
              </span>
              <span class="quiet block text-xs">
                {name ? (
                  <T k="app.signed_in_as" v={{ name: <bdi>{name}</bdi> }} />
                ) : (
                  "Centrala"
                )}
              </span>
            </span>
          </span>
          <Menu />
          <div class="ms-auto">
            <Settings />
          </div>
        </div>
      </header>
      <Banner />
      <main id="content" class="mx-auto w-full max-w-7xl grow px-4 py-5">
        {props.children}
      </main>
      <Notice />
    </div>
  );
}

/** The heading of a view; focused when the view changes. */
export const Heading = (props: { children: ComponentChildren; class?: string }): VNode => (
  <h1 tabIndex={-1} class={`text-xl font-semibold outline-none ${props.class ?? ""}`}>
    {props.children}
  </h1>
);

export function Panel(props: {
  title: ComponentChildren;
  children: ComponentChildren;
  class?: string;
  extra?: ComponentChildren;
}): VNode {
  return (
    <section class={`panel ${props.class ?? ""}`}>
      <div class="flex items-center gap-2 px-4 pt-3">
        <h2 class="font-semibold">{props.title}</h2>
        {props.extra && <div class="ms-auto">{props.extra}</div>}
      </div>
      <div class="px-4 pt-2 pb-4">{props.children}</div>
    </section>
  );
}
