import { computed, effect, signal } from "@preact/signals";
import { ApiError, attempt, explain, me, notice, pageId, post } from "../api";
import { t } from "../i18n";
import { audioPage, myself, socketOpen } from "../live";
import { CHOICES, type CodecChoice, CodecRule } from "./codec";
import { MicError, chosen, list, meter, openMicrophone } from "./microphone";
import { Peer, type PeerState, type Quality } from "./peer";
import { audioContext, chime, startRing, stopRing, unlock, unlocked } from "./sound";

/** The sound of this page: when it is wanted, who of an agent's pages has it, and keeping it. */

export const peerState = signal<PeerState | "off">("off");
export const quality = signal<Quality | null>(null);
export const micFault = signal<MicError["fault"] | null>(null);
export const peerFault = signal<string | null>(null);
/** Another page or tab of this agent has the sound. */
export const elsewhere = signal(false);
export const starting = signal(false);
export const muted = signal(false);
/** The call whose Answer was pressed here, until the box says so too. */
const answering = signal<string | null>(null);

const browserDoor = computed(() => myself.value?.door === "browser");
const onDuty = computed(() => (myself.value?.phase ?? "offline") !== "offline");
export const call = computed(() => myself.value?.call ?? null);
export const inCall = computed(() => call.value !== null && call.value.phase !== "ringing");
/** A call waits for our answer. A call we make ourselves never rings here. */
export const incoming = computed(() =>
  call.value?.phase === "ringing" && call.value.direction !== "out" ? call.value : null,
);
const wantsSound = computed(
  () => browserDoor.value && (onDuty.value || starting.value) && !elsewhere.value,
);

let peer: Peer | null = null;
let track: MediaStreamTrack | null = null;
let stopMeter: (() => void) | null = null;
let attemptNo = 0;
let retryTimer = 0;
let opening: Promise<void> | null = null;

// --- microphone -------------------------------------------------------------------------------

async function microphone(): Promise<MediaStreamTrack> {
  if (track?.readyState === "live") return track;
  closeMicrophone();
  try {
    track = await openMicrophone();
  } catch (error) {
    if (error instanceof MicError) micFault.value = error.fault;
    throw error;
  }
  micFault.value = null;
  stopMeter = meter(audioContext(), track);
  track.onended = () => void replaceMicrophone();
  applyMute();
  return track;
}

function closeMicrophone(): void {
  stopMeter?.();
  stopMeter = null;
  if (track) track.onended = null;
  track?.stop();
  track = null;
}

/** After another device was chosen, or the headset was unplugged. */
export async function replaceMicrophone(): Promise<void> {
  if (!track) return;
  closeMicrophone();
  try {
    await microphone();
    await peer?.replace(toSend());
  } catch {
    // The fault is on the page; the peer sends silence until a microphone is chosen.
  }
}

export const testing = signal(false);

/** Opens the microphone for the meter alone, before any call. */
export async function testMicrophone(on: boolean): Promise<void> {
  testing.value = on;
  if (on) {
    try {
      await unlock();
      await microphone();
    } catch {
      testing.value = false;
    }
  } else if (!peer) closeMicrophone();
}

/** Sound leaves this computer only while somebody is there to hear it. */
function applyMute(): void {
  const phase = call.value?.phase;
  const speaking =
    phase === "talking" ||
    phase === "connecting" ||
    (phase === "held" && call.value?.consult?.phase === "talking") ||
    (phase === "ringing" && answering.value);
  if (track) track.enabled = Boolean(speaking) && !muted.value;
}

/** Between calls nothing is sent, not even silence: the connection stays, and 50 packets a second
 * do not. In a call there is always something, so that the box never has to wonder. */
function toSend(): MediaStreamTrack | null {
  return call.value || answering.value ? track : null;
}

effect(() => {
  void [call.value, muted.value, answering.value];
  applyMute();
  void peer?.replace(toSend()).catch(() => undefined);
});

// --- the codec --------------------------------------------------------------------------------

const stored = localStorage.getItem("codec") as CodecChoice | null;
/** This computer's choice; how good its network is has nothing to do with the person. */
export const codecChoice = signal<CodecChoice>(stored && CHOICES.includes(stored) ? stored : "auto");
const rule = new CodecRule();

export function chooseCodec(choice: CodecChoice): void {
  codecChoice.value = choice;
  localStorage.setItem("codec", choice);
  followCodec();
}

/** Another codec needs a new connection: the box takes the call over to it by itself. */
function followCodec(): void {
  if (peer?.connected && peer.codec !== rule.codec(codecChoice.value)) {
    void ensurePeer().catch(() => undefined);
  }
}

// --- the peer ---------------------------------------------------------------------------------

function ensurePeer(): Promise<void> {
  opening ??= openPeer().finally(() => (opening = null));
  return opening;
}

async function openPeer(): Promise<void> {
  clearTimeout(retryTimer);
  peer?.close();
  peer = null;
  peerState.value = "connecting";
  let mine: Peer | null = null;
  try {
    await microphone();
    if (!wantsSound.value) return;
    mine = new Peer(toSend(), rule.codec(codecChoice.value), (state) => {
      if (peer === mine) onPeer(state);
    });
    peer = mine;
    await mine.open();
    peerFault.value = null;
  } catch (error) {
    if (peer !== mine) return;
    peer?.close();
    peer = null;
    peerState.value = "lost";
    if (error instanceof MicError) return;
    if (error instanceof ApiError && error.code === "refused") peerFault.value = explain(error);
    again();
    throw error;
  }
}

let lostTimer = 0;

function onPeer(state: PeerState): void {
  peerState.value = state;
  clearTimeout(lostTimer);
  if (state === "connected") attemptNo = 0;
  // The browser calls a peer disconnected after 5 s of silence. If the network is back by then,
  // it heals within a second; if not, a new peer is needed.
  if (state === "lost") lostTimer = window.setTimeout(again, 1000);
}

function again(): void {
  clearTimeout(retryTimer);
  if (!wantsSound.value) return;
  const wait = Math.min(5000, 300 * 2 ** attemptNo++) * (0.7 + 0.6 * Math.random());
  retryTimer = window.setTimeout(() => {
    if (wantsSound.value && !peer?.connected) void ensurePeer().catch(() => undefined);
  }, wait);
}

function dropPeer(): void {
  clearTimeout(retryTimer);
  clearTimeout(lostTimer);
  peer?.close();
  peer = null;
  peerState.value = "off";
  quality.value = null;
  rule.forget();
  if (!testing.value) closeMicrophone();
}

effect(() => {
  if (wantsSound.value && socketOpen.value) {
    // Which page has the sound is told right after the first state; do not take it before.
    if (audioPage.value === undefined) return;
    if (!peer && !starting.peek() && !taking) void claim(false);
  } else if (!wantsSound.value) dropPeer();
});

// A new socket after a loss: the computer may have another address now.
effect(() => {
  if (socketOpen.value && peer && peerState.peek() === "lost") again();
});

// The box says that it does not hear us although our side looks connected: its media process
// was started anew.
let unheard = 0;
effect(() => {
  clearTimeout(unheard);
  if (peerState.value === "connected" && myself.value && !myself.value.reachable) {
    unheard = window.setTimeout(() => {
      if (wantsSound.value) void ensurePeer().catch(() => undefined);
    }, 2000);
  }
});

setInterval(() => {
  if (peer?.connected) {
    void peer
      .quality()
      .then((now) => {
        quality.value = now;
        rule.measured(now.lost, now.sent);
        followCodec();
      })
      .catch(() => undefined);
  }
}, 2000);

// --- one page at a time -----------------------------------------------------------------------

let release: (() => void) | null = null;
/** The person has just chosen this page: who had the sound before does not count. */
let taking = false;

/** Takes the browser's lock for this agent. False when another tab has it and `steal` is not set. */
async function takeLock(steal: boolean): Promise<boolean> {
  if (release || !navigator.locks) return true;
  const name = `centrala-sound-${me.value?.person ?? ""}`;
  return new Promise((resolve) => {
    const held = new Promise<void>((done) => (release = done));
    navigator.locks
      .request(name, steal ? { steal: true } : { ifAvailable: true }, (lock) => {
        if (!lock) {
          release = null;
          resolve(false);
          return undefined;
        }
        resolve(true);
        return held;
      })
      .catch(() => {
        // Another tab took it from us.
        release = null;
        elsewhere.value = true;
      });
  });
}

/** Makes this page the one with the sound, if no other has it or the person wants it here. */
async function claim(steal: boolean): Promise<void> {
  const other = audioPage.value;
  if (!steal && other && other !== pageId) {
    elsewhere.value = true;
    return;
  }
  if (!(await takeLock(steal))) {
    elsewhere.value = true;
    return;
  }
  if (wantsSound.value) await ensurePeer().catch(() => undefined);
}

// Told which page has the sound: when it was ours and is another's, we stay silent until asked;
// when the page that had it is gone (we may be its reload), we take over.
let had = false;
effect(() => {
  const owner = audioPage.value;
  if (owner === pageId) {
    had = true;
  } else if (owner && peer && !opening) {
    elsewhere.value = true;
  } else if (owner === null && elsewhere.peek() && !had) {
    elsewhere.value = false;
  }
});

effect(() => {
  if (!elsewhere.value) return;
  release?.();
  release = null;
});

/** The person wants the sound on this page. */
export async function useHere(): Promise<void> {
  taking = true;
  try {
    await unlock().catch(() => undefined);
    await takeLock(true);
    elsewhere.value = false;
    await ensurePeer().catch(() => undefined);
  } finally {
    taking = false;
  }
}

// --- ringing ----------------------------------------------------------------------------------

const plainTitle = document.title;
export const title = signal(plainTitle);

effect(() => {
  const ring = incoming.value && !elsewhere.value && browserDoor.value;
  if (ring && answering.value !== incoming.value?.call) startRing();
  else stopRing();
});

let lastCall: string | null = null;
effect(() => {
  const now = call.value;
  if (now?.call !== lastCall) {
    lastCall = now?.call ?? null;
    muted.value = false;
    answering.value = null;
  } else if (now && now.phase !== "ringing") answering.value = null;
});

addEventListener("beforeunload", (event) => {
  if (inCall.peek() && browserDoor.peek() && !elsewhere.peek()) event.preventDefault();
});

// A page that leaves says so: the box need not wait until it misses us.
addEventListener("pagehide", () => peer?.close());

// --- what the buttons do ----------------------------------------------------------------------

/** One press: microphone, sound, connection, ready. Must run from a click or a key. */
export async function goOnDuty(): Promise<void> {
  if (starting.value) return;
  notice.value = null;
  try {
    if (myself.value?.door !== "phone") {
      starting.value = true;
      const sound = unlock();
      await microphone();
      await sound.catch(() => undefined);
      if (unlocked.value) chime();
      elsewhere.value = false;
      await takeLock(true);
      await ensurePeer();
    }
    await post("/agent/state", { state: "ready" });
  } catch (error) {
    if (!(error instanceof MicError)) {
      const reason = explain(error);
      notice.value = peerFault.value ? t("audio.failed", { reason }) : reason;
    }
  } finally {
    // The box's state takes over; until it is here, the sound stays.
    setTimeout(() => (starting.value = false), onDuty.value ? 0 : 1500);
  }
}

export async function setState(
  state: "offline" | "ready" | "not_ready",
  reason: string | null = null,
): Promise<void> {
  await post("/agent/state", { state, reason });
}

type Action = "answer" | "reject" | "hold" | "resume" | "hangup" | "mute" | "unmute" | "wrap_end" | "wrap_longer";

export async function act(action: Action): Promise<void> {
  const now = call.value;
  if (action === "answer" && now) {
    answering.value = now.call;
    void unlock();
    void peer?.play();
  }
  try {
    await post("/agent/action", { action, call: action.startsWith("wrap_") ? null : (now?.call ?? null) });
  } catch (error) {
    answering.value = null;
    throw error;
  }
}

/** Nobody hears the agent: by their own microphone, or by the box where that is at a desk phone. */
export const isMuted = (): boolean => muted.value || Boolean(call.value?.muted);

export function toggleMute(): void {
  if (call.value?.muted || myself.value?.door === "phone") {
    void attempt(() => act(call.value?.muted ? "unmute" : "mute"));
  } else {
    muted.value = !muted.value;
  }
}

export async function turnSoundOn(): Promise<void> {
  await unlock();
  await peer?.play();
}

effect(() => {
  void chosen.value;
  void list();
});
