/** What the box says of itself over the live socket. Times are UTC milliseconds. */

export type Phase = "offline" | "ready" | "not_ready" | "offered" | "busy" | "wrap";
export type Direction = "in" | "out" | "internal";

/** How loud one side speaks, as the other hears it; null while nobody has spoken. */
export interface Level {
  party: string;
  dbm0: number | null;
  hint?: "quiet" | "loud" | null;
}

export interface AgentCall {
  call: string;
  phase: "ringing" | "connecting" | "talking" | "held";
  caller: string | null;
  caller_name: string | null;
  queue: string | null;
  queue_name: string | null;
  since: number;
  waited_ms: number;
  direction: Direction;
  poor?: string | null;
  levels?: Level[];
  consult: { to: string; phase: "ringing" | "talking" | "waiting" } | null;
  /** The others of a conference, or whom a supervisor listens to. */
  others: string[];
  muted: boolean;
  role: "talk" | "listen" | "whisper" | "barge";
}

export interface Agent {
  id: string;
  name: string;
  phase: Phase;
  reason: string | null;
  since: number;
  door: "browser" | "phone";
  reachable: boolean;
  queues: string[];
  call: AgentCall | null;
  wrap_until: number | null;
  next_state: "ready" | "not_ready" | null;
  /** The wrap-up is longer by the agent's wish, and how often it may be again today. */
  wrap_longer: boolean;
  longer_left: number;
  dnd: boolean;
  forward: Partial<Record<"always" | "busy" | "no_answer", string>>;
  messages: number;
  phone: string | null;
}

export interface Waiting {
  entry: string;
  call: string;
  queue: string;
  caller: string | null;
  caller_name: string | null;
  since: number;
  position: number;
  offered_to: string[];
}

export interface Call {
  call: string;
  direction: Direction;
  phase: "ringing" | "menu" | "waiting" | "offered" | "talking" | "held" | "parked" | "ending";
  door: string;
  caller: string | null;
  caller_name: string | null;
  called: string | null;
  since: number;
  queue: string | null;
  agent: string | null;
  recording: boolean;
  poor?: string | null;
  levels?: Level[];
  people: string[];
  watched: string[];
}

export interface ParkedCall {
  orbit: string;
  call: string;
  caller: string | null;
  caller_name: string | null;
  by: string;
  until: number;
}

/** One who is to be called back; `since` is when they began to wait. */
export interface Callback {
  callback: string;
  queue: string;
  number: string;
  since: number;
  asked_at: number;
  phase: "waiting" | "paused" | "dialling" | "answered" | "here";
  position: number | null;
  tries: number;
  retry_at: number | null;
  agent: string | null;
  accepted: boolean;
}

export interface Line {
  id: string;
  name: string;
  kind: "modem" | "trunk";
  state: "idle" | "ringing" | "busy" | "absent";
  detail: string;
}

export interface Phone {
  extension: string;
  name: string;
  registered: boolean;
  busy: boolean;
}

export interface Queue {
  id: string;
  name: string;
  strategy: string;
  service_level_s: number;
  short_abandon_s: number;
  open: boolean;
  waiting: number;
  oldest_since: number | null;
  ready: number;
  busy: number;
  not_ready: number;
}

export interface Alarm {
  id: string;
  severity: "info" | "warning" | "critical";
  title: string;
  detail: string;
  advice: string;
  since: number;
}

export interface Live {
  seq: number;
  now: number;
  ready: boolean;
  facts: number;
  office: string;
  demo: boolean;
  recording_notice: boolean;
  pause_reasons: string[];
  agents: Agent[];
  queues: Queue[];
  waiting: Waiting[];
  calls: Call[];
  lines: Line[];
  phones: Phone[];
  alarms: Alarm[];
  parked: ParkedCall[];
  callbacks: Callback[];
  /** What people call out for under a number of its own. */
  campaigns: { id: string; name: string }[];
}

export interface Me {
  person: string | null;
  name: string | null;
  role: "agent" | "supervisor" | "admin" | null;
  door: "browser" | "phone" | null;
  language: string | null;
  office_language: string;
  agent: boolean;
  office: string;
  timezone: string;
  demo: boolean;
}
