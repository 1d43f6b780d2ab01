import { signal } from "@preact/signals";
import type { VNode } from "preact";
import { explain, me, post } from "../api";
import { Heading } from "../components/shell";
import { Icon } from "../components/icons";
import { t } from "../i18n";
import type { Me } from "../types";

const fault = signal<string | null>(null);
const busy = signal(false);
const shown = signal(false);

async function submit(event: SubmitEvent): Promise<void> {
  event.preventDefault();
  if (busy.value) return;
  const form = new FormData(event.currentTarget as HTMLFormElement);
  busy.value = true;
  fault.value = null;
  try {
    const person = String(form.get("person")).trim();
    me.value = await post<Me>("/login", { person, password: String(form.get("password")) });
  } catch (error) {
    fault.value = explain(error);
  } finally {
    busy.value = false;
  }
}

export function SignIn(): VNode {
  return (
    <div class="mx-auto mt-6 max-w-sm">
      <form
        class="panel p-6"
        onSubmit={(event) => void submit(event as unknown as SubmitEvent)}
      >
        <Heading>{t("login.title")}</Heading>
        <label class="mt-4 block">
          <span class="mb-1 block text-sm font-medium">{t("login.person")}</span>
          <input
            class="input w-full"
            dir="auto"
            name="person"
            autoComplete="username"
            autoCapitalize="none"
            spellcheck={false}
            required
            maxLength={32}
          />
        </label>
        <label class="mt-3 block">
          <span class="mb-1 block text-sm font-medium">{t("login.password")}</span>
          <input
            class="input w-full"
            dir="ltr"
            name="password"
            {...(shown.value ? { type: "text" } : { type: "password" })}
            autoComplete="current-password"
            required
            maxLength={200}
          />
        </label>
        <label class="mt-3 flex items-center gap-2 text-sm">
          <input
            type="checkbox"
            class="checkbox checkbox-sm"
            checked={shown.value}
            onChange={(event) => (shown.value = event.currentTarget.checked)}
          />
          {t("login.show")}
        </label>
        <p role="alert" class="mt-3 min-h-6 text-sm text-error">
          {fault.value}
        </p>
        <button type="submit" class="btn btn-primary mt-1 w-full" disabled={busy.value}>
          {t("login.submit")}
        </button>
      </form>
      {me.value?.demo && (
        <div class="alert mt-4 items-start border-base-300 bg-base-100">
          <Icon name="info" class="size-5 text-info" />
          <span>
            {t("login.demo")}{" "}
            <a class="link font-medium" href="/demo">
              {t("login.to_demo")}
            </a>
          </span>
        </div>
      )}
    </div>
  );
}
