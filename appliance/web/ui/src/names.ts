import { known, t } from "./i18n";
import { live } from "./live";

/** Names of the things that facts and live states call by their ids. */

export const agentName = (id: string): string =>
  live.value?.agents.find((one) => one.id === id)?.name ?? id;

export const queueName = (id: string): string =>
  live.value?.queues.find((one) => one.id === id)?.name ?? id;

/** Somebody on the line: an agent's id, an extension or a number. */
export const personName = (who: string): string => {
  const agent = live.value?.agents.find((one) => one.id === who);
  const phone = live.value?.phones.find((one) => one.extension === who);
  return agent?.name ?? phone?.name ?? (who.includes(":") ? partyName(who) : who);
};

const lineName = (id: string): string =>
  live.value?.lines.find((one) => one.id === id)?.name ?? id;

const phoneName = (id: string): string => {
  const name = live.value?.phones.find((one) => one.extension === id)?.name;
  return name ? `${name} (${id})` : id;
};

/** A party such as `agent:ana` or `line:line1`, a queue or a menu, as people call it. */
export function partyName(party: string): string {
  const [kind, id] = [party.slice(0, party.indexOf(":")), party.slice(party.indexOf(":") + 1)];
  switch (kind) {
    case "agent":
      return agentName(id);
    case "queue":
      return queueName(id);
    case "line":
    case "trunk":
      return lineName(id) === id ? t(`who.${kind}`, { name: id }) : lineName(id);
    case "phone":
      return t("who.phone", { name: phoneName(id) });
    case "menu":
      return t("who.menu", { name: id });
    case "box":
    case "voicemail":
      return t("who.box", { name: id });
  }
  if (party === "caller" || party === "callee") return t(`who.${party}`);
  return party;
}

/** A result, reason or cause in the page's language; an unknown word stands as it is. */
export function word(what: string): string {
  const key = `word.${what}`;
  return known(key) ? t(key) : partyName(what);
}

export function outcomeName(outcome: string): string {
  const key = `outcome.${outcome}`;
  return t(known(key) ? key : "outcome.other");
}
