import { signal } from "@preact/signals";

/** The path of the view that is shown. */
export const path = signal(location.pathname);

export function go(to: string, replace = false): void {
  if (to === location.pathname) return;
  history[replace ? "replaceState" : "pushState"](null, "", to);
  path.value = location.pathname;
  scrollTo(0, 0);
  // A new view is a new page to a screen reader: start it at its heading.
  requestAnimationFrame(() => document.querySelector<HTMLElement>("main h1")?.focus());
}

addEventListener("popstate", () => {
  path.value = location.pathname;
});

/** Links to our own views change the view without loading the page again. */
document.addEventListener("click", (event) => {
  if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey) return;
  if (event.shiftKey || event.altKey) return;
  const link = (event.target as Element | null)?.closest("a");
  if (!link || link.target || link.hasAttribute("download")) return;
  if (link.origin !== location.origin || link.pathname.startsWith("/api/") || link.hash) return;
  event.preventDefault();
  go(link.pathname);
});
