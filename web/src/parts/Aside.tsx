// The panel on the right, which folds away on a tablet.
import type { ComponentChildren } from "preact";
import { signal } from "@preact/signals";

/** On a tablet held upright the picture has the whole page until somebody asks for more. */
export const asideOpen = signal(matchMedia("(min-width: 821px)").matches);

export function Aside({ children }: { children: ComponentChildren }) {
  return (
    <aside class={`inspector ${asideOpen.value ? "" : "folded"}`} aria-label="Details">
      {children}
    </aside>
  );
}
