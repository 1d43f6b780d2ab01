import type { VNode } from "preact";

/** Our own line drawings on a 24-pixel grid; always beside words, so hidden from readers. */
const shapes = {
  phone: "M5 4h4l1.500 4.500-2.200 1.600a12 12 0 0 0 5.600 5.600l1.600-2.200L20 15v4a1.500 1.500 0 0 1-1.500 1.500A15 15 0 0 1 3.500 5.500 1.500 1.500 0 0 1 5 4Z",
  hangup: "M3 13.500c5-4.700 13-4.700 18 0l-1 3.500-4-1v-2.600a13 13 0 0 0-8 0V16l-4 1Z",
  hold: "M8 5v14M16 5v14",
  play: "M7 5l12 7-12 7Z",
  mic: "M12 3a3 3 0 0 0-3 3v5a3 3 0 0 0 6 0V6a3 3 0 0 0-3-3ZM6 11a6 6 0 0 0 12 0M12 17v4",
  mute: "M9 9v2a3 3 0 0 0 4.500 2.600M15 10V6a3 3 0 0 0-5.700-1.300M6 11a6 6 0 0 0 9.500 4.900M18 11a6 6 0 0 1-.6 2.600M12 17v4M4 3l16 18",
  keypad: "M6 5h.01M12 5h.01M18 5h.01M6 11h.01M12 11h.01M18 11h.01M6 17h.01M12 17h.01M18 17h.01",
  check: "M5 12.500l4.500 4.500L19 7.500",
  pause: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18ZM10 9v6M14 9v6",
  power: "M12 3v9M6.500 7a8 8 0 1 0 11 0",
  bell: "M6 10a6 6 0 0 1 12 0c0 5 2 6 2 7H4c0-1 2-2 2-7ZM10 20a2 2 0 0 0 4 0",
  mail: "M3 6h18v12H3ZM3 7l9 7 9-7",
  clock: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18ZM12 7v5l3 2",
  people: "M9 11a3.500 3.500 0 1 0 0-7 3.500 3.500 0 0 0 0 7ZM2.500 20a6.500 6.500 0 0 1 13 0M16 4.500a3.500 3.500 0 0 1 0 6M18 14.500a6.500 6.500 0 0 1 3.500 5.500",
  alert: "M12 4 2.500 20h19ZM12 10v4M12 17h.01",
  info: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18ZM12 11v5M12 8h.01",
  rec: "M12 7a5 5 0 1 0 0 10 5 5 0 0 0 0-10Z",
  sound: "M4 9v6h4l5 4V5L8 9ZM16.500 8.500a5 5 0 0 1 0 7M19 6a8.500 8.500 0 0 1 0 12",
  keys: "M3 6h18v12H3ZM7 10h.01M11 10h.01M15 10h.01M8 14h8",
  out: "M14 4h5v16h-5M4 12h10M10 8l4 4-4 4",
  back: "M15 5l-7 7 7 7",
  down: "M6 9l6 6 6-6",
  arrow_in: "M19 5 6 18M6 9v9h9",
  arrow_out: "M5 19 18 6M9 6h9v9",
  swap: "M4 9h14l-4-4M20 15H6l4 4",
  globe: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18ZM3 12h18M12 3c5 5 5 13 0 18-5-5-5-13 0-18Z",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8ZM12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.500 1.500M17.500 17.500 19 19M5 19l1.500-1.500M17.500 6.500 19 5",
  wave: "M3 12h2l2-6 3 13 3-15 3 11 2-3h3",
} as const;
export type IconName = keyof typeof shapes;

const bold: ReadonlySet<IconName> = new Set(["keypad", "hold"]);
const filled: ReadonlySet<IconName> = new Set(["phone", "hangup", "play", "rec"]);

export function Icon(props: { name: IconName; class?: string }): VNode {
  return (
    <svg
      viewBox="0 0 24 24"
      class={`inline-block shrink-0 ${props.class ?? "size-5"}`}
      fill={filled.has(props.name) ? "currentColor" : "none"}
      stroke="currentColor"
      stroke-width={bold.has(props.name) ? 3 : 2}
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
      focusable="false"
    >
      <path d={shapes[props.name]} />
    </svg>
  );
}
