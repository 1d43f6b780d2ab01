import { effect, signal } from "@preact/signals";
import { type ComponentType, type VNode, render } from "preact";
import { get, me } from "./api";
import { Heading, Shell } from "./components/shell";
import { preferred, t, use } from "./i18n";
import { connect, disconnect, live } from "./live";
import { go, path } from "./router";
import { title } from "./rtc/duty";
import "./style.css";
import type { Me } from "./types";
import { AgentView } from "./views/agent";
import { SignIn } from "./views/signin";

/** A view that is loaded when it is first shown. */
function lazy(load: () => Promise<ComponentType>): ComponentType {
  const view = signal<ComponentType | null>(null);
  let asked = false;
  return function Lazy(): VNode {
    if (!asked) {
      asked = true;
      void load().then((found) => (view.value = found));
    }
    const Found = view.value;
    return Found ? <Found /> : <p role="status">{t("app.loading")}</p>;
  };
}

const Board = lazy(async () => (await import("./views/board")).Board);
const Calls = lazy(async () => (await import("./views/calls")).Calls);
const MissedView = lazy(async () => (await import("./views/missed")).MissedView);
const MessagesView = lazy(async () => (await import("./views/messages")).MessagesView);
const CallDetail = lazy(async () => (await import("./views/call")).CallDetail);
const Demo = lazy(async () => (await import("./views/demo")).Demo);

const Sounds = lazy(async () => (await import("./views/sounds")).Sounds);

const Site = lazy(async () => (await import("./views/site")).Site);

const NotFound = (): VNode => <Heading>{t("app.not_found")}</Heading>;

const home = (who: Me): string => {
  if (!who.person) return who.demo ? "/demo" : "/sign-in";
  return who.agent ? "/agent" : "/board";
};

function View(): VNode | null {
  const who = me.value;
  const at = path.value;
  if (!who) return null;
  if (at === "/demo" && who.demo) return <Demo />;
  if (!who.person) return <SignIn />;
  if (at === "/agent") return <AgentView />;
  if (at === "/board") return <Board />;
  if (at === "/sounds" && who.role !== "agent") return <Sounds />;
  if (at === "/missed") return <MissedView />;
  if (at === "/messages") return <MessagesView />;
  if (at === "/site" && who.role === "admin") return <Site />;
  if (at === "/calls") return <Calls />;
  if (at.startsWith("/calls/")) return <CallDetail />;
  return <NotFound />;
}

const App = (): VNode => (
  <Shell>
    <View />
  </Shell>
);

async function start(): Promise<void> {
  let wait = 500;
  let told = false;
  while (!me.value) {
    try {
      me.value = await get<Me>("/me");
    } catch {
      if (!told) {
        told = true;
        await use(preferred());
        render(<Shell>{t("error.offline")}</Shell>, document.getElementById("app")!);
      }
      await new Promise((done) => setTimeout(done, wait));
      wait = Math.min(5000, wait * 1.5);
    }
  }
  await use(preferred(me.value.language, me.value.office_language));
  render(<App />, document.getElementById("app")!);
}

let connectedAs: string | null | undefined;
effect(() => {
  const who = me.value;
  if (!who) return;
  if (who.person !== connectedAs) {
    // The socket belongs to who opened it.
    connectedAs = who.person;
    disconnect();
    if (who.person) void use(preferred(who.language, who.office_language));
  }
  if (who.person || who.demo) connect();
  if (path.value === "/" || (path.value === "/sign-in" && who.person)) go(home(who), true);
});

effect(() => {
  const office = live.value?.office ?? me.value?.office ?? "Centrala";
  document.title = title.value || office;
});

void start();
