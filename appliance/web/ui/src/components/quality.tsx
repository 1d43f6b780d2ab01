import type { VNode } from "preact";
import { decimal, number, share } from "../format";
import type { QualityRow } from "../history";
import { t, type Key } from "../i18n";
import { partyName } from "../names";
import { Icon, type IconName } from "./icons";

const looks: Record<QualityRow["verdict"], { icon: IconName; badge: string }> = {
  good: { icon: "check", badge: "badge-success" },
  fair: { icon: "info", badge: "badge-warning" },
  poor: { icon: "alert", badge: "badge-error" },
};

/** Beside a call that sounds poor at the moment, with whose side it is. */
export const PoorSound = (props: { party: string }): VNode => (
  <span class="badge badge-warning badge-sm h-auto gap-1 py-0.5" data-poor>
    <Icon name="wave" class="size-3.5" />
    <span>
      {t("quality.poor_now")} <bdi>{partyName(props.party)}</bdi>
    </span>
  </span>
);

function sentence(of: QualityRow): string {
  const name = partyName(of.party);
  switch (of.trouble) {
    case "loss":
      return t("quality.loss", { name, percent: share(of.loss) });
    case "far_loss":
      return t("quality.far_loss", { name, percent: share(of.far_loss ?? 0) });
    case "delay":
      return t("quality.delay", { ms: number(Math.round(of.round_trip_ms ?? 0)) });
    case "jitter":
      return t("quality.jitter", {
        ms: number(Math.round(Math.max(of.jitter_ms, of.far_jitter_ms ?? 0))),
      });
  }
  return t(of.verdict === "good" ? "quality.good_text" : "quality.gaps");
}

/** How each leg sounded: a word, what was wrong, and the figures. */
export function Sound(props: { rows: QualityRow[] }): VNode {
  return (
    <ul class="grid gap-3">
      {props.rows.map((of, i) => {
        const figures: [Key, string | null][] = [
          ["quality.mos_heard", decimal(of.mos, 1)],
          ["quality.mos_hears", of.far_mos === null ? null : decimal(of.far_mos, 1)],
          ["quality.lost", of.door === "line" ? null : share(of.loss)],
          ["quality.far_lost", of.far_loss === null ? null : share(of.far_loss)],
          ["quality.uneven", of.door === "line" ? null : `${number(Math.round(of.jitter_ms))} ms`],
          [
            "quality.round_trip",
            of.round_trip_ms === null ? null : `${number(Math.round(of.round_trip_ms))} ms`,
          ],
        ];
        return (
          <li key={i} class="rounded-box border border-base-300 p-3" data-quality={of.verdict}>
            <p class="flex flex-wrap items-center gap-x-3 gap-y-1">
              <bdi class="font-medium">{partyName(of.party)}</bdi>
              <span class={`badge badge-sm h-auto gap-1 py-0.5 ${looks[of.verdict].badge}`}>
                <Icon name={looks[of.verdict].icon} class="size-3.5" />
                {t(`quality.${of.verdict}`)}
              </span>
              {of.secure && <span class="quiet text-xs">{t("quality.secure")}</span>}
            </p>
            <p class="mt-1 text-sm">{sentence(of)}</p>
            <dl class="figures mt-2 grid grid-cols-2 gap-x-4 gap-y-1 text-sm sm:grid-cols-3">
              {figures.map(
                ([label, value]) =>
                  value !== null && (
                    <div key={label}>
                      <dt class="quiet text-xs">{t(label)}</dt>
                      <dd>
                        <bdi dir="ltr">{value}</bdi>
                      </dd>
                    </div>
                  ),
              )}
            </dl>
          </li>
        );
      })}
    </ul>
  );
}
