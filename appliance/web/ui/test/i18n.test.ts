import { beforeEach, describe, expect, it } from "vitest";
import { duration, number } from "../src/format";
import { type Language, type Messages, languages, preferred, t, use } from "../src/i18n";
import { bg } from "../src/i18n/bg";
import { en } from "../src/i18n/en";
import { fa } from "../src/i18n/fa";
import { ro } from "../src/i18n/ro";
import { ru } from "../src/i18n/ru";
import { zh } from "../src/i18n/zh";

const all: Record<Language, Messages> = { en, ro, bg, fa, ru, zh };
const places = (text: string): string[] => [...text.matchAll(/\{(\w+)\}/g)].map((one) => one[1]!);

describe.each(Object.keys(languages) as Language[])("%s", (code) => {
  it("fills the same places as English", () => {
    for (const [key, text] of Object.entries(all[code])) {
      const source = en[key as keyof typeof en];
      if (typeof text !== "string" || typeof source !== "string") continue;
      expect([key, ...places(text).sort()]).toEqual([key, ...places(source).sort()]);
    }
  });

  it("has every plural form that its numbers ask for", () => {
    const rules = new Intl.PluralRules(code).resolvedOptions().pluralCategories;
    for (const text of Object.values(all[code])) {
      if (typeof text === "string") continue;
      // "many" of Romance languages is for millions, which no sentence here counts.
      for (const form of rules.filter((one) => one !== "other" && (one !== "many" || code === "ru")))
        expect(text[form]).toContain("{n}");
    }
  });

  it("leaves no sentence empty", () => {
    for (const text of Object.values(all[code]))
      expect(typeof text === "string" ? text : text.other).not.toBe("");
  });
});

describe("words and numbers", () => {
  beforeEach(() => localStorage.clear());

  it("puts values into their places", async () => {
    await use("en");
    expect(t("audio.detail", { rtt: 12, loss: "0%" })).toBe("12 ms round trip, 0% lost");
    expect(t("error.too_many", { n: 1 })).toContain("1 second ");
    expect(t("error.too_many", { n: 5 })).toContain("5 seconds ");
  });

  it("counts seconds in Russian as Russians do", async () => {
    await use("ru");
    const words = [1, 3, 5, 21].map((n) => /секунд\S*/.exec(t("error.too_many", { n }))?.[0]);
    expect(words).toEqual(["секунду", "секунды", "секунд", "секунду"]);
  });

  it("writes durations in the digits of the language", async () => {
    await use("en");
    expect([0, 9_999, 75_000, 3_661_000, -5].map(duration)).toEqual([
      "0:00",
      "0:09",
      "1:15",
      "1:01:01",
      "0:00",
    ]);
    await use("fa");
    expect(duration(75_000)).toBe("۱:۱۵");
    expect(number(42)).toBe("۴۲");
  });

  it("turns the page round for Persian", async () => {
    await use("fa");
    expect(document.documentElement.dir).toBe("rtl");
    await use("en");
    expect(document.documentElement.dir).toBe("ltr");
  });

  it("prefers the language that was chosen here, then the person's own", () => {
    expect(preferred("ro", "bg")).toBe("ro");
    localStorage.setItem("language", "zh");
    expect(preferred("ro", "bg")).toBe("zh");
    localStorage.setItem("language", "xx");
    expect(preferred("ro", "bg")).toBe("ro");
  });
});
