// The panel on the right, which folds away on a tablet.
import type { ComponentChildren } from "preact";
import { signal } from "@preact/signals";

export const asideOpen = signal(true);

export function Aside({ children }: { children: ComponentChildren }) {
  return (
    <aside class={`inspector ${asideOpen.value ? "" : "folded"}`} aria-label="Details">
      {children}
    </aside>
  );
}
