// Light or dark: the system's choice until somebody chooses here.
import { effect, signal } from "@preact/signals";

const system = matchMedia("(prefers-color-scheme: dark)");
const stored = localStorage.getItem("theme");
export const theme = signal<"light" | "dark">(
  stored === "light" || stored === "dark" ? stored : system.matches ? "dark" : "light",
);

export function startTheme(): void {
  effect(() => {
    document.documentElement.dataset.theme = theme.value;
  });
  system.addEventListener("change", (event) => {
    if (!localStorage.getItem("theme")) theme.value = event.matches ? "dark" : "light";
  });
}

export function switchTheme(): void {
  theme.value = theme.value === "dark" ? "light" : "dark";
  localStorage.setItem("theme", theme.value);
}
