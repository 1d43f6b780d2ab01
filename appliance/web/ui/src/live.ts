import { computed, signal } from "@preact/signals";
import { me, pageId } from "./api";
import { type Change, apply } from "./diffs";
import type { Agent, Live } from "./types";

/** Figures of today of one queue; a missing value has no data yet. Durations in milliseconds. */
export interface Figures {
  offered: number;
  answered: number;
  abandoned: number;
  sl_all: number | null;
  asa_ms: number | null;
  aht_ms: number | null;
}

interface Snapshot {
  type: "live";
  boot: string;
  seq: number;
  now: number;
  control: "up" | "away";
  live: Live | null;
  figures: Record<string, Figures>;
}
interface Diff {
  type: "diff";
  since: number;
  seq: number;
  now: number;
  control: "up" | "away";
  live?: Change;
  figures?: Record<string, Figures>;
}
type Message = Snapshot | Diff | { type: "pong"; now: number } | { type: "audio"; session: string | null };

export const live = signal<Live | null>(null);
export const figures = signal<Record<string, Figures>>({});
/** `open`: the socket talks. */
export const socketOpen = signal(false);
export const controlUp = signal(false);
/** When the box was heard last, local clock; for the stale banner. */
export const heardAt = signal(Date.now());
/** The page session that has this agent's sound: null none, undefined not told yet. */
export const audioPage = signal<string | null | undefined>(undefined);

/** What is shown is true now. */
export const fresh = computed(() => socketOpen.value && controlUp.value);

let offset = 0;
/** Moves each second; what shows a running time reads it. */
export const tick = signal(Date.now());
setInterval(() => {
  tick.value = Date.now();
}, 1000);

/** The box's clock now, UTC milliseconds. */
export const boxNow = (): number => tick.value && Date.now() + offset;

export const myself = computed<Agent | null>(() => {
  const person = me.value?.person;
  return live.value?.agents.find((one) => one.id === person) ?? null;
});

const PING_MS = 2000;
const DEAD_MS = 5000;
let socket: WebSocket | null = null;
let wanted = false;
let retry = 0;
let pinged = 0;
let heard = 0;
let active = Date.now();
/** The state that this page has: of which run of the box, and its number. */
let boot = "";
let lastSeq = -1;

for (const kind of ["pointerdown", "keydown"] as const) {
  addEventListener(kind, () => (active = Date.now()), { passive: true });
}

/** Keeps the live socket open until `disconnect`. */
export function connect(): void {
  wanted = true;
  if (socket) return;
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const had = boot && live.value ? `&boot=${boot}&since=${lastSeq}` : "";
  const mine = new WebSocket(`${scheme}://${location.host}/api/v1/live?session=${pageId}${had}`);
  socket = mine;
  pinged = 0;
  heard = performance.now();
  mine.onopen = ping;
  mine.onmessage = (event: MessageEvent<string>) => {
    if (socket !== mine) return;
    heard = performance.now();
    heardAt.value = Date.now();
    retry = 0;
    receive(JSON.parse(event.data) as Message);
  };
  mine.onclose = (event) => {
    if (socket === mine) lost(event.code);
  };
}

function receive(message: Message): void {
  if (message.type === "audio") {
    audioPage.value = message.session;
    return;
  }
  const apart = message.now - Date.now();
  // The smallest delay gives the best offset; a jump of the computer's clock resets it.
  if (Math.abs(apart - offset) > 400 || apart > offset) offset = apart;
  if (message.type === "pong") return;
  if (message.type === "diff") {
    if (message.since !== lastSeq || !live.value) {
      // Not from what this page has: begin anew.
      boot = "";
      const old = socket;
      lost(0);
      old?.close();
      return;
    }
    if (message.live) live.value = apply(live.value, message.live);
    if (message.figures) figures.value = { ...figures.value, ...message.figures };
  } else {
    boot = message.boot;
    if (message.live) live.value = message.live;
    figures.value = message.figures;
  }
  lastSeq = message.seq;
  socketOpen.value = true;
  controlUp.value = message.control === "up";
  tick.value = Date.now();
}

function lost(code: number): void {
  socket = null;
  socketOpen.value = false;
  audioPage.value = undefined;
  if (code === 4401) {
    wanted = false;
    if (me.value) me.value = { ...me.value, person: null };
    return;
  }
  if (!wanted) return;
  const wait = Math.min(5000, 200 * 2 ** retry++) * (0.7 + 0.6 * Math.random());
  setTimeout(() => wanted && connect(), wait);
}

export function disconnect(): void {
  wanted = false;
  const old = socket;
  socket = null;
  socketOpen.value = false;
  // What comes next may be for somebody else.
  boot = "";
  old?.close();
}

function ping(): void {
  if (socket?.readyState !== WebSocket.OPEN) return;
  pinged = performance.now();
  socket.send(JSON.stringify({ type: "ping", active: Date.now() - active < 60_000 }));
}

setInterval(() => {
  if (!socket) return;
  const now = performance.now();
  const silent = pinged > heard && now - pinged > DEAD_MS;
  const stuck = socket.readyState === WebSocket.CONNECTING && now - heard > DEAD_MS;
  if (silent || stuck) {
    // The network may be gone without the socket knowing: do not wait for its good-bye.
    const old = socket;
    lost(0);
    old.close();
  } else if (pinged <= heard) {
    ping();
  }
}, PING_MS);

addEventListener("online", () => {
  retry = 0;
  if (wanted && !socket) connect();
});
