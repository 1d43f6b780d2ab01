/** G.711 or Opus: what the sound is carried in. Nothing here knows the browser. */

export type Codec = "g711" | "opus";
export type CodecChoice = "auto" | Codec;

/** What people may choose. */
export const CHOICES: readonly CodecChoice[] = ["auto", "g711", "opus"];

/** Loss that G.711 cannot hide: each lost packet is a hole of 20 ms. */
const LOSSY = 0.02;
/** Measurements in a row, 2 s each: one burst is no reason to change. */
const PATIENCE = 3;
/** Fewer packets say nothing about a share of them. */
const ENOUGH = 40;

/** Which codec the next connection is to ask for.
 *
 * G.711 first: lines and desk phones speak it, so nothing is transcoded. Opus repairs losses from
 * the packet after, so it is asked for when packets keep getting lost. It is kept then until the
 * agent goes off duty: a change of codec costs a third of a second of sound. */
export class CodecRule {
  private lossy = 0;
  private poor = false;

  /** Packets that were lost of those that were sent lately, the worse of both directions. */
  measured(lost: number, sent: number): void {
    if (sent < ENOUGH) return;
    this.lossy = lost / sent > LOSSY ? this.lossy + 1 : 0;
    if (this.lossy >= PATIENCE) this.poor = true;
  }

  codec(choice: CodecChoice): Codec {
    if (choice !== "auto") return choice;
    return this.poor ? "opus" : "g711";
  }

  /** What was learned about the network is forgotten. */
  forget(): void {
    this.lossy = 0;
    this.poor = false;
  }
}

/** The order of MIME types to offer: the box takes G.711 unless Opus comes before it. */
export function order(codec: Codec): string[] {
  const g711 = ["audio/pcmu", "audio/pcma"];
  return codec === "opus" ? ["audio/opus", ...g711] : g711;
}
