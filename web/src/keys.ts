// Keys: each desk brings its own list, which the help shows as it stands.
import { signal } from "@preact/signals";
import { dialog } from "./state";

export interface Key {
  keys: string[];
  does: string;
  run: (event: KeyboardEvent) => void;
  group?: string;
}

export const keymap = signal<Key[]>([]);

/** `Ctrl+` stands for Cmd too; letters are given in lower case, `Shift+` said. */
export function nameOf(event: KeyboardEvent): string {
  const plain = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const shift = event.shiftKey && (event.key.length > 1 || /[a-z]/i.test(event.key));
  return `${event.ctrlKey || event.metaKey ? "Ctrl+" : ""}${event.altKey ? "Alt+" : ""}${shift ? "Shift+" : ""}${plain}`;
}

const REGIONS = [".top", ".queue", ".tools, .transport, .tree, .middle.volume", ".inspector"];
const CONTROLS = "button:not(:disabled), a[href], input:not(:disabled), select:not(:disabled), textarea:not(:disabled), summary, [tabindex='0']";

/** Put the focus into the next part of the page; from there Tab goes on, and Escape lets go. */
function toRegion(by: 1 | -1): void {
  const parts = REGIONS.map((name) => document.querySelector<HTMLElement>(name)).filter((part) => part?.offsetParent && part.querySelector(CONTROLS));
  const at = parts.findIndex((part) => part!.contains(document.activeElement));
  const next = parts[at < 0 ? (by > 0 ? 0 : parts.length - 1) : (at + by + parts.length) % parts.length];
  next?.querySelector<HTMLElement>(CONTROLS)?.focus();
}

/** What every desk has. */
export const EVERYWHERE: Key[] = [
  { group: "View", keys: ["F6"], does: "to the controls, part by part; Tab goes on, Esc back", run: () => toRegion(1) },
];

export function startKeys(): void {
  addEventListener("keydown", (event) => {
    const target = event.target as HTMLElement;
    const typing = target.matches("input:not([type=range]):not([type=checkbox]), textarea, select");
    if (event.key === "Escape" && dialog.value) {
      dialog.value = null;
      return;
    }
    if (typing || dialog.value) {
      if (event.key === "Escape") target.blur();
      return;
    }
    if (event.key === "F6") {
      event.preventDefault();
      toRegion(event.shiftKey ? -1 : 1);
      return;
    }
    const control = target.matches("button, summary, a, input, [role=listbox], [role=slider]:not(canvas), [role=option]");
    if (control && (event.key === "Enter" || event.key === " " || event.key.endsWith("Tab"))) return;
    if (control && event.key === "Escape") target.blur();
    if (target.matches("input[type=range]") && event.key.startsWith("Arrow")) return;
    const name = nameOf(event);
    const found = keymap.value.find((key) => key.keys.includes(name));
    if (found) {
      event.preventDefault();
      found.run(event);
    }
  });
}
