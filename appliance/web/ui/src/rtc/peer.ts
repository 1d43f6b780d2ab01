import { pageId, post } from "../api";
import { type Codec, order } from "./codec";

export type PeerState = "connecting" | "connected" | "lost";
export interface Quality {
  grade: "good" | "fair" | "poor";
  rtt_ms: number | null;
  loss: number;
  /** Packets lost and sent in the worse direction. */
  lost: number;
  sent: number;
}

/** Offers these codecs alone, and keys at the rate of the first: Chromium sends a key as one burst
 * where it may use another rate than the sound has. */
function prefer(transceiver: RTCRtpTransceiver, codec: Codec): void {
  const all = RTCRtpReceiver.getCapabilities("audio")?.codecs ?? [];
  const rate = codec === "opus" ? 48000 : 8000;
  const sorted = order(codec).flatMap((mime) =>
    all.filter((one) => one.mimeType.toLowerCase() === mime),
  );
  const keys = all.filter(
    (one) => /telephone-event$/i.test(one.mimeType) && one.clockRate === rate,
  );
  if (sorted.length) transceiver.setCodecPreferences([...sorted, ...keys]);
}

/** One connection of this page's sound with the box. It is never repaired: a lost one is
 * replaced, since the box does not restart ICE. */
export class Peer {
  private readonly connection = new RTCPeerConnection({ iceServers: [] });
  private readonly sender: RTCRtpSender;
  private readonly audio = new Audio();
  private closed = false;
  /** Counts of the stream in and of ours as the box reports it, at the last measurement. */
  private before = { received: 0, missing: 0, sent: 0, gone: 0 };

  /** `track` may be null: nothing is sent then until `replace` brings one. */
  constructor(
    track: MediaStreamTrack | null,
    readonly codec: Codec,
    private readonly onState: (state: PeerState) => void,
  ) {
    const transceiver = this.connection.addTransceiver(track ?? "audio", { direction: "sendrecv" });
    prefer(transceiver, codec);
    this.sender = transceiver.sender;
    this.audio.autoplay = true;
    this.connection.ontrack = (event) => {
      this.audio.srcObject = event.streams[0] ?? new MediaStream([event.track]);
      void this.play();
    };
    this.connection.onconnectionstatechange = () => {
      if (this.closed) return;
      const state = this.connection.connectionState;
      if (state === "connected") this.onState("connected");
      else if (state === "failed" || state === "closed" || state === "disconnected")
        this.onState("lost");
    };
  }

  /** Offers at once: the box learns our address from our own checks, so nothing is gathered. */
  async open(): Promise<void> {
    this.onState("connecting");
    await this.connection.setLocalDescription(await this.connection.createOffer());
    const answer = await post<{ sdp: string }>("/agent/peer", {
      session: pageId,
      sdp: this.connection.localDescription!.sdp,
    });
    if (!this.closed) {
      await this.connection.setRemoteDescription({ type: "answer", sdp: answer.sdp });
    }
  }

  get connected(): boolean {
    return this.connection.connectionState === "connected";
  }

  async play(): Promise<void> {
    await this.audio.play().catch(() => undefined);
  }

  /** Sends this from now on, or nothing; needs no new offer. */
  async replace(track: MediaStreamTrack | null): Promise<void> {
    if (!this.closed && this.sender.track !== track) await this.sender.replaceTrack(track);
  }

  /** Since the last call: round trip by ICE's own checks, packets lost in the worse direction. */
  async quality(): Promise<Quality> {
    let rtt: number | null = null;
    const now = { received: 0, missing: 0, sent: 0, gone: 0 };
    for (const one of (await this.connection.getStats()).values()) {
      if (one.type === "candidate-pair" && one.nominated && one.currentRoundTripTime !== undefined)
        rtt = Math.round(one.currentRoundTripTime * 1000);
      if (one.type === "inbound-rtp") {
        now.received += one.packetsReceived ?? 0;
        now.missing += Math.max(0, one.packetsLost ?? 0);
      }
      if (one.type === "outbound-rtp") now.sent += one.packetsSent ?? 0;
      if (one.type === "remote-inbound-rtp") now.gone += Math.max(0, one.packetsLost ?? 0);
    }
    const before = this.before;
    this.before = now;
    const missing = Math.max(0, now.missing - before.missing);
    const to = { lost: missing, sent: missing + Math.max(0, now.received - before.received) };
    const from = {
      lost: Math.max(0, now.gone - before.gone),
      sent: Math.max(0, now.sent - before.sent),
    };
    const share = (way: { lost: number; sent: number }): number =>
      way.sent > 0 ? Math.min(1, way.lost / way.sent) : 0;
    const worse = share(from) > share(to) ? from : to;
    const loss = share(worse);
    const late = rtt ?? 0;
    const grade = loss > 0.05 || late > 300 ? "poor" : loss > 0.01 || late > 150 ? "fair" : "good";
    return { grade, rtt_ms: rtt, loss, ...worse };
  }

  close(): void {
    this.closed = true;
    this.connection.close();
    this.audio.srcObject = null;
  }
}
