import type { VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import { attempt, post } from "../api";
import { number } from "../format";
import { t } from "../i18n";
import { partyName } from "../names";
import type { Level } from "../types";
import { Icon } from "./icons";

/** The box measures for half a minute after each request. */
const AGAIN_MS = 15_000;
const QUIETEST = -50;

function Meter(props: { of: Level }): VNode {
  const { dbm0, hint } = props.of;
  const name = partyName(props.of.party);
  const figure = dbm0 === null ? "" : `${number(dbm0)} dBm0`;
  const words = [figure || t("level.none"), ...(hint ? [t(`level.${hint}`)] : [])];
  return (
    <li class="grid gap-1" data-level={props.of.party}>
      <span class="flex flex-wrap items-center gap-x-2 text-xs">
        <bdi>{name}</bdi>
        {hint && (
          <span class="badge badge-warning badge-sm h-auto gap-1 py-0.5">
            <Icon name="alert" class="size-3.5" />
            {t(`level.${hint}`)}
          </span>
        )}
        <bdi dir="ltr" class="quiet ms-auto">
          {figure || "–"}
        </bdi>
      </span>
      <progress
        class={`progress h-2 ${hint ? "progress-warning" : "progress-success"}`}
        aria-label={t("level.of", { name })}
        aria-valuetext={words.join(", ")}
        max={-QUIETEST}
        value={dbm0 === null ? 0 : Math.min(-QUIETEST, Math.max(0, dbm0 - QUIETEST))}
      />
    </li>
  );
}

/** How loud each side of a call speaks, for whoever wants to see it: only then it is measured. */
export function SpeechLevels(props: { call: string; levels: Level[] }): VNode {
  const [open, setOpen] = useState(false);
  const { call } = props;
  useEffect(() => {
    if (!open) return undefined;
    const look = (): void => void attempt(() => post("/agent/look", { call }));
    look();
    const again = setInterval(look, AGAIN_MS);
    return () => clearInterval(again);
  }, [open, call]);
  return (
    <div data-levels={open ? "open" : "closed"}>
      <button type="button" class="btn btn-xs" aria-expanded={open} onClick={() => setOpen(!open)}>
        <Icon name="sound" class="size-3.5" />
        {t("level.show")}
      </button>
      {open && (
        <>
          <ul class="figures mt-2 grid max-w-64 gap-2">
            {props.levels.map((one) => (
              <Meter key={one.party} of={one} />
            ))}
          </ul>
          <p class="quiet mt-1 text-xs">{t("level.usual", { low: number(-25), high: number(-15) })}</p>
        </>
      )}
    </div>
  );
}
