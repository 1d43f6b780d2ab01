import { signal } from "@preact/signals";

export type MicFault = "denied" | "missing" | "busy" | "insecure";

export const devices = signal<MediaDeviceInfo[]>([]);
export const chosen = signal(localStorage.getItem("microphone") ?? "");
/** 0 to 1, moving about ten times a second while a microphone is open. */
export const level = signal(0);

export class MicError extends Error {
  constructor(readonly fault: MicFault) {
    super(fault);
  }
}

/** Opens the chosen microphone, or the system's choice when that one is gone. */
export async function openMicrophone(): Promise<MediaStreamTrack> {
  if (!navigator.mediaDevices) throw new MicError("insecure");
  const speech = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
  const ask = (device: string): Promise<MediaStream> =>
    navigator.mediaDevices.getUserMedia({
      audio: device ? { ...speech, deviceId: { exact: device } } : speech,
    });
  try {
    let stream: MediaStream;
    try {
      stream = await ask(chosen.value);
    } catch (error) {
      if (!chosen.value || (error as DOMException).name === "NotAllowedError") throw error;
      stream = await ask("");
    }
    void list();
    return stream.getAudioTracks()[0]!;
  } catch (error) {
    const name = (error as DOMException).name;
    if (name === "NotAllowedError" || name === "SecurityError") throw new MicError("denied");
    throw new MicError(name === "NotFoundError" ? "missing" : "busy");
  }
}

export async function list(): Promise<void> {
  if (!navigator.mediaDevices) return;
  const all = await navigator.mediaDevices.enumerateDevices();
  devices.value = all.filter((one) => one.kind === "audioinput" && one.deviceId !== "default");
}

export function choose(device: string): void {
  chosen.value = device;
  localStorage.setItem("microphone", device);
}

navigator.mediaDevices?.addEventListener("devicechange", () => void list());

/** Measures `track` into `level` until the returned function is called. The track is cloned, so
 * that the meter moves while the sent track is muted. */
export function meter(context: AudioContext, track: MediaStreamTrack): () => void {
  const copy = track.clone();
  copy.enabled = true;
  const source = context.createMediaStreamSource(new MediaStream([copy]));
  const analyser = context.createAnalyser();
  analyser.fftSize = 1024;
  source.connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    let sum = 0;
    for (const one of samples) sum += one * one;
    const db = 10 * Math.log10(sum / samples.length + 1e-9);
    // -60 dBFS is silence on the meter, -10 dBFS is as loud as speech gets.
    const next = Math.min(1, Math.max(0, (db + 60) / 50));
    level.value = Math.max(next, level.value * 0.7);
  }, 100);
  return () => {
    clearInterval(timer);
    source.disconnect();
    copy.stop();
    level.value = 0;
  };
}
