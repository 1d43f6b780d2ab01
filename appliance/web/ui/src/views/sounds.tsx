import { signal } from "@preact/signals";
import type { VNode } from "preact";
import { useEffect } from "preact/hooks";
import { attempt, get, put, remove } from "../api";
import { Icon } from "../components/icons";
import { Heading, Panel } from "../components/shell";
import { Duration } from "../format";
import { t } from "../i18n";

interface Sound {
  name: string;
  duration_ms: number | null;
  missing: boolean;
  used_by: string[];
}

const list = signal<Sound[] | null>(null);
const file = signal<File | null>(null);
const name = signal("");
const busy = signal(false);
const done = signal("");

const MOST = 24 * 1024 * 1024;
const good = /^[A-Za-z0-9._-]{1,80}\.wav$/;

async function load(): Promise<void> {
  await attempt(async () => {
    list.value = (await get<{ sounds: Sound[] }>("/sounds")).sounds;
  });
}

/** A name that the box takes, from that of the file. */
export function suggest(of: string): string {
  const stem = of
    .replace(/\.[^.]*$/, "")
    .normalize("NFKD")
    .replace(/[^A-Za-z0-9._-]+/g, "-")
    .replace(/^[-.]+|[-.]+$/g, "")
    .slice(0, 76);
  return `${stem || "sound"}.wav`;
}

async function send(): Promise<void> {
  const what = file.value;
  if (!what || busy.value) return;
  busy.value = true;
  done.value = "";
  const as = name.value;
  if (await attempt(() => put(`/sounds/${encodeURIComponent(as)}`, what))) {
    done.value = as;
    file.value = null;
    name.value = "";
    document.querySelector<HTMLFormElement>("#upload")?.reset();
  }
  busy.value = false;
  await load();
}

async function drop(of: string): Promise<void> {
  done.value = "";
  await attempt(() => remove(`/sounds/${encodeURIComponent(of)}`));
  await load();
}

function Upload(): VNode {
  const tooLarge = (file.value?.size ?? 0) > MOST;
  const badName = name.value !== "" && !good.test(name.value);
  return (
    <form
      id="upload"
      class="flex flex-wrap items-end gap-3"
      onSubmit={(event) => {
        event.preventDefault();
        void send();
      }}
    >
      <label class="flex flex-col gap-1">
        <span class="text-sm">{t("sounds.file")}</span>
        <input
          type="file"
          accept="audio/*"
          required
          class="file-input"
          onChange={(event) => {
            file.value = event.currentTarget.files?.[0] ?? null;
            if (file.value) name.value = suggest(file.value.name);
          }}
        />
      </label>
      <label class="flex flex-col gap-1">
        <span class="text-sm">{t("sounds.name")}</span>
        <input
          type="text"
          required
          dir="ltr"
          maxLength={84}
          class="input font-mono"
          aria-invalid={badName}
          aria-describedby="sound-help"
          value={name.value}
          onInput={(event) => (name.value = event.currentTarget.value)}
        />
      </label>
      <button
        type="submit"
        class="btn btn-primary"
        disabled={busy.value || !file.value || tooLarge || !good.test(name.value)}
      >
        {busy.value ? t("sounds.checking") : t("sounds.upload")}
      </button>
      <p id="sound-help" class="quiet w-full text-sm" role={tooLarge || badName ? "alert" : undefined}>
        {tooLarge ? t("sounds.too_large") : badName ? t("sounds.bad_name") : t("sounds.help")}
      </p>
      <p role="status" class="w-full text-sm">
        {done.value && t("sounds.done", { name: done.value })}
      </p>
    </form>
  );
}

function Row(props: { sound: Sound }): VNode {
  const { sound } = props;
  return (
    <tr>
      <th scope="row" class="font-mono font-medium">
        <bdi dir="ltr">{sound.name}</bdi>
      </th>
      <td>{sound.duration_ms === null ? "–" : <Duration ms={sound.duration_ms} />}</td>
      <td>
        {sound.used_by.map((place) => (
          <bdi key={place} dir="ltr" class="block font-mono text-sm">
            {place}
          </bdi>
        ))}
        {!sound.used_by.length && <span class="quiet">{t("sounds.unused")}</span>}
      </td>
      <td>
        {sound.missing ? (
          <span class="badge badge-warning h-auto py-0.5">{t("sounds.missing")}</span>
        ) : (
          <audio
            controls
            preload="none"
            class="h-9 w-64"
            aria-label={t("sounds.play", { name: sound.name })}
            src={`/api/v1/sounds/${encodeURIComponent(sound.name)}`}
          />
        )}
      </td>
      <td class="text-end">
        {!sound.missing && !sound.used_by.length && (
          <button
            type="button"
            class="btn btn-ghost btn-sm"
            aria-label={t("sounds.delete_name", { name: sound.name })}
            onClick={() => void drop(sound.name)}
          >
            {t("sounds.delete")}
          </button>
        )}
      </td>
    </tr>
  );
}

export function Sounds(): VNode {
  useEffect(() => {
    done.value = "";
    void load();
  }, []);
  return (
    <div class="flex flex-col gap-4">
      <Heading>{t("sounds.title")}</Heading>
      <Panel title={t("sounds.new")}>
        <Upload />
      </Panel>
      <Panel title={t("sounds.list")}>
        {list.value?.length === 0 && (
          <p class="quiet flex items-center gap-2">
            <Icon name="info" class="size-4" />
            {t("sounds.none")}
          </p>
        )}
        {!!list.value?.length && (
          <div class="overflow-x-auto" role="region" aria-label={t("sounds.list")} tabIndex={0}>
            <table class="table">
              <thead>
                <tr>
                  <th scope="col">{t("sounds.name")}</th>
                  <th scope="col">{t("sounds.length")}</th>
                  <th scope="col">{t("sounds.used")}</th>
                  <th scope="col">{t("sounds.listen")}</th>
                  <th scope="col">
                    <span class="sr-only">{t("sounds.delete")}</span>
                  </th>
                </tr>
              </thead>
              <tbody>
                {list.value.map((one) => (
                  <Row key={one.name} sound={one} />
                ))}
              </tbody>
            </table>
          </div>
        )}
      </Panel>
    </div>
  );
}
