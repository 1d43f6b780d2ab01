import { signal } from "@preact/signals";
import type { ComponentChildren, VNode } from "preact";
import type { en } from "./en";

type Source = typeof en;
export type Plural = { readonly other: string } & {
  readonly [K in Exclude<Intl.LDMLPluralRule, "other">]?: string;
};
export type Messages = {
  readonly [K in keyof Source]: Source[K] extends string ? string : Plural;
};
export type Key = keyof Source;

export const languages = {
  en: "English",
  ro: "Română",
  bg: "Български",
  fa: "فارسی",
  ru: "Русский",
  zh: "中文",
} as const;
export type Language = keyof typeof languages;

const load: Record<Language, () => Promise<Messages>> = {
  en: async () => (await import("./en")).en,
  ro: async () => (await import("./ro")).ro,
  bg: async () => (await import("./bg")).bg,
  fa: async () => (await import("./fa")).fa,
  ru: async () => (await import("./ru")).ru,
  zh: async () => (await import("./zh")).zh,
};

export const language = signal<Language>("en");
const messages = signal<Messages | null>(null);

export const isLanguage = (value: unknown): value is Language =>
  typeof value === "string" && Object.hasOwn(languages, value);

/** The language chosen here before, else the person's own, the browser's, the office's. */
export function preferred(person?: string | null, office?: string): Language {
  const browser = navigator.languages.map((one) => one.slice(0, 2).toLowerCase());
  const wishes = [localStorage.getItem("language"), person, ...browser, office];
  return wishes.find(isLanguage) ?? "en";
}

export async function use(next: Language): Promise<void> {
  const loaded = await load[next]();
  messages.value = loaded;
  language.value = next;
  document.documentElement.lang = next;
  document.documentElement.dir = next === "fa" ? "rtl" : "ltr";
}

/** Whether a key made from the box's words exists. */
export const known = (key: string): key is Key =>
  messages.value !== null && Object.hasOwn(messages.value, key);

type Values = Record<string, string | number>;

function pattern(key: Key, n: unknown): string {
  const found = messages.value?.[key] ?? key;
  if (typeof found === "string") return found;
  const rule = new Intl.PluralRules(language.value).select(Number(n));
  return found[rule] ?? found.other;
}

const show = (value: string | number): string =>
  typeof value === "number" ? new Intl.NumberFormat(language.value).format(value) : value;

/** A sentence with its `{places}` filled in; a plural follows the value named `n`. */
export function t(key: Key, values: Values = {}): string {
  return pattern(key, values.n).replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = values[name];
    return value === undefined ? whole : show(value);
  });
}

/** The same with elements in the places: numbers stay isolated from the direction of the text. */
export function T(props: { k: Key; v: Record<string, ComponentChildren> }): VNode {
  const parts = pattern(props.k, props.v.n).split(/\{(\w+)\}/);
  return <>{parts.map((part, i) => (i % 2 ? props.v[part] : part))}</>;
}
