/** Past calls as the box lists them. Times are UTC milliseconds. */
import type { Direction } from "./types";

export interface RecordingRow {
  recording: string;
  started_at: number;
  agent: string | null;
  duration_ms: number | null;
  reason: string | null;
  may_hear: boolean;
}

export interface Step {
  at: number;
  kind: string;
  who: string | null;
  what: string | null;
}

/** How one leg sounded. Shares 0 to 1, times in ms, MOS 1 to 4.5. */
export interface QualityRow {
  party: string;
  door: "rtp" | "line" | "peer";
  verdict: "good" | "fair" | "poor";
  trouble: "loss" | "far_loss" | "delay" | "jitter" | null;
  mos: number;
  far_mos: number | null;
  loss: number;
  far_loss: number | null;
  jitter_ms: number;
  far_jitter_ms: number | null;
  round_trip_ms: number | null;
  secure: boolean;
}

export interface CallRow {
  call: string;
  seq: number;
  opened_at: number;
  direction: Direction;
  door: string;
  caller: string | null;
  caller_name: string | null;
  called: string | null;
  answered_at: number | null;
  ended_at: number | null;
  queue: string | null;
  agent: string | null;
  wait_ms: number | null;
  talk_ms: number | null;
  outcome: string;
  recordings: RecordingRow[];
  steps?: Step[];
  quality?: QualityRow[];
}

export interface CallPage {
  calls: CallRow[];
  next: number | null;
}
