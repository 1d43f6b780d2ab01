import { signal } from "@preact/signals";
import { t } from "./i18n";
import type { Me } from "./types";

/** The person of this page; null until the box was asked. */
export const me = signal<Me | null>(null);

/** Names this page among those of one agent; a reload is a new page. */
export const pageId: string = Array.from(crypto.getRandomValues(new Uint8Array(16)), (one) =>
  one.toString(16).padStart(2, "0"),
).join("");

/** What the box answered instead of success; `detail` is its own English sentence. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly detail: string,
    readonly seconds = 0,
    readonly body: Record<string, unknown> = {},
  ) {
    super(code);
  }
}

async function call<R>(method: string, path: string, body?: unknown): Promise<R> {
  let response: Response;
  const file = body instanceof Blob;
  try {
    response = await fetch(`/api/v1${path}`, {
      method,
      credentials: "same-origin",
      // A file comes over a slow network and is looked through before it is taken.
      signal: AbortSignal.timeout(file ? 600_000 : 15_000),
      ...(body === undefined
        ? {}
        : file
          ? { headers: { "Content-Type": "application/octet-stream" }, body }
          : { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) }),
    });
  } catch {
    throw new ApiError(0, "offline", "");
  }
  const answer = (await response.json().catch(() => ({}))) as Record<string, unknown>;
  if (response.ok) return answer as R;
  const code = typeof answer.code === "string" ? answer.code : "fault";
  if (response.status === 401 && code === "sign_in" && me.value) {
    me.value = { ...me.value, person: null };
  }
  const detail = answer.detail ?? answer.title;
  throw new ApiError(
    response.status,
    code,
    typeof detail === "string" ? detail : "",
    typeof answer.seconds === "number" ? answer.seconds : 0,
    answer,
  );
}

export const get = <R>(path: string): Promise<R> => call<R>("GET", path);
export const post = <R = object>(path: string, body: unknown = {}): Promise<R> =>
  call<R>("POST", path, body);
export const put = <R = object>(path: string, body: unknown): Promise<R> =>
  call<R>("PUT", path, body);
export const remove = (path: string): Promise<object> => call("DELETE", path, {});

/** A sentence for the person, in the page's language where the box's word is known. */
export function explain(error: unknown): string {
  if (!(error instanceof ApiError)) return t("error.fault");
  switch (error.code) {
    case "offline":
      return t("error.offline");
    case "restarting":
      return t("error.restarting");
    case "sign_in":
      return t("error.sign_in");
    case "wrong_password":
      return t("error.wrong_password");
    case "too_many":
      return t("error.too_many", { n: error.seconds });
    case "invalid":
      return t("error.invalid");
    case "not_found":
      return t("error.not_found");
    case "forbidden":
      return t("error.forbidden");
    default:
      return error.detail || t("error.fault");
  }
}

/** The last thing that went wrong, shown until closed or replaced. */
export const notice = signal<string | null>(null);

/** Runs an action of a button; what goes wrong becomes the notice. */
export async function attempt(action: () => Promise<unknown>): Promise<boolean> {
  try {
    await action();
    notice.value = null;
    return true;
  } catch (error) {
    notice.value = explain(error);
    return false;
  }
}
