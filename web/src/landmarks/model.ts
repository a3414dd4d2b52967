// The open specimen: points, what is selected, what is shown, and distances in px and mm.
import { computed, effect, signal } from "@preact/signals";
import { change, detail, valueOf } from "../edits";
import { queue } from "../state";
import type { Detail, Xy } from "../types";

export interface Ghost {
  x: number | null;
  y: number | null;
  spread: number | null;
  confidence: number | null;
}
export interface Expected {
  x: number;
  y: number;
  a: number;
  b: number;
  angle: number;
}
export interface LandmarkDetail extends Detail {
  width: number | null;
  height: number | null;
  version: number | null;
  group: string | null;
  part: string | null;
  attributes: Record<string, string>;
  ghost: Ghost[] | null;
  expected: (Expected | null)[] | null;
}
export interface Scheme {
  names: string[];
  edges: [number, number][];
  grades: string[];
  ruler: { ends: [string, string]; mm: number } | null;
  distances: Record<string, [string, string]>;
  ghost: string;
  warnings: string[];
}

export const scheme = computed(() => (queue.value?.scheme ?? null) as Scheme | null);
export const selected = signal<number | null>(null);
export const hovered = signal<number | null>(null);
export const swapping = signal<number | null>(null);
export const tool = signal<"points" | "measure" | "scale">("points");
export const tape = signal<Xy[]>([]);
export const dragged = signal<{ index: number; at: Xy } | null>(null);
const SHOWN = { names: true, ghost: true, ellipses: false, lines: true };
export const shown = signal<typeof SHOWN>({ ...SHOWN, ...JSON.parse(localStorage.getItem("shown") ?? "{}") });
effect(() => localStorage.setItem("shown", JSON.stringify(shown.value)));

export const toggle = (key: keyof typeof SHOWN) => {
  shown.value = { ...shown.value, [key]: !shown.value[key] };
};

/** Every landmark's place, the one under the hand where it is now. */
export const points = computed<(Xy | null)[]>(() => {
  if (!detail.value || !scheme.value) return [];
  const moving = dragged.value;
  return scheme.value.names.map((name, i) =>
    moving?.index === i ? moving.at : ((detail.value.values[`point:${name}`]?.value ?? null) as Xy | null),
  );
});

/** Millimetres per pixel, from the ruler's landmarks where the study has them, else as set or given. */
export const mmPerPx = computed<number | null>(() => {
  const own = valueOf<{ mm_per_px: number; a?: Xy } | null>("scale");
  if (own?.a) return own.mm_per_px;
  const ruler = scheme.value?.ruler;
  if (ruler) {
    const [a, b] = ruler.ends.map((name) => points.value[scheme.value!.names.indexOf(name)]);
    if (a && b && distance(a, b) > 0) return ruler.mm / distance(a, b);
  }
  return own?.mm_per_px ?? null;
});

export const distance = (a: Xy, b: Xy) => Math.hypot(a[0] - b[0], a[1] - b[1]);

export function length(px: number): string {
  const mm = mmPerPx.value;
  return mm === null ? `${px.toFixed(1)} px` : `${(px * mm).toFixed(2)} mm`;
}

export function place(index: number, at: Xy | null): void {
  const name = scheme.value!.names[index];
  change({ [`point:${name}`]: at && [round(at[0]), round(at[1])] });
}

/** A thousandth of a pixel is finer than any hand. */
const round = (v: number) => Math.round(v * 1000) / 1000;

export function swap(a: number, b: number): void {
  const [first, second] = [a, b].map((i) => scheme.value!.names[i]);
  change({ [`point:${first}`]: points.value[b], [`point:${second}`]: points.value[a] });
}

export function acceptGhost(indices: number[]): void {
  const ghost = (detail.value as LandmarkDetail).ghost;
  if (!ghost) return;
  const changes: Record<string, unknown> = {};
  for (const i of indices) {
    const { x, y } = ghost[i];
    if (x !== null && y !== null) changes[`point:${scheme.value!.names[i]}`] = [round(x), round(y)];
  }
  if (Object.keys(changes).length) change(changes);
}

export function nextMissing(): number | null {
  const at = points.value.findIndex((p) => p === null);
  return at < 0 ? null : at;
}

export function select(index: number | null): void {
  if (swapping.value !== null && index !== null && index !== swapping.value) {
    swap(swapping.value, index);
    swapping.value = null;
  }
  selected.value = index;
}
