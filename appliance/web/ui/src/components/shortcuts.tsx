import { signal } from "@preact/signals";
import type { VNode } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { t, type Key } from "../i18n";
import { Icon } from "./icons";

/** Keys that work while no field has the focus. They follow the place of the key and not its
 * letter, so they are the same under a Cyrillic or Persian layout. */
export interface Shortcut {
  code: string;
  label: string;
  what: Key;
  run: () => void;
}

const stored = localStorage.getItem("shortcuts") !== "off";
export const enabled = signal(stored);
export const helpOpen = signal(false);

const typing = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement &&
  (target.isContentEditable || /^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName));

/** Listens while the view is mounted. */
export function useShortcuts(list: () => Shortcut[]): void {
  const current = useRef(list);
  current.current = list;
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
      if (typing(event.target)) return;
      if (event.key === "?" || (event.code === "Slash" && event.shiftKey)) {
        event.preventDefault();
        helpOpen.value = !helpOpen.value;
        return;
      }
      if (!enabled.value || helpOpen.value || event.shiftKey) return;
      const found = current.current().find((one) => one.code === event.code);
      if (!found) return;
      event.preventDefault();
      found.run();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);
}

export function ShortcutHelp(props: { list: Shortcut[] }): VNode {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (helpOpen.value) dialog.current?.showModal();
    else dialog.current?.close();
  }, [helpOpen.value]);
  const rows: { label: string; what: Key }[] = [...props.list, { label: "?", what: "keys.help" }];
  return (
    <dialog
      ref={dialog}
      class="modal"
      aria-labelledby="shortcuts-title"
      onClose={() => (helpOpen.value = false)}
    >
      <div class="modal-box max-w-md">
        <h2 id="shortcuts-title" class="text-lg font-semibold">
          {t("keys.title")}
        </h2>
        <table class="table-sm table mt-2">
          <thead class="sr-only">
            <tr>
              <th scope="col">{t("keys.key")}</th>
              <th scope="col">{t("keys.what")}</th>
            </tr>
          </thead>
          <tbody>
            {rows.map((one) => (
              <tr key={one.label}>
                <td class="w-16">
                  <kbd class="kbd">{one.label}</kbd>
                </td>
                <td>{t(one.what)}</td>
              </tr>
            ))}
          </tbody>
        </table>
        <div class="mt-4 flex flex-wrap items-center justify-between gap-3">
          <label class="flex items-center gap-2 text-sm">
            <input
              type="checkbox"
              class="toggle toggle-sm"
              checked={enabled.value}
              onChange={(event) => {
                enabled.value = event.currentTarget.checked;
                localStorage.setItem("shortcuts", enabled.value ? "on" : "off");
              }}
            />
            {t("keys.enabled")}
          </label>
          <button type="button" class="btn btn-sm" onClick={() => (helpOpen.value = false)}>
            {t("app.close")}
          </button>
        </div>
      </div>
    </dialog>
  );
}

export const ShortcutButton = (): VNode => (
  <button
    type="button"
    class="btn btn-ghost btn-sm"
    onClick={() => (helpOpen.value = true)}
    aria-haspopup="dialog"
  >
    <Icon name="keys" class="size-4" />
    {t("keys.show")}
    <kbd class="kbd kbd-xs">?</kbd>
  </button>
);
