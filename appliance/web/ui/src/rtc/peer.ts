import { pageId, post } from "../api";

export type PeerState = "connecting" | "connected" | "lost";
export interface Quality {
  grade: "good" | "fair" | "poor";
  rtt_ms: number | null;
  loss: number;
}

/** G.711 first: the lines and desk phones speak it, so nothing is transcoded. */
function preferG711(transceiver: RTCRtpTransceiver): void {
  const codecs = RTCRtpReceiver.getCapabilities("audio")?.codecs ?? [];
  const rank = (mime: string): number =>
    ({ "audio/pcmu": 0, "audio/pcma": 1 })[mime.toLowerCase()] ?? 2;
  const sorted = codecs
    .filter((one) => one.clockRate === 8000)
    .filter((one) => rank(one.mimeType) < 2 || /telephone-event$/i.test(one.mimeType))
    .sort((a, b) => rank(a.mimeType) - rank(b.mimeType));
  if (sorted.length) transceiver.setCodecPreferences(sorted);
}

/** One connection of this page's sound with the box. It is never repaired: a lost one is
 * replaced, since the box does not restart ICE. */
export class Peer {
  private readonly connection = new RTCPeerConnection({ iceServers: [] });
  private readonly sender: RTCRtpSender;
  private readonly audio = new Audio();
  private closed = false;
  private received = 0;
  private missing = 0;

  constructor(
    track: MediaStreamTrack,
    private readonly onState: (state: PeerState) => void,
  ) {
    const transceiver = this.connection.addTransceiver(track, { direction: "sendrecv" });
    preferG711(transceiver);
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

  async replace(track: MediaStreamTrack): Promise<void> {
    await this.sender.replaceTrack(track);
  }

  /** Since the last call: round trip by ICE's own checks, share of packets lost. */
  async quality(): Promise<Quality> {
    let rtt: number | null = null;
    let [received, missing] = [0, 0];
    for (const one of (await this.connection.getStats()).values()) {
      if (one.type === "candidate-pair" && one.nominated && one.currentRoundTripTime !== undefined)
        rtt = Math.round(one.currentRoundTripTime * 1000);
      if (one.type === "inbound-rtp") {
        received += one.packetsReceived ?? 0;
        missing += Math.max(0, one.packetsLost ?? 0);
      }
    }
    const got = received - this.received;
    const gone = Math.max(0, missing - this.missing);
    [this.received, this.missing] = [received, missing];
    const loss = got + gone > 0 ? gone / (got + gone) : 0;
    const late = rtt ?? 0;
    const grade = loss > 0.05 || late > 300 ? "poor" : loss > 0.01 || late > 150 ? "fair" : "good";
    return { grade, rtt_ms: rtt, loss };
  }

  close(): void {
    this.closed = true;
    this.connection.close();
    this.audio.srcObject = null;
  }
}
