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
    if (target.matches("button, summary, a, [role=option]") && (event.key === "Enter" || event.key === " ")) return;
    if (target.matches("input[type=range]") && event.key.startsWith("Arrow")) return;
    const name = nameOf(event);
    const found = keymap.value.find((key) => key.keys.includes(name));
    if (found) {
      event.preventDefault();
      found.run(event);
    }
  });
}
