import type { VNode } from "preact";
import { language, t } from "./i18n";

const cache = new Map<string, Intl.NumberFormat | Intl.DateTimeFormat>();

function numbers(options: Intl.NumberFormatOptions): Intl.NumberFormat {
  const key = `n${language.value}${JSON.stringify(options)}`;
  let found = cache.get(key) as Intl.NumberFormat | undefined;
  if (!found) cache.set(key, (found = new Intl.NumberFormat(language.value, options)));
  return found;
}

function dates(options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = `d${language.value}${JSON.stringify(options)}`;
  let found = cache.get(key) as Intl.DateTimeFormat | undefined;
  if (!found) cache.set(key, (found = new Intl.DateTimeFormat(language.value, options)));
  return found;
}

export const number = (value: number): string => numbers({}).format(value);

export const percent = (share: number): string =>
  numbers({ style: "percent", maximumFractionDigits: 0 }).format(share);

/** A small share, such as loss: one digit after the point while it is below ten per cent. */
export const share = (value: number): string =>
  numbers({ style: "percent", maximumFractionDigits: value < 0.1 ? 1 : 0 }).format(value);

export const decimal = (value: number, digits: number): string =>
  numbers({ minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);

/** `m:ss`, with hours when there are any, in the digits of the language. */
export function duration(ms: number): string {
  const whole = Math.max(0, Math.floor(ms / 1000));
  const two = numbers({ minimumIntegerDigits: 2, useGrouping: false });
  const plain = numbers({ useGrouping: false });
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  if (h) return `${plain.format(h)}:${two.format(m)}:${two.format(s)}`;
  return `${plain.format(m)}:${two.format(s)}`;
}

/** The same as `duration`, kept left to right and of steady width. */
export const Duration = (props: { ms: number }): VNode => (
  <bdi dir="ltr" class="figures">
    {duration(props.ms)}
  </bdi>
);

export const time = (ms: number, zone?: string): string =>
  dates({ timeStyle: "medium", hourCycle: "h23", ...at(zone) }).format(ms);

export const dateTime = (ms: number, zone?: string): string =>
  dates({ dateStyle: "medium", timeStyle: "medium", hourCycle: "h23", ...at(zone) }).format(ms);

const at = (zone?: string): Intl.DateTimeFormatOptions => (zone ? { timeZone: zone } : {});

/** A caller as people read it: the name, then the number, which never mirrors. */
export function Caller(props: {
  caller: string | null | undefined;
  name: string | null | undefined;
}): VNode {
  if (!props.caller && !props.name) return <>{t("app.unknown_caller")}</>;
  return (
    <>
      {props.name && <bdi>{props.name}</bdi>}
      {props.name && props.caller && " "}
      {props.caller && (
        <bdi dir="ltr" class={props.name ? "quiet figures" : "figures"}>
          {props.caller}
        </bdi>
      )}
    </>
  );
}
