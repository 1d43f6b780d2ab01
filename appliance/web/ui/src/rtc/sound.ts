import { signal } from "@preact/signals";

/** Whether the browser lets this page make sound; it wants a click or a key first. */
export const unlocked = signal(false);

let context: AudioContext | null = null;

export function audioContext(): AudioContext {
  if (!context) {
    context = new AudioContext();
    context.onstatechange = () => (unlocked.value = context?.state === "running");
    unlocked.value = context.state === "running";
  }
  return context;
}

/** Call it from a click or a key. */
export async function unlock(): Promise<void> {
  const own = audioContext();
  if (own.state !== "running") await own.resume();
  unlocked.value = own.state === "running";
}

/** One cadence of our ring, 3 seconds: two short warbles of 660 and 880 Hz, then quiet. Written
 * into a buffer that loops by itself, since timers are slow in hidden tabs. */
function ringBuffer(own: AudioContext): AudioBuffer {
  const rate = own.sampleRate;
  const buffer = own.createBuffer(1, 3 * rate, rate);
  const samples = buffer.getChannelData(0);
  for (const start of [0, 0.5]) {
    for (let i = 0; i < 0.4 * rate; i++) {
      const t = i / rate;
      const edge = Math.min(1, t / 0.015, (0.4 - t) / 0.06);
      const low = Math.floor(t / 0.05) % 2 === 0;
      const wave = Math.sin(2 * Math.PI * (low ? 660 : 880) * t);
      samples[Math.floor(start * rate) + i] = 0.3 * edge * wave;
    }
  }
  return buffer;
}

let ring: AudioBufferSourceNode | null = null;
export const ringing = signal(false);

export function startRing(): void {
  if (ring) return;
  const own = audioContext();
  ring = own.createBufferSource();
  ring.buffer = ringBuffer(own);
  ring.loop = true;
  ring.connect(own.destination);
  ring.start();
  ringing.value = true;
  void own.resume().catch(() => undefined);
}

export function stopRing(): void {
  ring?.stop();
  ring?.disconnect();
  ring = null;
  ringing.value = false;
}

/** A short chime that proves the loudspeaker. */
export function chime(): void {
  const own = audioContext();
  for (const [i, hertz] of [660, 880].entries()) {
    const tone = own.createOscillator();
    const gain = own.createGain();
    const start = own.currentTime + i * 0.14;
    tone.frequency.value = hertz;
    gain.gain.setValueAtTime(0, start);
    gain.gain.linearRampToValueAtTime(0.2, start + 0.02);
    gain.gain.exponentialRampToValueAtTime(0.001, start + 0.3);
    tone.connect(gain).connect(own.destination);
    tone.start(start);
    tone.stop(start + 0.32);
  }
}
